// What becomes of each handshake that is held before its last ACK, and of each connection that waits to be accepted,
// when a listener joins or leaves?
#include "cases/held.h"

namespace portshare {
namespace {

using HeldHandshake = Held;

CLAIM({.id = "tcp.held.joining_listener_takes_none",
       .says = "Each handshake in progress ends at the listener that answered its SYN, although another one joined the "
               "group before the last ACK: none is reset, and the newcomer gets none.",
       .kernels = "since 4.4",
       .rows = {"SYNX-001", "SYNX-002", "Q-005"},
       .sources = {Kernel("inet_csk_reqsk_queue_hash_add()"), Kernel("tcp_v4_rcv()"), Kernel("tcp_check_req()")},
       .documents = {Truth("TH-10"), Truth("TH-11")}});

CASE(HeldHandshake, EndsAtTheOnlyListenerAlthoughOneJoined, Witnesses("tcp.held.joining_listener_takes_none"),
     Needs(needs::kReusePort, needs::kPacketPeer), Labels("tcp")) {
  PacketPeer peer;
  const Socket first = Listener(101);
  const Flows flows = peer.Begin(Enough(), port());

  const Socket newcomer = Listener(102);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), AreNone());
  EXPECT_THAT(peer.AcceptedBy(first), Are(flows));
  EXPECT_THAT(peer.AcceptedBy(newcomer), AreNone());
}

CASE(HeldHandshake, EndsAtItsOwnListenerAlthoughOneJoined, Witnesses("tcp.held.joining_listener_takes_none"),
     Needs(needs::kReusePort, needs::kPacketPeer), Labels("tcp")) {
  PacketPeer peer;
  const Socket first = Listener(101), second = Listener(102);
  const Flows flows = peer.Begin(Enough(), port());

  const Socket newcomer = Listener(103);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), AreNone());
  EXPECT_THAT(peer.AcceptedBy(first), Are(peer.AnsweredBy(first)));
  EXPECT_THAT(peer.AcceptedBy(second), Are(peer.AnsweredBy(second)));
  EXPECT_THAT(peer.AcceptedBy(newcomer), AreNone());
}

CLAIM({.id = "tcp.held.leaving_listener_loses_its_own",
       .says = "When a listener of a group closes or is shut down, exactly the handshakes whose SYN it answered are "
               "reset, each when its last ACK comes; all others end where they began.",
       .kernels = "since 3.9",
       .rows = {"SYNX-003", "SYNX-004", "Q-006"},
       .sources = {Kernel("tcp_v4_rcv()"), Kernel("inet_csk_reqsk_queue_drop_and_put()")},
       .documents = {Stated("TH-09"), Stated("TH-10"), Truth("TH-10"), Stated("TH-11"), Truth("EN-18")}});

// Cookies are for a queue that overflows, which none does here: 1 changes nothing.
struct LeaveOfNoCookies {
  std::string name;
  void (*leave)(Socket&);
  std::string cookies;
  CaseFacts facts = Needs(needs::kSynCookies);
};

const std::vector<LeaveOfNoCookies> kLeavesOfNoCookies = {
    {.name = "closed", .leave = kLeaves[0].leave, .cookies = "0"},
    {.name = "shut_down", .leave = kLeaves[1].leave, .cookies = "0"},
    {.name = "closed_beside_cookies", .leave = kLeaves[0].leave, .cookies = "1"},
    {.name = "shut_down_beside_cookies", .leave = kLeaves[1].leave, .cookies = "1"},
};

MATRIX(HeldHandshake, IsResetWithItsListenerAlone, LeaveOfNoCookies, kLeavesOfNoCookies,
       Witnesses("tcp.held.leaving_listener_loses_its_own"),
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kSysctl), Labels("tcp")) {
  Demand("ipv4/tcp_syncookies", row.cookies);
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Socket staying = Listener(102);
  const Flows flows = peer.Begin(Enough(), port());
  const Flows lost = peer.AnsweredBy(leaving);

  row.leave(leaving);
  EXPECT_THAT(peer.Reset(), AreNone());
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), Are(lost));
  EXPECT_THAT(peer.AcceptedBy(staying), Are(flows - lost));
}

MATRIX(HeldHandshake, IsResetAtTheNextListenerOfThePort, Leave, kLeaves,
       Witnesses("tcp.held.leaving_listener_loses_its_own"), Needs(needs::kReusePort, needs::kPacketPeer),
       Labels("tcp")) {
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Flows flows = peer.Begin(3, port());

  const Socket next = Listener(102);
  row.leave(leaving);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), Are(flows));
  EXPECT_THAT(peer.AcceptedBy(next), AreNone());
}

CLAIM(
    {.id = "tcp.held.migrates_as_a_new_syn_would",
     .says = "With net.ipv4.tcp_migrate_req no handshake of a listener that leaves is reset: each ends at the listener "
             "that a SYN of its 4-tuple would come to now, one that joined meanwhile included, and those of the "
             "others stay with them.",
     .kernels = "since 5.14",
     .rows = {"SYNX-005", "SYNX-006", "Q-007"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("reuseport_migrate_sock()"),
                 Kernel("tcp_v4_rcv()"), Kernel("inet_reqsk_clone()")},
     .documents = {Truth("TH-11"), Truth("TH-12"), Truth("EN-18")}});

