// Which member does a classic BPF program choose, and whose program is it?
#include "cases/steering.h"
#include "harness/bpf.h"
#include "harness/matchers.h"

namespace portshare {
namespace {

class SteeringCbpf : public Steering {};

CLAIM({.id = "bpf.index_chooses",
       .says = "A program that is attached to a SO_REUSEPORT group chooses the member by the index that it returns; an "
               "index that no member has leaves the choice to the hash.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-001"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("run_bpf_filter()"),
                   Commit("538950a1b752 soreuseport: setsockopt SO_ATTACH_REUSEPORT_[CE]BPF"),
                   Commit("c125e80b8868 soreuseport: fast reuseport TCP socket selection")}});

MATRIX(SteeringCbpf, IndexChoosesTheMember, Traffic, kTraffic, Witnesses("bpf.index_chooses"),
       Needs(needs::kReusePort)) {
  Socket zero = Member(row), one = Member(row), two = Member(row);

  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one, &two}, kMany), Gets(0, kMany, 0));
}

MATRIX(SteeringCbpf, IndexBeyondTheLastLeavesItToTheHash, Traffic, kTraffic, Witnesses("bpf.index_chooses"),
       Needs(needs::kReusePort)) {
  Socket zero = Member(row), one = Member(row);
  const int count = EnoughToReach(2);

  EXPECT_THAT(Attach(zero, ToMember(2)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, count), ReachesEach(count));
}

CLAIM({.id = "bpf.udp_program_sees_the_data",
       .says = "A program of a UDP group sees the datagram from the first byte of its data on.",
       .kernels = "since 4.5",
       .rows = {"BPF-001"},
       .sources = {Kernel("run_bpf_filter()")}});

CASE(SteeringCbpf, FirstByteOfADatagramChooses, Witnesses("bpf.udp_program_sees_the_data"), Needs(needs::kReusePort),
     Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket zero = member.Bound(port()), one = member.Bound(port()), two = member.Bound(port());
  EXPECT_THAT(Attach(zero, ByFirstByte()), Succeeds());
  Socket sender = Udp(Loopback4()).Made();

  for (const char* text : {"2", "2", "2", "1", "2"}) sender.SendTo(Loopback4(), port(), text);

  EXPECT_THAT(QueuedDatagrams({&zero, &one, &two}), Gets(0, 1, 4));
}

CLAIM({.id = "bpf.members_are_numbered_as_they_came",
       .says = "The members of a group are numbered in the order of their listen(2) for TCP, and of their bind(2) for "
               "UDP.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-001"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("inet_hash(), reuseport_add_sock()")}});

CASE(SteeringCbpf, FirstThatListensIsTheFirstMember, Witnesses("bpf.members_are_numbered_as_they_came"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket bound_first = member.Bound(port());
  Socket listens_first = member.Bound(port()).Listening();
  EXPECT_THAT(bound_first.Listen(), Succeeds());

  EXPECT_THAT(Attach(bound_first, ToMember(0)), Succeeds());
  EXPECT_THAT(ConnectionsOver({&bound_first, &listens_first}, kMany, Loopback4(), port()), Gets(0, kMany));
}

CLAIM({.id = "bpf.program_is_the_groups",
       .says = "The program belongs to the group: any member replaces it, those that join later are chosen by it, and "
               "it stays when the member that set it closes.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-001", "BPF-008"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("reuseport_attach_prog()")}});

