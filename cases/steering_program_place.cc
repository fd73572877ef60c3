// Where does a steering program count: before bind(2), in which group, for which family, for which member?
#include "cases/steering.h"
#include "harness/bpf.h"
#include "harness/matchers.h"

namespace portshare {
namespace {

class SteeringProgramPlace : public Steering {
 protected:
  static constexpr uint16_t kPeer = 9000;
};

CLAIM({.id = "bpf.attached_before_bind",
       .says = "A program is attached before bind(2) only with SO_REUSEPORT set (EINVAL without); its socket may then "
               "be the first of a group, and others join it under the program.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-002", "BPF-004"},
       .sources = {Kernel("reuseport_attach_prog(), reuseport_alloc()")}});

MATRIX(SteeringProgramPlace, BeforeBindNeedsTheOption, Traffic, kTransports, Witnesses("bpf.attached_before_bind"),
       Needs(needs::kReusePort)) {
  Socket socket = Plain(row, row.address).Made();

  EXPECT_THAT(Attach(socket, ToMember(0)), FailsWith(EINVAL));
  EXPECT_THAT(socket.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(Attach(socket, ToMember(0)), Succeeds());
}

MATRIX(SteeringProgramPlace, BeforeBindBeginsAGroupThatOthersJoin, Traffic, kTransports,
       Witnesses("bpf.attached_before_bind"), Needs(needs::kReusePort)) {
  Socket first = Sharing(row).Made();
  EXPECT_THAT(Attach(first, ToMember(0)), Succeeds());

  EXPECT_THAT(first.Bind(port()), Succeeds());
  first = Receiving(row, std::move(first));
  Socket second = Member(row);

  EXPECT_THAT(Arrivals(row, {&first, &second}, kMany), Gets(kMany, 0));
}

CLAIM({.id = "bpf.attached_before_bind_joins_nobody",
       .says = "A socket that a program was attached to before bind(2) joins no group: a port that is held is refused "
               "to it (EADDRINUSE), also after the program was detached; another address is not.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-003", "BPF-004"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")}});

MATRIX(SteeringProgramPlace, BeforeBindJoinsNobody, Traffic, kTransports,
       Witnesses("bpf.attached_before_bind_joins_nobody"), Needs(needs::kReusePort)) {
  const Socket holder = Member(row);
  Socket newcomer = Sharing(row).Made();
  EXPECT_THAT(Attach(newcomer, ToMember(0)), Succeeds());

  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Detach(newcomer), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(newcomer.BindTo(Loopback4(2), port()), Succeeds());
}

CLAIM({.id = "bpf.needs_a_group",
       .says = "A program is not attached to a socket that was bound without SO_REUSEPORT (EINVAL), not even after the "
               "option was set on it; to detach one then fails with ENOENT, and before with EINVAL.",
       .kernels = "UDP since 4.5, TCP since 4.6; to detach, since 5.3",
       .rows = {"BPF-005"},
       .sources = {Kernel("reuseport_attach_prog()"), Kernel("reuseport_detach_prog()")}});

MATRIX(SteeringProgramPlace, BoundWithoutTheOptionHasNone, Traffic, kTransports, Witnesses("bpf.needs_a_group"),
       Needs(needs::kReusePort)) {
  Socket socket = Ready(row, Plain(row, row.address));

  EXPECT_THAT(Attach(socket, ToMember(0)), FailsWith(EINVAL));
  EXPECT_THAT(Detach(socket), FailsWith(EINVAL));
  EXPECT_THAT(socket.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(Attach(socket, ToMember(0)), FailsWith(EINVAL));
  EXPECT_THAT(Detach(socket), FailsWith(ENOENT));
}

CLAIM({.id = "bpf.groups_of_one_port_are_apart",
       .says = "A program chooses among the members of its own group: the group of the wildcard on the same port "
               "spreads what comes to it by the hash.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-009"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("reuseport_select_sock()")}});

MATRIX(SteeringProgramPlace, WildcardGroupIsNotReached, Traffic, kTransports,
       Witnesses("bpf.groups_of_one_port_are_apart"), Needs(needs::kReusePort)) {
  Socket specific = Member(row);
  EXPECT_THAT(Attach(specific, ToMember(0)), Succeeds());
  const SocketSpec wildcard = Plain(row, Any4()).ReusePort();
  Socket one = Ready(row, wildcard), two = Ready(row, wildcard);
  const int count = EnoughToReach(2);

  EXPECT_THAT(Arrivals(row, {&specific, &one, &two}, count), Gets(count, 0, 0));
  EXPECT_THAT(Arrivals(row, {&one, &two}, count, Loopback4(9)), ReachesEach(count));
}

CLAIM({.id = "bpf.one_program_for_both_families",
       .says = "The program of a dual-stack group chooses for IPv4 as for IPv6, and can tell one from the other.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-001"},
       .sources = {Man("ipv6(7), IPV6_V6ONLY"), Kernel("reuseport_select_sock()")}});

MATRIX(SteeringProgramPlace, DualStackGroupHasOneForBothFamilies, Traffic, kTransports,
       Witnesses("bpf.one_program_for_both_families"), Needs(needs::kReusePort, needs::kIpv6), Labels("ipv6")) {
  const SocketSpec dual = Plain(row, Any6()).DualStack().ReusePort();
  Socket zero = Ready(row, dual), one = Ready(row, dual);

  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany, Loopback4()), Gets(0, kMany));
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany, Loopback6()), Gets(0, kMany));
}

