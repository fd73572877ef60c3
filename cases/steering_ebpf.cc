// Which member does an eBPF program choose, and what if it chooses none?
#include "cases/steering.h"
#include "harness/bpf.h"
#include "harness/matchers.h"

namespace portshare {
namespace {

using SteeringEbpf = Steering;

CLAIM({.id = "ebpf.socket_filter_returns_an_index",
       .says = "A loaded program of the type of socket filters chooses the member by the index that it returns, or the "
               "hash does where no member has it.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"EBPF-001"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_EBPF"), Kernel("run_bpf_filter()"),
                   Commit("538950a1b752 soreuseport: setsockopt SO_ATTACH_REUSEPORT_[CE]BPF")}});

MATRIX(SteeringEbpf, SocketFilterChoosesByIndex, Traffic, kTraffic, Witnesses("ebpf.socket_filter_returns_an_index"),
       Needs(needs::kReusePort, needs::kBpf)) {
  Socket zero = Member(row), one = Member(row), two = Member(row);

  EXPECT_THAT(Attach(zero, LoadedProgram::ToMember(2)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one, &two}, kMany), Gets(0, 0, kMany));
}

MATRIX(SteeringEbpf, SocketFilterBeyondTheLastLeavesItToTheHash, Traffic, kTransports,
       Witnesses("ebpf.socket_filter_returns_an_index"), Needs(needs::kReusePort, needs::kBpf)) {
  Socket zero = Member(row), one = Member(row);
  const int count = EnoughToReach(2);

  EXPECT_THAT(Attach(zero, LoadedProgram::ToMember(-1)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, count), ReachesEach(count));
}

CLAIM({.id = "ebpf.one_program_of_any_kind",
       .says = "A group has one program: a loaded one takes the place of a classic one, and the other way round; it "
               "outlives the descriptor that it was attached by.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"EBPF-001"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_EBPF"), Kernel("reuseport_attach_prog()")}});

MATRIX(SteeringEbpf, ReplacesAClassicProgramAndIsReplaced, Traffic, kTransports,
       Witnesses("ebpf.one_program_of_any_kind"), Needs(needs::kReusePort, needs::kBpf)) {
  Socket zero = Member(row), one = Member(row), two = Member(row);
  LoadedProgram loaded = LoadedProgram::ToMember(1);

  EXPECT_THAT(Attach(zero, ToMember(0)), Succeeds());
  EXPECT_THAT(Attach(one, loaded), Succeeds());
  loaded.Close();
  EXPECT_THAT(Arrivals(row, {&zero, &one, &two}, kMany), Gets(0, kMany, 0));

  EXPECT_THAT(Attach(two, ToMember(2)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one, &two}, kMany), Gets(0, 0, kMany));
  EXPECT_THAT(Detach(zero), Succeeds());
  EXPECT_THAT(Detach(zero), FailsWith(ENOENT));
}

CLAIM({.id = "ebpf.sk_reuseport_refuses",
       .says = "Where an SK_REUSEPORT program says SK_DROP, the client is refused (ECONNREFUSED), also where a socket "
               "of the wildcard listens on the port.",
       .kernels = "since 4.19",
       .rows = {"EBPF-001"},
       .sources = {Kernel("bpf_run_sk_reuseport()"), Kernel("inet_lookup_reuseport()"),
                   Commit("8217ca653ec6 bpf: Enable BPF_PROG_TYPE_SK_REUSEPORT bpf prog in reuseport selection")}});

MATRIX(SteeringEbpf, DropRefusesTheClient, Traffic, kTraffic, Witnesses("ebpf.sk_reuseport_refuses"),
       Needs(needs::kReusePort, needs::kSkReuseport)) {
  Socket zero = Member(row), one = Member(row);
  const Socket wildcard = Ready(row, Plain(row, row.address.family() == AF_INET ? Any4() : Any6()).ReusePort());
  const int count = EnoughToReach(2);

  EXPECT_THAT(Attach(zero, LoadedProgram::OfGroup(Verdict::kDrop)), Succeeds());
  EXPECT_THAT(Asked(row, port()), FailsWith(ECONNREFUSED));
  EXPECT_THAT(Detach(zero), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, count), ReachesEach(count));
}

CLAIM({.id = "ebpf.sk_reuseport_without_a_choice",
       .says = "Where an SK_REUSEPORT program says SK_PASS and chose no socket, the hash chooses.",
       .kernels = "since 4.19",
       .rows = {"EBPF-001"},
       .sources = {Kernel("bpf_run_sk_reuseport(), reuseport_select_sock()")}});

MATRIX(SteeringEbpf, PassWithoutAChoiceLeavesItToTheHash, Traffic, kTransports,
       Witnesses("ebpf.sk_reuseport_without_a_choice"), Needs(needs::kReusePort, needs::kSkReuseport)) {
  Socket zero = Member(row), one = Member(row);
  const int count = EnoughToReach(2);

  EXPECT_THAT(Attach(zero, LoadedProgram::OfGroup(Verdict::kPass)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, count), ReachesEach(count));
}

CLAIM({.id = "ebpf.sk_reuseport_chooses_from_a_map",
       .says = "An SK_REUSEPORT program chooses a member of its group from a map of sockets; one of another group is "
               "refused to it, and the hash chooses.",
       .kernels = "since 4.19",
       .rows = {"EBPF-001"},
       .sources = {Man("bpf-helpers(7), bpf_sk_select_reuseport()"), Kernel("sk_select_reuseport()"),
                   Commit("2dbb9b9e6df6 bpf: Introduce BPF_PROG_TYPE_SK_REUSEPORT")}});

