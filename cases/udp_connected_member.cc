// What does a connected member change for the others of its UDP group, and for its peer?
#include "cases/members.h"
#include "harness/bpf.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using UdpConnectedMember = Case;

constexpr uint16_t kPeer = 9000;

// A group begins with room for 128 members: this many make it grow.
constexpr int kMany = 140;

CLAIM({.id = "udp.group.large_one_knows_its_connected_member",
       .says = "In a SO_REUSEPORT group that grew beyond 128 members before or after one of them connected, the peer's "
               "datagrams reach the connected one and those of strangers the others.",
       .kernels = "since 5.4; from 5.4 to 5.7 a group that grew forgot that one of its members is connected",
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("reuseport_grow(), reuseport_has_conns()"),
                   Commit("f2b2c55e5128 udp: Copy has_conns in reuseport_grow().")}});

struct Growth {
  std::string name;
  Address address;
  int before;  // so many members are there when the connected one comes
  int after;   // so many come after it
  CaseFacts facts = {};
};

const std::vector<Growth> kGrowths = {
    {"ipv4_after_the_connect", Loopback4(), 1, kMany},
    {"ipv4_before_the_connect", Loopback4(), kMany, 1},
    {"ipv6_after_the_connect", Loopback6(), 1, kMany, Needs(needs::kIpv6)},
    {"ipv6_before_the_connect", Loopback6(), kMany, 1, Needs(needs::kIpv6)},
};

MATRIX(UdpConnectedMember, IsKnownToALargeGroup, Growth, kGrowths,
       Witnesses("udp.group.large_one_knows_its_connected_member"), Needs(needs::kReusePort), Labels("udp", "large")) {
  constexpr int kDatagrams = 40;
  const SocketSpec member = Udp(row.address).ReusePort();
  const std::vector<Socket> older = ManyBound(member, port(), row.before);
  Socket connected = member.Bound(port()).ConnectedTo(row.address, kPeer);
  const std::vector<Socket> newer = ManyBound(member, port(), row.after);
  Socket peer = Udp(row.address).Bound(kPeer);

  for (int sent = 0; sent < kDatagrams; ++sent) peer.SendTo(row.address, port());
  const int of_peer = QueuedDatagrams({&connected}).counts[0];
  EXPECT_THAT(Counted("the peer's at the connected one/at the others", {of_peer, TakenFrom(older) + TakenFrom(newer)}),
              Gets(kDatagrams, 0));

  for (int sent = 0; sent < kDatagrams; ++sent) Udp(row.address).Made().SendTo(row.address, port());
  const int of_strangers = QueuedDatagrams({&connected}).counts[0];
  EXPECT_THAT(
      Counted("strangers' at the connected one/at the others", {of_strangers, TakenFrom(older) + TakenFrom(newer)}),
      Gets(0, kDatagrams));
}

CLAIM({.id = "udp.group.spreads_beside_a_connected_member",
       .says = "The datagrams of strangers are spread over the unconnected members of a SO_REUSEPORT group of which "
               "one is connected: each of them gets some.",
       .kernels = "since 5.8; before, the first of them in the kernel's list gets all",
       .rows = {"UDP-RX-003", "UDP-RX-007"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp4_lib_lookup2(), reuseport_select_sock()"),
                   Commit("efc6b6f6c311 udp: Improve load balancing for SO_REUSEPORT.")}});

struct Family {
  std::string name;
  Address address;
  CaseFacts facts = {};
};

const std::vector<Family> kFamilies = {
    {"ipv4", Loopback4()},
    {"ipv6", Loopback6(), Needs(needs::kIpv6)},
};

MATRIX(UdpConnectedMember, LeavesStrangersToEachOfTheOthers, Family, kFamilies,
       Witnesses("udp.group.spreads_beside_a_connected_member"), Needs(needs::kReusePort), Labels("udp")) {
  const SocketSpec member = Udp(row.address).ReusePort();
  Socket one = member.Bound(port()), connected = member.Bound(port());
  Socket two = member.Bound(port()), three = member.Bound(port());
  EXPECT_THAT(connected.Connect(row.address, kPeer), Succeeds());
  // Where the connected one is still a member, its share of four goes to another.
  const int count = EnoughToReach(4);

  const Share share = DatagramsOver({&one, &two, &three, &connected}, count, row.address, port());

  EXPECT_THAT(Counted("at the connected one", {share.counts[3]}), Is(0));
  EXPECT_THAT(Counted("at the others", {share.counts[0], share.counts[1], share.counts[2]}), ReachesEach(count));
}

CLAIM({.id = "udp.group.program_chooses_among_connected_members",
       .says = "Of two members of a SO_REUSEPORT group that are connected to one peer, the one that connected last and "
               "that the group's program chooses gets what the peer sends, wherever the other one stands.",
       .kernels = "since 6.6 and 5.10.197 over IPv4, since 6.10 and between 5.10.218 and 5.10.223 over IPv6; before, "
                  "the choice kept the score of an unconnected member",
       .rows = {"UDP-RX-007"},
       .sources = {Kernel("udp4_lib_lookup2(), udp6_lib_lookup2(), udp4_lib_lookup4()"),
                   Commit("f0ea27e7bfe1 udp: re-score reuseport groups when connected sockets are present"),
                   Commit("50aee97d1511 udp: Avoid call to compute_score on multiple sites")}});

// The first commit weighed the choice itself over IPv4 alone.
const std::vector<Family> kChoices = {
    {"ipv4", Loopback4(), Follows("groups_score_the_programs_choice")},
    {"ipv6", Loopback6(), Merged({Needs(needs::kIpv6), Follows("groups_score_the_programs_choice_on_ipv6")})},
};

// The kernel must come upon an unconnected member first, which makes it ask the program, and upon the chosen member
// last.  It lists IPv4 sockets newest first, and IPv6 sockets of groups oldest first.
MATRIX(UdpConnectedMember, IsTheOneThatTheProgramChooses, Family, kChoices,
       Witnesses("udp.group.program_chooses_among_connected_members"), Needs(needs::kReusePort), Labels("udp")) {
  const bool newest_first = row.address.family() == AF_INET;
  const SocketSpec member = Udp(row.address).ReusePort();
  Socket first = member.Bound(port()), middle = member.Bound(port()), last = member.Bound(port());
  Socket& chosen = newest_first ? first : last;
  Socket& unconnected = newest_first ? last : first;

  EXPECT_THAT(middle.Connect(row.address, kPeer), Succeeds());
  EXPECT_THAT(chosen.Connect(row.address, kPeer), Succeeds());
  EXPECT_THAT(Attach(unconnected, ToMember(newest_first ? 0 : 2)), Succeeds());
  Udp(row.address).Bound(kPeer).SendTo(row.address, port());

  EXPECT_THAT(QueuedDatagrams({&chosen, &middle, &unconnected}), Gets(1, 0, 0));
}

}  // namespace
}  // namespace portshare
