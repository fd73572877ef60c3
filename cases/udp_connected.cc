// What does connect(2) change about a shared UDP port: for the socket, for its peer, and for the other sharers?
#include <sched.h>

#include "cases/rows.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using UdpConnected = Case;

constexpr uint16_t kPeer = 9000;
constexpr uint16_t kOtherPeer = 9001;

CLAIM({.id = "udp.connected.receives_its_peer_only",
       .says =
           "A connected UDP socket gets all that its peer sends and nothing else; an unconnected one on the same port "
           "gets the rest, whichever option they share it by.",
       .kernels = "since 5.4; 5.2.17 too",
       .rows = {"UDP-RX-007", "UDP-RX-014"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("compute_score()"),
                   Commit("acdcecc61285 udp: correct reuseport selection with connected sockets")}});

MATRIX(UdpConnected, PeerReachesTheConnectedSocket, SharingRow, kSharings,
       Witnesses("udp.connected.receives_its_peer_only"), Labels("udp")) {
  Socket connected = Udp(Loopback4()).Asking(row.sharing).Bound(port()).ConnectedTo(Loopback4(), kPeer);
  Socket unconnected = Udp(Loopback4()).Asking(row.sharing).Bound(port());
  Socket peer = Udp(Loopback4()).Bound(kPeer);

  peer.SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&connected, &unconnected}), Gets(1, 0));
}

MATRIX(UdpConnected, OthersReachTheUnconnectedSocket, SharingRow, kSharings,
       Witnesses("udp.connected.receives_its_peer_only"), Labels("udp")) {
  Socket unconnected = Udp(Loopback4()).Asking(row.sharing).Bound(port());
  Socket connected = Udp(Loopback4()).Asking(row.sharing).Bound(port()).ConnectedTo(Loopback4(), kPeer);

  EXPECT_THAT(DatagramsOver({&connected, &unconnected}, EnoughToReach(2), Loopback4(), port()),
              Gets(0, EnoughToReach(2)));
}

CLAIM(
    {.id = "udp.connected.newest_of_one_peer_receives",
     .says = "Of two UDP sockets that share a port and are connected to one peer, the one that was bound and connected "
             "last gets everything: connected sockets are no group.",
     .rows = {"UDP-RX-016", "UDP-RX-017", "H4-005"},
     .sources = {Kernel("compute_score(), udp4_lib_lookup2(), udp4_lib_lookup4()")}});

MATRIX(UdpConnected, NewestOfOnePeerReceives, SharingRow, kSharings,
       Witnesses("udp.connected.newest_of_one_peer_receives"), Labels("udp")) {
  Socket first = Udp(Loopback4()).Asking(row.sharing).Bound(port()).ConnectedTo(Loopback4(), kPeer);
  Socket second = Udp(Loopback4()).Asking(row.sharing).Bound(port()).ConnectedTo(Loopback4(), kPeer);
  Socket peer = Udp(Loopback4()).Bound(kPeer);

  peer.SendTo(Loopback4(), port());
  peer.SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&first, &second}), Gets(0, 2));
}

CASE(UdpConnected, SocketThatMovedToThePeerIsOlder, Witnesses("udp.connected.newest_of_one_peer_receives"),
     Labels("udp")) {
  Socket moved = Udp(Loopback4()).ReuseAddr().Bound(port()).ConnectedTo(Loopback4(), kPeer);
  EXPECT_THAT(moved.Connect(Loopback4(), kOtherPeer), Succeeds());
  Socket newest = Udp(Loopback4()).ReuseAddr().Bound(port()).ConnectedTo(Loopback4(), kOtherPeer);

  Udp(Loopback4()).Bound(kOtherPeer).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&moved, &newest}), Gets(0, 1));
}

CLAIM({.id = "udp.connected.automatic_port_ends_with_the_connection",
       .says =
           "connect(2) gives an unbound UDP socket an address and a port, which dissolving the association takes back.",
       .rows = {"UDP-RX-015"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("inet_autobind(), __udp_disconnect()")}});

