// What the kernel also remembers.  Only three sockets show it: for two, the contract in intent.h is all there is.
//
// TCP keeps a hint beside each port.  It stands for "whoever looks like this need not be compared with every holder"
// and admits newcomers that the contract refuses.  UDP keeps its sockets in lists and stops at the first that would
// share.
#pragma once

#include "model/epoch.h"
#include "model/intent.h"
#include "model/socket.h"

namespace portshare::model {

// The memory of a TCP port: fastreuseport, fastuid, fast_rcv_saddr, fast_ipv6_only, fast_sk_family and fastreuse of
// inet_bind_bucket.
struct Hint {
  bool set = false;         // fastreuseport
  bool for_any = false;     // FASTREUSEPORT_ANY: every address; only where reuseaddr_hint
  bool reuse_addr = false;  // fastreuse; only where reuseaddr_hint
  // The socket that wrote it, as it was then.
  Socket writer;
  // What nothing in the kernel keeps, but the causes in epoch.h are told by: the writer shared with a holder by
  // SO_REUSEADDR alone; since then a socket of the port closed or changed.
  bool bridged = false;
  bool outdated = false;

  constexpr bool operator==(const Hint&) const = default;
};

// Is the newcomer's address the hint's, or one below the hint's wildcard?  Every [::] is one to the hint, with
// IPV6_V6ONLY or without, and the dual-stack [::] is 0.0.0.0.  ipv6_rcv_saddr_equal(), ipv4_rcv_saddr_equal()
constexpr bool HintCovers(const Socket& newcomer, const Hint& hint) {
  const Socket& writer = hint.writer;
  const bool newcomer_ipv6 = newcomer.address.kind == Address::Kind::kIpv6;
  const bool covered = writer.address.wildcard() || writer.address.bits == newcomer.address.bits;
  switch (writer.address.kind) {
    case Address::Kind::kIpv6:
      return newcomer_ipv6 ? covered : CoversAllIpv4(writer);
    case Address::Kind::kMapped:
      return !newcomer_ipv6 && covered;
    case Address::Kind::kIpv4:
      return newcomer_ipv6 ? writer.address.wildcard() && CoversAllIpv4(newcomer) : covered;
  }
  return false;
}

// The newcomer looks like the socket that wrote the hint: it is admitted without a look at the holders.
// sk_reuseport_match()
constexpr bool HintMatches(const Socket& newcomer, const Hint& hint) {
  return hint.set && newcomer.reuse_port && hint.writer.owner == newcomer.owner &&
         (hint.for_any || HintCovers(newcomer, hint));
}

// All that was ever bound here had SO_REUSEADDR, and so has the newcomer, which does not listen.  inet_csk_get_port(),
// where reuseaddr_hint
constexpr bool ReuseAddrHintMatches(const Socket& newcomer, const Hint& hint) {
  return hint.reuse_addr && newcomer.reuse_addr && newcomer.state != State::kListen;
}

// What would have kept the newcomer out, had the kernel compared it.  In the order in which they are told.
constexpr bool OtherDevice(const Socket& newcomer, const Hint& hint) {
  return newcomer.device != hint.writer.device;
}
constexpr bool DualBesideV6only(const Socket& newcomer, const Hint& hint) {
  return CoversAllIpv4(newcomer) && newcomer.address.kind == Address::Kind::kIpv6 &&
         hint.writer.address.kind == Address::Kind::kIpv6 && hint.writer.v6only;
}
constexpr bool DualBesideIpv4(const Socket& newcomer, const Hint& hint) {
  return newcomer.address.kind == Address::Kind::kIpv6 && hint.writer.address.kind == Address::Kind::kIpv4;
}

// UDP puts the newest socket first, but an IPv6 socket with SO_REUSEPORT last.  sk_add_node_rcu(), commit d894ba18d4e4
constexpr bool StandsLast(const Socket& socket) {
  return socket.reuse_port && socket.address.kind != Address::Kind::kIpv4;
}

// More than ten sockets in the port's hash slot: UDP looks the port up by address as well.  A wildcard has all of them
// to fear and takes the long way.  udp_lib_get_port(); CVE-2026-31503
inline constexpr int kLongSlot = 10;
constexpr bool LooksUpByAddress(const Socket& newcomer, int in_slot, const Epoch& epoch) {
  return in_slot > kLongSlot && (!newcomer.address.wildcard() || epoch.udp_wildcard_missed_in_long_slots);
}

// Has a specific address one place in that second table with another?  ipv4_portaddr_hash(), ipv6_portaddr_hash()
constexpr bool SamePlace(const Address& one, const Address& other) {
  const bool one_ipv6 = one.kind == Address::Kind::kIpv6;
  const bool other_ipv6 = other.kind == Address::Kind::kIpv6;
  return !one.wildcard() && one_ipv6 == other_ipv6 && one.bits == other.bits;
}

}  // namespace portshare::model
