// Do MPTCP listeners share a port as TCP's do, and with TCP's?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using MptcpSharing = Case;

CLAIM({.id = "mptcp.listeners_are_one_group_with_tcp",
       .says = "Listeners with SO_REUSEPORT share the connections of TCP clients whether they are MPTCP or TCP.",
       .kernels = "since 5.6",
       .rows = {"MPTCP-001", "MPTCP-002"},
       .sources = {Kernel("mptcp_listen()"), Kernel("inet_reuseport_add_sock()"), Rfc("RFC 8684")}});

struct Pair {
  std::string name;
  SocketSpec first, second;
};

const std::vector<Pair> kPairs = {
    {"mptcp_beside_mptcp", Mptcp(Loopback4()), Mptcp(Loopback4())},
    {"tcp_beside_mptcp", Mptcp(Loopback4()), Tcp(Loopback4())},
    {"mptcp_beside_tcp", Tcp(Loopback4()), Mptcp(Loopback4())},
};

MATRIX(MptcpSharing, SpreadsConnections, Pair, kPairs, Witnesses("mptcp.listeners_are_one_group_with_tcp"),
       Needs(needs::kReusePort, needs::kMptcp), Labels("mptcp")) {
  Socket first = row.first.ReusePort().Bound(port()).Listening();
  Socket second = row.second.ReusePort().Bound(port()).Listening();
  const int count = EnoughToReach(2);

  EXPECT_THAT(ConnectionsOver({&first, &second}, count, Loopback4(), port()), ReachesEach(count));
}

CLAIM({.id = "mptcp.reuseaddr_binds_and_one_listens",
       .says = "With SO_REUSEADDR an MPTCP and a TCP socket bind one address and port, and one of them listens.",
       .kernels = "since 5.6",
       .rows = {"MPTCP-003"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Man("socket(7), SO_REUSEADDR")}});

MATRIX(MptcpSharing, OfReuseaddrEndsWithAListener, Pair, kPairs, Witnesses("mptcp.reuseaddr_binds_and_one_listens"),
       Needs(needs::kMptcp), Labels("mptcp")) {
  Socket first = row.first.ReuseAddr().Bound(port());
  Socket second = row.second.ReuseAddr().Made();

  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(first.Listen(), Succeeds());
  EXPECT_THAT(second.Listen(), FailsWith(EADDRINUSE));
}

CLAIM({.id = "mptcp.owners_are_compared",
       .says = "An MPTCP socket with SO_REUSEPORT is refused beside a listener of another user, MPTCP or TCP.",
       .kernels = "since 5.6",
       .rows = {"MPTCP-004"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Man("socket(7), SO_REUSEPORT")}});

MATRIX(MptcpSharing, RefusesAnotherOwner, Pair, kPairs, Witnesses("mptcp.owners_are_compared"),
       Needs(needs::kReusePort, needs::kSecondOwner, needs::kMptcp), Labels("mptcp")) {
  const Socket holder = row.first.ReusePort().OwnedBy(Alice()).Bound(port()).Listening();

  EXPECT_THAT(row.second.ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(row.second.ReusePort().OwnedBy(Alice()).Bind(port()), Succeeds());
}

CLAIM({.id = "mptcp.option_set_late_counts",
       .says = "SO_REUSEPORT set on an MPTCP socket after its bind(2) lets a newcomer with the option in.",
       .kernels = "since 5.6",
       .rows = {"MPTCP-007"},
       .sources = {Kernel("mptcp_setsockopt_sol_socket()"), Kernel("inet_csk_bind_conflict()")}});

CASE(MptcpSharing, BeginsWhenTheHolderAsksLate, Witnesses("mptcp.option_set_late_counts"),
     Needs(needs::kReusePort, needs::kMptcp), Labels("mptcp")) {
  Socket holder = Mptcp(Loopback4()).Bound(port());
  const SocketSpec newcomer = Mptcp(Loopback4()).ReusePort();
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(holder.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
