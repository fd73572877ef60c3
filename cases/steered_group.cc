// Which member of a SO_REUSEPORT group does a program of classic BPF choose, and who may attach one?
#include <linux/filter.h>
#include <sys/socket.h>

#include <array>

#include "harness/case.h"
#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class SteeredGroup : public Case {
 protected:
  static SocketSpec Member() { return Tcp(Loopback4()).ReusePort(); }
  static Socket Listener() { return Member().Bound(port()).Listening(); }

  // SO_ATTACH_REUSEPORT_CBPF: everything goes to the member of this index, counted from 0 in the order of joining.
  static Outcome Steer(Socket& socket, unsigned index) {
    std::array<sock_filter, 1> code{{{BPF_RET | BPF_K, 0, 0, index}}};
    const sock_fprog program{code.size(), code.data()};
    return Told("steer " + socket.name() + " to member " + std::to_string(index), socket, SO_ATTACH_REUSEPORT_CBPF,
                &program, sizeof program);
  }
  static Outcome StopSteering(Socket& socket) {
    const int unused = 0;
    return Told("stop steering " + socket.name(), socket, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused);
  }

 private:
  static Outcome Told(const std::string& step, Socket& socket, int option, const void* value, socklen_t length) {
    Outcome outcome;
    outcome.step = step;
    outcome.error = setsockopt(socket.descriptor(), SOL_SOCKET, option, value, length) == 0 ? 0 : errno;
    return Journal::Get().Answered(outcome);
  }
};

CLAIM({.id = "steering.program_is_of_the_group",
       .says = "A program that any member attached chooses the listener for all connections of the group by its index, "
               "in place of the one that another member attached; an index beyond the members leaves it to the hash.",
       .kernels = "since 4.6",
       .rows = {"BPF-001"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("reuseport_attach_prog()"),
                   Kernel("run_bpf_filter()")}});

CASE(SteeredGroup, HasOneProgramOfAnyMember, Witnesses("steering.program_is_of_the_group"), Needs(needs::kReusePort),
     Labels("tcp")) {
  Socket first = Listener();
  Socket second = Listener();

  EXPECT_THAT(Steer(first, 0), Succeeds());
  EXPECT_THAT(ConnectionsOver({&first, &second}, 20, Loopback4(), port()), Gets(20, 0));
  EXPECT_THAT(Steer(second, 1), Succeeds());
  EXPECT_THAT(ConnectionsOver({&first, &second}, 20, Loopback4(), port()), Gets(0, 20));
}

