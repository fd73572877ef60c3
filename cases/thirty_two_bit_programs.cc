// Do 32-bit programs share ports as 64-bit ones do, and with them?
#include "cases/rows.h"
#include "harness/case.h"
#include "harness/i386.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using ThirtyTwoBitPrograms = Case;

CLAIM({.id = "i386.same_option",
       .says = "For the i386 system calls of an x86-64 kernel both options are the same as for its own.",
       .rows = {"COMPAT-001"},
       .sources = {Kernel("arch/x86/entry/syscalls/syscall_32.tbl"), Kernel("sk_setsockopt()")}});

MATRIX(ThirtyTwoBitPrograms, SetWhatTheOthersRead, OptionRow, kOptions, Witnesses("i386.same_option"),
       Needs(needs::kI386)) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(i386::Set(socket, row.option), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(1));
}

MATRIX(ThirtyTwoBitPrograms, ReadWhatTheOthersSet, OptionRow, kOptions, Witnesses("i386.same_option"),
       Needs(needs::kI386)) {
  const Socket socket = Tcp(Loopback4()).Set(row.option).Made();

  EXPECT_THAT(i386::Get(socket, row.option), Is(1));
}

CLAIM({.id = "i386.same_errors",
       .says = "The i386 system calls refuse a short or negative length with EINVAL and a null pointer with EFAULT.",
       .rows = {"COMPAT-001"},
       .sources = {Man("setsockopt(2), ERRORS"), Kernel("do_sock_setsockopt()")}});

MATRIX(ThirtyTwoBitPrograms, MeetTheSameErrors, OptionRow, kOptions, Witnesses("i386.same_errors"),
       Needs(needs::kI386)) {
  const Socket socket = Tcp(Loopback4()).Made();
  const int on = 1;

  EXPECT_THAT(i386::Set(socket, row.option, &on, 3), FailsWith(EINVAL));
  EXPECT_THAT(i386::Set(socket, row.option, &on, static_cast<socklen_t>(-1)), FailsWith(EINVAL));
  EXPECT_THAT(i386::Set(socket, row.option, nullptr, sizeof on), FailsWith(EFAULT));
}

CLAIM({.id = "i386.one_group_with_the_others",
       .says = "A socket that was bound and listens through the i386 system calls shares a port, and its connections, "
               "with one of the kernel's own.",
       .kernels = "since 3.9",
       .rows = {"COMPAT-001"},
       .sources = {Kernel("reuseport_add_sock()")}});

CASE(ThirtyTwoBitPrograms, ShareConnectionsWithTheOthers, Witnesses("i386.one_group_with_the_others"),
     Needs(needs::kReusePort, needs::kI386)) {
  Socket holder = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Socket newcomer = Tcp(Loopback4()).Made();

  EXPECT_THAT(i386::Bind(newcomer, Loopback4(), port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(i386::Set(newcomer, so::kReusePort), Succeeds());
  EXPECT_THAT(i386::Bind(newcomer, Loopback4(), port()), Succeeds());
  EXPECT_THAT(i386::Listen(newcomer), Succeeds());
  EXPECT_THAT(ConnectionsOver({&holder, &newcomer}, EnoughToReach(2), Loopback4(), port()),
              ReachesEach(EnoughToReach(2)));
}

}  // namespace
}  // namespace portshare
