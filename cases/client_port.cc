// Which local port does a TCP client get, whom does it share it with, and when is none left?
#include "cases/local_ports.h"
#include "cases/rows.h"

namespace portshare {
namespace {

class ClientPort : public LocalPorts {
 protected:
  // A client that takes its address with bind(2) and its port with connect(2).
  static SocketSpec Postponed(const Address& address) { return Tcp(address).Set(so::kBindAddressNoPort); }
};

CLAIM({.id = "client_port.begins_with_the_same_parity",
       .says = "connect(2) gives a TCP client a port of the same parity as the first of net.ipv4.ip_local_port_range "
               "while one is free for the connection, and only then one of the other.",
       .kernels = "since 4.6",
       .rows = {"EPH-002"},
       .sources = {Kernel("__inet_hash_connect()"),
                   Commit("1580ab63fc9a tcp/dccp: better use of ephemeral ports in connect()"),
                   KernelDoc("networking/ip-sysctl.rst, ip_local_port_range")}});

struct Range {
  std::string name;
  uint16_t first;
  std::string preferred;
  std::string all;
};
const std::vector<Range> kRanges = {
    {"from_even", 40000, "40000/40002/40004/40006", "40000/40001/40002/40003/40004/40005/40006/40007"},
    {"from_odd", 40001, "40001/40003/40005/40007", "40001/40002/40003/40004/40005/40006/40007/40008"},
};

MATRIX(ClientPort, BeginsWithTheSameParity, Range, kRanges, Witnesses("client_port.begins_with_the_same_parity"),
       Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(row.first, static_cast<uint16_t>(row.first + 7));
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  std::vector<Socket> clients = Clients(Tcp(Loopback4()), 4, Loopback4(), port());
  EXPECT_THAT(PortsOf(clients), Is(row.preferred));

  for (Socket& more : Clients(Tcp(Loopback4()), 4, Loopback4(), port())) clients.push_back(std::move(more));
  EXPECT_THAT(PortsOf(clients), Is(row.all));
}

CLAIM({.id = "client_port.shared_by_destination",
       .says = "connect(2) gives clients of different servers one port, and clients of one server different ones: "
               "EADDRNOTAVAIL when each port has a connection to that server.",
       .rows = {"EPH-008"},
       .sources = {Man("connect(2), ERRORS, EADDRNOTAVAIL"), Kernel("__inet_hash_connect()"),
                   Kernel("__inet_check_established()")}});

CASE(ClientPort, IsSharedByDestination, Witnesses("client_port.shared_by_destination"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(2);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOther).Listening();

  const std::vector<Socket> clients = Clients(Tcp(Loopback4()), 2, Loopback4(), port());
  EXPECT_THAT(PortsOf(clients), Is("40000/40001"));
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(PortsOf(Clients(Tcp(Loopback4()), 2, Loopback4(), kOther)), Is("40000/40001"));
}

CLAIM({.id = "client_port.taken_for_bind_on_its_address",
       .says = "The ports of clients are taken for bind(2) to port 0 on their own address, and on no other.",
       .rows = {"EPH-008"},
       .sources = {Kernel("inet_csk_find_open_port(), inet_csk_bind_conflict()")}});

CASE(ClientPort, IsTakenForBindOnItsAddress, Witnesses("client_port.taken_for_bind_on_its_address"),
     Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(2);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const std::vector<Socket> clients = Clients(Tcp(Loopback4()), 2, Loopback4(), port());

  EXPECT_THAT(Tcp(Loopback4()).Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Any4()).Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4(3)).Bind(0), Succeeds());
}

CLAIM(
    {.id = "client_port.never_a_bound_one",
     .says = "connect(2) gives no port that a socket holds by bind(2), though it is bound on another address than the "
             "client's and has no connection there.",
     .rows = {"EPH-009"},
     .sources = {Kernel("__inet_hash_connect(), fastreuse")}});

