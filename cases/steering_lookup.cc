// What may an SK_LOOKUP program of the namespace decide before any socket of the port is looked for?
#include "cases/steering.h"
#include "harness/bpf.h"
#include "harness/matchers.h"

namespace portshare {
namespace {

class SteeringLookup : public Steering {
 protected:
  // Nobody listens there; what comes to it is given to sockets of port().
  static constexpr uint16_t kElsewhere = 8888;

  static Share ArrivalsElsewhere(const Traffic& row, std::initializer_list<Socket*> sockets, int count) {
    return row.over == Over::kTcp ? ConnectionsOver(sockets, count, row.address, kElsewhere)
                                  : DatagramsOver(sockets, count, row.address, kElsewhere);
  }
};

CLAIM({.id = "lookup.drop_refuses",
       .says = "Where an SK_LOOKUP program says SK_DROP, the client is refused (ECONNREFUSED) although a socket of the "
               "port is there; where it says SK_PASS, that socket is found.",
       .kernels = "since 5.9",
       .rows = {"LOOKUP-001"},
       .sources = {KernelDoc("bpf/prog_sk_lookup.rst"), Kernel("inet_lookup_run_sk_lookup()"),
                   Commit("e9ddbb7707ff bpf: Introduce SK_LOOKUP program type with a dedicated attach point")}});

MATRIX(SteeringLookup, DropRefusesTheClient, Traffic, kTraffic, Witnesses("lookup.drop_refuses"),
       Needs(needs::kSkLookup)) {
  Socket receiver = Ready(row, Plain(row, row.address));
  {
    const LookupHook hook(LoadedProgram::OfLookup(port(), Verdict::kDrop));
    EXPECT_THAT(Asked(row, port()), FailsWith(ECONNREFUSED));
  }

  EXPECT_THAT(Arrivals(row, {&receiver}, 3), Gets(3));
}

MATRIX(SteeringLookup, PassFindsTheSocketOfThePort, Traffic, kTraffic, Witnesses("lookup.drop_refuses"),
       Needs(needs::kSkLookup)) {
  Socket receiver = Ready(row, Plain(row, row.address));
  const LookupHook hook(LoadedProgram::OfLookup(port(), Verdict::kPass));

  EXPECT_THAT(Arrivals(row, {&receiver}, 3), Gets(3));
}

MATRIX(SteeringLookup, PassLeavesTheGroupToTheHash, Traffic, kTransports, Witnesses("lookup.drop_refuses"),
       Needs(needs::kReusePort, needs::kSkLookup)) {
  Socket zero = Member(row), one = Member(row);
  const LookupHook hook(LoadedProgram::OfLookup(port(), Verdict::kPass));
  const int count = EnoughToReach(2);

  EXPECT_THAT(Arrivals(row, {&zero, &one}, count), ReachesEach(count));
}

CLAIM({.id = "lookup.connections_are_not_asked",
       .says = "An SK_LOOKUP program is not asked about what belongs to a connection, of TCP or of a connected UDP "
               "socket.",
       .kernels = "since 5.9",
       .rows = {"LOOKUP-001"},
       .sources = {KernelDoc("bpf/prog_sk_lookup.rst"), Kernel("__udp4_lib_lookup()")}});

CASE(SteeringLookup, ConnectionIsNotAsked, Witnesses("lookup.connections_are_not_asked"), Needs(needs::kSkLookup),
     Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());
  Socket server = listener.Accepted();

  const LookupHook hook(LoadedProgram::OfLookup(port(), Verdict::kDrop));

  EXPECT_THAT(client.Send("still here"), Is(10));
  EXPECT_THAT(server.Receive(), Is("still here"));
}

CASE(SteeringLookup, ConnectedUdpSocketIsNotAsked, Witnesses("lookup.connections_are_not_asked"),
     Needs(needs::kSkLookup), Labels("udp")) {
  constexpr uint16_t kPeer = 9000;
  Socket connected = Udp(Loopback4()).Bound(port()).ConnectedTo(Loopback4(), kPeer);

  const LookupHook hook(LoadedProgram::OfLookup(port(), Verdict::kDrop));
  Udp(Loopback4()).Bound(kPeer).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&connected}), Gets(1));
}

