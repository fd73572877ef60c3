// Who may bind a port on which a closed connection left TIME_WAIT?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class TimeWait : public Case {
 protected:
  static constexpr uint16_t kClientPort = 9002;

  // Serves one connection with `server`, closes it first and then the listener: only TIME_WAIT stays on the port.
  static void ServeAndLeaveTimeWait(const SocketSpec& server) {
    Socket listener = server.Bound(port()).Listening();
    LeaveTimeWait(Established(listener, Loopback4(), port()));
    listener.Close();
  }

  // A connection whose client bound kClientPort and that the client closed first, both ends gone: TIME_WAIT is on the
  // client's port alone.
  static void ConnectAndLeaveTimeWait(Socket& listener, const SocketSpec& client) {
    Connection connection{client.Bound(kClientPort).ConnectedTo(Loopback4(), port()), listener.Accepted()};
    LeaveCloseWait(std::move(connection)).Close();
    AwaitState(kClientPort, "TIME_WAIT");
    // The server's end goes with the ACK of its FIN, which was sent before TIME_WAIT began.
    AwaitDelivery();
  }
};

CLAIM({.id = "timewait.free_with_reuseaddr_on_both",
       .says = "A server with SO_REUSEADDR binds and listens at once on the port where a server with SO_REUSEADDR left "
               "TIME_WAIT; without the option it has to wait.",
       .kernels = "all but 6.1.0 to 6.1.6",
       .rows = {"TW-002"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("ES-07")}});

CASE(TimeWait, IsPassedByAServerThatAlwaysAsksForAddressReuse, Witnesses("timewait.free_with_reuseaddr_on_both"),
     Labels("tcp")) {
  ServeAndLeaveTimeWait(Tcp(Loopback4()).ReuseAddr());

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  Socket restarted = Tcp(Loopback4()).ReuseAddr().Made();
  EXPECT_THAT(restarted.Bind(port()), Succeeds());
  EXPECT_THAT(restarted.Listen(), Succeeds());
}