CASE(SteeredGroup, IsSpreadWhereTheIndexIsNobodys, Witnesses("steering.program_is_of_the_group"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket first = Listener();
  Socket second = Listener();
  const int count = EnoughToReach(2);

  EXPECT_THAT(Steer(first, 99), Succeeds());
  EXPECT_THAT(ConnectionsOver({&first, &second}, count, Loopback4(), port()), ReachesEach(count));
}

CLAIM(
    {.id = "steering.begins_before_bind",
     .says = "A socket with SO_REUSEPORT may attach a program before bind(2) and then be the first of its group, whose "
             "program it is; without SO_REUSEPORT the program is refused with EINVAL.",
     .kernels = "UDP since 4.5, TCP since 4.6",
     .rows = {"BPF-002", "BPF-004"},
     .sources = {Kernel("reuseport_attach_prog()"), Kernel("reuseport_alloc()")}});

CASE(SteeredGroup, OfTcpMayBeginWithAProgram, Witnesses("steering.begins_before_bind"), Needs(needs::kReusePort),
     Labels("tcp")) {
  Socket first = Tcp(Loopback4()).Made();
  EXPECT_THAT(Steer(first, 0), FailsWith(EINVAL));
  EXPECT_THAT(first.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(Steer(first, 0), Succeeds());

  EXPECT_THAT(first.Bind(port()), Succeeds());
  EXPECT_THAT(first.Listen(), Succeeds());
  Socket second = Listener();
  EXPECT_THAT(ConnectionsOver({&first, &second}, 20, Loopback4(), port()), Gets(20, 0));
}

CASE(SteeredGroup, OfUdpMayBeginWithAProgram, Witnesses("steering.begins_before_bind"), Needs(needs::kReusePort),
     Labels("udp")) {
  Socket first = Udp(Loopback4()).ReusePort().Made();
  EXPECT_THAT(Steer(first, 0), Succeeds());

  EXPECT_THAT(first.Bind(port()), Succeeds());
  Socket second = Udp(Loopback4()).ReusePort().Bound(port());
  EXPECT_THAT(DatagramsOver({&first, &second}, 20, Loopback4(), port()), Gets(20, 0));
}

CLAIM({.id = "steering.no_program_joins",
       .says = "A socket that attached a program before bind(2) has a group of its own and is refused beside another "
               "one, EADDRINUSE, although both have SO_REUSEPORT; on another address it binds.",
       .kernels = "UDP since 4.5, TCP since 4.6; documented nowhere",
       .rows = {"BPF-003", "BPF-004"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")}});

CASE(SteeredGroup, OfTcpLetsNoProgramIn, Witnesses("steering.no_program_joins"), Needs(needs::kReusePort),
     Labels("tcp")) {
  const Socket holder = Listener();
  Socket newcomer = Member().Made();
  EXPECT_THAT(Steer(newcomer, 0), Succeeds());

  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(newcomer.BindTo(Loopback4(2), port()), Succeeds());
}

CASE(SteeredGroup, OfUdpLetsNoProgramIn, Witnesses("steering.no_program_joins"), Needs(needs::kReusePort),
     Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  const Socket holder = member.Bound(port());
  Socket newcomer = member.Made();
  EXPECT_THAT(Steer(newcomer, 1), Succeeds());

  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "steering.needs_the_option_at_bind",
     .says = "A listener that was bound without SO_REUSEPORT has no group: a program is refused with EINVAL also when "
             "the option is set later, and there is none to detach.",
     .kernels = "since 5.3",
     .rows = {"BPF-005"},
     .sources = {Kernel("reuseport_attach_prog()"), Kernel("reuseport_detach_prog()")}});

CASE(SteeredGroup, IsNoneWithoutTheOptionAtBind, Witnesses("steering.needs_the_option_at_bind"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  EXPECT_THAT(Steer(listener, 0), FailsWith(EINVAL));
  EXPECT_THAT(StopSteering(listener), FailsWith(EINVAL));

  EXPECT_THAT(listener.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(Steer(listener, 0), FailsWith(EINVAL));
  EXPECT_THAT(StopSteering(listener), FailsWith(ENOENT));
}

CLAIM(
    {.id = "steering.program_is_detached_once",
     .says = "SO_DETACH_REUSEPORT_BPF ends a program, before listen(2) and after it; where there is none it is ENOENT.",
     .kernels = "since 5.3",
     .rows = {"BPF-006"},
     .sources = {Kernel("reuseport_detach_prog()"), Commit("99f3a064bc2e")}});

CASE(SteeredGroup, LosesItsProgramOnce, Witnesses("steering.program_is_detached_once"), Needs(needs::kReusePort),
     Labels("tcp")) {
  Socket member = Member().Bound(port());
  EXPECT_THAT(Steer(member, 0), Succeeds());
  EXPECT_THAT(StopSteering(member), Succeeds());
  EXPECT_THAT(StopSteering(member), FailsWith(ENOENT));

  EXPECT_THAT(member.Listen(), Succeeds());
  EXPECT_THAT(Steer(member, 0), Succeeds());
  EXPECT_THAT(StopSteering(member), Succeeds());
  EXPECT_THAT(StopSteering(member), FailsWith(ENOENT));
}

CLAIM(
    {.id = "steering.needs_no_privilege",
     .says = "An ordinary user may attach a program of classic BPF to a group; a descriptor that is none of a program "
             "is EBADF.",
     .kernels = "UDP since 4.5, TCP since 4.6",
     .rows = {"BPF-007"},
     .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("reuseport_get_prog()")}});

CASE(SteeredGroup, TakesAProgramOfAnOrdinaryUser, Witnesses("steering.needs_no_privilege"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const As user(Alice());
  Socket listener = Listener();

  EXPECT_THAT(Steer(listener, 0), Succeeds());
  constexpr Option kAttachEbpf{SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, "attach_reuseport_ebpf"};
  EXPECT_THAT(listener.Set(kAttachEbpf, -1), FailsWith(EBADF));
}

CLAIM({.id = "steering.outlives_who_attached_it",
       .says = "The program stays with the group when the member that attached it closes; the last member moves to the "
               "index that became free.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-008"},
       .sources = {Kernel("__reuseport_detach_sock()"), Man("socket(7), SO_ATTACH_REUSEPORT_CBPF")}});

CASE(SteeredGroup, KeepsTheProgramOfOneThatLeft, Witnesses("steering.outlives_who_attached_it"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket first = Listener();
  Socket second = Listener();
  EXPECT_THAT(Steer(first, 0), Succeeds());

  first.Close();

  EXPECT_THAT(ConnectionsOver({&second}, 20, Loopback4(), port()), Gets(20));
  Socket third = Listener();
  EXPECT_THAT(ConnectionsOver({&second, &third}, 20, Loopback4(), port()), Gets(20, 0));
}

CASE(SteeredGroup, MovesItsLastMemberToTheFreeIndex, Witnesses("steering.outlives_who_attached_it"),
     Needs(needs::kReusePort), Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket first = member.Bound(port());
  Socket second = member.Bound(port());
  Socket third = member.Bound(port());
  EXPECT_THAT(Steer(second, 0), Succeeds());

  first.Close();

  EXPECT_THAT(DatagramsOver({&second, &third}, 20, Loopback4(), port()), Gets(0, 20));
}

CLAIM({.id = "steering.ends_with_the_address",
       .says = "The program of a group on an address has no say in the group of the wildcard.",
       .kernels = "UDP since 4.5, TCP since 4.6",
       .rows = {"BPF-009"},
       .sources = {Kernel("reuseport_add_sock()"), Kernel("inet_reuseport_add_sock()")}});

CASE(SteeredGroup, OfAnAddressLeavesTheWildcardAlone, Witnesses("steering.ends_with_the_address"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket specific = Listener();
  EXPECT_THAT(Steer(specific, 0), Succeeds());
  Socket first = Tcp(Any4()).ReusePort().Bound(port()).Listening();
  Socket second = Tcp(Any4()).ReusePort().Bound(port()).Listening();
  const int count = EnoughToReach(2);

  EXPECT_THAT(ConnectionsOver({&first, &second}, count, Loopback4(9), port()), ReachesEach(count));
}

CLAIM({.id = "steering.reaches_both_families",
       .says = "The program of a dual-stack group chooses for the clients of IPv6 and of IPv4.",
       .kernels = "since 4.6",
       .rows = {"BPF-001"},
       .sources = {Kernel("inet6_lookup_reuseport()"), Kernel("inet_lookup_reuseport()")}});

CASE(SteeredGroup, OfBothFamiliesHasOneProgram, Witnesses("steering.reaches_both_families"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  const SocketSpec dual = Tcp(Any6()).DualStack().ReusePort();
  Socket first = dual.Bound(port()).Listening();
  Socket second = dual.Bound(port()).Listening();
  EXPECT_THAT(Steer(first, 1), Succeeds());

  EXPECT_THAT(ConnectionsOver({&first, &second}, 20, Loopback6(), port()), Gets(0, 20));
  EXPECT_THAT(ConnectionsOver({&first, &second}, 20, Loopback4(), port()), Gets(0, 20));
}

CLAIM({.id = "steering.leaves_with_a_connected_member",
       .says = "A UDP member that attached a program and connects leaves the group, and its program with it: the next "
               "member receives.",
       .kernels = "since 6.13; before, it stays and receives what its program gives to it",
       .rows = {"BPF-010"},
       .sources = {Kernel("udp_lib_hash4()"), Kernel("reuseport_detach_sock()")}});

CASE(SteeredGroup, IsLeftByAMemberThatConnects, Witnesses("steering.leaves_with_a_connected_member"),
     Needs(needs::kReusePort), Follows("udp_files_by_connection"), Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket leaver = member.Bound(port());
  EXPECT_THAT(Steer(leaver, 0), Succeeds());
  EXPECT_THAT(leaver.Connect(Loopback4(), 9000), Succeeds());
  Socket next = member.Bound(port());

  EXPECT_THAT(DatagramsOver({&leaver, &next}, 10, Loopback4(), port()), Gets(0, 10));
}

}  // namespace
}  // namespace portshare
