// What does each way to replace a server cost its clients: those that wait, those that begin meanwhile, those that
// began before?
#include <functional>
#include <string>
#include <vector>

#include "harness/case.h"
#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/owner.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class Restart : public Case {
 protected:
  static Socket Client() { return Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()); }
  static std::vector<Socket> Clients(int count) {
    std::vector<Socket> clients;
    for (int client = 0; client < count; ++client) clients.push_back(Client());
    return clients;
  }
  static Outcome Tries() { return Tcp(Loopback4()).Made().Connect(Loopback4(), port()); }
  static std::vector<Socket> AcceptedBy(Socket& listener, int count) {
    std::vector<Socket> accepted;
    for (int connection = 0; connection < count; ++connection) accepted.push_back(listener.Accepted());
    return accepted;
  }
};

CLAIM(
    {.id = "tcp.restart.refuses_between_close_and_listen",
     .says = "When a server closes its listener before the next one listens, whoever asks meanwhile is refused, after "
             "the next bind(2) too; connections that were accepted before live on.",
     .rows = {"ZD-001"},
     .sources = {Rfc("9293, 3.5.2"), Man("connect(2), ECONNREFUSED"), Kernel("tcp_v4_rcv(), no_tcp_socket")},
     .documents = {Truth("EN-18")}});

CASE(Restart, RefusesWhoAsksBetweenCloseAndListen, Witnesses("tcp.restart.refuses_between_close_and_listen"),
     Labels("tcp")) {
  const SocketSpec server = Tcp(Loopback4()).ReuseAddr();
  Socket old = server.Bound(port()).Listening();
  const std::vector<Socket> clients = Clients(3), accepted = AcceptedBy(old, 3);
  EXPECT_THAT(Tries(), Succeeds());

  old.Close();
  EXPECT_THAT(Tries(), FailsWith(ECONNREFUSED));
  Socket next = server.Bound(port());
  EXPECT_THAT(Tries(), FailsWith(ECONNREFUSED));
  EXPECT_THAT(next.Listen(), Succeeds());
  EXPECT_THAT(Tries(), Succeeds());

  EXPECT_THAT(LiveAndReset(clients), Gets(3, 0));
}

