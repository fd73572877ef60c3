// What becomes of a handshake that nobody keeps a request of, because a SYN cookie answered it, when a listener joins
// or leaves before its last ACK?
#include "cases/held.h"

namespace portshare {
namespace {

class HeldHandshakeSyncookies : public Held {
 protected:
  // Every SYN is answered by a cookie, not only those that find the queue full.  tcp(7)
  static void AnswerByCookiesAlone() { Demand("ipv4/tcp_syncookies", "2"); }
};

CLAIM({.id = "tcp.held.cookies_keep_no_request",
       .says = "With net.ipv4.tcp_syncookies 2 a handshake in progress leaves nothing on the server's side.",
       .kernels = "since 3.12",
       .rows = {"SYNX-007"},
       .sources = {Man("tcp(7), tcp_syncookies"), KernelDoc("networking/ip-sysctl.rst, tcp_syncookies"),
                   Kernel("tcp_conn_request()")}});

CASE(HeldHandshakeSyncookies, LeavesNothingOnTheServersSide, Witnesses("tcp.held.cookies_keep_no_request"),
     Needs(needs::kPacketPeer, needs::kSynCookies), Labels("tcp")) {
  PacketPeer peer;
  const Socket listener = Tcp(PacketPeer::Server()).Bound(port()).Listening();
  const Flows kept = peer.Begin(3, port());
  AnswerByCookiesAlone();
  peer.Begin(3, port());

  EXPECT_THAT(Listed("half open", peer.InState("SYN_RECV", port())), Are(kept));
}

CLAIM(
    {.id = "tcp.held.cookie_is_good_where_a_syn_would_come_to",
     .says = "With net.ipv4.tcp_syncookies 2 no handshake is reset when a listener joins or leaves before its last "
             "ACK: each ends at the listener that a SYN of its 4-tuple would come to now, whichever answered its SYN.",
     .kernels = "since 4.19",
     .rows = {"SYNX-007", "SYNX-008", "SYNX-009"},
     .sources = {Man("tcp(7), tcp_syncookies"), Kernel("cookie_v4_check()"),
                 Commit("40a1227ea845 tcp: Avoid TCP syncookie rejected by SO_REUSEPORT socket")},
     .documents = {Truth("TH-11"), Truth("EN-18")}});

CASE(HeldHandshakeSyncookies, EndsWhereItWouldBeginAfterOneJoined,
     Witnesses("tcp.held.cookie_is_good_where_a_syn_would_come_to"),
     Needs(needs::kReusePort, needs::kPacketPeer, needs::kSynCookies), Labels("tcp")) {
  AnswerByCookiesAlone();
  PacketPeer peer;
  const Socket first = Listener(101);
  const Flows flows = peer.Begin(Enough(), port());

  const Socket newcomer = Listener(102);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), AreNone());
  const Outcome at_first = peer.AcceptedBy(first), at_newcomer = peer.AcceptedBy(newcomer);
  peer.BeginAnew(flows);
  EXPECT_THAT(at_first, Are(peer.AnsweredBy(first)));
  EXPECT_THAT(at_newcomer, Are(peer.AnsweredBy(newcomer)));
}

struct LeaveAndMigration {
  std::string name;
  void (*leave)(Socket&);
  std::string migration;
  CaseFacts facts = {};
};

const std::vector<LeaveAndMigration> kLeavesAndMigrations = {
    {"closed", kLeaves[0].leave, "0"},
    {"shut_down", kLeaves[1].leave, "0"},
    {"closed_with_migration", kLeaves[0].leave, "1", Needs(needs::kMigration)},
    {"shut_down_with_migration", kLeaves[1].leave, "1", Needs(needs::kMigration)},
};

MATRIX(HeldHandshakeSyncookies, EndsWhereItWouldBeginAfterOneLeft, LeaveAndMigration, kLeavesAndMigrations,
       Witnesses("tcp.held.cookie_is_good_where_a_syn_would_come_to"),
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kSynCookies), Labels("tcp")) {
  AnswerByCookiesAlone();
  if (row.migration == "1") Demand("ipv4/tcp_migrate_req", "1");
  PacketPeer peer;
  Socket leaving = Listener(101);
  const Socket second = Listener(102), third = Listener(103);
  const Flows flows = peer.Begin(EnoughToReach(3), port());

  row.leave(leaving);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), AreNone());
  const Outcome at_second = peer.AcceptedBy(second), at_third = peer.AcceptedBy(third);
  peer.BeginAnew(flows);
  EXPECT_THAT(at_second, Are(peer.AnsweredBy(second)));
  EXPECT_THAT(at_third, Are(peer.AnsweredBy(third)));
  EXPECT_THAT(Listed("begun anew", peer.AnsweredBy(second) | peer.AnsweredBy(third)), Are(flows));
}

CASE(HeldHandshakeSyncookies, EndsAtTheNextListenerOfThePort,
     Witnesses("tcp.held.cookie_is_good_where_a_syn_would_come_to"),
     Needs(needs::kReusePort, needs::kPacketPeer, needs::kSynCookies), Labels("tcp")) {
  AnswerByCookiesAlone();
  PacketPeer peer;
  Socket old = Listener(101);
  const Flows flows = peer.Begin(3, port());

  const Socket next = Listener(102);
  old.Close();
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), AreNone());
  EXPECT_THAT(peer.AcceptedBy(next), Are(flows));
}

CLAIM({.id = "tcp.held.overflow_saves_those_without_a_request",
       .says = "With net.ipv4.tcp_syncookies 1 the handshakes that found the queue full and got a cookie outlive their "
               "listener, while those in the queue are reset with it.",
       .kernels = "since 4.19",
       .rows = {"SYNX-004", "SYNX-009"},
       .sources = {Man("tcp(7), tcp_syncookies"), Kernel("inet_csk_reqsk_queue_is_full(), tcp_conn_request()"),
                   Commit("40a1227ea845 tcp: Avoid TCP syncookie rejected by SO_REUSEPORT socket")},
       .documents = {Truth("TH-11")}});

MATRIX(HeldHandshakeSyncookies, OutlivesItsListenerIfItsQueueWasFull, Leave, kLeaves,
       Witnesses("tcp.held.overflow_saves_those_without_a_request"),
       Needs(needs::kReusePort, needs::kPacketPeer, needs::kSynCookies), Labels("tcp")) {
  Demand("ipv4/tcp_syncookies", "1");
  constexpr int kBacklog = 4;
  PacketPeer peer;
  Socket leaving = Member(101).Bound(port()).Listening(kBacklog);
  peer.Begin(kBacklog, port());
  // Kernels differ about one more than the backlog: inet_csk_reqsk_queue_is_full().
  peer.Begin(1, port());
  const Flows late = peer.Begin(kBacklog, port());
  const Flows flows = peer.AnsweredBy(leaving), kept = peer.InState("SYN_RECV", port());
  EXPECT_THAT(Listed("half open, of the late ones", kept & late), AreNone());

  const Socket next = Listener(102);
  row.leave(leaving);
  peer.Acknowledge(flows);

  EXPECT_THAT(peer.Reset(), Are(kept));
  EXPECT_THAT(peer.AcceptedBy(next), Are(flows - kept));
}

}  // namespace
}  // namespace portshare
