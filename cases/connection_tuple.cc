// What tells one connection from another, and who gets its data?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/owner.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/links.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

using ConnectionTuple = Case;

constexpr uint16_t kClientPort = 9000;
constexpr uint16_t kServerPort = 7777;

CLAIM({.id = "connection.defined_by_its_tuple",
       .says = "Two connections between hosts differ in a source or destination address, in a source or destination "
               "port, or in the protocol; what agrees in all five can be had only once.",
       .sources = {Rfc("RFC 793, section 2.7"), Kernel("__inet_check_established()")},
       .documents = {Stated("ES-01")}});

// The one part in which a second connection differs from the first, tcp 127.0.0.1:9000 -> 127.0.0.1:7777.
struct Difference {
  std::string name;
  SocketSpec client;
  uint16_t client_port;
  Address server;
  uint16_t server_port;
};
const std::vector<Difference> kDifferences = {
    {"source_address", Tcp(Loopback4(2)).ReuseAddr(), kClientPort, Loopback4(1), kServerPort},
    {"source_port", Tcp(Loopback4(1)).ReuseAddr(), kClientPort + 1, Loopback4(1), kServerPort},
    {"destination_address", Tcp(Loopback4(1)).ReuseAddr(), kClientPort, Loopback4(2), kServerPort},
    {"destination_port", Tcp(Loopback4(1)).ReuseAddr(), kClientPort, Loopback4(1), kServerPort + 1},
    {"protocol", Udp(Loopback4(1)).ReuseAddr(), kClientPort, Loopback4(1), kServerPort}};

MATRIX(ConnectionTuple, OneDifferenceMakesAnotherConnection, Difference, kDifferences,
       Witnesses("connection.defined_by_its_tuple"), Labels("tcp")) {
  const Socket server = Tcp(Any4()).Bound(kServerPort).Listening();
  const Socket other_server = Tcp(Any4()).Bound(kServerPort + 1).Listening();
  const Socket first = Tcp(Loopback4()).ReuseAddr().Bound(kClientPort).ConnectedTo(Loopback4(), kServerPort);
  Socket second = row.client.Bound(row.client_port);

  EXPECT_THAT(second.Connect(row.server, row.server_port), Succeeds());
}

CASE(ConnectionTuple, TheSameTupleIsHadOnlyOnce, Witnesses("connection.defined_by_its_tuple"), Labels("tcp")) {
  const Socket server = Tcp(Any4()).Bound(kServerPort).Listening();
  const Socket first = Tcp(Loopback4()).ReuseAddr().Bound(kClientPort).ConnectedTo(Loopback4(), kServerPort);
  Socket second = Tcp(Loopback4()).ReuseAddr().Bound(kClientPort);

  EXPECT_THAT(second.Connect(Loopback4(), kServerPort), FailsWith(EADDRNOTAVAIL));
}

CLAIM(
    {.id = "connection.key_is_more_than_the_tuple",
     .says = "One and the same tuple can be had again in another network namespace, and one address and port again on "
             "another device: both belong to the key.",
     .rows = {"TUP-007"},
     .sources = {Man("network_namespaces(7), DESCRIPTION"), Man("socket(7), SO_BINDTODEVICE"),
                 Kernel("__inet_check_established(), inet_csk_bind_conflict()")},
     .documents = {Truth("ES-01")}});

CASE(ConnectionTuple, AnotherNamespaceHasTheSameTuple, Witnesses("connection.key_is_more_than_the_tuple"),
     Labels("tcp")) {
  const Socket server = Tcp(Loopback4()).Bound(kServerPort).Listening();
  const Socket client = Tcp(Loopback4()).Bound(kClientPort).ConnectedTo(Loopback4(), kServerPort);
  const PrivateNetwork elsewhere;
  const Socket other_server = Tcp(Loopback4()).Bound(kServerPort).Listening();
  Socket other_client = Tcp(Loopback4()).Bound(kClientPort);

  EXPECT_THAT(other_client.Connect(Loopback4(), kServerPort), Succeeds());
}

CASE(ConnectionTuple, AnotherDeviceHasTheSameAddressAndPort, Witnesses("connection.key_is_more_than_the_tuple"),
     Needs(needs::kVeth), Labels("tcp")) {
  AddVethPair("v0", "v1");
  const Socket server = Tcp(Any4()).Device("v0").Bound(kServerPort).Listening();
  Socket other_server = Tcp(Any4()).Device("v1").Made();

  EXPECT_THAT(other_server.Bind(kServerPort), Succeeds());
  EXPECT_THAT(other_server.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Device("v0").Bind(kServerPort), FailsWith(EADDRINUSE));
}

