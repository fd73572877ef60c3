// The rules by name: what each says, where that stands, and the function that tells whether it holds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "model/epoch.h"
#include "model/history.h"
#include "model/intent.h"
#include "model/socket.h"

namespace portshare::model {

enum class Rule : uint8_t {
  // bind(2) and listen(2) beside one holder, in the order in which they are asked: the first that holds decides.
  kDevicesApart,
  kAddressesApart,
  kSharesByAddress,
  kSharesByPort,
  kSharesOverTimeWait,
  kListenerEndsReuse,
  kOwnersDiffer,
  kNothingShared,
  // A call that the holders have no part in.
  kAlone,
  kBoundAlready,
  kMappedNeedsDual,
  kDatagramsDoNotListen,
  kListensAlready,
  kListensUnbound,
  kListenerDoesNotConnect,
  kOptionUnknown,
  kOptionAnyTime,
  kOwnerAnyTime,
  kClosed,
  kLeavesTimeWait,
  // What the kernel also remembers.
  kHintMatches,
  kReuseAddrHint,
  kMappedWildcardMissed,
  kFirstMatch,
  kFirstMatchInLongSlot,
  kWildcardMissedInLongSlot,
  // What shapes that memory.
  kWritesHint,
  kStandsLast,
  kLooksUpByAddress,
  kSamePlace,
};

enum class Layer : uint8_t { kIntent, kHistory };

// All that a rule may look at.
struct Situation {
  Socket newcomer = {};
  Socket holder = {};
  Hint hint = {};
  Epoch epoch = {};
  int in_slot = 0;
};

enum class Effect : uint8_t { kApart, kAdmits, kRefuses, kAnswers, kRemembers, kShapes };

struct RuleText {
  Rule rule;
  const char* name;
  Layer layer;
  Effect effect;
  const char* says;  // a sentence that ends without a full stop
  const char* source;
  // nullptr where it takes more than one look to tell: machine.cc
  bool (*holds)(const Situation&) = nullptr;
  // Only on a kernel of which the one is true, or the other false; nullptr for every kernel.
  bool Epoch::*only = nullptr;
  bool Epoch::*unless = nullptr;

