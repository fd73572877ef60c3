// When is a TCP port in active listening, and what ends that?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using TcpActiveListening = Case;

CLAIM({.id = "tcp.listening.begins_with_listen",
       .says = "A port is in active listening from listen() on: before it SO_REUSEADDR admits another socket, after it "
               "no more.",
       .sources = {Man("listen(2), DESCRIPTION"), Kernel("inet_csk_listen_start()")},
       .documents = {Stated("ES-11")}});

CASE(TcpActiveListening, BeginsWithListen, Witnesses("tcp.listening.begins_with_listen"), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
  EXPECT_THAT(holder.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.listening.ended_by_shutdown_of_receiving",
       .says = "A listener that shuts down its receiving side goes back to CLOSE and keeps its binding; another socket "
               "with SO_REUSEADDR may then bind and listen, and the first cannot listen again.",
       .rows = {"TCP-RA-008", "I12"},
       .sources = {Man("shutdown(2), DESCRIPTION"), Kernel("inet_shutdown()")},
       .documents = {Truth("ES-11")}});

struct Ending {
  std::string name;
  int how;
};
const std::vector<Ending> kEndings = {{"receiving", SHUT_RD}, {"both_sides", SHUT_RDWR}};

MATRIX(TcpActiveListening, EndsWhenTheReceivingSideIsShutDown, Ending, kEndings,
       Witnesses("tcp.listening.ended_by_shutdown_of_receiving"), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();
  Socket newcomer = Tcp(Loopback4()).ReuseAddr().Made();

  EXPECT_THAT(holder.Shutdown(row.how), Succeeds());
  EXPECT_THAT(holder.State(), Is("CLOSE"));
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
  EXPECT_THAT(holder.Listen(), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.listening.outlasts_shutdown_of_sending",
       .says = "A listener that shuts down only its sending side still listens.",
       .rows = {"TCP-RA-009"},
       .sources = {Kernel("inet_shutdown()")},
       .documents = {Truth("ES-11")}});

CASE(TcpActiveListening, OutlastsAShutdownOfTheSendingSide, Witnesses("tcp.listening.outlasts_shutdown_of_sending"),
     Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(holder.Shutdown(SHUT_WR), Succeeds());
  EXPECT_THAT(holder.State(), Is("LISTEN"));
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.listening.ended_by_disconnect",
       .says = "connect(AF_UNSPEC) on a listener ends its listening and keeps its explicit binding.",
       .rows = {"TCP-RA-010", "I12"},
       .sources = {Kernel("tcp_disconnect()")},
       .documents = {Truth("ES-11")}});

CASE(TcpActiveListening, EndsWhenTheListenerIsDisconnected, Witnesses("tcp.listening.ended_by_disconnect"),
     Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(holder.Disconnect(), Succeeds());
  EXPECT_THAT(holder.State(), Is("CLOSE"));
  EXPECT_THAT(holder.LocalName(), Is("127.0.0.1:7777"));
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.listening.refused_listen_changes_nothing",
       .says = "A socket whose listen() was refused stays closed and bound, and can listen once the listener is gone.",
       .rows = {"MISC-001"},
       .sources = {Man("listen(2), ERRORS, EADDRINUSE"), Kernel("inet_csk_listen_start()")}});

CASE(TcpActiveListening, IsOpenToARefusedSocketLater, Witnesses("tcp.listening.refused_listen_changes_nothing"),
     Labels("tcp")) {
  Socket winner = Tcp(Loopback4()).ReuseAddr().Bound(port());
  Socket loser = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(winner.Listen(), Succeeds());
  EXPECT_THAT(loser.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(loser.State(), Is("CLOSE"));
  EXPECT_THAT(loser.LocalName(), Is("127.0.0.1:7777"));
  winner.Close();
  EXPECT_THAT(loser.Listen(), Succeeds());
}

}  // namespace
}  // namespace portshare
