// Does a connection that comes from a closing listener wake those that wait at its new one?
#include <optional>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/sleeper.h"
#include "harness/socket.h"

namespace portshare {
namespace {

class MigratedConnection : public Case {
 protected:
  void SetUp() override {
    Case::SetUp();
    if (IsSkipped()) return;
    Guarded([this] {
      EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
      closing_ = Member().Listening();
      client_ = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());
      target_ = Member().Listening();
    });
  }

  static Socket Member() { return Tcp(Loopback4()).ReusePort().Bound(port()); }
  const Socket& target() const { return *target_; }

  // The connection that waits at the other listener comes to the target, where `sleeper` sleeps.
  void ExpectWakes(const Sleeper& sleeper) {
    EXPECT_THAT(Woken({&sleeper}), Gets(0));
    closing_->Close();
    EXPECT_THAT(Woken({&sleeper}), Gets(1));
  }

  std::optional<Socket> closing_, client_, target_;
};

CLAIM({.id = "tcp.wake.migrated_connection",
       .says = "A connection that migrates to another listener wakes those that sleep there, in accept(2), poll(2) or "
               "epoll_wait(2), at once.",
       .kernels = "since 5.14, but not before 6.1.175, 6.12.86 and 6.18.27 of their series (CVE-2026-46015)",
       .rows = {"WAKE-001"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("inet_csk_listen_stop()"),
                   Commit("tcp: call sk_data_ready() after listener migration")}});

CASE(MigratedConnection, WakesAThreadInAccept, Witnesses("tcp.wake.migrated_connection"),
     Needs(needs::kReusePort, needs::kMigration), Follows("migration_wakes_waiters"), Labels("tcp")) {
  ExpectWakes(Sleeper::InAccept(target()));
}

CASE(MigratedConnection, WakesAThreadInPoll, Witnesses("tcp.wake.migrated_connection"),
     Needs(needs::kReusePort, needs::kMigration), Follows("migration_wakes_waiters"), Labels("tcp")) {
  ExpectWakes(Sleeper::InPoll(target()));
}

struct Trigger {
  std::string name;
  uint32_t events;
};
const std::vector<Trigger> kTriggers = {{"level_triggered", 0}, {"edge_triggered", EPOLLET}};

MATRIX(MigratedConnection, WakesAWatcher, Trigger, kTriggers, Witnesses("tcp.wake.migrated_connection"),
       Needs(needs::kReusePort, needs::kMigration), Follows("migration_wakes_waiters"), Labels("tcp")) {
  const Watch watch(target(), row.events);
  ExpectWakes(Sleeper::InEpoll(watch));
}

CASE(MigratedConnection, OfAListenerThatWasShutDownWakesAWatcher, Witnesses("tcp.wake.migrated_connection"),
     Needs(needs::kReusePort, needs::kMigration), Follows("migration_wakes_waiters"), Labels("tcp")) {
  const Watch watch(target());
  const Sleeper sleeper = Sleeper::InEpoll(watch);

  EXPECT_THAT(closing_->Shutdown(SHUT_RDWR), Succeeds());

  EXPECT_THAT(Woken({&sleeper}), Gets(1));
}

}  // namespace
}  // namespace portshare
