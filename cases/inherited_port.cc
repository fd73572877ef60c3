// Who may bind to the port of a connection that came to another port than its listener's?
#include "harness/bpf.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class InheritedPort : public Case {
 protected:
  // Nobody listens there; what comes to it is given to the listener of port().
  static constexpr uint16_t kElsewhere = 8888;

  static SocketSpec Asking(Sharing sharing) { return Tcp(Loopback4()).Asking(sharing); }
};

// The listener of port(), to which an SK_LOOKUP program gives what comes to another one.
class Steered {
 public:
  Steered(Socket listener, uint16_t elsewhere)
      : listener_(std::move(listener)),
        sockets_(BPF_MAP_TYPE_SOCKMAP, 1),
        elsewhere_(elsewhere),
        hook_(LoadedProgram::OfLookup(elsewhere, Holding(listener_), 0)) {}

  Connection Connected() { return Established(listener_, Loopback4(), elsewhere_); }

 private:
  const SocketMap& Holding(const Socket& listener) {
    Journal::Get().Needs(sockets_.Put(0, listener));
    return sockets_;
  }

  Socket listener_;
  SocketMap sockets_;
  uint16_t elsewhere_;
  LookupHook hook_;
};

CLAIM({.id = "tcp.inherited_port.asks_the_connections_options",
       .says = "A connection that was accepted on another port than its listener's holds that port with its "
               "listener's SO_REUSEADDR and SO_REUSEPORT: who shares by an option that the listener lacks is refused, "
               "whoever else holds the port, and everyone is let in when the connection has gone.",
       .kernels = "since 5.9 and 5.7.17; before, such a connection was overlooked beside another holder that shares",
       .sources = {Commit("d76f3351cea2 net: initialize fastreuse on inet_inherit_port"),
                   Kernel("__inet_inherit_port(), inet_csk_update_fastreuse()"), KernelDoc("bpf/prog_sk_lookup.rst")}});

struct Inheritance {
  std::string name;
  Sharing listener;
  Sharing newcomer;
  int error;
};

const std::vector<Inheritance> kInheritances = {
    {"none_refuses_reuseaddr", Sharing::kNone, Sharing::kReuseAddr, EADDRINUSE},
    {"none_refuses_reuseport", Sharing::kNone, Sharing::kReusePort, EADDRINUSE},
    {"none_refuses_both", Sharing::kNone, Sharing::kBoth, EADDRINUSE},
    {"reuseaddr_takes_reuseaddr", Sharing::kReuseAddr, Sharing::kReuseAddr, 0},
    {"reuseaddr_takes_both", Sharing::kReuseAddr, Sharing::kBoth, 0},
    {"reuseaddr_refuses_reuseport", Sharing::kReuseAddr, Sharing::kReusePort, EADDRINUSE},
    {"reuseaddr_refuses_none", Sharing::kReuseAddr, Sharing::kNone, EADDRINUSE},
    {"reuseport_takes_reuseport", Sharing::kReusePort, Sharing::kReusePort, 0},
    {"reuseport_takes_both", Sharing::kReusePort, Sharing::kBoth, 0},
    {"reuseport_refuses_reuseaddr", Sharing::kReusePort, Sharing::kReuseAddr, EADDRINUSE},
    {"reuseport_refuses_none", Sharing::kReusePort, Sharing::kNone, EADDRINUSE},
};

MATRIX(InheritedPort, OfAConnectionAlone, Inheritance, kInheritances,
       Witnesses("tcp.inherited_port.asks_the_connections_options"),
       Needs(needs::kReusePort, needs::kSkLookup, needs::kSockMap), Labels("tcp")) {
  Steered steered(Asking(row.listener).Bound(port()).Listening(), kElsewhere);
  Connection connection = steered.Connected();
  EXPECT_THAT(connection.server.LocalName(), Is("127.0.0.1:8888"));

  EXPECT_THAT(Asking(row.newcomer).Bind(kElsewhere), AnswersWith(row.error));

  connection.server.Reset();
  AwaitDelivery();
  EXPECT_THAT(Asking(Sharing::kNone).Bind(kElsewhere), Succeeds());
}

// Another address of the port is held by one that shares as the newcomer does: what the kernel noted of the port is of
// that holder until the connection comes.
MATRIX(InheritedPort, OfAConnectionBesideAHolder, Inheritance, kInheritances,
       Witnesses("tcp.inherited_port.asks_the_connections_options"),
       Needs(needs::kReusePort, needs::kSkLookup, needs::kSockMap), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4(2)).Asking(row.newcomer).Bound(kElsewhere);
  Steered steered(Asking(row.listener).Bound(port()).Listening(), kElsewhere);
  Connection connection = steered.Connected();

  EXPECT_THAT(Asking(row.newcomer).Bind(kElsewhere), AnswersWith(row.error));

  connection.server.Reset();
  AwaitDelivery();
  EXPECT_THAT(Asking(row.newcomer).Bind(kElsewhere), Succeeds());
}

CASE(InheritedPort, RefusesAnotherOwner, Witnesses("tcp.inherited_port.asks_the_connections_options"),
     Needs(needs::kReusePort, needs::kSkLookup, needs::kSockMap, needs::kSecondOwner), Labels("tcp")) {
  const SocketSpec sharer = Asking(Sharing::kReusePort);
  const Socket holder = Tcp(Loopback4(2)).ReusePort().OwnedBy(Bob()).Bound(kElsewhere);
  Steered steered(sharer.OwnedBy(Alice()).Bound(port()).Listening(), kElsewhere);
  std::optional<Connection> connection;
  {
    const As server(Alice());
    connection = steered.Connected();
  }

  EXPECT_THAT(sharer.OwnedBy(Bob()).Bind(kElsewhere), FailsWith(EADDRINUSE));
  EXPECT_THAT(sharer.OwnedBy(Alice()).Bind(kElsewhere), Succeeds());
}

}  // namespace
}  // namespace portshare
