// Which sockets get in each other's way when nobody asks to share?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using PortSpace = Case;

CLAIM({.id = "port.free_is_open_to_everyone",
       .says = "A TCP server can bind any unprivileged port that no socket holds, and listen on it.",
       .sources = {Man("bind(2), DESCRIPTION"), Kernel("inet_csk_get_port()")},
       .documents = {Stated("ES-02")}});

struct FreePort {
  std::string name;
  uint16_t port;
};
const std::vector<FreePort> kFreePorts = {
    {"lowest_unprivileged", 1024}, {"registered", 7777}, {"ephemeral", 40000}, {"highest", 65535}};

MATRIX(PortSpace, AFreePortCanBeServed, FreePort, kFreePorts, Witnesses("port.free_is_open_to_everyone"),
       Labels("tcp")) {
  Socket server = Tcp(Loopback4()).Made();

  EXPECT_THAT(server.Bind(row.port), Succeeds());
  EXPECT_THAT(server.Listen(), Succeeds());
}

CLAIM({.id = "port.taken_without_sharing",
       .says = "Without sharing flags a second socket of the same protocol cannot bind an address and port in use.",
       .rows = {"TUP-003", "TUP-004"},
       .sources = {Man("bind(2), ERRORS, EADDRINUSE"), Kernel("inet_csk_get_port()"), Kernel("udp_lib_get_port()")}});

