// Which port does bind(2) or listen(2) get from the kernel, and when is none left?
#include "cases/local_ports.h"
#include "cases/rows.h"

namespace portshare {
namespace {

using AutomaticPort = LocalPorts;

CLAIM({.id = "port.automatic.bind_begins_with_the_other_parity",
       .says = "A TCP socket that is bound to port 0 gets a port of other parity than the first of "
               "net.ipv4.ip_local_port_range while one is free, and only then one of the same.",
       .kernels = "since 4.6",
       .rows = {"EPH-001"},
       .sources = {Kernel("inet_csk_find_open_port()"),
                   Commit("ea8add2b1903 tcp/dccp: better use of ephemeral ports in bind()"),
                   KernelDoc("networking/ip-sysctl.rst, ip_local_port_range")}});

struct Range {
  std::string name;
  SocketSpec spec;
  uint16_t first;
  std::string preferred;
  std::string all;
};
const std::vector<Range> kRanges = {
    {"from_even", Tcp(Loopback4()), 40000, "40001/40003/40005/40007",
     "40000/40001/40002/40003/40004/40005/40006/40007"},
    {"from_odd", Tcp(Loopback4()), 40001, "40002/40004/40006/40008", "40001/40002/40003/40004/40005/40006/40007/40008"},
    {"wildcard", Tcp(Any4()), 40000, "40001/40003/40005/40007", "40000/40001/40002/40003/40004/40005/40006/40007"},
};

MATRIX(AutomaticPort, OfBindBeginsWithTheOtherParity, Range, kRanges,
       Witnesses("port.automatic.bind_begins_with_the_other_parity"), Needs(needs::kSysctl),
       Labels("tcp", "automatic_port")) {
  Offer(row.first, static_cast<uint16_t>(row.first + 7));
  std::vector<Socket> holders = BoundByChoice(row.spec, 4);
  EXPECT_THAT(PortsOf(holders), Is(row.preferred));

  for (Socket& more : BoundByChoice(row.spec, 4)) holders.push_back(std::move(more));
  EXPECT_THAT(PortsOf(holders), Is(row.all));
}

CLAIM(
    {.id = "port.automatic.reuseaddr_begins_with_the_lower_half",
     .says = "A TCP socket with SO_REUSEADDR that is bound to port 0 gets a port of the lower half of the range while "
             "one is free, and leaves the upper half to the others.",
     .kernels = "since 4.6",
     .rows = {"EPH-001", "EPH-004"},
     .sources = {Kernel("inet_csk_find_open_port(), attempt_half")}});

CASE(AutomaticPort, OfAReuseaddrSocketComesFromTheLowerHalf,
     Witnesses("port.automatic.reuseaddr_begins_with_the_lower_half"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(8);
  const std::vector<Socket> lower = BoundByChoice(Tcp(Loopback4()).ReuseAddr(), 4);
  EXPECT_THAT(PortsOf(lower), Is("40000/40001/40002/40003"));

  EXPECT_THAT(PortsOf(BoundByChoice(Tcp(Loopback4()).ReuseAddr(), 4)), Is("40004/40005/40006/40007"));
}

CLAIM({.id = "port.automatic.exhausted_is_eaddrinuse",
       .says = "bind(2) to port 0 gives every port of the range once, then EADDRINUSE.",
       .rows = {"EPH-003"},
       .sources = {Man("bind(2), ERRORS, EADDRINUSE"), Kernel("inet_csk_find_open_port(), udp_lib_get_port()")}});

MATRIX(AutomaticPort, ExhaustedIsEaddrinuse, ProtocolRow, kProtocols,
       Witnesses("port.automatic.exhausted_is_eaddrinuse"), Needs(needs::kSysctl), Labels("automatic_port")) {
  Offer(4);
  const std::vector<Socket> holders = BoundByChoice(row.spec, 4);

  EXPECT_THAT(PortsOf(holders), Is("40000/40001/40002/40003"));
  EXPECT_THAT(row.spec.Bind(0), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "port.automatic.tcp_wastes_the_last_of_an_odd_range",
     .says = "Of a range of three ports TCP gives two of the kernel's choice and never the last; UDP gives all three.",
     .kernels = "since 4.6",
     .rows = {"EPH-003", "EPH-008"},
     .sources = {Kernel("inet_csk_find_open_port(), __inet_hash_connect(), udp_lib_get_port()"),
                 KernelDoc("networking/ip-sysctl.rst, ip_local_port_range")}});

CASE(AutomaticPort, NeverIsTheLastOfAnOddRangeForTcp, Witnesses("port.automatic.tcp_wastes_the_last_of_an_odd_range"),
     Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(3);
  const Socket server = Tcp(Loopback4(2)).Bound(port()).Listening();
  const std::vector<Socket> holders = BoundByChoice(Tcp(Loopback4()), 2);

  EXPECT_THAT(PortsOf(holders), Is("40000/40001"));
  EXPECT_THAT(Tcp(Loopback4()).Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(2), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Tcp(Loopback4()).Bind(40002), Succeeds());
}

CASE(AutomaticPort, MayBeTheLastOfAnOddRangeForUdp, Witnesses("port.automatic.tcp_wastes_the_last_of_an_odd_range"),
     Needs(needs::kSysctl), Labels("udp", "automatic_port")) {
  Offer(3);

  EXPECT_THAT(PortsOf(BoundByChoice(Udp(Loopback4()), 3)), Is("40000/40001/40002"));
}

CLAIM({.id = "port.automatic.exhausted_on_one_address",
       .says = "Where every port of the range is taken on one address, port 0 still gives one on another specific "
               "address, and none on the wildcard.",
       .rows = {"EPH-007"},
       .sources = {Kernel("inet_csk_bind_conflict(), udp_lib_get_port()")}});

MATRIX(AutomaticPort, IsLeftOnAnotherAddress, ProtocolRow, kProtocols,
       Witnesses("port.automatic.exhausted_on_one_address"), Needs(needs::kSysctl), Labels("automatic_port")) {
  Offer(2);
  const std::vector<Socket> holders = BoundByChoice(row.spec, 2);
  Socket elsewhere = row.spec.Made();
  Socket everywhere = row.spec.Made();

  EXPECT_THAT(elsewhere.BindTo(Loopback4(2), 0), Succeeds());
  EXPECT_THAT(everywhere.BindTo(Any4(), 0), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "port.automatic.tcp_does_not_share",
     .says = "bind(2) of a TCP socket to port 0 gives no port in use, whatever options the socket and the holders have "
             "in common.",
     .rows = {"EPH-004", "EPH-006"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, ip_autobind_reuse"),
                 Kernel("inet_csk_find_open_port(), inet_csk_bind_conflict()")}});

struct Options {
  std::string name;
  Sharing sharing;
  CaseFacts facts = {};
};
const std::vector<Options> kOptionsInCommon = {
    {"reuseaddr", Sharing::kReuseAddr},
    {"reuseport", Sharing::kReusePort, Needs(needs::kReusePort)},
    {"both", Sharing::kBoth, Needs(needs::kReusePort)},
};

MATRIX(AutomaticPort, OfTcpIsNotShared, Options, kOptionsInCommon, Witnesses("port.automatic.tcp_does_not_share"),
       Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(4);
  const SocketSpec spec = Tcp(Loopback4()).Asking(row.sharing);
  const std::vector<Socket> holders = BoundByChoice(spec, 4);

  EXPECT_THAT(PortsOf(holders), Is("40000/40001/40002/40003"));
  EXPECT_THAT(spec.Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(spec.Bind(40000), Succeeds());
}

CLAIM({.id = "port.automatic.shared_by_sysctl",
       .says = "With net.ipv4.ip_autobind_reuse, port 0 gives a TCP socket with SO_REUSEADDR a port that others hold "
               "with SO_REUSEADDR when no free one is left; a socket without it still gets EADDRINUSE.",
       .kernels = "since 5.7",
       .rows = {"EPH-004"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, ip_autobind_reuse"),
                   Commit("4b01a9674231 tcp: bind(0) remove the SO_REUSEADDR restriction when ephemeral ports are "
                          "exhausted")}});

CASE(AutomaticPort, OfTcpIsSharedWithReuseaddrBySysctl, Witnesses("port.automatic.shared_by_sysctl"),
     Needs(needs::kAutobindReuse), Labels("tcp", "automatic_port")) {
  Offer(4);
  Demand("ipv4/ip_autobind_reuse", "1");
  const SocketSpec sharer = Tcp(Loopback4()).ReuseAddr();
  const std::vector<Socket> holders = BoundByChoice(sharer, 4);
  EXPECT_THAT(PortsOf(holders), Is("40000/40001/40002/40003"));

  const Socket fifth = sharer.Bound(0);
  EXPECT_THAT(sharer.Bind(0), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(0), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "port.automatic.shared_by_sysctl_not_with_reuseport",
     .says = "net.ipv4.ip_autobind_reuse shares no port between TCP sockets of one owner that have SO_REUSEPORT, be it "
             "alone or beside SO_REUSEADDR; of two owners with both options it does.",
     .kernels = "since 5.7",
     .rows = {"EPH-004", "EPH-006"},
     .sources = {Commit("335759211a32 tcp: Forbid to bind more than one sockets haveing SO_REUSEADDR and SO_REUSEPORT "
                        "per EUID"),
                 Kernel("inet_csk_bind_conflict(), reuseport_ok")}});

struct Newcomer {
  std::string name;
  Sharing holders;
  Sharing newcomer;
};
const std::vector<Newcomer> kOfOneOwner = {
    {"reuseport_beside_reuseport", Sharing::kReusePort, Sharing::kReusePort},
    {"both_beside_reuseport", Sharing::kReusePort, Sharing::kBoth},
    {"both_beside_both", Sharing::kBoth, Sharing::kBoth},
};

MATRIX(AutomaticPort, OfTcpIsNotSharedWithReuseportBySysctl, Newcomer, kOfOneOwner,
       Witnesses("port.automatic.shared_by_sysctl_not_with_reuseport"), Needs(needs::kAutobindReuse, needs::kReusePort),
       Labels("tcp", "automatic_port")) {
  Offer(2);
  Demand("ipv4/ip_autobind_reuse", "1");
  const std::vector<Socket> holders = BoundByChoice(Tcp(Loopback4()).Asking(row.holders), 2);

  EXPECT_THAT(Tcp(Loopback4()).Asking(row.newcomer).Bind(0), FailsWith(EADDRINUSE));
}

CASE(AutomaticPort, OfTcpIsSharedBySysctlWithAnotherOwnersBothOptions,
     Witnesses("port.automatic.shared_by_sysctl_not_with_reuseport"),
     Needs(needs::kAutobindReuse, needs::kReusePort, needs::kSecondOwner), Labels("tcp", "automatic_port")) {
  Offer(2);
  Demand("ipv4/ip_autobind_reuse", "1");
  const SocketSpec both = Tcp(Loopback4()).Asking(Sharing::kBoth);
  const std::vector<Socket> holders = BoundByChoice(both.OwnedBy(Alice()), 2);

  EXPECT_THAT(both.OwnedBy(Bob()).Bind(0), Succeeds());
}

CLAIM(
    {.id = "port.automatic.never_a_listeners",
     .says = "With net.ipv4.ip_autobind_reuse, too, port 0 gives no port on which a socket listens, and of two sockets "
             "that were given one port only the first can listen.",
     .kernels = "since 5.7",
     .rows = {"EPH-005"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, ip_autobind_reuse"), Kernel("inet_csk_bind_conflict()"),
                 Kernel("inet_csk_listen_start()")}});

CASE(AutomaticPort, NeverIsAListeners, Witnesses("port.automatic.never_a_listeners"), Needs(needs::kAutobindReuse),
     Labels("tcp", "automatic_port")) {
  Offer(2);
  Demand("ipv4/ip_autobind_reuse", "1");
  const SocketSpec sharer = Tcp(Loopback4()).ReuseAddr();
  const Socket holder = sharer.Bound(0);
  const Socket listener = sharer.Bound(0).Listening();
  const std::string shared = Loopback4().text(holder.Port());

  Socket first = sharer.Bound(0);
  Socket second = sharer.Bound(0);
  EXPECT_THAT(first.LocalName(), Is(shared));
  EXPECT_THAT(second.LocalName(), Is(shared));
  EXPECT_THAT(second.Listen(), Succeeds());
  EXPECT_THAT(first.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(sharer.Bind(0), FailsWith(EADDRINUSE));
}

CLAIM({.id = "port.automatic.reserved_is_never_chosen",
       .says = "A port of net.ipv4.ip_local_reserved_ports is never the kernel's choice, and free to who names it.",
       .rows = {"EPH-020"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, ip_local_reserved_ports"),
                   Kernel("inet_is_local_reserved_port()")}});

MATRIX(AutomaticPort, ReservedIsNeverChosen, ProtocolRow, kProtocols,
       Witnesses("port.automatic.reserved_is_never_chosen"), Needs(needs::kSysctl), Labels("automatic_port")) {
  Offer(2);
  Demand("ipv4/ip_local_reserved_ports", "40000");
  Socket holder = row.spec.Made();

  EXPECT_THAT(holder.Bind(0), Succeeds());
  EXPECT_THAT(holder.LocalName(), Is("127.0.0.1:40001"));
  EXPECT_THAT(row.spec.Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(row.spec.Bind(40000), Succeeds());
}

CLAIM({.id = "port.automatic.of_the_sockets_own_range",
       .says = "IP_LOCAL_PORT_RANGE narrows what port 0 gives a socket to that part of the range, until EADDRINUSE.",
       .kernels = "since 6.3; 6.1.y too",
       .rows = {"EPH-011"},
       .sources = {Man("ip(7), IP_LOCAL_PORT_RANGE"), Kernel("inet_sk_get_local_port_range()")}});

MATRIX(AutomaticPort, ComesFromTheSocketsOwnRange, ProtocolRow, kProtocols,
       Witnesses("port.automatic.of_the_sockets_own_range"), Needs(needs::kLocalPortRange, needs::kSysctl),
       Labels("automatic_port")) {
  Offer(100);
  const SocketSpec narrow = row.spec.LocalPorts(40050, 40051);
  const std::vector<Socket> holders = BoundByChoice(narrow, 2);

  EXPECT_THAT(PortsOf(holders), Is("40050/40051"));
  EXPECT_THAT(narrow.Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(row.spec.Bind(0), Succeeds());
}

CLAIM({.id = "port.automatic.udp_has_two_errors",
       .says = "Where UDP has no port left, bind(2) to port 0 is EADDRINUSE, connect(2) and sendto(2) are EAGAIN.",
       .rows = {"EPH-021"},
       .sources = {Man("ip(7), BUGS"), Man("connect(2), ERRORS, EAGAIN"), Kernel("inet_autobind()")}});

CASE(AutomaticPort, OfUdpHasTwoErrors, Witnesses("port.automatic.udp_has_two_errors"), Needs(needs::kSysctl),
     Labels("udp", "automatic_port")) {
  Offer(1);
  const Socket holder = Udp(Loopback4()).Bound(0);

  EXPECT_THAT(Udp(Loopback4()).Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(Udp(Loopback4()).Made().Connect(Loopback4(), 9), FailsWith(EAGAIN));
  EXPECT_THAT(Udp(Loopback4()).Made().SendTo(Loopback4(), 9), FailsWith(EAGAIN));
}

CLAIM({.id = "port.automatic.of_listen_is_every_addresss",
       .says = "listen(2) on unbound sockets takes a port of its own for each, on every address of both families when "
               "the socket is a dual-stack one, until EADDRINUSE.",
       .rows = {"EPH-023"},
       .sources = {Man("listen(2), ERRORS, EADDRINUSE"), Kernel("inet_csk_listen_start()")}});

CASE(AutomaticPort, OfListenIsAnotherForEach, Witnesses("port.automatic.of_listen_is_every_addresss"),
     Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(2);
  std::vector<Socket> servers;
  servers.push_back(Tcp(Any4()).Made().Listening());
  servers.push_back(Tcp(Any4()).Made().Listening());

  EXPECT_THAT(PortsOf(servers), Is("40000/40001"));
  EXPECT_THAT(Tcp(Any4()).Made().Listen(), FailsWith(EADDRINUSE));
}

CASE(AutomaticPort, OfADualStackListenIsNeverOneOfIpv4, Witnesses("port.automatic.of_listen_is_every_addresss"),
     Needs(needs::kIpv6, needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(2);
  Socket first = Tcp(Any4()).Made().Listening();
  const Socket second = Tcp(Any4()).Made().Listening();
  const std::string freed = Any6().text(first.Port());
  Socket dual = Tcp(Any6()).DualStack().Made();
  EXPECT_THAT(dual.Listen(), FailsWith(EADDRINUSE));

  first.Close();
  EXPECT_THAT(dual.Listen(), Succeeds());
  EXPECT_THAT(dual.LocalName(), Is(freed));
}

}  // namespace
}  // namespace portshare
