// What becomes of a server's connections, and of its port, when the listener closes before them?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class LeftConnections : public Case {
 protected:
  // A server of `owner` with SO_REUSEPORT closed its connection first and then its listener; the client, returned,
  // stays open.  What waits in FIN_WAIT2 is kept as TIME_WAIT is.
  static Socket LeaveOrphanOf(const Owner& owner) {
    const As server(owner);
    Socket listener = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
    Socket client = LeaveFinWait2(Established(listener, Loopback4(), port()));
    listener.Close();
    return client;
  }

  // The same with an orphan that stays a full socket: it may wait for longer than TIME_WAIT lasts.
  static Socket LeaveFullOrphanOf(const Owner& owner) {
    EXPECT_THAT(Sysctl("ipv4/tcp_fin_timeout", "120"), Succeeds());
    return LeaveOrphanOf(owner);
  }
};

CLAIM({.id = "left.block_the_port",
       .says = "A connection that is not over blocks its server's port after the listener is gone, as TIME_WAIT does, "
               "and lets pass those who share an option with it.",
       .rows = {"TW-006", "TW-007"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Rfc("RFC 9293, 3.6 Closing a Connection")},
       .documents = {Truth("ES-07")}});

struct Unfinished {
  std::string name;
  Socket (*left)(Connection);
};
const std::vector<Unfinished> kUnfinished = {{"fin_wait2_orphan", &LeaveFinWait2}, {"close_wait", &LeaveCloseWait}};

