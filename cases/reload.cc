// What do clients notice when a server is replaced by its next version?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class Reload : public Case {
 protected:
  static Socket Bound() { return Tcp(Loopback4()).ReusePort().Bound(port()); }
  static Socket Listener() { return Bound().Listening(); }
  static Socket Client() { return Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()); }
  // Connected by the kernel, not yet accepted by the server.
  static std::vector<Socket> Clients(int count) {
    std::vector<Socket> clients;
    for (int client = 0; client < count; ++client) clients.push_back(Client());
    return clients;
  }
};

CLAIM({.id = "tcp.reload.next_process_listens_beside",
       .says = "A second process can listen on the address and port by a socket of its own while the first still does.",
       .kernels = "since 3.9",
       .rows = {"ZD-002"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_get_port()")},
       .documents = {Stated("EN-16")}});

CASE(Reload, LetsTheNextProcessListenBesideTheOld, Witnesses("tcp.reload.next_process_listens_beside"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const Socket old = Listener();

  const auto next = InAnotherProcess("the same user", [] {
    Socket own = Tcp(Loopback4()).ReusePort().Made();
    return std::vector<Outcome>{own.Bind(port()), own.Listen(), own.State()};
  });

  EXPECT_THAT(next[0], Succeeds());
  EXPECT_THAT(next[1], Succeeds());
  EXPECT_THAT(next[2], Is("LISTEN"));
}

CLAIM({.id = "tcp.reload.nobody_is_refused",
       .says = "When the next server listens before the old one closes, no client is refused before, beside or after "
               "the other, and afterwards all connections come to the next one.",
       .kernels = "since 3.9",
       .rows = {"Q-008", "ZD-002"},
       .sources = {Kernel("reuseport_detach_sock()"), Kernel("reuseport_select_sock()")},
       .documents = {Truth("EN-18")}});

CASE(Reload, RefusesNobodyWhileOldAndNextOverlap, Witnesses("tcp.reload.nobody_is_refused"), Needs(needs::kReusePort),
     Labels("tcp")) {
  Socket old = Listener();
  EXPECT_THAT(ConnectionsOver({&old}, 40, Loopback4(), port()), Gets(40));

  Socket next = Listener();
  EXPECT_THAT(ConnectionsOver({&old, &next}, 40, Loopback4(), port()), ReachesEach(40));

  old.Close();
  EXPECT_THAT(ConnectionsOver({&next}, 40, Loopback4(), port()), Gets(40));
}

CLAIM(
    {.id = "tcp.reload.queued_connections_are_reset",
     .says = "A listener that closes resets the connections that nobody accepted yet, even if another listener of the "
             "group could take them: for these clients the reload is a failure.",
     .kernels = "since 3.9",
     .rows = {"Q-001", "ZD-002"},
     .sources = {Kernel("inet_csk_listen_stop()")},
     .documents = {Stated("EN-18"), Truth("EN-18")}});

CASE(Reload, ResetsWhatWaitsAtTheClosingListener, Witnesses("tcp.reload.queued_connections_are_reset"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket old = Listener();
  Socket next = Bound();
  std::vector<Socket> clients = Clients(20);

  EXPECT_THAT(next.Listen(), Succeeds());
  old.Close();

  EXPECT_THAT(LiveAndReset(clients), Gets(0, 20));
  EXPECT_THAT(QueuedConnections({&next}), Gets(0));
}

CLAIM({.id = "tcp.reload.loses_nothing_without_new_handshakes",
       .says = "A listener that accepted all that came to it closes without any loss as long as no SYN arrives; those "
               "that come after it reach the next listener.",
       .kernels = "since 3.9",
       .sources = {Kernel("inet_csk_listen_stop()")},
       .documents = {Stated("EN-19")}});

// Yelp's workarounds hold the clients' SYNs back while the server reloads.
CASE(Reload, LosesNothingWhileNoHandshakeBegins, Witnesses("tcp.reload.loses_nothing_without_new_handshakes"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket old = Listener();
  const std::vector<Socket> clients = Clients(3);
  const Socket one = old.Accepted(), two = old.Accepted(), three = old.Accepted();

  Socket next = Listener();
  old.Close();
  const std::vector<Socket> late = Clients(3);

  EXPECT_THAT(LiveAndReset(clients), Gets(3, 0));
  EXPECT_THAT(LiveAndReset(late), Gets(3, 0));
  EXPECT_THAT(QueuedConnections({&next}), Gets(3));
}

CLAIM(
    {.id = "tcp.reload.migration_loses_nothing",
     .says = "With net.ipv4.tcp_migrate_req the connections that wait at a closing listener move to another one of the "
             "group, which accepts them all.",
     .kernels = "since 5.14",
     .rows = {"Q-002", "ZD-004"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("inet_csk_listen_stop()"),
                 Kernel("reuseport_migrate_sock()")},
     .documents = {Truth("EN-18")}});

CASE(Reload, MovesWhatWaitsToTheNextListenerWithMigration, Witnesses("tcp.reload.migration_loses_nothing"),
     Needs(needs::kReusePort, needs::kMigration), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  Socket old = Listener();
  Socket next = Bound();
  std::vector<Socket> clients = Clients(20);

  EXPECT_THAT(next.Listen(), Succeeds());
  old.Close();

  EXPECT_THAT(LiveAndReset(clients), Gets(20, 0));
  EXPECT_THAT(QueuedConnections({&next}), Gets(20));
}

CLAIM(
    {.id = "tcp.reload.migration_needs_another_listener",
     .says = "Without another listener in the group, waiting connections are reset with net.ipv4.tcp_migrate_req too, "
             "and listening again does not bring them back.",
     .kernels = "since 5.14",
     .rows = {"Q-003"},
     .sources = {Kernel("inet_csk_listen_stop()"), Kernel("reuseport_migrate_sock()")}});

CASE(Reload, ResetsWhatWaitsAtTheLastListenerDespiteMigration, Witnesses("tcp.reload.migration_needs_another_listener"),
     Needs(needs::kReusePort, needs::kMigration), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  Socket last = Listener();
  std::vector<Socket> clients = Clients(20);

  EXPECT_THAT(last.Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(LiveAndReset(clients), Gets(0, 20));

  EXPECT_THAT(last.Listen(), Succeeds());
  EXPECT_THAT(QueuedConnections({&last}), Gets(0));
}

CLAIM({.id = "tcp.reload.passed_listener_loses_nothing",
       .says =
           "A listening socket that is passed on keeps its queue and its handshakes in progress when the process that "
           "passed it closes its own descriptor.",
       .rows = {"ZD-005"},
       .sources = {Man("unix(7), SCM_RIGHTS")},
       .documents = {Stated("EN-21"), Truth("EN-18")}});

CASE(Reload, KeepsWhatWaitsAtAPassedListener, Witnesses("tcp.reload.passed_listener_loses_nothing"), Labels("tcp")) {
  Socket old = Tcp(Loopback4()).Bound(port()).Listening();
  std::vector<Socket> clients = Clients(20);

  Socket next = old.Passed();
  old.Close();
  clients.push_back(Client());

  EXPECT_THAT(LiveAndReset(clients), Gets(21, 0));
  EXPECT_THAT(QueuedConnections({&next}), Gets(21));
}

CASE(Reload, KeepsHandshakesInProgressAtAPassedListener, Witnesses("tcp.reload.passed_listener_loses_nothing"),
     Labels("tcp")) {
  // The handshake ends with the client's first byte.  tcp(7), TCP_DEFER_ACCEPT
  Socket old = Tcp(Loopback4()).Set(so::kDeferAccept, 5).Bound(port()).Listening();
  Socket client = Client();
  AwaitState(port(), "SYN_RECV");

  Socket next = old.Passed();
  old.Close();
  EXPECT_THAT(QueuedConnections({&next}), Gets(0));
  EXPECT_THAT(client.Send("x"), Is(1));

  EXPECT_THAT(QueuedConnections({&next}), Gets(1));
}

}  // namespace
}  // namespace portshare
