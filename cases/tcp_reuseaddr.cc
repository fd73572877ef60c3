// When does SO_REUSEADDR let two TCP sockets hold one port?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/owner.h"
#include "harness/peer.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using TcpReuseaddr = Case;

CLAIM({.id = "tcp.reuseaddr.shared_before_listen",
       .says = "Two TCP sockets that both ask for SO_REUSEADDR share an address and port while neither listens.",
       .rows = {"TCP-RA-001"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("ES-10"), Truth("ES-12")}});

CASE(TcpReuseaddr, SharesAPortBeforeAnyoneListens, Witnesses("tcp.reuseaddr.shared_before_listen"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.reuseaddr.needed_on_both_sides",
       .says = "SO_REUSEADDR on the holder alone, or on the newcomer alone, opens no port.",
       .rows = {"TCP-RA-002", "TCP-RA-003"},
       .sources = {Man("socket(7), NOTES"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseaddr, TheHoldersFlagAloneIsNotEnough, Witnesses("tcp.reuseaddr.needed_on_both_sides"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(TcpReuseaddr, TheNewcomersFlagAloneIsNotEnough, Witnesses("tcp.reuseaddr.needed_on_both_sides"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuse.not_without_the_holder",
       .says = "A newcomer that sets both flags before bind() still cannot join a holder that set neither.",
       .kernels = "since 3.9",
       .rows = {"MISC-010"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseaddr, BothFlagsDoNotOpenAPortOfAHolderWithNeither, Witnesses("tcp.reuse.not_without_the_holder"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());
  Socket newcomer = Tcp(Loopback4()).Made();

  EXPECT_THAT(newcomer.Set(so::kReuseAddr), Succeeds());
  EXPECT_THAT(newcomer.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseaddr.refused_while_listening",
       .says = "SO_REUSEADDR opens no port on which an overlapping socket listens.",
       .rows = {"TCP-RA-004"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("ES-10")}});

CASE(TcpReuseaddr, RefusesWhileTheHolderListens, Witnesses("tcp.reuseaddr.refused_while_listening"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseaddr.one_listens",
       .says = "Of several sockets bound by SO_REUSEADDR one can listen; another can once that one has closed.",
       .rows = {"TCP-RA-005", "TCP-RA-006"},
       .sources = {Man("listen(2), ERRORS, EADDRINUSE"), Kernel("inet_csk_listen_start()")}});

CASE(TcpReuseaddr, TheNewcomerCannotListenAfterTheHolder, Witnesses("tcp.reuseaddr.one_listens"), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());
  Socket newcomer = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(holder.Listen(), Succeeds());
  EXPECT_THAT(newcomer.Listen(), FailsWith(EADDRINUSE));
}

CASE(TcpReuseaddr, TheHolderCanListenOnceTheNewcomerClosed, Witnesses("tcp.reuseaddr.one_listens"), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());
  Socket newcomer = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(newcomer.Listen(), Succeeds());
  EXPECT_THAT(holder.Listen(), FailsWith(EADDRINUSE));
  newcomer.Close();
  EXPECT_THAT(holder.Listen(), Succeeds());
}

CLAIM({.id = "tcp.reuseaddr.order_counts",
       .says = "All sockets that bound before one of them listens keep the port; one that comes after it is refused "
               "until the listener has closed.",
       .rows = {"TCP-RA-007"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseaddr, WhoeverComesAfterListenIsRefused, Witnesses("tcp.reuseaddr.order_counts"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).ReuseAddr().Bound(port());
  const Socket second = Tcp(Loopback4()).ReuseAddr().Bound(port());
  const Socket third = Tcp(Loopback4()).ReuseAddr().Bound(port());
  Socket late = Tcp(Loopback4()).ReuseAddr().Made();

  EXPECT_THAT(listener.Listen(), Succeeds());
  EXPECT_THAT(late.Bind(port()), FailsWith(EADDRINUSE));
  listener.Close();
  EXPECT_THAT(late.Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.reuseaddr.connections_do_not_block",
       .says = "Connections of a closed listener that had SO_REUSEADDR do not keep another such socket from listening.",
       .rows = {"TCP-RA-011"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseaddr, AnAcceptedConnectionDoesNotBlockTheNextListener, Witnesses("tcp.reuseaddr.connections_do_not_block"),
     Labels("tcp")) {
  Socket first = Tcp(Loopback4()).ReuseAddr().Bound(port());
  Socket next = Tcp(Loopback4()).ReuseAddr().Bound(port());
  EXPECT_THAT(first.Listen(), Succeeds());
  const Connection connection = Established(first, Loopback4(), port());

  first.Close();
  EXPECT_THAT(next.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseaddr.server_restarts",
       .says = "A TCP server with SO_REUSEADDR can bind and listen again beside the TIME_WAIT that its predecessor, "
               "which had the flag too, left behind.",
       .kernels = "all; 6.1.0 to 6.1.6 overlooked TIME_WAIT and refused nobody",
       .rows = {"TW-002"},
       .sources = {Man("socket(7), NOTES"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Truth("ES-12")}});

CASE(TcpReuseaddr, AServerRestartsBesideTimeWait, Witnesses("tcp.reuseaddr.server_restarts"), Labels("tcp")) {
  Socket before = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();
  LeaveTimeWait(Established(before, Loopback4(), port()));
  before.Close();
  Socket after = Tcp(Loopback4()).ReuseAddr().Made();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(after.Bind(port()), Succeeds());
  EXPECT_THAT(after.Listen(), Succeeds());
}

CLAIM({.id = "tcp.reuseaddr.owners_are_not_compared",
       .says = "SO_REUSEADDR does not compare owners: another owner may bind the port too, listen first, and so lock "
               "out the holder.",
       .rows = {"TCP-RA-012"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseaddr, AnotherOwnerMayListenFirst, Witnesses("tcp.reuseaddr.owners_are_not_compared"),
     Needs(needs::kSecondOwner), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().OwnedBy(Alice()).Bound(port());
  Socket newcomer = Tcp(Loopback4()).ReuseAddr().OwnedBy(Bob()).Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
  EXPECT_THAT(holder.Listen(), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseaddr.listener_refuses_both_flags_of_another_owner",
       .says = "A listener with SO_REUSEADDR alone cannot be joined by another owner's socket that has both flags.",
       .kernels = "since 3.9",
       .rows = {"FLG-001"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseaddr, BothFlagsOfAnotherOwnerDoNotJoinAListener,
     Witnesses("tcp.reuseaddr.listener_refuses_both_flags_of_another_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const Socket holder = Tcp(Any4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(Tcp(Any4()).Asking(Sharing::kBoth).OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
