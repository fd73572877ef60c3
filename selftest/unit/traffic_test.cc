// Connections brought to a state, traffic that is counted, workers and programs.
#include "harness/traffic.h"

#include <gtest/gtest.h>

#include "harness/peer.h"
#include "harness/program.h"
#include "harness/waiter.h"
#include "netns/cannot_ask.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using TrafficTest = InNetwork;

TEST_F(TrafficTest, CountsConnectionsByListener) {
  Socket a = Tcp(Loopback4(1)).Bound(kPort).Listening();
  Socket b = Tcp(Loopback4(2)).Bound(kPort).Listening();
  EXPECT_EQ(ConnectionsOver({&a, &b}, 150, Loopback4(2), kPort).Got(), "0/150");
  EXPECT_EQ(ConnectionsOver({&a, &b}, 0, Loopback4(2), kPort).Got(), "0/0");
  EXPECT_EQ(QueuedConnections({&a, &b}).Got(), "0/0");
}

TEST_F(TrafficTest, LeavesNothingOnThePort) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  EXPECT_EQ(ConnectionsOver({&listener}, 5, Loopback4(), kPort).Got(), "5");
  listener.Close();
  EXPECT_EQ(Tcp(Loopback4()).Bind(kPort).Got(), "ok");
}

TEST_F(TrafficTest, TellsARefusedConnection) {
  Socket elsewhere = Tcp(Loopback4(2)).Bound(kPort).Listening();
  EXPECT_EQ(ConnectionsOver({&elsewhere}, 5, Loopback4(), kPort).Got(), "ECONNREFUSED");
}

TEST_F(TrafficTest, CountsConnectionsThatWait) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  const Socket one = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort);
  const Socket two = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort);
  EXPECT_EQ(QueuedConnections({&listener}).Got(), "2");
  EXPECT_EQ(QueuedConnections({&listener}).Got(), "0");
}

TEST_F(TrafficTest, CountsDatagramsByReceiver) {
  Socket a = Udp(Loopback4(1)).Bound(kPort);
  Socket b = Udp(Loopback4(2)).Bound(kPort);
  EXPECT_EQ(DatagramsOver({&a, &b}, 20, Loopback4(), kPort).Got(), "20/0");
  Udp(Loopback4()).Made().SendTo(Loopback4(2), kPort);
  EXPECT_EQ(QueuedDatagrams({&a, &b}).Got(), "0/1");
}

TEST_F(TrafficTest, TellsClientsThatLiveFromThoseThatWereReset) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  std::vector<Socket> clients;
  for (int client = 0; client < 3; ++client) {
    clients.push_back(Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort));
  }
  EXPECT_EQ(LiveAndReset(clients).Got(), "3/0");
  Socket first = listener.Accepted();
  first.Reset();
  EXPECT_EQ(LiveAndReset(clients).Got(), "2/1");
  // A reset is told once.
  EXPECT_EQ(LiveAndReset(clients).Got(), "ENOTCONN");
}

TEST_F(TrafficTest, TellsWaitersOfWhatIsThere) {
  const Socket a = Tcp(Loopback4(1)).Bound(kPort).Listening();
  const Socket b = Tcp(Loopback4(2)).Bound(kPort).Listening();
  const Waiter at_a(a), at_b(b);
  EXPECT_EQ(Told({&at_a, &at_b}).Got(), "0/0");
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(2), kPort);
  EXPECT_EQ(Told({&at_a, &at_b}).Got(), "0/1");
  EXPECT_EQ(Told({&at_a, &at_b}).Got(), "0/1");
}

TEST_F(TrafficTest, LeavesTimeWait) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  LeaveTimeWait(Established(listener, Loopback4(), kPort));
  AwaitState(kPort, "TIME_WAIT");
  listener.Close();
  EXPECT_EQ(Tcp(Loopback4()).Bind(kPort).Got(), "EADDRINUSE");
}

TEST_F(TrafficTest, LeavesFinWait2) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  Socket client = LeaveFinWait2(Established(listener, Loopback4(), kPort));
  EXPECT_EQ(client.State().Got(), "CLOSE_WAIT");
  AwaitState(kPort, "FIN_WAIT2");
}

TEST_F(TrafficTest, LeavesCloseWait) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  Socket server = LeaveCloseWait(Established(listener, Loopback4(), kPort));
  EXPECT_EQ(server.State().Got(), "CLOSE_WAIT");
}

TEST_F(TrafficTest, EndsTheCaseWhenAStateDoesNotCome) {
  const Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  AwaitState(kPort, "LISTEN");
  EXPECT_THROW(AwaitState(kPort, "TIME_WAIT"), UnexpectedAnswer);
  EXPECT_EQ(Journal::Get().lines().back(), "await TIME_WAIT on port 7777  => ETIMEDOUT   <-- wanted ok");
}

TEST_F(TrafficTest, HearsAProgram) {
  Program shell("shell", {"/bin/sh", "-c", "echo listening; echo errno 98; cat; echo after"});
  EXPECT_EQ(shell.Answer().Got(), "listening");
  EXPECT_EQ(shell.Answer().Got(), "EADDRINUSE");
  EXPECT_EQ(shell.Answer().Got(), "ETIMEDOUT");
}

TEST_F(TrafficTest, CannotAskAProgramThatNamesNoErrno) {
  for (const char* said :
       {"errno ", "errno EADDRINUSE", "errno 98 or so", "errno 0", "errno -1", "errno 99999999999"}) {
    Program odd("odd", {"/bin/echo", said});
    try {
      ADD_FAILURE() << said << " became " << odd.Answer().Got();
    } catch (const CannotAsk& reason) {
      EXPECT_EQ(reason.what(), "odd answered: " + std::string(said));
    }
  }
}

TEST_F(TrafficTest, CannotAskAProgramThatEndedOrNeverWas) {
  Program brief("brief", {"/bin/sh", "-c", "exit 3"});
  EXPECT_THROW(brief.Answer(), CannotAsk);
  EXPECT_THROW(Program("nothing", {"/no/such/program"}), CannotAsk);
}

}  // namespace
}  // namespace portshare