MATRIX(SteeringCbpf, AnyMemberReplacesTheProgram, Traffic, kTransports, Witnesses("bpf.program_is_the_groups"),
       Needs(needs::kReusePort)) {
  Socket zero = Member(row), one = Member(row);
  EXPECT_THAT(Attach(zero, ToMember(0)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany), Gets(kMany, 0));

  EXPECT_THAT(Attach(one, ToMember(1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany), Gets(0, kMany));
}

MATRIX(SteeringCbpf, ProgramOutlivesItsSetter, Traffic, kTransports, Witnesses("bpf.program_is_the_groups"),
       Needs(needs::kReusePort)) {
  Socket zero = Member(row), one = Member(row);
  EXPECT_THAT(Attach(zero, ToMember(0)), Succeeds());

  zero.Close();
  Socket late = Member(row);

  EXPECT_THAT(Arrivals(row, {&one, &late}, kMany), Gets(kMany, 0));
}

MATRIX(SteeringCbpf, MemberThatJoinsIsChosenByIt, Traffic, kTransports, Witnesses("bpf.program_is_the_groups"),
       Needs(needs::kReusePort)) {
  Socket zero = Member(row);
  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero}, 3), Gets(3));

  Socket late = Member(row);

  EXPECT_THAT(Arrivals(row, {&zero, &late}, kMany), Gets(0, kMany));
}

CLAIM({.id = "bpf.last_member_takes_the_freed_index",
       .says = "When a member of a group leaves, the last one takes its index, and the others keep theirs; one that "
               "comes back is the last.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-008"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("__reuseport_detach_sock()")}});

MATRIX(SteeringCbpf, LastMemberTakesAClosedOnesIndex, Traffic, kTransports,
       Witnesses("bpf.last_member_takes_the_freed_index"), Needs(needs::kReusePort)) {
  Socket zero = Member(row), one = Member(row), two = Member(row), last = Member(row);

  one.Close();

  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &two, &last}, kMany), Gets(0, 0, kMany));
  EXPECT_THAT(Attach(zero, ToMember(2)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &two, &last}, kMany), Gets(0, kMany, 0));
}

CASE(SteeringCbpf, LastListenerTakesTheIndexOfOneThatWasShutDown, Witnesses("bpf.last_member_takes_the_freed_index"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const Traffic& row = kTransports[0];
  Socket zero = Member(row), one = Member(row), last = Member(row);
  EXPECT_THAT(Attach(one, ToMember(0)), Succeeds());

  EXPECT_THAT(zero.Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(Arrivals(row, {&one, &last}, kMany), Gets(0, kMany));

  EXPECT_THAT(zero.Listen(), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one, &last}, kMany), Gets(0, 0, kMany));
  EXPECT_THAT(Attach(one, ToMember(2)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one, &last}, kMany), Gets(kMany, 0, 0));
}

CLAIM({.id = "bpf.detached_once",
       .says = "A program can be detached by any member, and then the hash chooses again; where there is none, to "
               "detach fails with ENOENT.",
       .kernels = "since 5.3",
       .rows = {"BPF-006"},
       .sources = {Man("socket(7), SO_DETACH_REUSEPORT_BPF"), Kernel("reuseport_detach_prog()"),
                   Commit("99f3a064bc2e bpf: net: Add SO_DETACH_REUSEPORT_BPF")}});

MATRIX(SteeringCbpf, IsDetachedOnceByAnyMember, Traffic, kTransports, Witnesses("bpf.detached_once"),
       Needs(needs::kReusePort)) {
  Socket zero = Member(row), one = Member(row);
  const int count = EnoughToReach(2);
  EXPECT_THAT(Attach(zero, ToMember(0)), Succeeds());

  EXPECT_THAT(Detach(one), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, count), ReachesEach(count));
  EXPECT_THAT(Detach(zero), FailsWith(ENOENT));
}

CLAIM({.id = "bpf.attached_without_privilege",
       .says = "An ordinary user may attach a classic program; a descriptor that is not open is EBADF as an eBPF "
               "program.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-007"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_EBPF"), Kernel("sk_reuseport_attach_filter()"),
                   Kernel("sk_reuseport_attach_bpf()")}});

MATRIX(SteeringCbpf, AnOrdinaryUserAttachesIt, Traffic, kTransports, Witnesses("bpf.attached_without_privilege"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const As user(Alice());
  Socket zero = Member(row), one = Member(row);

  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany), Gets(0, kMany));
  EXPECT_THAT(zero.Set(so::kSteerByLoaded, -1), FailsWith(EBADF));
}

}  // namespace
}  // namespace portshare