CASE(UdpConnected, DisconnectTakesTheAutomaticPortBack,
     Witnesses("udp.connected.automatic_port_ends_with_the_connection"), Labels("udp", "automatic_port")) {
  Socket one = Udp(Loopback4()).Made().ConnectedTo(Loopback4(), kPeer);
  EXPECT_THAT(one.LocalName(), Is(Loopback4().text(one.Port())));
  EXPECT_THAT(Udp(Loopback4()).Made().Connect(Loopback4(), kPeer), Succeeds());

  EXPECT_THAT(one.Disconnect(), Succeeds());
  EXPECT_THAT(one.LocalName(), Is("0.0.0.0:0"));
}

CLAIM(
    {.id = "udp.connected.reconnect_moves_the_filter",
     .says = "A second connect(2) moves a UDP socket to its new peer: what the old one sends is dropped, or goes to an "
             "unconnected sharer of the port.",
     .rows = {"UDP-RX-018", "H4-004"},
     .sources = {Man("connect(2), DESCRIPTION"), Kernel("__ip4_datagram_connect(), udp_lib_hash4()")}});

CASE(UdpConnected, ReconnectDropsTheOldPeer, Witnesses("udp.connected.reconnect_moves_the_filter"), Labels("udp")) {
  Socket client = Udp(Loopback4()).Bound(port()).ConnectedTo(Loopback4(), kPeer);
  Socket old_peer = Udp(Loopback4()).Bound(kPeer);
  Socket new_peer = Udp(Loopback4()).Bound(kOtherPeer);
  old_peer.SendTo(Loopback4(), port());
  EXPECT_THAT(QueuedDatagrams({&client}), Gets(1));

  EXPECT_THAT(client.Connect(Loopback4(), kOtherPeer), Succeeds());
  old_peer.SendTo(Loopback4(), port());
  EXPECT_THAT(QueuedDatagrams({&client}), Gets(0));
  new_peer.SendTo(Loopback4(), port());
  EXPECT_THAT(QueuedDatagrams({&client}), Gets(1));
}

CASE(UdpConnected, ConnectedSocketKeepsItsPort, Witnesses("udp.connected.reconnect_moves_the_filter"), Labels("udp")) {
  const Socket client = Udp(Loopback4()).Bound(port()).ConnectedTo(Loopback4(), kPeer);

  EXPECT_THAT(Udp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(UdpConnected, ReconnectLeavesTheOldPeerToASharer, Witnesses("udp.connected.reconnect_moves_the_filter"),
     Labels("udp")) {
  Socket moved = Udp(Loopback4()).ReuseAddr().Bound(port()).ConnectedTo(Loopback4(), kPeer);
  EXPECT_THAT(moved.Connect(Loopback4(), kOtherPeer), Succeeds());
  Socket sharer = Udp(Loopback4()).ReuseAddr().Bound(port());

  Udp(Loopback4()).Bound(kPeer).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&moved, &sharer}), Gets(0, 1));
}

CLAIM(
    {.id = "udp.connected.disconnect_receives_again",
     .says = "A UDP socket that dissolved its association receives from anyone again, its former peer included, in the "
             "order in which the sharers of the port were bound.",
     .rows = {"H4-002", "H4-003"},
     .sources = {Man("connect(2), DESCRIPTION"), Kernel("__udp_disconnect()")}});

CASE(UdpConnected, FormerPeerReachesADisconnectedSocket, Witnesses("udp.connected.disconnect_receives_again"),
     Labels("udp")) {
  Socket client = Udp(Loopback4()).Bound(port()).ConnectedTo(Loopback4(), kPeer);
  EXPECT_THAT(client.Disconnect(), Succeeds());

  Udp(Loopback4()).Bound(kPeer).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&client}), Gets(1));
}

CASE(UdpConnected, FormerPeerReachesTheNewestSharer, Witnesses("udp.connected.disconnect_receives_again"),
     Labels("udp")) {
  Socket client = Udp(Loopback4()).ReuseAddr().Bound(port()).ConnectedTo(Loopback4(), kPeer);
  EXPECT_THAT(client.Disconnect(), Succeeds());
  Socket newest = Udp(Loopback4()).ReuseAddr().Bound(port());

  Udp(Loopback4()).Bound(kPeer).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&client, &newest}), Gets(0, 1));
}