CASE(ClientPort, IsNeverABoundOne, Witnesses("client_port.never_a_bound_one"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(2);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const std::vector<Socket> holders = BoundByChoice(Tcp(Loopback4()), 2);
  Socket elsewhere = Postponed(Loopback4(9)).Bound(0);

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(elsewhere.Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
}

CLAIM({.id = "client_port.postponed_is_shared",
       .says = "With IP_BIND_ADDRESS_NO_PORT a client that is bound to port 0 has no port until connect(2), which then "
               "gives it one that it shares with clients of other servers.",
       .kernels = "since 4.2",
       .rows = {"EPH-010"},
       .sources = {Man("ip(7), IP_BIND_ADDRESS_NO_PORT"), Kernel("__inet_bind()"), Kernel("__inet_hash_connect()")}});

CASE(ClientPort, PostponedIsSharedByDestination, Witnesses("client_port.postponed_is_shared"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOther).Listening();
  Socket client = Postponed(Loopback4()).Bound(0);
  Socket second = Postponed(Loopback4()).Bound(0);

  EXPECT_THAT(client.LocalName(), Is("127.0.0.1:0"));
  EXPECT_THAT(client.Connect(Loopback4(), port()), Succeeds());
  EXPECT_THAT(client.LocalName(), Is("127.0.0.1:40000"));
  EXPECT_THAT(second.Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(second.Connect(Loopback4(), kOther), Succeeds());
}

CASE(ClientPort, TakenByBindIsNotShared, Witnesses("client_port.postponed_is_shared"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOther).Listening();
  const Socket client = Tcp(Loopback4()).Bound(0).ConnectedTo(Loopback4(), port());

  EXPECT_THAT(Tcp(Loopback4()).Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(Postponed(Loopback4()).Bound(0).Connect(Loopback4(), kOther), FailsWith(EADDRNOTAVAIL));
}

CLAIM({.id = "client_port.of_the_sockets_own_range",
       .says = "IP_LOCAL_PORT_RANGE narrows what connect(2) gives a socket to that part of the range, until "
               "EADDRNOTAVAIL; bind(2) to port 0 finds these ports taken.",
       .kernels = "since 6.3; 6.1.y too",
       .rows = {"EPH-011"},
       .sources = {Man("ip(7), IP_LOCAL_PORT_RANGE"),
                   Kernel("inet_sk_get_local_port_range(), __inet_hash_connect()")}});

CASE(ClientPort, ComesFromTheSocketsOwnRange, Witnesses("client_port.of_the_sockets_own_range"),
     Needs(needs::kLocalPortRange, needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(100);
  const SocketSpec narrow = Tcp(Loopback4()).LocalPorts(40050, 40051);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const std::vector<Socket> clients = Clients(narrow, 2, Loopback4(), port());

  EXPECT_THAT(PortsOf(clients), Is("40050/40051"));
  EXPECT_THAT(narrow.Made().Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(narrow.Bind(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), Succeeds());
}

CLAIM(
    {.id = "client_port.named_is_shared_by_destination",
     .says = "Clients that are bound to one port by a common option connect to different servers; a second connection "
             "to one server is EADDRNOTAVAIL.",
     .rows = {"EPH-012", "EPH-013"},
     .sources = {Man("connect(2), ERRORS, EADDRNOTAVAIL"), Kernel("__inet_check_established()")}});

MATRIX(ClientPort, NamedIsSharedByDestination, SharingRow, kSharings,
       Witnesses("client_port.named_is_shared_by_destination"), Labels("tcp")) {
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOther).Listening();
  const SocketSpec spec = Tcp(Loopback4()).Asking(row.sharing);
  const Socket client = spec.Bound(9001).ConnectedTo(Loopback4(), port());
  Socket second = spec.Made();

  EXPECT_THAT(second.Bind(9001), Succeeds());
  EXPECT_THAT(second.Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(second.Connect(Loopback4(), kOther), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(9001), FailsWith(EADDRINUSE));
}

CLAIM({.id = "client_port.blocks_a_server",
       .says = "A client's automatic port refuses a server on the client's address, unless both have SO_REUSEADDR, or "
               "both SO_REUSEPORT and one owner; set late, the client's option counts too.",
       .rows = {"EPH-014", "EPH-015", "EPH-016"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

struct Server {
  std::string name;
  Sharing client;
  Sharing server;
  CaseFacts facts = {};
};
const std::vector<Server> kRefused = {
    {"none_beside_none", Sharing::kNone, Sharing::kNone},
    {"reuseaddr_beside_none", Sharing::kNone, Sharing::kReuseAddr},
    {"none_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kNone},
    {"reuseport_beside_none", Sharing::kNone, Sharing::kReusePort, Needs(needs::kReusePort)},
    {"reuseport_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kReusePort, Needs(needs::kReusePort)},
    {"reuseaddr_beside_reuseport", Sharing::kReusePort, Sharing::kReuseAddr, Needs(needs::kReusePort)},
};
const std::vector<Server> kLetIn = {
    {"reuseaddr_beside_reuseaddr", Sharing::kReuseAddr, Sharing::kReuseAddr},
    {"reuseport_beside_reuseport", Sharing::kReusePort, Sharing::kReusePort, Needs(needs::kReusePort)},
};

MATRIX(ClientPort, RefusesAServer, Server, kRefused, Witnesses("client_port.blocks_a_server"),
       Labels("tcp", "automatic_port")) {
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket client = Tcp(Loopback4()).Asking(row.client).Made().ConnectedTo(Loopback4(), port());

  EXPECT_THAT(Tcp(Loopback4()).Asking(row.server).Bind(client.Port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4(2)).Asking(row.server).Bind(client.Port()), Succeeds());
}

MATRIX(ClientPort, LetsAServerIn, Server, kLetIn, Witnesses("client_port.blocks_a_server"),
       Labels("tcp", "automatic_port")) {
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket client = Tcp(Loopback4()).Asking(row.client).Made().ConnectedTo(Loopback4(), port());
  Socket newcomer = Tcp(Loopback4()).Asking(row.server).Made();

  EXPECT_THAT(newcomer.Bind(client.Port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(ClientPort, LetsAServerInByALateOption, Witnesses("client_port.blocks_a_server"),
     Labels("tcp", "automatic_port")) {
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());
  Socket newcomer = Tcp(Loopback4()).ReuseAddr().Made();
  EXPECT_THAT(newcomer.Bind(client.Port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(client.Set(so::kReuseAddr), Succeeds());
  EXPECT_THAT(newcomer.Bind(client.Port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(ClientPort, RefusesAnotherOwnersServer, Witnesses("client_port.blocks_a_server"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp", "automatic_port")) {
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const SocketSpec spec = Tcp(Loopback4()).ReusePort();
  const Socket client = spec.OwnedBy(Alice()).Made().ConnectedTo(Loopback4(), port());

  EXPECT_THAT(spec.OwnedBy(Bob()).Bind(client.Port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(spec.OwnedBy(Alice()).Bind(client.Port()), Succeeds());
}

CLAIM(
    {.id = "client_port.shared_by_families",
     .says = "Clients over IPv4 and over IPv6 share a port, to one dual-stack server too; an IPv4-mapped address is an "
             "IPv4 destination; on that port each family's client refuses a server of its own address.",
     .rows = {"EPH-029"},
     .sources = {Man("ipv6(7), DESCRIPTION"), Kernel("__inet6_check_established(), inet_rcv_saddr_equal()")}});

CASE(ClientPort, IsSharedByFamilies, Witnesses("client_port.shared_by_families"), Needs(needs::kIpv6, needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Any6()).DualStack().Bound(port()).Listening();
  Socket over6 = Tcp(Any6()).Made();
  Socket over4 = Tcp(Any4()).Made();

  EXPECT_THAT(over6.Connect(Loopback6(), port()), Succeeds());
  EXPECT_THAT(over4.Connect(Loopback4(), port()), Succeeds());
  EXPECT_THAT(Tcp(Any6()).Made().Connect(MappedLoopback(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Tcp(Any4()).Bind(kFirst), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Any6()).V6Only().Bind(kFirst), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Any6()).DualStack().Bind(kFirst), FailsWith(EADDRINUSE));
}

CLAIM({.id = "client_port.may_be_its_destination",
       .says = "A client that connects to a port of the range on which nobody listens may get that very port, and is "
               "then connected to itself.",
       .rows = {"EPH-025"},
       .sources = {Rfc("RFC 9293, 3.5 Establishing a Connection"), Kernel("tcp_rcv_synsent_state_process()")}});

CASE(ClientPort, MayBeItsDestination, Witnesses("client_port.may_be_its_destination"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(1);
  Socket client = Tcp(Loopback4()).Made();

  EXPECT_THAT(client.Connect(Loopback4(), kFirst), Succeeds());
  EXPECT_THAT(client.LocalName(), Is("127.0.0.1:40000"));
  EXPECT_THAT(client.State(), Is("ESTABLISHED"));
  EXPECT_THAT(client.Send("to myself"), Is(9));
  EXPECT_THAT(client.Receive(), Is("to myself"));
}

CASE(ClientPort, OfAnotherParityIsNotItsDestination, Witnesses("client_port.may_be_its_destination"),
     Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(2);

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), kFirst + 1), FailsWith(ECONNREFUSED));
}

}  // namespace
}  // namespace portshare
