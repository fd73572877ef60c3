// Who listens on a port that bind(2) gave to several for want of another?
#include "cases/local_ports.h"

namespace portshare {
namespace {

using AutomaticPortShared = LocalPorts;

CLAIM({.id = "port.automatic.shared_by_sysctl_one_listens",
       .says = "Of TCP sockets that got one port from net.ipv4.ip_autobind_reuse, whatever they have beside "
               "SO_REUSEADDR and whoever owns them, only the first that asks listens: none can take another's "
               "connections.",
       .kernels = "since 5.7",
       .rows = {"EPH-004", "EPH-005"},
       .sources = {Commit("335759211a32 tcp: Forbid to bind more than one sockets haveing SO_REUSEADDR and "
                          "SO_REUSEPORT per EUID"),
                   Kernel("inet_csk_bind_conflict(), inet_csk_listen_start()"),
                   KernelDoc("networking/ip-sysctl.rst, ip_autobind_reuse")}});

struct Two {
  std::string name;
  Sharing holder;
  Sharing newcomer;
  bool one_owner;
};

const std::vector<Two> kTwo = {
    {"one_owner_reuseaddr_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kReuseAddr, true},
    {"one_owner_both_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kBoth, true},
    {"one_owner_reuseaddr_beside_both", Sharing::kBoth, Sharing::kReuseAddr, true},
    {"two_owners_reuseaddr_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kReuseAddr, false},
    {"two_owners_both_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kBoth, false},
    {"two_owners_reuseaddr_beside_both", Sharing::kBoth, Sharing::kReuseAddr, false},
    {"two_owners_both_beside_both", Sharing::kBoth, Sharing::kBoth, false},
};

// The two of one port, once every port of the range is taken.
struct Pair {
  std::vector<Socket> holders;
  Socket newcomer;

  Socket& Beside() { return holders.front().Port() == newcomer.Port() ? holders.front() : holders.back(); }
};

Pair Bound(const Two& row) {
  std::vector<Socket> holders;
  for (int port = 0; port < 2; ++port) {
    holders.push_back(Tcp(Loopback4()).Asking(row.holder).OwnedBy(Alice()).Bound(0));
  }
  return {std::move(holders), Tcp(Loopback4()).Asking(row.newcomer).OwnedBy(row.one_owner ? Alice() : Bob()).Bound(0)};
}

MATRIX(AutomaticPortShared, IsTheHoldersWhoListensFirst, Two, kTwo,
       Witnesses("port.automatic.shared_by_sysctl_one_listens"),
       Needs(needs::kAutobindReuse, needs::kReusePort, needs::kSecondOwner), Labels("tcp", "automatic_port")) {
  Offer(2);
  Demand("ipv4/ip_autobind_reuse", "1");
  Pair pair = Bound(row);

  EXPECT_THAT(pair.Beside().Listen(), Succeeds());
  EXPECT_THAT(pair.newcomer.Listen(), FailsWith(EADDRINUSE));
}

MATRIX(AutomaticPortShared, IsTheNewcomersWhoListensFirst, Two, kTwo,
       Witnesses("port.automatic.shared_by_sysctl_one_listens"),
       Needs(needs::kAutobindReuse, needs::kReusePort, needs::kSecondOwner), Labels("tcp", "automatic_port")) {
  Offer(2);
  Demand("ipv4/ip_autobind_reuse", "1");
  Pair pair = Bound(row);

  EXPECT_THAT(pair.newcomer.Listen(), Succeeds());
  EXPECT_THAT(pair.Beside().Listen(), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