CLAIM({.id = "udp.connected.wildcard_member_leaves_its_group",
       .says =
           "A wildcard member of a SO_REUSEPORT group that connects leaves the group for good: disconnected again, it "
           "alone gets all that is sent to the port, and a later member joins it instead of the group.",
       .kernels = "since 4.5",
       .rows = {"UDP-RX-008", "UDP-RX-009", "I12"},
       .sources = {Kernel("udp_lib_rehash(), reuseport_detach_sock()")}});

CASE(UdpConnected, WildcardMemberServesItsPeerOnly, Witnesses("udp.connected.wildcard_member_leaves_its_group"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket member = Udp(Any4()).ReusePort().Bound(port());
  Socket stray = Udp(Any4()).ReusePort().Bound(port()).ConnectedTo(Loopback4(), kPeer);

  EXPECT_THAT(stray.LocalName(), Is("127.0.0.1:7777"));
  EXPECT_THAT(DatagramsOver({&member, &stray}, EnoughToReach(2), Loopback4(), port()), Gets(EnoughToReach(2), 0));
  Udp(Loopback4()).Bound(kPeer).SendTo(Loopback4(), port());
  EXPECT_THAT(QueuedDatagrams({&member, &stray}), Gets(0, 1));
}

CASE(UdpConnected, WildcardMemberThatDisconnectsGetsAll, Witnesses("udp.connected.wildcard_member_leaves_its_group"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket member = Udp(Any4()).ReusePort().Bound(port());
  Socket stray = Udp(Any4()).ReusePort().Bound(port()).ConnectedTo(Loopback4(), kPeer);

  EXPECT_THAT(stray.Disconnect(), Succeeds());

  EXPECT_THAT(stray.LocalName(), Is("0.0.0.0:7777"));
  EXPECT_THAT(DatagramsOver({&member, &stray}, EnoughToReach(2), Loopback4(), port()), Gets(0, EnoughToReach(2)));
}

CASE(UdpConnected, LaterMemberJoinsTheStrayOne, Witnesses("udp.connected.wildcard_member_leaves_its_group"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket member = Udp(Any4()).ReusePort().Bound(port());
  Socket stray = Udp(Any4()).ReusePort().Bound(port()).ConnectedTo(Loopback4(), kPeer);
  EXPECT_THAT(stray.Disconnect(), Succeeds());
  Socket later = Udp(Any4()).ReusePort().Bound(port());
  const int count = EnoughToReach(2);

  EXPECT_THAT(DatagramsOver({&stray, &later}, count, Loopback4(), port()), ReachesEach(count));
  EXPECT_THAT(QueuedDatagrams({&member}), Gets(0));
}

CLAIM({.id = "udp.connected.specific_member_leaves_its_group",
       .says = "A member of a SO_REUSEPORT group on a specific address that connects leaves the group for good: "
               "disconnected again, it alone gets all that is sent to the port.",
       .kernels = "since 6.13; before, it stays a member",
       .rows = {"UDP-RX-010", "H4-001", "I12"},
       .sources = {Kernel("udp_lib_hash4(), reuseport_detach_sock()")}});

CASE(UdpConnected, SpecificMemberThatDisconnectsGetsAll, Witnesses("udp.connected.specific_member_leaves_its_group"),
     Needs(needs::kReusePort), Follows("udp_files_by_connection"), Labels("udp")) {
  Socket member = Udp(Loopback4()).ReusePort().Bound(port());
  Socket stray = Udp(Loopback4()).ReusePort().Bound(port()).ConnectedTo(Loopback4(), kPeer);

  EXPECT_THAT(stray.Disconnect(), Succeeds());

  EXPECT_THAT(stray.LocalName(), Is("127.0.0.1:7777"));
  EXPECT_THAT(DatagramsOver({&member, &stray}, EnoughToReach(2), Loopback4(), port()), Gets(0, EnoughToReach(2)));
}

CASE(UdpConnected, FormerPeersReachTheStrayMember, Witnesses("udp.connected.specific_member_leaves_its_group"),
     Needs(needs::kReusePort), Follows("udp_files_by_connection"), Labels("udp")) {
  Socket member = Udp(Loopback4()).ReusePort().Bound(port());
  Socket stray = Udp(Loopback4()).ReusePort().Bound(port());
  const int peers = EnoughToReach(2);
  for (int number = 0; number < peers; ++number) {
    const auto at = static_cast<uint16_t>(kPeer + number);
    EXPECT_THAT(stray.Connect(Loopback4(), at), Succeeds());
    EXPECT_THAT(stray.Disconnect(), Succeeds());
    Udp(Loopback4()).Bound(at).SendTo(Loopback4(), port());
  }

  EXPECT_THAT(QueuedDatagrams({&member, &stray}), Gets(0, peers));
}

CLAIM({.id = "udp.connected.wildcard_returns_unchecked",
       .says = "A wildcard UDP socket holds one address while it is connected and all of them again after: it returns "
               "without a check beside a socket that took another address in between.",
       .rows = {"UDP-RX-011"},
       .sources = {Kernel("__ip4_datagram_connect(), __udp_disconnect(), udp_lib_rehash()")}});

CASE(UdpConnected, ConnectedWildcardHoldsOneAddress, Witnesses("udp.connected.wildcard_returns_unchecked"),
     Labels("udp")) {
  Socket client = Udp(Any4()).Bound(port()).ConnectedTo(Loopback4(), kPeer);

  EXPECT_THAT(client.LocalName(), Is("127.0.0.1:7777"));
  EXPECT_THAT(Udp(Any4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Udp(Loopback4(2)).Bind(port()), Succeeds());
}

CASE(UdpConnected, DisconnectedWildcardReturnsUnchecked, Witnesses("udp.connected.wildcard_returns_unchecked"),
     Labels("udp")) {
  Socket client = Udp(Any4()).Bound(port()).ConnectedTo(Loopback4(), kPeer);
  const Socket between = Udp(Loopback4(2)).Bound(port());

  EXPECT_THAT(client.Disconnect(), Succeeds());
  EXPECT_THAT(client.LocalName(), Is("0.0.0.0:7777"));
  EXPECT_THAT(Udp(Loopback4(3)).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "udp.connected.outranks_device_and_processor_ipv4",
       .says = "A connected IPv4 UDP socket comes before an unconnected one that is bound to the device and to the "
               "processor.",
       .rows = {"SCORE-002"},
       .sources = {Man("socket(7), SO_INCOMING_CPU"), Kernel("compute_score()")}});

CASE(UdpConnected, OutranksDeviceAndProcessorOnIpv4, Witnesses("udp.connected.outranks_device_and_processor_ipv4"),
     Labels("udp")) {
  Socket connected = Udp(Loopback4()).ReuseAddr().Bound(port()).ConnectedTo(Loopback4(), kPeer);
  Socket near = Udp(Loopback4()).ReuseAddr().Device("lo").Set(so::kIncomingCpu, sched_getcpu()).Bound(port());

  Udp(Loopback4()).Bound(kPeer).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&connected, &near}), Gets(1, 0));
}

CLAIM({.id = "udp.connected.outranks_device_and_processor_ipv6",
       .says = "A connected IPv6 UDP socket comes before an unconnected one that is bound to the device and to the "
               "processor.",
       .kernels = "since 6.13; before, the unconnected one receives",
       .rows = {"SCORE-001", "I13"},
       .sources = {Man("socket(7), SO_INCOMING_CPU"), Kernel("compute_score(), udp6_lib_lookup4()")}});

CASE(UdpConnected, OutranksDeviceAndProcessorOnIpv6, Witnesses("udp.connected.outranks_device_and_processor_ipv6"),
     Needs(needs::kIpv6), Follows("udp_files_by_connection", "bound_devices_score"), Labels("udp", "ipv6")) {
  Socket connected = Udp(Loopback6()).ReuseAddr().Bound(port()).ConnectedTo(Loopback6(), kPeer);
  Socket near = Udp(Loopback6()).ReuseAddr().Device("lo").Set(so::kIncomingCpu, sched_getcpu()).Bound(port());

  Udp(Loopback6()).Bound(kPeer).SendTo(Loopback6(), port());

  EXPECT_THAT(QueuedDatagrams({&connected, &near}), Gets(1, 0));
}

}  // namespace
}  // namespace portshare