CLAIM({.id = "connection.tuple_finds_the_socket",
       .says = "Of several connections to one server port each segment reaches the socket of its own connection.",
       .sources = {Rfc("RFC 793, section 2.7"), Kernel("__inet_lookup_established()")},
       .documents = {Stated("ES-05")}});

CASE(ConnectionTuple, EachConnectionGetsItsOwnData, Witnesses("connection.tuple_finds_the_socket"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(kServerPort).Listening();
  Connection first = Established(listener, Loopback4(), kServerPort);
  Connection second = Established(listener, Loopback4(), kServerPort);

  EXPECT_THAT(second.client.Send("to the second"), Succeeds());
  EXPECT_THAT(first.client.Send("to the first"), Succeeds());
  EXPECT_THAT(first.server.Receive(), Is("to the first"));
  EXPECT_THAT(second.server.Receive(), Is("to the second"));
}

CLAIM({.id = "connection.socket_is_shared_by_descriptors",
       .says = "A connection leads to a socket, not to a process: a duplicated, passed or inherited descriptor reads "
               "the same data as the first.",
       .sources = {Man("dup(2), DESCRIPTION"), Man("fork(2), DESCRIPTION"), Man("unix(7), SCM_RIGHTS")},
       .documents = {Truth("ES-05")}});

CASE(ConnectionTuple, ADuplicateReadsTheSameConnection, Witnesses("connection.socket_is_shared_by_descriptors"),
     Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(kServerPort).Listening();
  Connection connection = Established(listener, Loopback4(), kServerPort);
  Socket duplicate = connection.server.Duplicated();

  EXPECT_THAT(connection.client.Send("for either"), Succeeds());
  EXPECT_THAT(duplicate.Receive(), Is("for either"));
  EXPECT_THAT(connection.client.Send("for the other"), Succeeds());
  EXPECT_THAT(connection.server.Receive(), Is("for the other"));
}

CASE(ConnectionTuple, APassedDescriptorReadsTheSameConnection, Witnesses("connection.socket_is_shared_by_descriptors"),
     Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(kServerPort).Listening();
  Connection connection = Established(listener, Loopback4(), kServerPort);
  Socket passed = connection.server.Passed();

  EXPECT_THAT(connection.client.Send("for either"), Succeeds());
  EXPECT_THAT(passed.Receive(), Is("for either"));
}

CASE(ConnectionTuple, ADuplicateReadsOnWhenTheFirstDescriptorIsClosed,
     Witnesses("connection.socket_is_shared_by_descriptors"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(kServerPort).Listening();
  Connection connection = Established(listener, Loopback4(), kServerPort);
  Socket duplicate = connection.server.Duplicated();

  connection.server.Close();
  EXPECT_THAT(connection.client.Send("for the duplicate"), Succeeds());
  EXPECT_THAT(duplicate.Receive(), Is("for the duplicate"));
}

CASE(ConnectionTuple, AChildProcessReadsTheSameConnection, Witnesses("connection.socket_is_shared_by_descriptors"),
     Needs(needs::kSecondOwner, needs::kReducedChild), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(kServerPort).Listening();
  Connection connection = Established(listener, Loopback4(), kServerPort);
  const Identity child{Alice().uid, Alice().uid, {}};

  EXPECT_THAT(connection.client.Send("for the child"), Succeeds());
  EXPECT_THAT(InChild(child, [&] { return std::vector{connection.server.Receive()}; }).front(), Is("for the child"));
  EXPECT_THAT(connection.client.Send("for the parent"), Succeeds());
  EXPECT_THAT(connection.server.Receive(), Is("for the parent"));
}

CLAIM({.id = "connection.raw_sockets_get_copies",
       .says = "Raw sockets of UDP's number get a copy of a datagram each, beside the UDP socket that it is sent to.",
       .rows = {"RAW-001"},
       .sources = {Man("raw(7), DESCRIPTION"), Kernel("raw_local_deliver()")},
       .documents = {Truth("ES-05")}});

CASE(ConnectionTuple, RawSocketsGetCopiesBesideTheReceiver, Witnesses("connection.raw_sockets_get_copies"),
     Needs(needs::kNetRaw), Labels("udp")) {
  Socket one = Raw(Loopback4(2)).Bound(0);
  Socket two = Raw(Loopback4(2)).Bound(0);
  Socket receiver = Udp(Loopback4(2)).Bound(kServerPort);

  EXPECT_THAT(DatagramsOver({&one, &two, &receiver}, 1, Loopback4(2), kServerPort), Gets(1, 1, 1));
}

}  // namespace
}  // namespace portshare
