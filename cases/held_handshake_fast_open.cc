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
  static Socket Listener(int mark, int most = 1000) {
    return Member(mark).Set(kFastOpen, most).Bound(port()).Listening();
  }
  // The first `count` of them.
  static Flows First(size_t count, const Flows& flows) {
    Flows first;
    for (const uint16_t flow : flows) {
      if (first.size() < count) first.insert(flow);
    }
    return first;
  }
};

CLAIM({.id = "tcp.fast_open.waits_before_its_last_ack",
       .says =
           "A connection whose SYN brought data waits to be accepted before its last ACK, and stays with the listener "
           "that took the SYN although another one joins.",
       .kernels = "since 3.7",
       .sources = {Rfc("7413"), Man("tcp(7), TCP_FASTOPEN"), Kernel("tcp_try_fastopen(), tcp_fastopen_create_child()")},
       .documents = {Truth("TH-11")}});

CASE(HeldHandshakeFastOpen, IsAcceptedBeforeItsLastAck, Witnesses("tcp.fast_open.waits_before_its_last_ack"),
     Needs(needs::kReusePort, needs::kPacketPeer, needs::kSysctl), Labels("tcp")) {
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
     Needs(needs::kReusePort, needs::kPacketPeer, needs::kSysctl), Labels("tcp")) {
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
       Witnesses("tcp.fast_open.leaving_listener_resets_its_own"),
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kSysctl), Labels("tcp")) {
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
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kMigration), Labels("tcp")) {
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

// A listener's limit, how many migrate to it, and more than either.
constexpr int kMost = 5;
constexpr int kMoved = 3;
constexpr int kMany = 12;

CLAIM({.id = "tcp.fast_open.limit",
       .says = "No more connections than TCP_FASTOPEN says wait for their last ACK with data, accepted ones included; "
               "others wait as any SYN does, and a last ACK makes room for another.",
       .kernels = "since 3.7",
       .sources = {Man("tcp(7), TCP_FASTOPEN"), Kernel("tcp_fastopen_queue_check(), reqsk_fastopen_remove()")}});

CASE(HeldHandshakeFastOpen, TakesNoMoreThanItsLimit, Witnesses("tcp.fast_open.limit"),
     Needs(needs::kReusePort, needs::kPacketPeer, needs::kSysctl), Labels("tcp")) {
  TakeDataInSyns();
  PacketPeer peer;
  const Socket listener = Listener(101, kMost);

  const Flows begun = peer.BeginWithData(kMany, port());
  const Flows taken = First(kMost, begun);
  EXPECT_THAT(peer.AcceptedBy(listener), Are(taken));
  peer.Acknowledge(First(1, taken));
  const Flows more = peer.BeginWithData(kMany, port());
  EXPECT_THAT(peer.AcceptedBy(listener), Are(First(1, more)));
}

CLAIM(
    {.id = "tcp.fast_open.limit_counts_what_migrated",
     .says = "With net.ipv4.tcp_migrate_req a connection of Fast Open that migrates before its last ACK counts at the "
             "listener that it comes to until that ACK; one that migrates after it does not count.",
     .kernels = "since 7.1.9, 6.18.45, 6.12.104 and 6.1.183; from 5.14 on to these, each took one from the count of "
                "the listener that it came to (CVE-2026-74696)",
     .sources = {Commit("tcp: fix TFO max_qlen accounting across reuseport migration"),
                 Kernel("inet_csk_listen_stop(), inet_reqsk_clone(), reqsk_fastopen_remove()")}});

// When the last ACK of those that migrate comes, and how many more are taken with data then.
struct LastAck {
  std::string name;
  bool before;
  bool after;
  size_t more;
  CaseFacts facts = {};
};

const std::vector<LastAck> kLastAcks = {
    {"held", false, false, kMost - kMoved, Follows("migration_counts_fast_opens")},
    {"come_after_it", false, true, kMost, Follows("migration_counts_fast_opens")},
    {"come_before_it", true, false, kMost},
};

MATRIX(HeldHandshakeFastOpen, CountsWhatMigrated, LastAck, kLastAcks,
       Witnesses("tcp.fast_open.limit_counts_what_migrated"),
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kMigration), Labels("tcp")) {
  TakeDataInSyns();
  Demand("ipv4/tcp_migrate_req", "1");
  PacketPeer peer;
  Socket leaving = Listener(101, kMost);
  const Flows moved = peer.BeginWithData(kMoved, port());
  if (row.before) peer.Acknowledge(moved);
  const Socket staying = Listener(102, kMost);

  leaving.Close();
  EXPECT_THAT(peer.AcceptedBy(staying), Are(moved));
  if (row.after) peer.Acknowledge(moved);
  const Flows more = peer.BeginWithData(kMany, port());

  EXPECT_THAT(peer.AcceptedBy(staying), Are(First(row.more, more)));
}

}  // namespace
}  // namespace portshare