CLAIM({.id = "tcp.restart.overlap_resets_what_waits",
       .says = "When the next server listens beside the old one by SO_REUSEPORT and the old one closes, nobody is "
               "refused, and exactly the connections are reset that the old one had not accepted.",
       .kernels = "since 3.9",
       .rows = {"ZD-002", "Q-001"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_listen_stop()")},
       .documents = {Stated("EN-16"), Stated("EN-18"), Truth("EN-18")}});

CASE(Restart, ResetsOnlyWhatTheOldServerHadNotAccepted, Witnesses("tcp.restart.overlap_resets_what_waits"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec server = Tcp(Loopback4()).ReusePort();
  Socket old = server.Bound(port()).Listening();
  const std::vector<Socket> served = Clients(3), accepted = AcceptedBy(old, 3), waiting = Clients(4);

  Socket next = server.Bound(port()).Listening();
  old.Close();
  const std::vector<Socket> late = Clients(5);

  EXPECT_THAT(LiveAndReset(served), Gets(3, 0));
  EXPECT_THAT(LiveAndReset(waiting), Gets(0, 4));
  EXPECT_THAT(LiveAndReset(late), Gets(5, 0));
  EXPECT_THAT(QueuedConnections({&next}), Gets(5));
}

CLAIM({.id = "tcp.restart.draining_saves_all_but_the_last",
       .says =
           "A server that accepts until its queue is empty and closes then still loses the connections that come, and "
           "the handshakes that are on their way, after its last accept(2).",
       .kernels = "since 3.9",
       .rows = {"ZD-003"},
       .sources = {Man("accept(2), EAGAIN"), Kernel("inet_csk_listen_stop()"), Kernel("tcp_v4_rcv()")},
       .documents = {Stated("EN-17"), Truth("EN-18")}});

CASE(Restart, LosesWhatComesAfterTheLastAccept, Witnesses("tcp.restart.draining_saves_all_but_the_last"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec server = Tcp(Loopback4()).ReusePort();
  Socket old = server.Bound(port()).Listening();
  Socket next = server.Bound(port());
  const std::vector<Socket> drained = Clients(10), accepted = AcceptedBy(old, 10);
  EXPECT_THAT(old.TryAccept().first, FailsWith(EAGAIN));

  const std::vector<Socket> late = Clients(1);
  EXPECT_THAT(next.Listen(), Succeeds());
  old.Close();

  EXPECT_THAT(LiveAndReset(drained), Gets(10, 0));
  EXPECT_THAT(LiveAndReset(late), Gets(0, 1));
  EXPECT_THAT(QueuedConnections({&next}), Gets(0));
}

CASE(Restart, LosesTheHandshakesAfterTheLastAccept, Witnesses("tcp.restart.draining_saves_all_but_the_last"),
     Needs(needs::kReusePort), Labels("tcp")) {
  // The handshake ends with the client's first byte.  tcp(7), TCP_DEFER_ACCEPT
  const SocketSpec server = Tcp(Loopback4()).ReusePort().Set(so::kDeferAccept, 5);
  Socket old = server.Bound(port()).Listening();
  Socket next = server.Bound(port());
  std::vector<Socket> clients = Clients(1);
  AwaitState(port(), "SYN_RECV");
  EXPECT_THAT(old.TryAccept().first, FailsWith(EAGAIN));

  EXPECT_THAT(next.Listen(), Succeeds());
  old.Close();
  clients.front().Send("x");

  EXPECT_THAT(LiveAndReset(clients), Gets(0, 1));
}

CLAIM(
    {.id = "tcp.restart.migration_loses_none",
     .says = "With net.ipv4.tcp_migrate_req nobody is refused or reset when the old server of a group closes: what it "
             "accepted stays, what waits and the handshakes on their way come to the next one with all later ones.",
     .kernels = "since 5.14",
     .rows = {"ZD-004"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("inet_csk_listen_stop()"),
                 Kernel("reuseport_migrate_sock()")},
     .documents = {Truth("EN-18")}});

CASE(Restart, LosesNobodyWithMigration, Witnesses("tcp.restart.migration_loses_none"),
     Needs(needs::kReusePort, needs::kMigration), Labels("tcp")) {
  Journal::Get().Needs(Sysctl("ipv4/tcp_migrate_req", "1"));
  const SocketSpec server = Tcp(Loopback4()).ReusePort();
  Socket old = server.Bound(port()).Listening();
  const std::vector<Socket> served = Clients(3), accepted = AcceptedBy(old, 3), waiting = Clients(4);
  EXPECT_THAT(old.Set(so::kDeferAccept, 5), Succeeds());
  std::vector<Socket> begun = Clients(5);
  AwaitState(port(), "SYN_RECV");

  Socket next = server.Bound(port()).Listening();
  old.Close();
  for (Socket& client : begun) client.Send("x");
  const std::vector<Socket> late = Clients(6);

  EXPECT_THAT(LiveAndReset(served), Gets(3, 0));
  EXPECT_THAT(LiveAndReset(waiting), Gets(4, 0));
  EXPECT_THAT(LiveAndReset(begun), Gets(5, 0));
  EXPECT_THAT(LiveAndReset(late), Gets(6, 0));
  EXPECT_THAT(QueuedConnections({&next}), Gets(4 + 5 + 6));
}

CLAIM({.id = "tcp.restart.handed_over_listener_loses_none",
       .says =
           "A listener that was handed to the next server, by SCM_RIGHTS or by inheritance, loses nobody when the old "
           "server closes it or ends: there is one queue, and it stays while one descriptor does.",
       .rows = {"ZD-005"},
       .sources = {Man("unix(7), SCM_RIGHTS"), Man("fork(2)"), Man("close(2)")},
       .documents = {Stated("EN-21"), Truth("EN-18")}});

CASE(Restart, LosesNobodyWhenTheListenerIsPassed, Witnesses("tcp.restart.handed_over_listener_loses_none"),
     Labels("tcp")) {
  Socket old = Tcp(Loopback4()).Bound(port()).Listening();
  const std::vector<Socket> served = Clients(3), accepted = AcceptedBy(old, 3), waiting = Clients(4);
  EXPECT_THAT(old.Set(so::kDeferAccept, 5), Succeeds());
  std::vector<Socket> begun = Clients(5);
  AwaitState(port(), "SYN_RECV");

  Socket next = old.Passed();
  old.Close();
  for (Socket& client : begun) client.Send("x");
  EXPECT_THAT(next.Set(so::kDeferAccept, 0), Succeeds());
  const std::vector<Socket> late = Clients(6);

  EXPECT_THAT(LiveAndReset(served), Gets(3, 0));
  EXPECT_THAT(LiveAndReset(waiting), Gets(4, 0));
  EXPECT_THAT(LiveAndReset(begun), Gets(5, 0));
  EXPECT_THAT(LiveAndReset(late), Gets(6, 0));
  EXPECT_THAT(QueuedConnections({&next}), Gets(4 + 5 + 6));
}

CASE(Restart, LosesNobodyWhenAnHeirEnds, Witnesses("tcp.restart.handed_over_listener_loses_none"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  const std::vector<Socket> waiting = Clients(4);

  const auto heir = InAnotherProcess("an heir that ends", [&] {
    auto [taken, connection] = listener.TryAccept();
    listener.Close();
    return std::vector<Outcome>{taken};
  });

  EXPECT_THAT(heir[0], Succeeds());
  EXPECT_THAT(Tries(), Succeeds());
  EXPECT_THAT(QueuedConnections({&listener}), Gets(3 + 1));
}

CLAIM(
    {.id = "tcp.restart.shutdown_reaches_every_descriptor",
     .says = "shutdown(2) by one holder of a handed-over listener ends the listening for all: what waits is reset, and "
             "whoever asks is refused.",
     .sources = {Man("shutdown(2)"), Kernel("inet_shutdown()"), Kernel("inet_csk_listen_stop()")},
     .documents = {Truth("EN-18")}});

CASE(Restart, LosesAllWhenTheOldServerShutsThePassedListenerDown,
     Witnesses("tcp.restart.shutdown_reaches_every_descriptor"), Labels("tcp")) {
  Socket old = Tcp(Loopback4()).Bound(port()).Listening();
  const std::vector<Socket> waiting = Clients(4);
  Socket next = old.Passed();

  EXPECT_THAT(old.Shutdown(SHUT_RDWR), Succeeds());

  EXPECT_THAT(LiveAndReset(waiting), Gets(0, 4));
  EXPECT_THAT(next.State(), Is("CLOSE"));
  EXPECT_THAT(Tries(), FailsWith(ECONNREFUSED));
}

}  // namespace
}  // namespace portshare