MATRIX(LeftConnections, BlockThePort, Unfinished, kUnfinished, Witnesses("left.block_the_port"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket end = row.left(Established(listener, Loopback4(), port()));
  listener.Close();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

MATRIX(LeftConnections, LetPassWhoReusesTheAddressToo, Unfinished, kUnfinished, Witnesses("left.block_the_port"),
       Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();
  const Socket end = row.left(Established(listener, Loopback4(), port()));
  listener.Close();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  Socket restarted = Tcp(Loopback4()).ReuseAddr().Made();
  EXPECT_THAT(restarted.Bind(port()), Succeeds());
  EXPECT_THAT(restarted.Listen(), Succeeds());
}

CLAIM({.id = "left.own_option_counts",
       .says = "An accepted connection counts with its own options: SO_REUSEADDR, set on it after its listener has "
               "closed, lets a newcomer with SO_REUSEADDR pass.",
       .rows = {"TW-010"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Man("socket(7), SO_REUSEADDR")}});

CASE(LeftConnections, CountWithTheirOwnOptions, Witnesses("left.own_option_counts"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  listener.Close();
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(connection.server.Set(so::kReuseAddr), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "left.port_sharing_needs_their_own_option",
     .says = "Beside an accepted connection SO_REUSEPORT of a newcomer counts only if the connection has it, too: from "
             "its listener, or set after that has closed.",
     .kernels = "since 3.9",
     .rows = {"TW-010"},
     .sources = {Kernel("inet_csk_bind_conflict()"), Man("socket(7), SO_REUSEPORT")}});

struct Unshared {
  std::string name;
  Sharing listener;
  Sharing newcomer;
};
const std::vector<Unshared> kUnshared = {
    {"reuseport_beside_none", Sharing::kNone, Sharing::kReusePort},
    {"both_beside_none", Sharing::kNone, Sharing::kBoth},
    {"reuseport_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kReusePort},
};

MATRIX(LeftConnections, SharePortsOnlyByTheirOwnOption, Unshared, kUnshared,
       Witnesses("left.port_sharing_needs_their_own_option"), Needs(needs::kReusePort), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Asking(row.listener).Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  listener.Close();
  const SocketSpec newcomer = Tcp(Loopback4()).Asking(row.newcomer);
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(connection.server.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
}

CLAIM(
    {.id = "left.shared_with_their_owner",
     .says = "A half-closed connection of a SO_REUSEPORT server does not stop the same user from binding the wildcard, "
             "and stops every other.",
     .kernels = "since 3.9",
     .rows = {"TW-015"},
     .sources = {Kernel("inet_csk_bind_conflict()"), Rfc("RFC 9293, 3.6.1 Half-Closed Connections")}});

CASE(LeftConnections, HalfClosedShareWithTheirOwner, Witnesses("left.shared_with_their_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const As alice(Alice());
  Socket listener = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  EXPECT_THAT(connection.server.Shutdown(SHUT_WR), Succeeds());
  listener.Close();

  Socket restarted = Tcp(Any4()).ReusePort().Made();
  EXPECT_THAT(restarted.Bind(port()), Succeeds());
  EXPECT_THAT(restarted.Listen(), Succeeds());
}

CASE(LeftConnections, HalfClosedRefuseAnotherOwner, Witnesses("left.shared_with_their_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  EXPECT_THAT(connection.server.Shutdown(SHUT_WR), Succeeds());
  listener.Close();

  EXPECT_THAT(Tcp(Any4()).ReusePort().OwnedBy(Alice()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "left.accepted_by_another_user",
       .says = "What another user accepted from a SO_REUSEPORT listener keeps that listener's owner out after it "
               "closed, unless the owner's was the last bind(2) that the port remembers.",
       .kernels = "since 3.9",
       .rows = {"TW-014"},
       .sources = {Kernel("sock_graft()"), Kernel("sk_reuseport_match()"), Kernel("inet_csk_bind_conflict()")}});

CASE(LeftConnections, AcceptedByRootDoNotKeepTheLastBindersUserOut, Witnesses("left.accepted_by_another_user"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  const Connection connection = Established(listener, Loopback4(), port());
  listener.Close();

  Socket again = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  EXPECT_THAT(again.Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Root()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(LeftConnections, AcceptedByRootKeepTheOwnerOutAfterAnotherBind, Witnesses("left.accepted_by_another_user"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  const Connection connection = Established(listener, Loopback4(), port());
  listener.Close();
  const Socket neighbour = Tcp(Loopback4(2)).Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "left.brief_orphan_has_no_owner",
     .says = "What waits in FIN_WAIT2 for no longer than TIME_WAIT lasts has no owner: any user's SO_REUSEPORT socket "
             "takes the port, and from then on its own owner counts.",
     .kernels = "since 3.9",
     .rows = {"TW-008"},
     .sources = {Kernel("tcp_time_wait()"), Kernel("inet_csk_bind_conflict()"),
                 KernelDoc("networking/ip-sysctl, tcp_fin_timeout")}});

CASE(LeftConnections, OrphanedBrieflyHaveNoOwner, Witnesses("left.brief_orphan_has_no_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const Socket client = LeaveOrphanOf(Alice());

  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(port()), Succeeds());
}

CASE(LeftConnections, OrphanedBrieflyGiveThePortToTheFirstWhoComes, Witnesses("left.brief_orphan_has_no_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const Socket client = LeaveOrphanOf(Alice());

  Socket again = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  EXPECT_THAT(again.Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "left.long_orphan_refuses_strangers",
     .says = "What waits in FIN_WAIT2 for longer than TIME_WAIT lasts refuses the SO_REUSEPORT socket of another plain "
             "user.",
     .kernels = "since 3.9",
     .rows = {"TW-008"},
     .sources = {Kernel("__tcp_close()"), Kernel("inet_csk_bind_conflict()")}});

CASE(LeftConnections, OrphanedForLongRefuseStrangers, Witnesses("left.long_orphan_refuses_strangers"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kSysctl), Labels("tcp")) {
  const Socket client = LeaveFullOrphanOf(Alice());

  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "left.long_orphan_keeps_its_owner",
       .says = "What waits in FIN_WAIT2 for longer than TIME_WAIT lasts keeps its owner, who may bind beside it by "
               "SO_REUSEPORT while root may not.",
       .kernels = "since 6.17; before, it counted as root's",
       .rows = {"TW-016"},
       .sources = {Kernel("__tcp_close()"), Kernel("inet_csk_bind_conflict()")}});

CASE(LeftConnections, OrphanedForLongLetTheirOwnerPass, Witnesses("left.long_orphan_keeps_its_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kSysctl), Follows("sockets_keep_their_maker"),
     Labels("tcp")) {
  const Socket client = LeaveFullOrphanOf(Alice());
  // Without the option it clears what the port remembers of Alice's listener: the orphan itself is compared.
  const Socket beside = Tcp(Loopback4(2)).Bound(port());

  Socket restarted = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  EXPECT_THAT(restarted.Bind(port()), Succeeds());
  EXPECT_THAT(restarted.Listen(), Succeeds());
}

CASE(LeftConnections, OrphanedForLongRefuseRoot, Witnesses("left.long_orphan_keeps_its_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kSysctl), Follows("sockets_keep_their_maker"),
     Labels("tcp")) {
  const Socket client = LeaveFullOrphanOf(Alice());

  EXPECT_THAT(Tcp(Any4()).ReusePort().OwnedBy(Root()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "left.queue_is_reset",
       .says = "A listener that closes resets the connections that nobody accepted and leaves its port free.",
       .rows = {"TW-011"},
       .sources = {Kernel("inet_csk_listen_stop()")}});

CASE(LeftConnections, AreResetIfNobodyAcceptedThem, Witnesses("left.queue_is_reset"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());

  listener.Close();
  EXPECT_THAT(client.Receive(), FailsWith(ECONNRESET));
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
}

CLAIM({.id = "left.accepted_go_on",
       .says = "Accepted connections go on until they are complete after their listener has closed, also while another "
               "listens on the port.",
       .rows = {"TW-012", "Q-024"},
       .sources = {Man("accept(2)"), Kernel("inet_csk_listen_stop()")},
       .documents = {Stated("EN-17")}});

CASE(LeftConnections, GoOnBesideTheNextListener, Witnesses("left.accepted_go_on"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  listener.Close();

  Socket next = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();
  EXPECT_THAT(connection.server.Send("answer"), Is(6));
  EXPECT_THAT(connection.client.Receive(), Is("answer"));
  EXPECT_THAT(connection.client.Send("question"), Is(8));
  EXPECT_THAT(connection.server.Receive(), Is("question"));
  EXPECT_THAT(ConnectionsOver({&next}, 1, Loopback4(), port()), Gets(1));
}

CASE(LeftConnections, GoOnBesideTheRestOfTheGroup, Witnesses("left.accepted_go_on"), Needs(needs::kReusePort),
     Labels("tcp")) {
  Socket old = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Connection connection = Established(old, Loopback4(), port());
  Socket next = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();

  old.Close();
  EXPECT_THAT(connection.server.Send("answer"), Is(6));
  EXPECT_THAT(connection.client.Receive(), Is("answer"));
  EXPECT_THAT(QueuedConnections({&next}), Gets(0));
}

CASE(LeftConnections, EndInOrderWithoutTheirListener, Witnesses("left.accepted_go_on"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  listener.Close();

  EXPECT_THAT(connection.server.Send("last answer"), Is(11));
  connection.server.Close();
  EXPECT_THAT(connection.client.Receive(), Is("last answer"));
  EXPECT_THAT(connection.client.Receive(), Is("end of file"));
}

}  // namespace
}  // namespace portshare
