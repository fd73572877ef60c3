// Can several instances of a server run side by side on one port?
#include "harness/case.h"
#include "harness/crowd.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using ServerInstances = Case;

CLAIM({.id = "server.one_option_is_enough",
       .says = "Setting SO_REUSEPORT to 1 right before bind() is all that a simple server needs to share its port.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-001"},
       .sources = {Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("ES-20")}});

CASE(ServerInstances, TwoSimpleServersDoNotShareUnasked, Witnesses("server.one_option_is_enough")) {
  const Socket first = Tcp(Any4()).Bound(port()).Listening();

  EXPECT_THAT(Tcp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(ServerInstances, OneOptionBeforeBindIsEnough, Witnesses("server.one_option_is_enough"), Needs(needs::kReusePort)) {
  Socket first = Tcp(Any4()).Made();
  EXPECT_THAT(first.Set(so::kReusePort, 1), Succeeds());
  EXPECT_THAT(first.Bind(port()), Succeeds());
  EXPECT_THAT(first.Listen(), Succeeds());
  Socket second = Tcp(Any4()).Made();
  EXPECT_THAT(second.Set(so::kReusePort, 1), Succeeds());
  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(second.Listen(), Succeeds());

  EXPECT_THAT(ConnectionsOver({&first, &second}, EnoughToReach(2), Loopback4(), port()), ReachesEach(EnoughToReach(2)));
}

CLAIM({.id = "server.processes_listen_side_by_side",
       .says = "Several processes of one owner listen on one address and port at the same time, each by a listener of "
               "its own, and each of them gets connections.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-001"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Commit("c617f398edd4 soreuseport: TCP/IPv4 implementation"),
                   Commit("5ba24953e970 soreuseport: TCP/IPv6 implementation")},
       .documents = {Stated("ES-21"), Stated("EN-04"), Stated("EN-14")}});

struct OneAddress {
  std::string name;
  Address bound;
  Address reached;
  CaseFacts facts = {};
};

const std::vector<OneAddress> kAddresses = {
    {"any4", Any4(), Loopback4()},
    {"loopback4", Loopback4(), Loopback4()},
    {"any6", Any6(), Loopback6(), Needs(needs::kIpv6)},
    {"loopback6", Loopback6(), Loopback6(), Needs(needs::kIpv6)},
};

MATRIX(ServerInstances, EveryProcessServes, OneAddress, kAddresses, Witnesses("server.processes_listen_side_by_side"),
       Needs(needs::kReusePort)) {
  constexpr int kProcesses = 3;
  Crowd instances = Crowd::Listening(Tcp(row.bound).ReusePort(), port(), kProcesses, kProcesses);

  EXPECT_THAT(ConnectionsOver(instances, EnoughToReach(kProcesses), row.reached, port()),
              ReachesEach(EnoughToReach(kProcesses)));
}

CASE(ServerInstances, OneMoreMayStartBesideTheOthers, Witnesses("server.processes_listen_side_by_side"),
     Needs(needs::kReusePort)) {
  const SocketSpec listener = Tcp(Any4()).ReusePort();
  const Crowd instances = Crowd::Listening(listener, port(), 3, 3);
  Socket one_more = listener.Made();

  EXPECT_THAT(one_more.Bind(port()), Succeeds());
  EXPECT_THAT(one_more.Listen(), Succeeds());
}

CASE(ServerInstances, NoneMayStartBesideTheOthersWithoutTheOption, Witnesses("server.processes_listen_side_by_side"),
     Needs(needs::kReusePort)) {
  const Crowd instances = Crowd::Listening(Tcp(Any4()).ReusePort(), port(), 3, 3);

  EXPECT_THAT(Tcp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "server.port_80_with_several_listeners",
       .says = "A web server may have several listeners on port 80, one for each of its threads, and each of them gets "
               "connections.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-001"},
       .sources = {Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("TH-05")}});

CASE(ServerInstances, Port80HasAListenerForEveryThread, Witnesses("server.port_80_with_several_listeners"),
     Needs(needs::kReusePort, needs::kNetBindService)) {
  const SocketSpec listener = Tcp(Any4()).ReusePort();
  Socket first = listener.Bound(80).Listening();
  Socket second = listener.Bound(80).Listening();
  Socket third = listener.Bound(80).Listening();
  Socket fourth = listener.Bound(80).Listening();

  EXPECT_THAT(ConnectionsOver({&first, &second, &third, &fourth}, EnoughToReach(4), Loopback4(), 80),
              ReachesEach(EnoughToReach(4)));
}

CLAIM({.id = "reuseport.for_tcp_and_udp_of_both_families",
       .says = "With SO_REUSEPORT several sockets bind one and the same address, for TCP and for UDP, on IPv4 and on "
               "IPv6.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEPORT"), Commit("c617f398edd4 soreuseport: TCP/IPv4 implementation"),
                   Commit("5ba24953e970 soreuseport: TCP/IPv6 implementation"),
                   Commit("ba418fa357a7 soreuseport: UDP/IPv4 implementation"),
                   Commit("72289b96c943 soreuseport: UDP/IPv6 implementation")},
       .documents = {Stated("ES-14"), Stated("EN-02"), Stated("TH-19")}});

struct OneProtocol {
  std::string name;
  SocketSpec spec;
  CaseFacts facts = {};
};

const std::vector<OneProtocol> kProtocols = {
    {"tcp4", Tcp(Loopback4())},
    {"tcp6", Tcp(Loopback6()), Needs(needs::kIpv6)},
    {"udp4", Udp(Loopback4())},
    {"udp6", Udp(Loopback6()), Needs(needs::kIpv6)},
};

MATRIX(ServerInstances, SeveralBindOneAddress, OneProtocol, kProtocols,
       Witnesses("reuseport.for_tcp_and_udp_of_both_families"), Needs(needs::kReusePort)) {
  const Socket first = row.spec.ReusePort().Bound(port());
  Socket second = row.spec.ReusePort().Made();
  Socket third = row.spec.ReusePort().Made();

  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(third.Bind(port()), Succeeds());
}

MATRIX(ServerInstances, NobodyBindsTheAddressTwiceUnasked, OneProtocol, kProtocols,
       Witnesses("reuseport.for_tcp_and_udp_of_both_families")) {
  const Socket first = row.spec.Bound(port());

  EXPECT_THAT(row.spec.Bind(port()), FailsWith(EADDRINUSE));
}

CASE(ServerInstances, UdpServersShareDatagrams, Witnesses("reuseport.for_tcp_and_udp_of_both_families"),
     Needs(needs::kReusePort)) {
  Socket first = Udp(Any4()).ReusePort().Bound(port());
  Socket second = Udp(Any4()).ReusePort().Bound(port());

  EXPECT_THAT(DatagramsOver({&first, &second}, EnoughToReach(2), Loopback4(), port()), ReachesEach(EnoughToReach(2)));
}

}  // namespace
}  // namespace portshare