CASE(PortSpace, AListenersPortIsTaken, Witnesses("port.taken_without_sharing"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(PortSpace, AUdpPortIsTaken, Witnesses("port.taken_without_sharing"), Labels("udp")) {
  const Socket holder = Udp(Loopback4()).Bound(port());

  EXPECT_THAT(Udp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "port.free_on_another_address",
       .says = "A port that is taken on one specific address stays free on every other specific address of the host.",
       .rows = {"TUP-002", "TUP-004"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_get_port()")},
       .documents = {Stated("ES-03")}});

CASE(PortSpace, AnotherAddressCanListenOnAPortInUse, Witnesses("port.free_on_another_address"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4(1)).Bound(port()).Listening();
  Socket newcomer = Tcp(Loopback4(2)).Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(PortSpace, AnotherAddressHasTheUdpPortFree, Witnesses("port.free_on_another_address"), Labels("udp")) {
  const Socket holder = Udp(Loopback4(1)).Bound(port());

  EXPECT_THAT(Udp(Loopback4(2)).Bind(port()), Succeeds());
}

CLAIM({.id = "port.tcp_and_udp_are_apart",
       .says = "TCP and UDP have ports of their own: what one holds, even listening, the other can bind.",
       .rows = {"TUP-001"},
       .sources = {Kernel("inet_csk_get_port()"), Kernel("udp_lib_get_port()")},
       .documents = {Stated("ES-04")}});

CASE(PortSpace, UdpBindsAPortThatTcpHolds, Witnesses("port.tcp_and_udp_are_apart"), Labels("tcp", "udp")) {
  Socket holder = Tcp(Loopback4()).Bound(port());

  EXPECT_THAT(Udp(Loopback4()).Bind(port()), Succeeds());
  EXPECT_THAT(holder.Listen(), Succeeds());
  EXPECT_THAT(Udp(Loopback4()).Bind(port()), Succeeds());
}

CASE(PortSpace, TcpListensOnAPortThatUdpHolds, Witnesses("port.tcp_and_udp_are_apart"), Labels("tcp", "udp")) {
  const Socket holder = Udp(Loopback4()).Bound(port());
  Socket newcomer = Tcp(Loopback4()).Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(PortSpace, TheOtherProtocolHelpsOnlyWhereItsPortIsFree, Witnesses("port.tcp_and_udp_are_apart"),
     Labels("tcp", "udp")) {
  const Socket tcp_holder = Tcp(Loopback4()).Bound(port());
  const Socket udp_holder = Udp(Loopback4()).Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Udp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "port.udplite_is_apart",
       .says = "UDP-Lite has ports of its own, apart from those of UDP.",
       .kernels = "until 7.1; 7.2 removed UDP-Lite",
       .rows = {"TUP-005"},
       .sources = {Kernel("udp_lib_get_port()")}});

CASE(PortSpace, UdpLiteBindsAPortThatUdpHolds, Witnesses("port.udplite_is_apart"), Needs(needs::kUdpLite),
     Labels("udp")) {
  const Socket holder = Udp(Loopback4()).Bound(port());

  EXPECT_THAT(UdpLite(Loopback4()).Bind(port()), Succeeds());
}

CLAIM({.id = "port.mptcp_shares_with_tcp",
       .says = "MPTCP and TCP share one set of ports: each finds taken what the other holds.",
       .kernels = "wherever MPTCP is built",
       .rows = {"TUP-006"},
       .sources = {Kernel("inet_csk_get_port()")}});

CASE(PortSpace, MptcpFindsATcpPortTaken, Witnesses("port.mptcp_shares_with_tcp"), Needs(needs::kMptcp), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());

  EXPECT_THAT(Mptcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(PortSpace, TcpFindsAnMptcpPortTaken, Witnesses("port.mptcp_shares_with_tcp"), Needs(needs::kMptcp),
     Labels("tcp")) {
  const Socket holder = Mptcp(Loopback4()).Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "port.each_namespace_has_its_own",
       .says = "Two network namespaces never compete for a port, even when both listen on one address and port.",
       .rows = {"TUP-007"},
       .sources = {Man("network_namespaces(7), DESCRIPTION"), Kernel("inet_csk_get_port()")}});

CASE(PortSpace, AnotherNamespaceCanListenOnTheSamePort, Witnesses("port.each_namespace_has_its_own"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).Bound(port()).Listening();
  const PrivateNetwork elsewhere;
  Socket newcomer = Tcp(Loopback4()).Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CLAIM({.id = "port.zero_lets_the_kernel_choose",
       .says = "bind() to port 0 takes a free port from net.ipv4.ip_local_port_range.",
       .rows = {"TUP-008"},
       .sources = {Man("ip(7), ip_local_port_range"), Kernel("inet_csk_find_open_port()")}});

CASE(PortSpace, PortZeroMeansAnyPortOfTheLocalRange, Witnesses("port.zero_lets_the_kernel_choose"),
     Needs(needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "41000 41000"), Succeeds());
  Socket server = Tcp(Loopback4()).Made();

  EXPECT_THAT(server.Bind(0), Succeeds());
  EXPECT_THAT(server.LocalName(), Is("127.0.0.1:41000"));
  EXPECT_THAT(server.Listen(), Succeeds());
}

CLAIM({.id = "port.postponed_until_listen",
       .says = "With IP_BIND_ADDRESS_NO_PORT a bind() to port 0 takes no port; listen() takes one on that address.",
       .kernels = "since 4.2",
       .rows = {"MISC-005"},
       .sources = {Man("ip(7), IP_BIND_ADDRESS_NO_PORT"), Kernel("__inet_bind()"), Kernel("inet_csk_listen_start()")}});

CASE(PortSpace, ListenTakesThePortThatBindPostponed, Witnesses("port.postponed_until_listen"), Needs(needs::kSysctl),
     Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "41000 41000"), Succeeds());
  Socket server = Tcp(Loopback4()).Set(so::kBindAddressNoPort).Made();

  EXPECT_THAT(server.Bind(0), Succeeds());
  EXPECT_THAT(server.LocalName(), Is("127.0.0.1:0"));
  EXPECT_THAT(server.Listen(), Succeeds());
  EXPECT_THAT(server.LocalName(), Is("127.0.0.1:41000"));
}

CLAIM({.id = "port.bound_once",
       .says = "A bound socket cannot be bound again, neither to another port nor to its own.",
       .rows = {"TUP-009"},
       .sources = {Man("bind(2), ERRORS, EINVAL"), Kernel("__inet_bind()")}});

CASE(PortSpace, ABoundSocketCannotBeBoundAgain, Witnesses("port.bound_once"), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).Bound(port());

  EXPECT_THAT(holder.Bind(port() + 1), FailsWith(EINVAL));
  EXPECT_THAT(holder.Bind(port()), FailsWith(EINVAL));
}

CLAIM({.id = "port.foreign_address_leaves_no_trace",
       .says = "bind() to an address that is not the host's fails and leaves the socket as it was.",
       .rows = {"TUP-010"},
       .sources = {Man("bind(2), ERRORS, EADDRNOTAVAIL"), Kernel("__inet_bind()")}});

CASE(PortSpace, AfterAForeignAddressTheSocketCanStillBeBound, Witnesses("port.foreign_address_leaves_no_trace"),
     Labels("tcp")) {
  Socket newcomer = Tcp(Loopback4()).Made();

  EXPECT_THAT(newcomer.BindTo(Address("10.55.0.1"), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(newcomer.LocalName(), Is("0.0.0.0:0"));
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
}

CLAIM({.id = "port.refused_socket_stays_usable",
       .says = "A socket whose bind() was refused with EADDRINUSE can bind another port and listen there.",
       .rows = {"TUP-011"},
       .sources = {Man("bind(2), ERRORS, EADDRINUSE"), Kernel("__inet_bind()")}});

CASE(PortSpace, ARefusedSocketCanTakeAnotherPort, Witnesses("port.refused_socket_stays_usable"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());
  Socket newcomer = Tcp(Loopback4()).Made();

  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(newcomer.Bind(port() + 1), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CLAIM({.id = "port.listen_binds_the_wildcard",
       .says = "listen() on an unbound socket takes a port on every address of the host.",
       .rows = {"MISC-002"},
       .sources = {Man("ip(7), DESCRIPTION"), Kernel("inet_csk_listen_start()")}});

struct Place {
  std::string name;
  Address address;
};
const std::vector<Place> kPlaces = {{"wildcard", Any4()}, {"loopback", Loopback4()}};

MATRIX(PortSpace, ListenWithoutBindTakesEveryAddress, Place, kPlaces, Witnesses("port.listen_binds_the_wildcard"),
       Labels("tcp")) {
  const Socket holder = Tcp(Any4()).Made().Listening();

  EXPECT_THAT(Tcp(row.address).Bind(holder.Port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "port.sending_binds_udp",
       .says = "An unbound UDP socket that sends gets a port on the wildcard and cannot be bound any more.",
       .rows = {"MISC-006"},
       .sources = {Man("udp(7), DESCRIPTION"), Kernel("inet_autobind()"), Kernel("__inet_bind()")}});

CASE(PortSpace, AUdpSocketThatSentIsBound, Witnesses("port.sending_binds_udp"), Needs(needs::kSysctl), Labels("udp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "41000 41000"), Succeeds());
  Socket sender = Udp(Loopback4()).Made();

  EXPECT_THAT(sender.SendTo(Loopback4(), 9), Is(1));
  EXPECT_THAT(sender.LocalName(), Is("0.0.0.0:41000"));
  EXPECT_THAT(sender.Bind(port()), FailsWith(EINVAL));
}

}  // namespace
}  // namespace portshare