MATRIX(HeldHandshake, MovesToWhereItWouldBeginNow, LeaveOfNoCookies, kLeavesOfNoCookies,
       Witnesses("tcp.held.migrates_as_a_new_syn_would"),
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kMigration), Labels("tcp")) {
  Demand("ipv4/tcp_syncookies", row.cookies);
  Demand("ipv4/tcp_migrate_req", "1");
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Socket staying = Listener(102);
  const Flows flows = peer.Begin(Enough(), port());
  const Flows moved = peer.AnsweredBy(leaving), stayed = flows - moved;

  const Socket newcomer = Listener(103);
  row.leave(leaving);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), AreNone());
  const Outcome at_staying = peer.AcceptedBy(staying), at_newcomer = peer.AcceptedBy(newcomer);
  peer.BeginAnew(moved);
  EXPECT_THAT(at_staying, Are(stayed | (moved & peer.AnsweredBy(staying))));
  EXPECT_THAT(at_newcomer, Are(moved & peer.AnsweredBy(newcomer)));
}

CASE(HeldHandshake, IsResetWithTheLastListenerDespiteMigration, Witnesses("tcp.held.leaving_listener_loses_its_own"),
     Needs(needs::kReusePort, needs::kPacketPeer, needs::kMigration), Labels("tcp")) {
  Demand("ipv4/tcp_migrate_req", "1");
  PacketPeer peer;
  Socket last = Listener(101);
  const Flows flows = peer.Begin(3, port());

  last.Close();
  const Socket next = Listener(102);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), Are(flows));
  EXPECT_THAT(peer.AcceptedBy(next), AreNone());
}

CLAIM({.id = "tcp.held.leaving_listener_resets_its_queue",
       .says = "A listener that leaves resets exactly the connections that wait in its own queue, at once and without "
               "another packet of the peer; those that it had accepted and those of the others live.",
       .kernels = "since 3.9",
       .rows = {"Q-001", "ZD-002"},
       .sources = {Kernel("inet_csk_listen_stop()"), Kernel("tcp_disconnect()")},
       .documents = {Truth("EN-18")}});

MATRIX(HeldHandshake, IsResetOnceItWaitsAtALeavingListener, Leave, kLeaves,
       Witnesses("tcp.held.leaving_listener_resets_its_queue"), Needs(needs::kReusePort, needs::kPacketPeer),
       Labels("tcp")) {
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Socket staying = Listener(102);
  const Flows accepted = peer.Begin(Enough(), port());
  peer.Acknowledge(accepted);
  EXPECT_THAT(peer.AcceptedBy(leaving), Are(accepted & peer.AnsweredBy(leaving)));
  const Flows waiting = peer.Begin(Enough(), port());
  const Flows lost = waiting & peer.AnsweredBy(leaving);
  peer.Acknowledge(waiting);
  EXPECT_THAT(peer.Reset(), AreNone());

  row.leave(leaving);

  EXPECT_THAT(peer.Reset(), Are(lost));
  EXPECT_THAT(peer.AcceptedBy(staying), Are(peer.AnsweredBy(staying)));
}

CLAIM(
    {.id = "tcp.held.queue_migrates_as_a_new_syn_would",
     .says = "With net.ipv4.tcp_migrate_req each connection that waits at a listener that leaves comes to the queue of "
             "the listener that a SYN of its 4-tuple would come to now; none is reset.",
     .kernels = "since 5.14",
     .rows = {"Q-002", "Q-004", "ZD-004"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("inet_csk_listen_stop()"),
                 Kernel("reuseport_migrate_sock()")},
     .documents = {Truth("EN-18")}});

MATRIX(HeldHandshake, MovesOnceItWaitsToWhereItWouldBeginNow, Leave, kLeaves,
       Witnesses("tcp.held.queue_migrates_as_a_new_syn_would"),
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kMigration), Labels("tcp")) {
  Demand("ipv4/tcp_migrate_req", "1");
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Socket staying = Listener(102);
  const Flows flows = peer.Begin(Enough(), port());
  const Flows moved = peer.AnsweredBy(leaving), stayed = flows - moved;
  peer.Acknowledge(flows);

  const Socket newcomer = Listener(103);
  row.leave(leaving);

  EXPECT_THAT(peer.Reset(), AreNone());
  const Outcome at_staying = peer.AcceptedBy(staying), at_newcomer = peer.AcceptedBy(newcomer);
  peer.BeginAnew(moved);
  EXPECT_THAT(at_staying, Are(stayed | (moved & peer.AnsweredBy(staying))));
  EXPECT_THAT(at_newcomer, Are(moved & peer.AnsweredBy(newcomer)));
}

}  // namespace
}  // namespace portshare
