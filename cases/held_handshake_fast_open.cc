// What becomes of a connection of TCP Fast Open, which waits to be accepted before its last ACK, when a listener joins
// or leaves?
#include "cases/held.h"
#include "harness/need.h"

namespace portshare {
namespace {

// How many may wait for their last ACK.  tcp(7), TCP_FASTOPEN
constexpr Option kFastOpen{IPPROTO_TCP, TCP_FASTOPEN, "fastopen"};

class HeldHandshakeFastOpen : public Held {
 protected:
  // The server takes data in a SYN, from peers that have no cookie too.  ip-sysctl.rst, tcp_fastopen
  static void TakeDataInSyns() { Demand("ipv4/tcp_fastopen", "514"); }
  static Socket Listener(int mark) { return Member(mark).Set(kFastOpen, 1000).Bound(port()).Listening(); }
};

CLAIM({.id = "tcp.fast_open.waits_before_its_last_ack",
       .says =
           "A connection whose SYN brought data waits to be accepted before its last ACK, and stays with the listener "
           "that took the SYN although another one joins.",
       .kernels = "since 3.7",
       .sources = {Rfc("7413"), Man("tcp(7), TCP_FASTOPEN"), Kernel("tcp_try_fastopen(), tcp_fastopen_create_child()")},
       .documents = {Truth("TH-11")}});

CASE(HeldHandshakeFastOpen, IsAcceptedBeforeItsLastAck, Witnesses("tcp.fast_open.waits_before_its_last_ack"),
     Needs(needs::kReusePort, needs::kVeth), Labels("tcp")) {
  TakeDataInSyns();
  PacketPeer peer;
  const Socket first = Listener(101), second = Listener(102);
  const Flows flows = peer.BeginWithData(Enough(), port());

  const Socket newcomer = Listener(103);

  EXPECT_THAT(peer.AcceptedBy(first), Are(peer.AnsweredBy(first)));
  EXPECT_THAT(peer.AcceptedBy(second), Are(peer.AnsweredBy(second)));
  EXPECT_THAT(peer.AcceptedBy(newcomer), AreNone());
  peer.Acknowledge(flows);
  EXPECT_THAT(peer.Reset(), AreNone());
  EXPECT_THAT(Listed("established", peer.InState("ESTABLISHED", port())), Are(flows));
}

CASE(HeldHandshakeFastOpen, TakesNoDataWhereTheListenerDoesNot, Witnesses("tcp.fast_open.waits_before_its_last_ack"),
     Needs(needs::kReusePort, needs::kVeth), Labels("tcp")) {
  TakeDataInSyns();
  PacketPeer peer;
  const Socket listener = Held::Listener(101);
  const Flows flows = peer.BeginWithData(3, port());

  EXPECT_THAT(peer.AcceptedBy(listener), AreNone());
  peer.Acknowledge(flows);
  EXPECT_THAT(peer.AcceptedBy(listener), Are(flows));
}

CLAIM({.id = "tcp.fast_open.leaving_listener_resets_its_own",
       .says = "A listener that leaves resets exactly the connections of Fast Open that wait in its queue, at once, "
               "although their last ACK has not come; those that were accepted before it live.",
       .kernels = "since 3.7",
       .sources = {Kernel("inet_csk_listen_stop()"), Kernel("inet_child_forget()")},
       .documents = {Truth("EN-18")}});

MATRIX(HeldHandshakeFastOpen, IsResetAtALeavingListener, Leave, kLeaves,
       Witnesses("tcp.fast_open.leaving_listener_resets_its_own"), Needs(needs::kReusePort, needs::kVeth),
       Labels("tcp")) {
  TakeDataInSyns();
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Socket staying = Listener(102);
  const Flows accepted = peer.BeginWithData(Enough(), port());
  EXPECT_THAT(peer.AcceptedBy(leaving), Are(peer.AnsweredBy(leaving)));
  const Flows waiting = peer.BeginWithData(Enough(), port());
  const Flows lost = waiting & peer.AnsweredBy(leaving);

  row.leave(leaving);

  EXPECT_THAT(peer.Reset(), Are(lost));
  peer.Acknowledge((accepted | waiting) - lost);
  EXPECT_THAT(peer.Reset(), Are(lost));
  EXPECT_THAT(peer.AcceptedBy(staying), Are(peer.AnsweredBy(staying)));
}

CLAIM(
    {.id = "tcp.fast_open.migrates_as_a_new_syn_would",
     .says = "With net.ipv4.tcp_migrate_req each connection of Fast Open that waits at a listener that leaves comes to "
             "the queue of the listener that a SYN of its 4-tuple would come to now, before or after its last ACK.",
     .kernels = "since 5.14",
     .sources = {Kernel("inet_csk_listen_stop()"), Kernel("inet_reqsk_clone()"), Kernel("reuseport_migrate_sock()")},
     .documents = {Truth("EN-18")}});

MATRIX(HeldHandshakeFastOpen, MovesToWhereItWouldBeginNow, Leave, kLeaves,
       Witnesses("tcp.fast_open.migrates_as_a_new_syn_would"),
       Needs(needs::kReusePort, needs::kVeth, needs::kMigration), Labels("tcp")) {
  TakeDataInSyns();
  Demand("ipv4/tcp_migrate_req", "1");
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Socket staying = Listener(102);
  const Flows held = peer.BeginWithData(Enough(), port()), done = peer.BeginWithData(Enough(), port());
  const Flows moved = peer.AnsweredBy(leaving), stayed = (held | done) - moved;
  peer.Acknowledge(done);

  const Socket newcomer = Listener(103);
  row.leave(leaving);
  EXPECT_THAT(peer.Reset(), AreNone());
  const Outcome at_staying = peer.AcceptedBy(staying), at_newcomer = peer.AcceptedBy(newcomer);
  peer.Acknowledge(held);

  EXPECT_THAT(peer.Reset(), AreNone());
  EXPECT_THAT(Listed("established", peer.InState("ESTABLISHED", port())), Are(held | done));
  peer.BeginAnew(moved);
  EXPECT_THAT(at_staying, Are(stayed | (moved & peer.AnsweredBy(staying))));
  EXPECT_THAT(at_newcomer, Are(moved & peer.AnsweredBy(newcomer)));
}

}  // namespace
}  // namespace portshare
