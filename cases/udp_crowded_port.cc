// Does it matter for bind how many UDP sockets a port has already?
#include "harness/case.h"
#include "harness/explore/epochs.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

using UdpCrowdedPort = Case;

// With more than ten sockets in the port's hash slot the kernel looks the address up in a table of its own.
constexpr int kFew = 9;
constexpr int kMany = 11;

// Sockets on 127.0.0.1 and the addresses after it.
std::vector<Socket> Crowd(SocketSpec (*spec)(const Address&), int count, uint16_t port) {
  std::vector<Socket> crowd;
  for (int last = 1; last <= count; ++last) crowd.push_back(spec(Loopback4(last)).Bound(port));
  return crowd;
}

SocketSpec SharedByAlice(const Address& address) {
  return Udp(address).ReusePort().OwnedBy(Alice());
}

CLAIM({.id = "udp.bind.wildcard_meets_every_holder",
       .says = "A UDP wildcard conflicts with every specific address of its port, however many sockets hold them.",
       .kernels = "all but those before 6.1.168, 6.6.131, 6.12.80 and 6.18.21, which with more than ten sockets look "
                  "for wildcards only",
       .rows = {"BUG-UDP-005", "BUG-UDP-006", "BUG-UDP-007", "BUG-UDP-008", "BUG-UDP-009"},
       .sources = {Man("ip(7), Address format"), Kernel("udp_lib_get_port()"), Commit("CVE-2026-31503")}});

struct Newcomer {
  std::string name;
  SocketSpec (*crowd)(const Address&);
  SocketSpec newcomer;
  CaseFacts facts = {};
};

const std::vector<Newcomer> kWildcards = {
    {"one_sided_address_reuse", Udp, Udp(Any4()).ReuseAddr()},
    {"dual_stack", Udp, Udp(Any6()).DualStack(), Needs(needs::kIpv6)},
    {"mapped", Udp, Udp(MappedAny()), Needs(needs::kIpv6)},
    {"port_reuse_of_another_owner", SharedByAlice, Udp(Any4()).ReusePort().OwnedBy(Bob()),
     Needs(needs::kReusePort, needs::kSecondOwner)},
};

// A kernel that overlooks holders finds one all the same whose address has the wildcard's slot in the second table: in
// some namespaces in a hundred, where the table is small.  In so many in a row it does not.
constexpr int kNamespaces = 10;

Outcome BesideMany(const Newcomer& row, uint16_t port) {
  const PrivateNetwork network;
  const std::vector<Socket> crowd = Crowd(row.crowd, kMany, port);
  return row.newcomer.Bind(port);
}

MATRIX(UdpCrowdedPort, WildcardMeetsFewHolders, Newcomer, kWildcards, Witnesses("udp.bind.wildcard_meets_every_holder"),
       Labels("udp")) {
  const std::vector<Socket> crowd = Crowd(row.crowd, kFew, port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

MATRIX(UdpCrowdedPort, WildcardMeetsManyHolders, Newcomer, kWildcards,
       Witnesses("udp.bind.wildcard_meets_every_holder"), Follows("udp_wildcard_missed_in_long_slots"), Labels("udp")) {
  const bool missed = CurrentEpoch().udp_wildcard_missed_in_long_slots;
  Outcome answer = BesideMany(row, port());
  for (int more = 1; missed && !answer.ok() && more < kNamespaces; ++more) answer = BesideMany(row, port());
  EXPECT_THAT(answer, AnswersWith(missed ? 0 : EADDRINUSE));
}

CASE(UdpCrowdedPort, V6OnlyWildcardMeetsNoIpv4Holder, Witnesses("udp.bind.wildcard_meets_every_holder"),
     Needs(needs::kIpv6), Labels("udp", "ipv6")) {
  const std::vector<Socket> crowd = Crowd(Udp, kMany, port());
  const Socket six = Udp(Any6()).V6Only().Bound(port());

  EXPECT_THAT(Udp(Loopback6()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Udp(Any6()).DualStack().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "udp.bind.address_meets_every_holder",
       .says = "A specific UDP address conflicts with the same address and the wildcard, however many sockets hold "
               "others.",
       .rows = {"BUG-UDP-006", "BUG-UDP-009"},
       .sources = {Man("ip(7), Address format"), Kernel("udp_lib_lport_inuse2()")}});

const std::vector<Newcomer> kAddresses = {
    {"same", Udp, Udp(Loopback4(3))},
    {"mapped", Udp, Udp(MappedLoopback(3)), Needs(needs::kIpv6)},
};

MATRIX(UdpCrowdedPort, AddressMeetsTheSameAddress, Newcomer, kAddresses,
       Witnesses("udp.bind.address_meets_every_holder"), Labels("udp")) {
  const std::vector<Socket> crowd = Crowd(row.crowd, kMany, port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

CASE(UdpCrowdedPort, AnotherAddressIsFree, Witnesses("udp.bind.address_meets_every_holder"), Labels("udp")) {
  const std::vector<Socket> crowd = Crowd(Udp, kMany, port());

  EXPECT_THAT(Udp(Loopback4(kMany + 1)).Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
