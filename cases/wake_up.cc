// Is a worker told of the connections that another listener leaves to it?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "harness/waiter.h"

namespace portshare {
namespace {

class WakeUp : public Case {
 protected:
  static Socket Listener() { return Tcp(Loopback4()).ReusePort().Bound(port()).Listening(); }
};

CLAIM(
    {.id = "tcp.reload.migration_wakes",
     .says = "With net.ipv4.tcp_migrate_req a worker that waits for its listener is told at once of a connection that "
             "moves to it from a listener that closes or is shut down.",
     .kernels = "since 6.1.176, 6.12.86, 7.0; from 5.14 on it moved, and nobody was told",
     .rows = {"WAKE-001"},
     .sources = {Commit("CVE-2026-46015"), Kernel("inet_csk_listen_stop()"), Man("epoll(7)")}});

struct End {
  std::string name;
  void (*end)(Socket& listener);
};

const std::vector<End> kEnds = {
    {"close", [](Socket& listener) { listener.Close(); }},
    {"shutdown", [](Socket& listener) { EXPECT_THAT(listener.Shutdown(SHUT_RD), Succeeds()); }},
};

// An epoll instance reports a socket for which it was woken, and no other, so that nobody has to sleep for it.
MATRIX(WakeUp, ComesWithAMigratedConnection, End, kEnds, Witnesses("tcp.reload.migration_wakes"),
       Needs(needs::kReusePort, needs::kMigration), Follows("migration_wakes"), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  Socket old = Listener();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());
  Socket next = Listener();
  const Waiter waiter(next);
  EXPECT_THAT(Told({&waiter}), Gets(0));

  row.end(old);

  EXPECT_THAT(Told({&waiter}), Gets(1));
  EXPECT_THAT(QueuedConnections({&next}), Gets(1));
}

}  // namespace
}  // namespace portshare
