// Does what a processor handles come to the socket that asked for this processor?
#include <algorithm>

#include "cases/steering.h"
#include "harness/bpf.h"
#include "harness/cpu.h"
#include "harness/matchers.h"

namespace portshare {
namespace {

class SteeringCpu : public Steering {
 protected:
  // A case stays on one processor until it moves, and what it sends over loopback is handled there.
  static int Here() { return ThisProcessor(); }
  static int Elsewhere() { return ThisProcessor() + 1; }
  static Socket MemberFor(const Traffic& row, int processor) {
    return Ready(row, Sharing(row).Set(so::kIncomingCpu, processor));
  }
};

CLAIM({.id = "cpu.member_of_the_processor",
       .says = "Of a SO_REUSEPORT group the member whose SO_INCOMING_CPU is the processor that handles what comes gets "
               "it; several of them share it by the hash.",
       .kernels = "since 6.2; 5.15.86, 6.0.16 and 6.1.y too, and before 4.6 (UDP: 4.5)",
       .rows = {"CPU-001", "CPU-002", "CPU-003"},
       .sources = {Man("socket(7), SO_INCOMING_CPU"), Kernel("reuseport_select_sock_by_hash()"),
                   Commit("b261eda84ec1 soreuseport: Fix socket selection for SO_INCOMING_CPU")}});

MATRIX(SteeringCpu, MemberOfThisProcessorGetsAll, Traffic, kTraffic, Witnesses("cpu.member_of_the_processor"),
       Needs(needs::kReusePort), Follows("groups_ask_for_the_processor")) {
  Socket first = MemberFor(row, Elsewhere()), second = MemberFor(row, Here()), third = MemberFor(row, Elsewhere());

  EXPECT_THAT(Arrivals(row, {&first, &second, &third}, kMany), Gets(0, kMany, 0));
}

MATRIX(SteeringCpu, MemberThatAskedComesBeforeOneThatDidNot, Traffic, kTransports,
       Witnesses("cpu.member_of_the_processor"), Needs(needs::kReusePort), Follows("groups_ask_for_the_processor")) {
  Socket indifferent = Member(row), asked = MemberFor(row, Here());

  EXPECT_THAT(Arrivals(row, {&indifferent, &asked}, kMany), Gets(0, kMany));
}

MATRIX(SteeringCpu, MembersOfOneProcessorShare, Traffic, kTransports, Witnesses("cpu.member_of_the_processor"),
       Needs(needs::kReusePort), Follows("groups_ask_for_the_processor")) {
  Socket one = MemberFor(row, Here()), elsewhere = MemberFor(row, Elsewhere()), two = MemberFor(row, Here());
  // The one after the member elsewhere gets that one's share, too: the chance of the other is a third.
  const int count = EnoughToReach(3);

  const Share share = Arrivals(row, {&one, &elsewhere, &two}, count);

  EXPECT_THAT(Counted("at the member elsewhere", {share.counts[1]}), Is(0));
  EXPECT_THAT(Counted("at the two", {share.counts[0], share.counts[2]}), ReachesEach(count));
}

MATRIX(SteeringCpu, AnotherProcessorIsAnothersMember, Traffic, kTransports, Witnesses("cpu.member_of_the_processor"),
       Needs(needs::kReusePort, needs::kTwoProcessors), Follows("groups_ask_for_the_processor")) {
  const int other = OtherProcessor();
  Socket here = MemberFor(row, Here()), there = MemberFor(row, other);
  EXPECT_THAT(Arrivals(row, {&here, &there}, kMany), Gets(kMany, 0));

  MoveToProcessor(other);

  EXPECT_THAT(Arrivals(row, {&here, &there}, kMany), Gets(0, kMany));
}

CLAIM({.id = "cpu.set_while_receiving",
       .says = "SO_INCOMING_CPU may be set and changed on a member of a group, and counts from then on.",
       .kernels = "since 6.2; 5.15.86, 6.0.16 and 6.1.y too, and before 4.6 (UDP: 4.5)",
       .rows = {"CPU-001", "CPU-003"},
       .sources = {Man("socket(7), SO_INCOMING_CPU"), Kernel("reuseport_update_incoming_cpu()")}});

MATRIX(SteeringCpu, IsChangedOnAMember, Traffic, kTransports, Witnesses("cpu.set_while_receiving"),
       Needs(needs::kReusePort), Follows("groups_ask_for_the_processor")) {
  Socket one = Member(row), two = Member(row);

  EXPECT_THAT(one.Set(so::kIncomingCpu, Here()), Succeeds());
  EXPECT_THAT(Arrivals(row, {&one, &two}, kMany), Gets(kMany, 0));

  EXPECT_THAT(one.Set(so::kIncomingCpu, Elsewhere()), Succeeds());
  EXPECT_THAT(two.Set(so::kIncomingCpu, Here()), Succeeds());
  EXPECT_THAT(Arrivals(row, {&one, &two}, kMany), Gets(0, kMany));
}

CLAIM(
    {.id = "cpu.hash_where_nobody_asked",
     .says = "Where no member's SO_INCOMING_CPU is the processor that handles what comes, the hash chooses among all.",
     .kernels = "since 4.5",
     .rows = {"CPU-002"},
     .sources = {Kernel("reuseport_select_sock_by_hash()")}});

MATRIX(SteeringCpu, MembersOfOtherProcessorsShare, Traffic, kTransports, Witnesses("cpu.hash_where_nobody_asked"),
       Needs(needs::kReusePort)) {
  Socket one = MemberFor(row, Elsewhere()), two = MemberFor(row, Elsewhere() + 1);
  const int count = EnoughToReach(2);

  EXPECT_THAT(Arrivals(row, {&one, &two}, count), ReachesEach(count));
}

MATRIX(SteeringCpu, ClearedOnAllTheyShareAgain, Traffic, kTransports, Witnesses("cpu.hash_where_nobody_asked"),
       Needs(needs::kReusePort)) {
  Socket one = MemberFor(row, Here()), two = Member(row);
  const int count = EnoughToReach(2);

  EXPECT_THAT(one.Set(so::kIncomingCpu, -1), Succeeds());
  EXPECT_THAT(Arrivals(row, {&one, &two}, count), ReachesEach(count));
}

CLAIM({.id = "cpu.program_comes_first",
       .says = "A group's program chooses before SO_INCOMING_CPU does.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"CPU-001", "BPF-001"},
       .sources = {Kernel("reuseport_select_sock()")}});

MATRIX(SteeringCpu, ProgramComesFirst, Traffic, kTransports, Witnesses("cpu.program_comes_first"),
       Needs(needs::kReusePort)) {
  Socket asked = MemberFor(row, Here()), chosen = MemberFor(row, Elsewhere());

  EXPECT_THAT(Attach(asked, ToMember(1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&asked, &chosen}, kMany), Gets(0, kMany));
}

CLAIM({.id = "cpu.program_by_processor",
       .says = "A program that returns the number of the processor gives each processor a member of its own.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-001"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), KernelDoc("networking/filter.rst, extension cpu")}});