CLAIM({.id = "lookup.assigns_another_port",
       .says = "An SK_LOOKUP program gives what comes to a port that nobody holds to a socket of another port; that "
               "socket's connection has the port that the client asked for.",
       .kernels = "since 5.9",
       .rows = {"LOOKUP-001"},
       .sources = {KernelDoc("bpf/prog_sk_lookup.rst"), Man("bpf-helpers(7), bpf_sk_assign()"),
                   Kernel("bpf_sk_lookup_assign()")}});

MATRIX(SteeringLookup, PortThatNobodyHoldsIsServed, Traffic, kTraffic, Witnesses("lookup.assigns_another_port"),
       Needs(needs::kSkLookup, needs::kSockMap)) {
  Socket receiver = Ready(row, Plain(row, row.address));
  SocketMap sockets(BPF_MAP_TYPE_SOCKMAP, 1);
  EXPECT_THAT(sockets.Put(0, receiver), Succeeds());
  EXPECT_THAT(Asked(row, kElsewhere), FailsWith(ECONNREFUSED));

  const LookupHook hook(LoadedProgram::OfLookup(kElsewhere, sockets, 0));

  EXPECT_THAT(ArrivalsElsewhere(row, {&receiver}, 3), Gets(3));
}

CASE(SteeringLookup, ConnectionHasThePortThatTheClientAskedFor, Witnesses("lookup.assigns_another_port"),
     Needs(needs::kSkLookup, needs::kSockMap), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  SocketMap sockets(BPF_MAP_TYPE_SOCKMAP, 1);
  EXPECT_THAT(sockets.Put(0, listener), Succeeds());
  const LookupHook hook(LoadedProgram::OfLookup(kElsewhere, sockets, 0));

  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kElsewhere);

  EXPECT_THAT(listener.Accepted().LocalName(), Is("127.0.0.1:8888"));
}

CLAIM({.id = "lookup.the_assigned_sockets_group_chooses",
       .says = "Where an SK_LOOKUP program assigns a member of a SO_REUSEPORT group, the group chooses among its "
               "members, by its program or the hash, unless BPF_SK_LOOKUP_F_NO_REUSEPORT is asked for.",
       .kernels = "since 5.9",
       .rows = {"LOOKUP-001"},
       .sources = {KernelDoc("bpf/prog_sk_lookup.rst"), Man("bpf-helpers(7), bpf_sk_assign()"),
                   Kernel("inet_lookup_run_sk_lookup()"), Kernel("udp4_lookup_run_bpf()")}});

MATRIX(SteeringLookup, GroupOfTheAssignedSocketChooses, Traffic, kTransports,
       Witnesses("lookup.the_assigned_sockets_group_chooses"),
       Needs(needs::kReusePort, needs::kSkLookup, needs::kSockMap)) {
  Socket zero = Member(row), one = Member(row);
  SocketMap sockets(BPF_MAP_TYPE_SOCKMAP, 1);
  EXPECT_THAT(sockets.Put(0, zero), Succeeds());
  const LookupHook hook(LoadedProgram::OfLookup(kElsewhere, sockets, 0));
  const int count = EnoughToReach(2);

  EXPECT_THAT(ArrivalsElsewhere(row, {&zero, &one}, count), ReachesEach(count));
  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());
  EXPECT_THAT(ArrivalsElsewhere(row, {&zero, &one}, kMany), Gets(0, kMany));
}

MATRIX(SteeringLookup, AssignedSocketAloneWhereTheProgramSaysSo, Traffic, kTransports,
       Witnesses("lookup.the_assigned_sockets_group_chooses"),
       Needs(needs::kReusePort, needs::kSkLookup, needs::kSockMap)) {
  Socket zero = Member(row), one = Member(row);
  SocketMap sockets(BPF_MAP_TYPE_SOCKMAP, 1);
  EXPECT_THAT(sockets.Put(0, zero), Succeeds());
  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());

  const LookupHook hook(LoadedProgram::OfLookup(kElsewhere, sockets, 0, BPF_SK_LOOKUP_F_NO_REUSEPORT));

  EXPECT_THAT(ArrivalsElsewhere(row, {&zero, &one}, kMany), Gets(kMany, 0));
}

}  // namespace
}  // namespace portshare
