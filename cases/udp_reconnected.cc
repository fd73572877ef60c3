// Which of several connected UDP sockets receives when one of them had another peer before?
#include "cases/members.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using UdpReconnected = Case;

constexpr uint16_t kElsewhere = 8999;
constexpr uint16_t kPeer = 9000;

// A kernel that looks for the socket where its former peer's place was finds it by luck where both places are one: less
// often than once in a hundred, and never so often in a row.
constexpr int kPeers = 8;

CLAIM({.id = "udp.reconnected.is_found_by_its_new_peer",
       .says = "A UDP socket that was bound and connected last gets what its peer sends before an older socket that is "
               "connected to the same peer, also when it had another peer before.",
       .kernels = "all but those from 6.13 to 7.2.8, which leave the socket filed under the peer that it had first",
       .rows = {"UDP-RX-018", "H4-005"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("udp_lib_hash4(), udp4_lib_lookup4(), __udp_disconnect()"),
                   Commit("5fd0783b99d4 udp: relocate a connected socket in the 4-tuple hash table on re-connect"),
                   Commit("9e95b1a94c9c udp: remove a disconnected socket from the 4-tuple hash table")}});

struct Move {
  std::string name;
  SocketSpec bound_to;
  Address address;
  bool disconnects_first;
  CaseFacts facts = {};
};

const std::vector<Move> kMoves = {
    {"ipv4_at_once", Udp(Loopback4()), Loopback4(), false},
    {"ipv4_after_a_disconnect", Udp(Loopback4()), Loopback4(), true},
    {"ipv4_wildcard_at_once", Udp(Any4()), Loopback4(), false},
    {"ipv6_at_once", Udp(Loopback6()), Loopback6(), false, Needs(needs::kIpv6)},
    {"ipv6_after_a_disconnect", Udp(Loopback6()), Loopback6(), true, Needs(needs::kIpv6)},
};

MATRIX(UdpReconnected, IsFoundByItsNewPeer, Move, kMoves, Witnesses("udp.reconnected.is_found_by_its_new_peer"),
       Follows("udp_finds_what_reconnected"), Labels("udp")) {
  std::vector<Socket> older;
  for (int number = 0; number < kPeers; ++number) {
    const auto peer = static_cast<uint16_t>(kPeer + number);
    older.push_back(Udp(row.address).ReuseAddr().Bound(port()).ConnectedTo(row.address, peer));
  }
  Socket moved = row.bound_to.ReuseAddr().Bound(port()).ConnectedTo(row.address, kElsewhere);

  int at_moved = 0;
  for (int number = 0; number < kPeers; ++number) {
    const auto peer = static_cast<uint16_t>(kPeer + number);
    if (row.disconnects_first) {
      EXPECT_THAT(moved.Disconnect(), Succeeds());
    }
    EXPECT_THAT(moved.Connect(row.address, peer), Succeeds());
    Udp(row.address).Bound(peer).SendTo(row.address, port());
    at_moved += QueuedDatagrams({&moved}).counts[0];
  }

  EXPECT_THAT(Counted("at the one that moved/at the older ones", {at_moved, TakenFrom(older)}), Gets(kPeers, 0));
}

CLAIM({.id = "udp.disconnected.leaves_its_former_peer_to_others",
       .says = "What the former peer of a disconnected UDP socket sends comes to an older socket that is connected to "
               "that peer.",
       .rows = {"H4-002"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("__udp_disconnect(), udp4_lib_lookup4()"),
                   Commit("9e95b1a94c9c udp: remove a disconnected socket from the 4-tuple hash table")}});

MATRIX(UdpReconnected, LeavesItsFormerPeerToAnother, Move, kMoves,
       Witnesses("udp.disconnected.leaves_its_former_peer_to_others"), Labels("udp")) {
  Socket other = Udp(row.address).ReuseAddr().Bound(port()).ConnectedTo(row.address, kPeer);
  Socket moved = row.bound_to.ReuseAddr().Bound(port()).ConnectedTo(row.address, kPeer);

  EXPECT_THAT(row.disconnects_first ? moved.Disconnect() : moved.Connect(row.address, kElsewhere), Succeeds());
  Udp(row.address).Bound(kPeer).SendTo(row.address, port());

  EXPECT_THAT(QueuedDatagrams({&other, &moved}), Gets(1, 0));
}

}  // namespace
}  // namespace portshare