MATRIX(SteeringCpu, ProgramGivesEachProcessorAMember, Traffic, kTransports, Witnesses("cpu.program_by_processor"),
       Needs(needs::kReusePort, needs::kTwoProcessors)) {
  const int other = OtherProcessor();
  std::vector<Socket> members;
  for (int number = 0; number <= std::max(Here(), other); ++number) members.push_back(Member(row));
  Socket &here = members[static_cast<size_t>(Here())], &there = members[static_cast<size_t>(other)];
  EXPECT_THAT(Attach(here, ByProcessor()), Succeeds());

  EXPECT_THAT(Arrivals(row, {&here, &there}, kMany), Gets(kMany, 0));
  MoveToProcessor(other);
  EXPECT_THAT(Arrivals(row, {&here, &there}, kMany), Gets(0, kMany));
}

CLAIM({.id = "cpu.any_number",
       .says = "SO_INCOMING_CPU takes any number and gives it back, whether there is such a processor or not; -1 until "
               "it is set.",
       .kernels = "since 4.4",
       .rows = {"CPU-004"},
       .sources = {Man("socket(7), SO_INCOMING_CPU"), Kernel("sk_setsockopt()")}});

MATRIX(SteeringCpu, AnyNumberIsTaken, Traffic, kTransports, Witnesses("cpu.any_number")) {
  Socket socket = Plain(row, row.address).Made();

  EXPECT_THAT(socket.Get(so::kIncomingCpu), Is(-1));
  for (const int number : {1, 99999, -7, -1}) {
    EXPECT_THAT(socket.Set(so::kIncomingCpu, number), Succeeds());
    EXPECT_THAT(socket.Get(so::kIncomingCpu), Is(number));
  }
}

CLAIM({.id = "cpu.counts_outside_of_groups",
       .says = "Of UDP sockets that share a port by SO_REUSEADDR, one whose SO_INCOMING_CPU is the processor that "
               "handles what comes is preferred to the newest.",
       .kernels = "since 4.4",
       .rows = {"CPU-005"},
       .sources = {Man("socket(7), SO_INCOMING_CPU"), Kernel("compute_score()"),
                   Commit("70da268b569d net: SO_INCOMING_CPU setsockopt() support")}});

const std::vector<Traffic> kDatagrams = {kTraffic[2], kTraffic[3]};

MATRIX(SteeringCpu, CountsOutsideOfGroups, Traffic, kDatagrams, Witnesses("cpu.counts_outside_of_groups")) {
  const SocketSpec sharing = Plain(row, row.address).ReuseAddr();
  Socket asked = sharing.Set(so::kIncomingCpu, Here()).Bound(port());
  Socket newest = sharing.Set(so::kIncomingCpu, Elsewhere()).Bound(port());

  EXPECT_THAT(Arrivals(row, {&asked, &newest}, 10), Gets(10, 0));
}

CASE(SteeringCpu, CountsOutsideOfGroupsOnEachProcessor, Witnesses("cpu.counts_outside_of_groups"),
     Needs(needs::kTwoProcessors), Labels("udp")) {
  const int other = OtherProcessor();
  const SocketSpec sharing = Udp(Loopback4()).ReuseAddr();
  Socket here = sharing.Set(so::kIncomingCpu, Here()).Bound(port());
  Socket there = sharing.Set(so::kIncomingCpu, other).Bound(port());

  EXPECT_THAT(DatagramsOver({&here, &there}, 10, Loopback4(), port()), Gets(10, 0));
  MoveToProcessor(other);
  EXPECT_THAT(DatagramsOver({&here, &there}, 10, Loopback4(), port()), Gets(0, 10));
}

}  // namespace
}  // namespace portshare
