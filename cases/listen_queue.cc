// How many connections wait at a listener, what becomes of one too many, and who may fill the place of a listener that
// has left?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class ListenQueue : public Case {
 protected:
  static Socket Client() { return Tcp(Loopback4()).Made(); }
  static Socket Connected() { return Client().ConnectedTo(Loopback4(), port()); }
  // A SYN that nobody answered stays unanswered until its first repetition, a second later.
  static Socket Unanswered() {
    Socket client = Client();
    EXPECT_THAT(client.BeginConnect(Loopback4(), port()), FailsWith(EINPROGRESS));
    AwaitDelivery();
    return client;
  }
};

CLAIM(
    {.id = "tcp.queue.holds_one_more_than_the_backlog",
     .says = "A listener with a backlog of n takes n + 1 connections that nobody has accepted; the client of one more "
             "is not answered, and not refused either.",
     .rows = {"Q-009"},
     .sources = {Man("listen(2), DESCRIPTION"), Kernel("sk_acceptq_is_full(), tcp_conn_request()")}});

CASE(ListenQueue, HoldsOneMoreThanTheBacklog, Witnesses("tcp.queue.holds_one_more_than_the_backlog"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening(2);
  const Socket first = Connected(), second = Connected(), third = Connected();

  Socket late = Unanswered();

  EXPECT_THAT(late.State(), Is("SYN_SENT"));
  EXPECT_THAT(QueuedConnections({&listener}), Gets(3));
}

CLAIM(
    {.id = "tcp.queue.grows_by_listening_again",
     .says = "listen(2) on a listener changes its backlog: a client that found the queue full is answered when it asks "
             "again.",
     .rows = {"Q-013"},
     .sources = {Man("listen(2), DESCRIPTION"), Kernel("inet_listen()")}});

CASE(ListenQueue, GrowsWhenTheListenerListensAgain, Witnesses("tcp.queue.grows_by_listening_again"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening(0);
  const Socket first = Connected();
  Socket late = Unanswered();
  EXPECT_THAT(late.State(), Is("SYN_SENT"));

  EXPECT_THAT(listener.Listen(10), Succeeds());

  AwaitState(late.Port(), "ESTABLISHED");
  EXPECT_THAT(QueuedConnections({&listener}), Gets(2));
}

CLAIM({.id = "tcp.queue.takes_any_backlog",
       .says = "A backlog below 0 is no error and means as many as the system allows; a UDP socket cannot listen.",
       .rows = {"Q-014"},
       .sources = {Man("listen(2), EOPNOTSUPP"), Kernel("__sys_listen()")}});

CASE(ListenQueue, TakesANegativeBacklog, Witnesses("tcp.queue.takes_any_backlog"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening(-1);
  const Socket first = Connected(), second = Connected();

  EXPECT_THAT(listener.State(), Is("LISTEN"));
  EXPECT_THAT(QueuedConnections({&listener}), Gets(2));
}

CASE(ListenQueue, IsNothingThatUdpHas, Witnesses("tcp.queue.takes_any_backlog"), Labels("udp")) {
  Socket receiver = Udp(Loopback4()).Bound(port());

  EXPECT_THAT(receiver.Listen(), FailsWith(EOPNOTSUPP));
}

CLAIM({.id = "tcp.queue.full_member_loses_its_share",
       .says = "Clients that a SO_REUSEPORT group gives to a member with a full queue are not answered, though another "
               "member has room.",
       .kernels = "since 3.9",
       .rows = {"Q-010"},
       .sources = {Kernel("inet_lookup_reuseport()"), Kernel("tcp_conn_request()")}});

CASE(ListenQueue, FullMembersShareIsNotTakenOver, Witnesses("tcp.queue.full_member_loses_its_share"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket full = member.Bound(port()).Listening(0);
  Socket idle = member.Bound(port()).Listening();
  std::vector<Socket> clients;
  const int count = EnoughToReach(2);

  for (int number = 0; number < count; ++number) {
    clients.push_back(Client());
    clients.back().BeginConnect(Loopback4(), port());
  }
  AwaitDelivery();

  const Share queued = QueuedConnections({&full, &idle});
  const int unanswered = count - queued.counts[0] - queued.counts[1];
  EXPECT_THAT(Counted("at the full member", {queued.counts[0]}), Is(1));
  EXPECT_THAT(Counted("in no queue, or at the idle member", {unanswered, queued.counts[1]}), ReachesEach(count - 1));
}

CLAIM({.id = "tcp.queue.abort_on_overflow_is_for_the_last_step",
       .says = "net.ipv4.tcp_abort_on_overflow does not reset a client whose SYN meets a full queue: it is for "
               "handshakes that end when the queue is full.",
       .rows = {"Q-011"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_abort_on_overflow"), Kernel("tcp_check_req()"),
                   Kernel("tcp_conn_request()")}});

CASE(ListenQueue, AbortOnOverflowDoesNotRefuseTheFirstStep,
     Witnesses("tcp.queue.abort_on_overflow_is_for_the_last_step"), Needs(needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_abort_on_overflow", "1"), Succeeds());
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening(0);
  const Socket first = Connected();

  Socket late = Unanswered();

  EXPECT_THAT(late.State(), Is("SYN_SENT"));
}

CLAIM({.id = "tcp.queue.lasts_until_the_last_descriptor_is_closed",
       .says = "A listener with a second descriptor keeps its port and its queue when the first one is closed.",
       .rows = {"Q-012"},
       .sources = {Man("dup(2), DESCRIPTION"), Man("close(2), DESCRIPTION")}});

CASE(ListenQueue, LastsUntilTheLastDescriptorIsClosed, Witnesses("tcp.queue.lasts_until_the_last_descriptor_is_closed"),
     Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  Socket duplicate = listener.Duplicated();
  const Socket client = Connected();

  listener.Close();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(QueuedConnections({&duplicate}), Gets(1));
}

CLAIM(
    {.id = "tcp.group.bound_member_answers_nobody",
     .says = "A member of a SO_REUSEPORT group that is bound and does not listen gets no connection, cannot accept one "
             "(EINVAL) and does not keep the port answering when the listener has gone.",
     .kernels = "since 3.9",
     .rows = {"Q-015", "Q-016"},
     .sources = {Man("accept(2), EINVAL"), Kernel("inet_csk_accept()")}});

CASE(ListenQueue, BoundMemberCannotAccept, Witnesses("tcp.group.bound_member_answers_nobody"), Needs(needs::kReusePort),
     Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket bound = member.Bound(port());
  Socket listener = member.Bound(port()).Listening();

  const Socket client = Connected();

  EXPECT_THAT(bound.State(), Is("CLOSE"));
  EXPECT_THAT(bound.TryAccept().first, FailsWith(EINVAL));
  EXPECT_THAT(QueuedConnections({&listener}), Gets(1));
}

CASE(ListenQueue, BoundMemberDoesNotKeepThePortAnswering, Witnesses("tcp.group.bound_member_answers_nobody"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket listener = member.Bound(port()).Listening();
  const Socket bound = member.Bound(port());

  listener.Close();

  EXPECT_THAT(Client().Connect(Loopback4(), port()), FailsWith(ECONNREFUSED));
}

CLAIM(
    {.id = "tcp.group.spreads_with_cookies",
     .says = "With SYN cookies for all (net.ipv4.tcp_syncookies 2) connections are spread over a SO_REUSEPORT group as "
             "without.",
     .kernels = "since 3.12; tcp_syncookies 2",
     .rows = {"Q-017"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_syncookies"), Kernel("cookie_v4_check()")}});

CASE(ListenQueue, SpreadsConnectionsWithCookies, Witnesses("tcp.group.spreads_with_cookies"),
     Needs(needs::kReusePort, needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_syncookies", "2"), Succeeds());
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket first = member.Bound(port()).Listening();
  Socket second = member.Bound(port()).Listening();

  const int count = EnoughToReach(2);

  EXPECT_THAT(ConnectionsOver({&first, &second}, count, Loopback4(), port()), ReachesEach(count));
}

CLAIM(
    {.id = "tcp.group.rejoined_by_listening_again",
     .says = "A member whose shutdown(2) ended its listening gets nothing, and its share again once it listens again; "
             "without SO_REUSEPORT by then it cannot.",
     .kernels = "since 3.9",
     .rows = {"Q-018", "Q-019"},
     .sources = {Kernel("inet_csk_listen_start()"), Kernel("reuseport_stop_listen_sock()"),
                 Kernel("inet_csk_bind_conflict()")}});

CASE(ListenQueue, MemberRejoinsByListeningAgain, Witnesses("tcp.group.rejoined_by_listening_again"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket first = member.Bound(port()).Listening();
  Socket second = member.Bound(port()).Listening();
  const int count = EnoughToReach(2);

  EXPECT_THAT(first.Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(ConnectionsOver({&second}, count, Loopback4(), port()), Gets(count));
  EXPECT_THAT(first.Listen(), Succeeds());
  EXPECT_THAT(ConnectionsOver({&first, &second}, count, Loopback4(), port()), ReachesEach(count));
}

CASE(ListenQueue, MemberThatClearedTheOptionCannotRejoin, Witnesses("tcp.group.rejoined_by_listening_again"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket first = member.Bound(port()).Listening();
  Socket second = member.Bound(port()).Listening();
  const int count = EnoughToReach(2);

  EXPECT_THAT(first.Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(first.Set(so::kReusePort, 0), Succeeds());
  EXPECT_THAT(first.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(ConnectionsOver({&second}, count, Loopback4(), port()), Gets(count));
}

CLAIM({.id = "tcp.group.shut_down_member_blocks_nobody",
       .says = "With net.ipv4.tcp_migrate_req a member that was shut down, though the group still knows it, keeps no "
               "newcomer of its owner out, and can listen again beside a group that was made meanwhile.",
       .kernels = "since 5.14",
       .rows = {"Q-020", "Q-021"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("reuseport_stop_listen_sock()"),
                   Kernel("reuseport_resurrect()")}});

CASE(ListenQueue, ShutDownMemberKeepsNobodyOut, Witnesses("tcp.group.shut_down_member_blocks_nobody"),
     Needs(needs::kReusePort, needs::kMigration), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket first = member.Bound(port()).Listening();
  const Socket second = member.Bound(port()).Listening();

  EXPECT_THAT(first.Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(member.Bind(port()), Succeeds());
  first.Close();
  EXPECT_THAT(member.Bind(port()), Succeeds());
}

CASE(ListenQueue, ShutDownMemberListensAgainBesideANewGroup, Witnesses("tcp.group.shut_down_member_blocks_nobody"),
     Needs(needs::kReusePort, needs::kMigration), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket first = member.Bound(port()).Listening();
  EXPECT_THAT(first.Shutdown(SHUT_RDWR), Succeeds());
  Socket second = member.Bound(port()).Listening();

  EXPECT_THAT(first.Listen(), Succeeds());

  const int count = EnoughToReach(2);
  EXPECT_THAT(ConnectionsOver({&first, &second}, count, Loopback4(), port()), ReachesEach(count));
}

CLAIM({.id = "tcp.group.left_port_stays_its_owners",
       .says = "A member that was shut down and disconnected still holds its port against another user.",
       .kernels = "since 3.9",
       .rows = {"Q-022"},
       .sources = {Kernel("tcp_disconnect()"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("ES-02")}});

CASE(ListenQueue, ShutDownMemberKeepsAnotherOwnerOut, Witnesses("tcp.group.left_port_stays_its_owners"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket first = member.OwnedBy(Alice()).Bound(port()).Listening();

  EXPECT_THAT(first.Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(first.Disconnect(), Succeeds());

  EXPECT_THAT(member.OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.queue.shutdown_hands_the_port_on",
       .says = "A listener with SO_REUSEADDR that is shut down resets what waits at it and lets the next one with the "
               "option listen; it cannot listen again until that one has gone.",
       .rows = {"Q-023"},
       .sources = {Kernel("inet_csk_listen_stop()"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Truth("ES-11")}});

CASE(ListenQueue, ShutdownHandsThePortOn, Witnesses("tcp.queue.shutdown_hands_the_port_on"), Labels("tcp")) {
  const SocketSpec server = Tcp(Loopback4()).ReuseAddr();
  Socket first = server.Bound(port()).Listening();
  std::vector<Socket> clients;
  clients.push_back(Connected());

  EXPECT_THAT(first.Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(LiveAndReset(clients), Is("0/1"));
  Socket next = server.Bound(port()).Listening();
  EXPECT_THAT(first.Listen(), FailsWith(EADDRINUSE));
  first.Close();
  EXPECT_THAT(ConnectionsOver({&next}, 3, Loopback4(), port()), Gets(3));
}

}  // namespace
}  // namespace portshare