MATRIX(SteeringProgramPlace, DualStackGroupsProgramTellsTheFamilies, Traffic, kTransports,
       Witnesses("bpf.one_program_for_both_families"), Needs(needs::kReusePort, needs::kIpv6), Labels("ipv6")) {
  const SocketSpec dual = Plain(row, Any6()).DualStack().ReusePort();
  Socket zero = Ready(row, dual), one = Ready(row, dual);

  EXPECT_THAT(Attach(zero, ByFamily()), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany, Loopback4()), Gets(kMany, 0));
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany, Loopback6()), Gets(0, kMany));
}

CLAIM({.id = "bpf.ipv4_group_has_its_own",
       .says = "Beside an IPv4 group the program of a dual-stack group chooses for IPv6 alone.",
       .kernels = "since 4.6",
       .rows = {"BPF-009"},
       .sources = {Kernel("inet_reuseport_add_sock(), compute_score()")}});

MATRIX(SteeringProgramPlace, Ipv4GroupBesideADualStackOneHasItsOwn, Traffic, kTransports,
       Witnesses("bpf.ipv4_group_has_its_own"), Needs(needs::kReusePort, needs::kIpv6), Labels("ipv6")) {
  const SocketSpec dual = Plain(row, Any6()).DualStack().ReusePort();
  const SocketSpec single = Plain(row, Any4()).ReusePort();
  Socket dual_zero = Ready(row, dual), dual_one = Ready(row, dual);
  Socket four_zero = Ready(row, single), four_one = Ready(row, single);

  EXPECT_THAT(Attach(dual_zero, ToMember(1)), Succeeds());
  EXPECT_THAT(Attach(four_zero, ToMember(0)), Succeeds());

  EXPECT_THAT(Arrivals(row, {&dual_zero, &dual_one, &four_zero, &four_one}, kMany, Loopback4()), Gets(0, 0, kMany, 0));
  EXPECT_THAT(Arrivals(row, {&dual_zero, &dual_one, &four_zero, &four_one}, kMany, Loopback6()), Gets(0, kMany, 0, 0));
}

CLAIM({.id = "bpf.udp_connected_member_leaves",
       .says = "A UDP member on a specific address that connects leaves its group: the last member takes its index, or "
               "the program is gone with the group where there was none.",
       .kernels = "since 6.13; before, it stays a member, and the program gives it datagrams of strangers",
       .rows = {"BPF-010"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("udp_lib_hash4(), reuseport_detach_sock()"),
                   Kernel("udp4_lib_lookup2()")}});

CASE(SteeringProgramPlace, ConnectedMemberLeavesItsIndexToTheLast, Witnesses("bpf.udp_connected_member_leaves"),
     Needs(needs::kReusePort), Follows("udp_files_by_connection"), Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket zero = member.Bound(port()), one = member.Bound(port()), last = member.Bound(port());
  EXPECT_THAT(Attach(zero, ToMember(0)), Succeeds());

  EXPECT_THAT(zero.Connect(Loopback4(), kPeer), Succeeds());

  EXPECT_THAT(DatagramsOver({&zero, &one, &last}, kMany, Loopback4(), port()), Gets(0, 0, kMany));
}

CASE(SteeringProgramPlace, ConnectedMemberTakesAnEmptyGroupsProgramWithIt, Witnesses("bpf.udp_connected_member_leaves"),
     Needs(needs::kReusePort), Follows("udp_files_by_connection"), Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket connected = member.Bound(port());
  EXPECT_THAT(Attach(connected, ToMember(0)), Succeeds());
  EXPECT_THAT(connected.Connect(Loopback4(), kPeer), Succeeds());
  Socket one = member.Bound(port()), two = member.Bound(port());
  const int count = EnoughToReach(2);

  const Share share = DatagramsOver({&connected, &one, &two}, count, Loopback4(), port());
  EXPECT_THAT(Counted("at the connected one", {share.counts[0]}), Is(0));
  EXPECT_THAT(Counted("at the others", {share.counts[1], share.counts[2]}), ReachesEach(count));
}

CLAIM({.id = "bpf.peer_comes_before_the_program",
       .says = "What the peer of a connected UDP member sends comes to that member, whichever one the program chooses.",
       .kernels = "since 5.4",
       .rows = {"UDP-RX-007"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("udp4_lib_lookup2()"),
                   Commit("acdcecc61285 udp: correct reuseport selection with connected sockets")}});

CASE(SteeringProgramPlace, PeerOfAConnectedMemberIsNotSteered, Witnesses("bpf.peer_comes_before_the_program"),
     Needs(needs::kReusePort), Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket zero = member.Bound(port()), connected = member.Bound(port());
  EXPECT_THAT(connected.Connect(Loopback4(), kPeer), Succeeds());
  EXPECT_THAT(Attach(zero, ToMember(0)), Succeeds());

  Udp(Loopback4()).Bound(kPeer).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&zero, &connected}), Gets(0, 1));
}

}  // namespace
}  // namespace portshare