  constexpr bool Applies(const Epoch& epoch) const {
    return (only == nullptr || epoch.*only) && (unless == nullptr || !(epoch.*unless));
  }
};

// One entry a rule, in the order of the enumeration.
inline constexpr size_t kRules = static_cast<size_t>(Rule::kSamePlace) + 1;
using Asked = const Situation&;

inline constexpr std::array<RuleText, kRules> kAllRules = {{
    {Rule::kDevicesApart, "devices_apart", Layer::kIntent, Effect::kApart, "each is bound to a device of its own",
     "socket(7) SO_BINDTODEVICE; inet_bind_conflict()", [](Asked s) { return DevicesApart(s.newcomer, s.holder); }},
    {Rule::kAddressesApart, "addresses_apart", Layer::kIntent, Effect::kApart, "no local address belongs to both",
     "ip(7), ipv6(7) IPV6_V6ONLY; inet_rcv_saddr_equal()",
     [](Asked s) { return AddressesApart(s.newcomer, s.holder); }},
    {Rule::kSharesByAddress, "shares_by_address", Layer::kIntent, Effect::kAdmits,
     "both asked for SO_REUSEADDR and the holder does not listen",
     "socket(7) SO_REUSEADDR; inet_bind_conflict(), udp_lib_lport_inuse()",
     [](Asked s) { return SharesByAddress(s.newcomer, s.holder); }},
    {Rule::kSharesByPort, "shares_by_port", Layer::kIntent, Effect::kAdmits,
     "both asked for SO_REUSEPORT and one owner has both",
     "socket(7) SO_REUSEPORT; commit c617f398edd4; inet_bind_conflict(), udp_lib_lport_inuse()",
     [](Asked s) { return SharesByPort(s.newcomer, s.holder); }},
    {Rule::kSharesOverTimeWait, "shares_over_time_wait", Layer::kIntent, Effect::kAdmits,
     "both asked for SO_REUSEPORT, and of the holder nothing but TIME_WAIT is left",
     "commit c617f398edd4; inet_bind_conflict()", [](Asked s) { return SharesOverTimeWait(s.newcomer, s.holder); }},
    {Rule::kListenerEndsReuse, "listener_ends_reuse", Layer::kIntent, Effect::kRefuses,
     "the holder agreed to SO_REUSEADDR, but it listens", "socket(7) SO_REUSEADDR; inet_bind_conflict()",
     [](Asked s) { return ListenerEndsReuse(s.newcomer, s.holder); }},
    {Rule::kOwnersDiffer, "owners_differ", Layer::kIntent, Effect::kRefuses,
     "both asked for SO_REUSEPORT, but they belong to two owners",
     "socket(7) SO_REUSEPORT; commit c617f398edd4; inet_bind_conflict(), udp_lib_lport_inuse()",
     [](Asked s) { return OwnersDiffer(s.newcomer, s.holder); }},
    {Rule::kNothingShared, "nothing_shared", Layer::kIntent, Effect::kRefuses,
     "they overlap, and there is no option that both asked for",
     "bind(2) EADDRINUSE, socket(7); inet_bind_conflict(), udp_lib_lport_inuse()",
     [](Asked s) { return NothingShared(s.newcomer, s.holder); }},
    {Rule::kAlone, "alone", Layer::kIntent, Effect::kAnswers, "nobody else holds the port", "bind(2), listen(2)"},
    {Rule::kBoundAlready, "bound_already", Layer::kIntent, Effect::kAnswers, "a socket is bound only once",
     "bind(2) EINVAL; __inet_bind(), __inet6_bind()", [](Asked s) { return s.newcomer.holds_port(); }},
    {Rule::kMappedNeedsDual, "mapped_needs_dual", Layer::kIntent, Effect::kAnswers,
     "IPV6_V6ONLY leaves no room for an IPv4-mapped address", "ipv6(7) IPV6_V6ONLY; __inet6_bind()",
     [](Asked s) { return s.newcomer.address.kind == Address::Kind::kMapped && s.newcomer.v6only; }},
    {Rule::kDatagramsDoNotListen, "datagrams_do_not_listen", Layer::kIntent, Effect::kAnswers,
     "a datagram socket does not listen", "listen(2) EOPNOTSUPP; sock_no_listen()",
     [](Asked s) { return !IsStream(s.newcomer.protocol); }},
    {Rule::kListensAlready, "listens_already", Layer::kIntent, Effect::kAnswers,
     "it listens already; only its backlog changes", "listen(2); __inet_listen_sk()",
     [](Asked s) { return s.newcomer.state == State::kListen; }},
    {Rule::kListensUnbound, "listens_unbound", Layer::kIntent, Effect::kAnswers,
     "it was not bound, and listens on a port that the kernel picks", "ip(7); inet_csk_listen_start()",
     [](Asked s) { return s.newcomer.state == State::kUnbound; }},
    {Rule::kListenerDoesNotConnect, "listener_does_not_connect", Layer::kIntent, Effect::kAnswers,
     "a listener does not connect", "connect(2) EISCONN; __inet_stream_connect()",
     [](Asked s) { return s.newcomer.state == State::kListen; }},
    {Rule::kOptionUnknown, "option_unknown", Layer::kIntent, Effect::kAnswers, "this kernel has no SO_REUSEPORT",
     "setsockopt(2) ENOPROTOOPT; commit c617f398edd4", nullptr, nullptr, &Epoch::reuseport},
    {Rule::kOptionAnyTime, "option_any_time", Layer::kIntent, Effect::kAnswers,
     "an option may be set and cleared at any time; nobody is asked again", "sk_setsockopt()"},
    {Rule::kOwnerAnyTime, "owner_any_time", Layer::kIntent, Effect::kAnswers,
     "a socket may change its owner at any time; nobody is asked again", "fchown(2); sockfs_setattr()"},
    {Rule::kClosed, "closed", Layer::kIntent, Effect::kAnswers, "a socket gives back what it held",
     "close(2); __inet_put_port(), udp_lib_unhash()"},
    {Rule::kLeavesTimeWait, "leaves_time_wait", Layer::kIntent, Effect::kAnswers,
     "it connected, closed first, and holds its port in TIME_WAIT", "tcp(7); tcp_time_wait()"},
    {Rule::kHintMatches, "hint_matches", Layer::kHistory, Effect::kRemembers,
     "the newcomer looks like the socket that wrote the port's hint, and the holders are not asked",
     "sk_reuseport_match(), inet_csk_get_port()", [](Asked s) { return HintMatches(s.newcomer, s.hint); }},
    {Rule::kReuseAddrHint, "reuseaddr_hint", Layer::kHistory, Effect::kRemembers,
     "all that was bound here had SO_REUSEADDR, and the holders are not asked", "inet_csk_get_port(), fastreuse",
     [](Asked s) { return ReuseAddrHintMatches(s.newcomer, s.hint); }, &Epoch::reuseaddr_hint},
    {Rule::kMappedWildcardMissed, "mapped_wildcard_missed", Layer::kHistory, Effect::kRemembers,
     "::ffff:0.0.0.0, and what is filed with it, is overlooked by another IPv4-mapped address",
     "inet_bind2_bucket_match_addr_any()",
     [](Asked s) {
       return s.newcomer.address.kind == Address::Kind::kMapped && !s.newcomer.address.wildcard() &&
              s.holder.filed_as_mapped && s.holder.address.wildcard();
     },
     &Epoch::mapped_wildcard_missed},
    {Rule::kFirstMatch, "first_match", Layer::kHistory, Effect::kRemembers,
     "the first holder in the port's list that would share ends the search, and the others are not asked",
     "udp_lib_lport_inuse()", nullptr, nullptr, &Epoch::udp_asks_every_holder},
    {Rule::kFirstMatchInLongSlot, "first_match_in_long_slot", Layer::kHistory, Effect::kRemembers,
     "more than ten sockets in the port's hash slot: the first holder of the same address that would share ends the "
     "search there, and the first wildcard does in another",
     "udp_lib_get_port(), udp_lib_lport_inuse2()", nullptr, nullptr, &Epoch::udp_asks_every_holder},
    {Rule::kWildcardMissedInLongSlot, "wildcard_missed_in_long_slot", Layer::kHistory, Effect::kRemembers,
     "more than ten sockets in the port's hash slot: a wildcard is compared with wildcards only",
     "CVE-2026-31503; udp_lib_get_port()", nullptr, &Epoch::udp_wildcard_missed_in_long_slots},
    {Rule::kWritesHint, "writes_hint", Layer::kHistory, Effect::kShapes,
     "a TCP socket with SO_REUSEPORT writes the port's hint, one without it clears the hint",
     "inet_csk_update_fastreuse()", [](Asked s) { return s.newcomer.reuse_port; }},
    {Rule::kStandsLast, "stands_last", Layer::kHistory, Effect::kShapes,
     "an IPv6 socket with SO_REUSEPORT goes to the end of the port's list, every other to its head",
     "commit d894ba18d4e4; sk_add_node_rcu(), udp_lib_get_port()", [](Asked s) { return StandsLast(s.newcomer); }},
    {Rule::kLooksUpByAddress, "looks_up_by_address", Layer::kHistory, Effect::kShapes,
     "with more than ten sockets in the port's hash slot, UDP looks up a specific address by address",
     "udp_lib_get_port()", [](Asked s) { return LooksUpByAddress(s.newcomer, s.in_slot, s.epoch); }},
    {Rule::kSamePlace, "same_place", Layer::kHistory, Effect::kShapes,
     "an IPv4 address and its IPv4-mapped form have one place in the table by address",
     "ipv4_portaddr_hash(), ipv6_portaddr_hash()",
     [](Asked s) { return SamePlace(s.newcomer.address, s.holder.address); }},
}};

constexpr bool InOrder() {
  for (size_t place = 0; place < kAllRules.size(); ++place) {
    if (static_cast<size_t>(kAllRules[place].rule) != place) return false;
  }
  return true;
}
static_assert(InOrder(), "kAllRules has one entry a rule, in the order of enum class Rule");

constexpr const RuleText& Text(Rule rule) {
  return kAllRules[static_cast<size_t>(rule)];
}

}  // namespace portshare::model