CLAIM({.id = "timewait.remembers_its_options",
       .says = "TIME_WAIT remembers the options of the socket that it replaces: a newcomer passes only where both had "
               "SO_REUSEADDR or both had SO_REUSEPORT.",
       .kernels = "all but 6.1.0 to 6.1.6",
       .rows = {"TW-001", "TW-002", "TW-003"},
       .sources = {Kernel("inet_twsk_alloc()"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Truth("ES-07")}});

struct Pair {
  std::string name;
  Sharing left;
  Sharing newcomer;
  CaseFacts facts = {};
};

const std::vector<Pair> kPairsThatPass = {
    {"reuseaddr_then_reuseaddr", Sharing::kReuseAddr, Sharing::kReuseAddr},
    {"reuseaddr_then_both", Sharing::kReuseAddr, Sharing::kBoth, Needs(needs::kReusePort)},
    {"reuseport_then_reuseport", Sharing::kReusePort, Sharing::kReusePort, Needs(needs::kReusePort)},
    {"reuseport_then_both", Sharing::kReusePort, Sharing::kBoth, Needs(needs::kReusePort)},
    {"both_then_reuseaddr", Sharing::kBoth, Sharing::kReuseAddr, Needs(needs::kReusePort)},
    {"both_then_reuseport", Sharing::kBoth, Sharing::kReusePort, Needs(needs::kReusePort)},
    {"both_then_both", Sharing::kBoth, Sharing::kBoth, Needs(needs::kReusePort)},
};
const std::vector<Pair> kPairsThatAreRefused = {
    {"none_then_none", Sharing::kNone, Sharing::kNone},
    {"none_then_reuseaddr", Sharing::kNone, Sharing::kReuseAddr},
    {"none_then_reuseport", Sharing::kNone, Sharing::kReusePort, Needs(needs::kReusePort)},
    {"none_then_both", Sharing::kNone, Sharing::kBoth, Needs(needs::kReusePort)},
    {"reuseaddr_then_none", Sharing::kReuseAddr, Sharing::kNone},
    {"reuseaddr_then_reuseport", Sharing::kReuseAddr, Sharing::kReusePort, Needs(needs::kReusePort)},
    {"reuseport_then_none", Sharing::kReusePort, Sharing::kNone, Needs(needs::kReusePort)},
    {"reuseport_then_reuseaddr", Sharing::kReusePort, Sharing::kReuseAddr, Needs(needs::kReusePort)},
    {"both_then_none", Sharing::kBoth, Sharing::kNone, Needs(needs::kReusePort)},
};

MATRIX(TimeWait, IsPassedBy, Pair, kPairsThatPass, Witnesses("timewait.remembers_its_options"), Labels("tcp")) {
  ServeAndLeaveTimeWait(Tcp(Loopback4()).Asking(row.left));

  Socket newcomer = Tcp(Loopback4()).Asking(row.newcomer).Made();
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

MATRIX(TimeWait, Refuses, Pair, kPairsThatAreRefused, Witnesses("timewait.remembers_its_options"), Labels("tcp")) {
  ServeAndLeaveTimeWait(Tcp(Loopback4()).Asking(row.left));

  EXPECT_THAT(Tcp(Loopback4()).Asking(row.newcomer).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "timewait.has_no_owner",
       .says = "Owners are not compared with TIME_WAIT: any user's SO_REUSEPORT socket takes the port that a "
               "SO_REUSEPORT server left, and from then on its own owner counts.",
       .kernels = "since 3.9",
       .rows = {"TW-003", "TW-004"},
       .sources = {Kernel("inet_csk_bind_conflict()")}});

CASE(TimeWait, IsPassedByAnotherOwner, Witnesses("timewait.has_no_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  {
    const As alice(Alice());
    ServeAndLeaveTimeWait(Tcp(Loopback4()).ReusePort());
  }

  Socket newcomer = Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Made();
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(TimeWait, GivesThePortToTheFirstWhoComes, Witnesses("timewait.has_no_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  ServeAndLeaveTimeWait(Tcp(Loopback4()).ReusePort());

  const Socket first = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "timewait.at_the_active_closer",
       .says = "The end that closes first keeps its port in TIME_WAIT, so that late segments of the connection meet no "
               "other; the end that closes second leaves nothing.",
       .rows = {"TW-005", "TW-013"},
       .sources = {Rfc("RFC 9293, 3.6 Closing a Connection"), Kernel("tcp_fin()"), Kernel("tcp_time_wait()")},
       .documents = {Stated("ES-08"), Truth("ES-07")}});

CASE(TimeWait, IsLeftByTheServerThatClosesFirst, Witnesses("timewait.at_the_active_closer"), Labels("tcp")) {
  ServeAndLeaveTimeWait(Tcp(Loopback4()));

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(TimeWait, IsNotLeftByTheServerThatClosesSecond, Witnesses("timewait.at_the_active_closer"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  ConnectAndLeaveTimeWait(listener, Tcp(Loopback4()));
  listener.Close();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
}

CASE(TimeWait, IsLeftByTheClientThatClosesFirst, Witnesses("timewait.at_the_active_closer"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  ConnectAndLeaveTimeWait(listener, Tcp(Loopback4()));

  EXPECT_THAT(Tcp(Loopback4()).Bind(kClientPort), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(kClientPort), FailsWith(EADDRINUSE));
}

CASE(TimeWait, OfAClientRemembersItsOptionsToo, Witnesses("timewait.remembers_its_options"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  ConnectAndLeaveTimeWait(listener, Tcp(Loopback4()).ReuseAddr());

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(kClientPort), Succeeds());
}

CLAIM({.id = "timewait.none_after_reset",
       .says = "A connection that the server resets leaves nothing on its port.",
       .rows = {"TW-009"},
       .sources = {Man("socket(7), SO_LINGER"), Rfc("RFC 9293, 3.5.3 Reset Processing"), Kernel("__tcp_close()")}});

CASE(TimeWait, IsNotLeftByAReset, Witnesses("timewait.none_after_reset"), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  connection.server.Reset();
  listener.Close();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