MATRIX(SteeringEbpf, ChoosesFromAMap, Traffic, kTraffic, Witnesses("ebpf.sk_reuseport_chooses_from_a_map"),
       Needs(needs::kReusePort, needs::kSkReuseport)) {
  Socket zero = Member(row), one = Member(row);
  SocketMap members(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 8);
  EXPECT_THAT(members.Put(7, one), Succeeds());

  EXPECT_THAT(Attach(zero, LoadedProgram::OfGroup(members, 7)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, kMany), Gets(0, kMany));
}

MATRIX(SteeringEbpf, MayNotChooseFromAnotherGroup, Traffic, kTransports,
       Witnesses("ebpf.sk_reuseport_chooses_from_a_map"), Needs(needs::kReusePort, needs::kSkReuseport)) {
  Socket zero = Member(row), one = Member(row);
  Socket stranger = Ready(row, Plain(row, Loopback4(2)).ReusePort());
  SocketMap sockets(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 1);
  EXPECT_THAT(sockets.Put(0, stranger), Succeeds());
  const int count = EnoughToReach(2);

  EXPECT_THAT(Attach(zero, LoadedProgram::OfGroup(sockets, 0)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one}, count), ReachesEach(count));
}

MATRIX(SteeringEbpf, ClosedMemberIsNoLongerInTheMap, Traffic, kTransports,
       Witnesses("ebpf.sk_reuseport_chooses_from_a_map"), Needs(needs::kReusePort, needs::kSkReuseport)) {
  Socket zero = Member(row), one = Member(row), two = Member(row);
  SocketMap members(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 1);
  EXPECT_THAT(members.Put(0, one), Succeeds());
  EXPECT_THAT(Attach(zero, LoadedProgram::OfGroup(members, 0)), Succeeds());
  EXPECT_THAT(Arrivals(row, {&zero, &one, &two}, kMany), Gets(0, kMany, 0));
  const int count = EnoughToReach(2);

  one.Close();

  EXPECT_THAT(Arrivals(row, {&zero, &two}, count), ReachesEach(count));
}

CLAIM({.id = "ebpf.map_takes_members_alone",
       .says = "A map of sockets for SK_REUSEPORT programs takes no socket that is in no group (EINVAL), and one that "
               "is in it already not a second time (EBUSY).",
       .kernels = "since 4.19",
       .rows = {"EBPF-001"},
       .sources = {Kernel("reuseport_array_update_check()"),
                   Commit("5dc4c4b7d4e8 bpf: Introduce BPF_MAP_TYPE_REUSEPORT_SOCKARRAY")}});

MATRIX(SteeringEbpf, MapTakesMembersAlone, Traffic, kTransports, Witnesses("ebpf.map_takes_members_alone"),
       Needs(needs::kReusePort, needs::kSkReuseport)) {
  const Socket loner = Ready(row, Plain(row, Loopback4(2)));
  const Socket member = Member(row);
  SocketMap members(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 2);

  EXPECT_THAT(members.Put(0, loner), FailsWith(EINVAL));
  EXPECT_THAT(members.Put(0, member), Succeeds());
  EXPECT_THAT(members.Put(1, member), FailsWith(EBUSY));
}

CLAIM({.id = "ebpf.sk_reuseport_is_of_inet_sockets",
       .says = "An SK_REUSEPORT program attached to a unix socket fails with 524, a number that is for the inside of "
               "the kernel and has no name outside (ENOTSUPP).",
       .kernels = "since 4.19",
       .rows = {"EBPF-002"},
       .sources = {Kernel("sk_reuseport_attach_bpf()")}});

CASE(SteeringEbpf, SkReuseportOnAUnixSocketTellsAnInnerError, Witnesses("ebpf.sk_reuseport_is_of_inet_sockets"),
     Needs(needs::kSkReuseport)) {
  constexpr int kInnerNotSupported = 524;
  const Socket socket = UnixStream().Made();

  EXPECT_THAT(Attach(socket, LoadedProgram::OfGroup(Verdict::kPass)), FailsWith(kInnerNotSupported));
}

CLAIM({.id = "ebpf.other_programs_are_refused",
       .says = "A descriptor that is no program, or a program of a type that chooses among no members, is EINVAL.",
       .kernels = "since 4.5",
       .rows = {"BPF-007"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_EBPF"), Kernel("sk_reuseport_attach_bpf()")}});

CASE(SteeringEbpf, NoProgramIsRefused, Witnesses("ebpf.other_programs_are_refused"),
     Needs(needs::kReusePort, needs::kBpf), Labels("tcp")) {
  Socket member = Tcp(Loopback4()).ReusePort().Bound(port());

  EXPECT_THAT(member.Set(so::kSteerByLoaded, member.descriptor()), FailsWith(EINVAL));
}

CASE(SteeringEbpf, ProgramOfLookupsIsRefused, Witnesses("ebpf.other_programs_are_refused"),
     Needs(needs::kReusePort, needs::kSkLookup), Labels("tcp")) {
  const Socket member = Tcp(Loopback4()).ReusePort().Bound(port());

  EXPECT_THAT(Attach(member, LoadedProgram::OfLookup(port(), Verdict::kPass)), FailsWith(EINVAL));
}

}  // namespace
}  // namespace portshare
