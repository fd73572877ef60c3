// What becomes of a handshake in progress when the listeners of its port change?
#include <linux/filter.h>
#include <netinet/tcp.h>

#include <cstddef>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

// With TCP_DEFER_ACCEPT the server drops the bare ACK that ends a handshake, and keeps the request until data comes:
// connect(2) has succeeded, and yet the handshake ends with the client's first byte.  tcp(7)
class Handshake : public Case {
 protected:
  // Enough to tell a request's own listener from one that is chosen anew for each: 2^-20.
  static constexpr int kMany = 20;

  static Socket Bound() { return Tcp(Loopback4()).ReusePort().Set(so::kDeferAccept, 5).Bound(port()); }
  static Socket Listener() { return Bound().Listening(); }

  static std::vector<Socket> HalfOpenClients(int count) {
    std::vector<Socket> clients;
    for (int client = 0; client < count; ++client) {
      clients.push_back(Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()));
    }
    AwaitState(port(), "SYN_RECV");
    return clients;
  }

  // The ACK that ends the handshake goes out with the byte.
  static void SendAll(std::vector<Socket>& clients) {
    for (Socket& client : clients) client.Send("x");
  }

  // Drops every segment without SYN before the listener sees it: the bare ACK of connect(2) is lost for good.
  static void TakesOnlySyns(Socket& listener) {
    sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(tcphdr, th_flags)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const sock_fprog program{4, steps};
    EXPECT_THAT(listener.SetBytes(so::kAttachFilter, &program, sizeof program), Succeeds());
  }
};

CLAIM(
    {.id = "tcp.handshake.belongs_to_one_listener",
     .says = "The request of a handshake in progress belongs to the listener that took the SYN: when that one closes, "
             "its handshakes are reset, and those of the others are not.",
     .kernels = "since 3.9",
     .rows = {"Q-006", "SYNX-003", "SYNX-004"},
     .sources = {Kernel("inet_csk_reqsk_queue_hash_add()"), Kernel("inet_reqsk_alloc()"), Kernel("tcp_v4_rcv()")},
     .documents = {Stated("TH-09")}});

CASE(Handshake, IsResetWithItsOwnListenerAlone, Witnesses("tcp.handshake.belongs_to_one_listener"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket staying = Listener(), closing = Listener();
  std::vector<Socket> clients = HalfOpenClients(EnoughToReach(2));

  closing.Close();
  SendAll(clients);

  const Share fate = LiveAndReset(clients);
  EXPECT_THAT(fate, ReachesEach(EnoughToReach(2)));
  EXPECT_THAT(QueuedConnections({&staying}), Gets(fate.counts[0]));
}

CLAIM({.id = "tcp.handshake.survives_a_joining_listener",
       .says = "A handshake in progress outlives a change of the set of listeners: its last ACK finds the request, and "
               "the connection comes to the listener that took the SYN, although others joined meanwhile.",
       .kernels = "since 4.4",
       .rows = {"Q-005", "SYNX-001", "SYNX-002"},
       .sources = {Kernel("inet_csk_reqsk_queue_hash_add()"), Kernel("tcp_v4_rcv()"), Kernel("tcp_check_req()")},
       .documents = {Truth("TH-10"), Truth("TH-11"), Stated("TH-12"), Truth("TH-12")}});

CASE(Handshake, EndsAtItsListenerAlthoughOthersJoined, Witnesses("tcp.handshake.survives_a_joining_listener"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket first = Listener();
  std::vector<Socket> clients = HalfOpenClients(kMany);
  EXPECT_THAT(QueuedConnections({&first}), Gets(0));

  Socket second = Listener(), third = Listener();
  SendAll(clients);

  EXPECT_THAT(LiveAndReset(clients), Gets(kMany, 0));
  EXPECT_THAT(QueuedConnections({&first, &second, &third}), Gets(kMany, 0, 0));
}

CLAIM({.id = "tcp.handshake.reset_after_its_listener_closed",
       .says = "If the listener that took the SYN has closed, the last ACK of the handshake comes to another listener, "
               "which does not know the request, and the connection is reset.",
       .kernels = "since 3.9",
       .rows = {"Q-006"},
       .sources = {Kernel("tcp_v4_rcv()"), Kernel("inet_csk_reqsk_queue_drop_and_put()"),
                   Kernel("reuseport_migrate_sock()")},
       .documents = {Stated("TH-10"), Stated("TH-11"), Truth("EN-18")}});

CASE(Handshake, IsResetWhenItsListenerClosed, Witnesses("tcp.handshake.reset_after_its_listener_closed"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket first = Listener();
  Socket second = Bound();
  std::vector<Socket> clients = HalfOpenClients(kMany);

  EXPECT_THAT(second.Listen(), Succeeds());
  first.Close();
  EXPECT_THAT(LiveAndReset(clients), Gets(kMany, 0));

  SendAll(clients);

  EXPECT_THAT(LiveAndReset(clients), Gets(0, kMany));
  EXPECT_THAT(QueuedConnections({&second}), Gets(0));
}

CLAIM(
    {.id = "tcp.handshake.migrates",
     .says = "With net.ipv4.tcp_migrate_req a handshake in progress at a closing listener moves to another listener of "
             "the group and ends there.",
     .kernels = "since 5.14",
     .rows = {"Q-007", "SYNX-005", "SYNX-006"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("reuseport_migrate_sock()"),
                 Kernel("tcp_v4_rcv()"), Kernel("inet_csk_reqsk_queue_hash_add()")},
     .documents = {Truth("TH-12"), Truth("TH-11"), Truth("EN-18")}});

CASE(Handshake, MovesToAnotherListenerWithMigration, Witnesses("tcp.handshake.migrates"),
     Needs(needs::kReusePort, needs::kMigration), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  Socket first = Listener();
  Socket second = Bound();
  std::vector<Socket> clients = HalfOpenClients(kMany);

  EXPECT_THAT(second.Listen(), Succeeds());
  first.Close();
  EXPECT_THAT(LiveAndReset(clients), Gets(kMany, 0));

  SendAll(clients);

  EXPECT_THAT(LiveAndReset(clients), Gets(kMany, 0));
  EXPECT_THAT(QueuedConnections({&second}), Gets(kMany));
}

CLAIM({.id = "tcp.handshake.syn_cookies_need_no_request",
       .says =
           "With SYN cookies the last ACK of a handshake is good at any listener of the port, also after the one that "
           "answered the SYN has closed.",
       .kernels = "since 4.19",
       .rows = {"SYNX-009"},
       .sources = {Man("tcp(7), tcp_syncookies"), Kernel("cookie_v4_check()"),
                   Commit("40a1227ea845 tcp: Avoid TCP syncookie rejected by SO_REUSEPORT socket")},
       .documents = {Truth("TH-11"), Truth("EN-18")}});

CASE(Handshake, EndsAtAnyListenerWithSynCookies, Witnesses("tcp.handshake.syn_cookies_need_no_request"),
     Needs(needs::kReusePort, needs::kSynCookies), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_syncookies", "2"), Succeeds());
  Socket first = Listener();
  Socket second = Bound();
  TakesOnlySyns(first);
  std::vector<Socket> clients;
  clients.push_back(Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()));

  EXPECT_THAT(second.Listen(), Succeeds());
  EXPECT_THAT(QueuedConnections({&first}), Gets(0));
  first.Close();
  SendAll(clients);

  EXPECT_THAT(LiveAndReset(clients), Gets(1, 0));
  EXPECT_THAT(QueuedConnections({&second}), Gets(1));
}

}  // namespace
}  // namespace portshare
