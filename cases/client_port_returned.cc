// When does a client's port come back: for itself, for other clients and for servers?
#include "cases/local_ports.h"
#include "harness/peer.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class ClientPortReturned : public LocalPorts {
 protected:
  static constexpr uint16_t kNamed = 9001;

  // A connection whose client's end was closed first and the server's end after it: TIME_WAIT is on the client's port
  // alone.
  static void LeaveTimeWaitBehind(Connection connection) {
    const uint16_t port = connection.client.Port();
    LeaveCloseWait(std::move(connection)).Close();
    AwaitState(port, "TIME_WAIT");
    // The server's end goes with the ACK of its FIN, which was sent before TIME_WAIT began.
    AwaitDelivery();
  }

  static Connection ConnectionOf(Socket client, Socket& listener) {
    Socket connected = std::move(client).ConnectedTo(Loopback4(), port());
    return {std::move(connected), listener.Accepted()};
  }
};

CLAIM({.id = "client_port.returned.not_while_closing",
       .says = "A client's automatic port has no second connection to the same server while its closed one waits in "
               "FIN_WAIT2 or TIME_WAIT; to another server it has one at once.",
       .rows = {"EPH-017"},
       .sources = {Rfc("RFC 9293, 3.6 Closing a Connection"),
                   Kernel("__inet_check_established(), tcp_twsk_unique()")}});

CASE(ClientPortReturned, IsTakenByFinWait2, Witnesses("client_port.returned.not_while_closing"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(1);
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other = Tcp(Loopback4()).Bound(kOther).Listening();
  const Socket server = LeaveCloseWait(ConnectionOf(Tcp(Loopback4()).Made(), listener));

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), kOther), Succeeds());
}

CASE(ClientPortReturned, IsTakenByTimeWait, Witnesses("client_port.returned.not_while_closing"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port", "time_wait")) {
  Offer(1);
  Demand("ipv4/tcp_tw_reuse", "0");
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other = Tcp(Loopback4()).Bound(kOther).Listening();
  LeaveTimeWaitBehind(ConnectionOf(Tcp(Loopback4()).Made(), listener));

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), kOther), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(kFirst), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "client_port.returned.named_reopens_time_wait",
     .says = "A client with SO_REUSEADDR that is bound to the port of its own TIME_WAIT connects to the same server at "
             "once, whatever net.ipv4.tcp_tw_reuse says, but only where the connection had timestamps.",
     .rows = {"EPH-027"},
     .sources = {Rfc("RFC 6191"), Kernel("tcp_twsk_unique(), __inet_hash_connect()"),
                 KernelDoc("networking/ip-sysctl.rst, tcp_tw_reuse")}});

struct Settings {
  std::string name;
  std::string tcp_timestamps;
  std::string tcp_tw_reuse;
};
const std::vector<Settings> kReopens = {
    {"tw_reuse_off", "1", "0"}, {"tw_reuse_on", "1", "1"}, {"tw_reuse_on_loopback", "1", "2"}};
const std::vector<Settings> kDoesNot = {{"tw_reuse_off", "0", "0"}, {"tw_reuse_on", "0", "1"}};

MATRIX(ClientPortReturned, NamedReopensItsTimeWait, Settings, kReopens,
       Witnesses("client_port.returned.named_reopens_time_wait"), Needs(needs::kSysctl), Labels("tcp", "time_wait")) {
  Demand("ipv4/tcp_timestamps", row.tcp_timestamps);
  Demand("ipv4/tcp_tw_reuse", row.tcp_tw_reuse);
  const SocketSpec spec = Tcp(Loopback4()).ReuseAddr();
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  LeaveTimeWaitBehind(ConnectionOf(spec.Bound(kNamed), listener));
  Socket again = spec.Bound(kNamed);

  EXPECT_THAT(again.Connect(Loopback4(), port()), Succeeds());
  EXPECT_THAT(again.State(), Is("ESTABLISHED"));
  EXPECT_THAT(spec.Bound(kNamed).Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
}

MATRIX(ClientPortReturned, NamedWaitsWithoutTimestamps, Settings, kDoesNot,
       Witnesses("client_port.returned.named_reopens_time_wait"), Needs(needs::kSysctl), Labels("tcp", "time_wait")) {
  Demand("ipv4/tcp_timestamps", row.tcp_timestamps);
  Demand("ipv4/tcp_tw_reuse", row.tcp_tw_reuse);
  const SocketSpec spec = Tcp(Loopback4()).ReuseAddr();
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  LeaveTimeWaitBehind(ConnectionOf(spec.Bound(kNamed), listener));

  EXPECT_THAT(spec.Bound(kNamed).Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
}

CLAIM({.id = "client_port.returned.by_reset",
       .says = "A client that resets its connection gives its port back at once, an automatic one and a named one.",
       .rows = {"EPH-026"},
       .sources = {Man("socket(7), SO_LINGER"), Rfc("RFC 9293, 3.5.3 Reset Processing"), Kernel("__tcp_close()")}});

CASE(ClientPortReturned, ComesWithAReset, Witnesses("client_port.returned.by_reset"), Labels("tcp")) {
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  Tcp(Loopback4()).ReuseAddr().Bound(kNamed).ConnectedTo(Loopback4(), port()).Reset();

  EXPECT_THAT(Tcp(Loopback4()).Bind(kNamed), Succeeds());
}

CASE(ClientPortReturned, AutomaticComesWithAReset, Witnesses("client_port.returned.by_reset"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()).Reset();
  AwaitDelivery();

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), Succeeds());
}

CLAIM({.id = "client_port.returned.by_refusal",
       .says = "A client whose connection is refused gives its automatic port back, although its name still shows it.",
       .rows = {"EPH-028"},
       .sources = {Man("connect(2), ERRORS, ECONNREFUSED"), Kernel("tcp_reset(), tcp_set_state()")}});

CASE(ClientPortReturned, ComesWithARefusal, Witnesses("client_port.returned.by_refusal"), Needs(needs::kSysctl),
     Labels("tcp", "automatic_port")) {
  Offer(1);
  Socket refused = Tcp(Loopback4()).Made();
  EXPECT_THAT(refused.BeginConnect(Loopback4(), 9), FailsWith(EINPROGRESS));
  AwaitDelivery();

  EXPECT_THAT(refused.LocalName(), Is("127.0.0.1:40000"));
  EXPECT_THAT(refused.Get(so::kError), Is(ECONNREFUSED));
  EXPECT_THAT(refused.LocalName(), Is("127.0.0.1:40000"));
  EXPECT_THAT(Tcp(Loopback4()).Bind(kFirst), Succeeds());
}

CLAIM({.id = "client_port.returned.when_the_binder_leaves",
       .says = "A port that a client holds by connect(2) is closed to other clients while a socket is bound to it on "
               "another address, and is shared by destination again when that socket has closed.",
       .kernels = "since 6.18; before, when the last holder has closed",
       .rows = {"EPH-018", "EPH-019"},
       .sources = {Commit("d57f4b874946 tcp: Update bind bucket state on port release"),
                   Kernel("__inet_put_port(), inet_bind_bucket_destroy()")}});

CASE(ClientPortReturned, IsClosedToClientsWhileSomebodyIsBound,
     Witnesses("client_port.returned.when_the_binder_leaves"), Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOther).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());
  const Socket binder = Tcp(Loopback4(5)).ReuseAddr().Bound(kFirst);

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), kOther), FailsWith(EADDRNOTAVAIL));
}

struct Binder {
  std::string name;
  Sharing sharing;
  CaseFacts facts = {};
};
const std::vector<Binder> kBinders = {
    {"plain", Sharing::kNone},
    {"reuseaddr", Sharing::kReuseAddr},
    {"reuseport", Sharing::kReusePort, Needs(needs::kReusePort)},
};

MATRIX(ClientPortReturned, OpensToClientsWhenTheBinderLeaves, Binder, kBinders,
       Witnesses("client_port.returned.when_the_binder_leaves"), Needs(needs::kSysctl), Labels("tcp", "automatic_port"),
       Follows("connect_shares_after_release")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOther).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());
  Socket binder = Tcp(Loopback4(5)).Asking(row.sharing).Bound(kFirst);
  binder.Close();

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), kOther), Succeeds());
}

CASE(ClientPortReturned, OpensToClientsWhenTheLastHolderLeaves,
     Witnesses("client_port.returned.when_the_binder_leaves"), Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOther).Listening();
  Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());
  Socket binder = Tcp(Loopback4(5)).Bound(kFirst);
  binder.Close();
  client.Reset();
  const Socket next = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), kOther), Succeeds());
}

CLAIM(
    {.id = "client_port.returned.named_is_kept_by_disconnect",
     .says = "A client that dissolves its association keeps the address and port that it was bound to, and may listen "
             "there.",
     .rows = {"EPH-031"},
     .sources = {Man("connect(2), DESCRIPTION"), Kernel("tcp_disconnect(), SOCK_BINDPORT_LOCK")}});

CASE(ClientPortReturned, NamedIsKeptByDisconnect, Witnesses("client_port.returned.named_is_kept_by_disconnect"),
     Labels("tcp")) {
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  Socket client = Tcp(Loopback4()).Bound(kNamed).ConnectedTo(Loopback4(), port());

  EXPECT_THAT(client.Disconnect(), Succeeds());
  EXPECT_THAT(client.LocalName(), Is("127.0.0.1:9001"));
  EXPECT_THAT(Tcp(Loopback4()).Bind(kNamed), FailsWith(EADDRINUSE));
  EXPECT_THAT(client.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), kNamed), Succeeds());
}

CLAIM({.id = "client_port.returned.automatic_by_disconnect",
       .says = "A client that dissolves its association gives its automatic port back, although its name still shows "
               "it, and may be bound to another.",
       .rows = {"EPH-032"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("tcp_disconnect(), tcp_set_state()")}});

CASE(ClientPortReturned, AutomaticComesWithDisconnect, Witnesses("client_port.returned.automatic_by_disconnect"),
     Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();
  Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());

  EXPECT_THAT(client.Disconnect(), Succeeds());
  EXPECT_THAT(client.LocalName(), Is("0.0.0.0:40000"));
  EXPECT_THAT(Tcp(Loopback4()).Bind(kFirst), Succeeds());
  EXPECT_THAT(client.Bind(kNamed), Succeeds());
  EXPECT_THAT(client.Connect(Loopback4(), port()), Succeeds());
}

CLAIM({.id = "client_port.returned.listener_listens_again",
       .says = "connect(2) of a listener is EISCONN; it may dissolve the association and listen again on its port.",
       .rows = {"EPH-030"},
       .sources = {Man("connect(2), ERRORS, EISCONN"), Kernel("__inet_stream_connect()")}});

CASE(ClientPortReturned, ListenerKeepsItOverDisconnect, Witnesses("client_port.returned.listener_listens_again"),
     Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();

  EXPECT_THAT(listener.Connect(Loopback4(), port()), FailsWith(EISCONN));
  EXPECT_THAT(listener.Disconnect(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(listener.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), Succeeds());
}

}  // namespace
}  // namespace portshare
