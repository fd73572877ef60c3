#include "harness/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "netns/cannot_ask.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using SocketTest = InNetwork;

bool IsOpen(int descriptor) {
  return fcntl(descriptor, F_GETFD) >= 0;
}

TEST_F(SocketTest, ClosesWhenItsOwnerGoes) {
  int descriptor = -1;
  {
    const Socket socket = Tcp(Loopback4()).Made();
    descriptor = socket.descriptor();
    EXPECT_TRUE(IsOpen(descriptor));
  }
  EXPECT_FALSE(IsOpen(descriptor));
}

TEST_F(SocketTest, MovesWithoutClosing) {
  Socket first = Tcp(Loopback4()).Made();
  const int descriptor = first.descriptor();
  const Socket second = std::move(first);
  EXPECT_EQ(second.descriptor(), descriptor);
  EXPECT_TRUE(IsOpen(descriptor));
}

TEST_F(SocketTest, ClosesWhatAnAssignmentReplaces) {
  Socket kept = Tcp(Loopback4()).Made();
  const int replaced = kept.descriptor();
  Socket other = Tcp(Loopback4()).Made();
  const int moved = other.descriptor();
  kept = std::move(other);
  EXPECT_EQ(kept.descriptor(), moved);
  EXPECT_TRUE(IsOpen(moved));
  EXPECT_FALSE(IsOpen(replaced));
}

TEST_F(SocketTest, ClosesOnceOnly) {
  Socket socket = Tcp(Loopback4()).Made();
  const int descriptor = socket.descriptor();
  socket.Close();
  EXPECT_FALSE(IsOpen(descriptor));
  const Socket next = Tcp(Loopback4()).Made();
  EXPECT_EQ(next.descriptor(), descriptor);
  socket.Close();
  EXPECT_TRUE(IsOpen(descriptor));
}

TEST_F(SocketTest, IsNotLeftToAProgramThatTheCaseStarts) {
  const Socket socket = Udp(Loopback4()).Made();
  EXPECT_EQ(fcntl(socket.descriptor(), F_GETFD), FD_CLOEXEC);
}

TEST_F(SocketTest, TellsTheAnswersOfTheKernel) {
  Socket holder = Tcp(Loopback4()).Bound(kPort);
  EXPECT_EQ(Tcp(Loopback4()).Bind(kPort).Got(), "EADDRINUSE");
  EXPECT_EQ(holder.LocalName().Got(), "127.0.0.1:7777");
  EXPECT_EQ(holder.Port(), kPort);
  EXPECT_EQ(holder.State().Got(), "CLOSE");
  EXPECT_EQ(holder.Listen().Got(), "ok");
  EXPECT_EQ(holder.State().Got(), "LISTEN");
  EXPECT_EQ(holder.Get(so::kAcceptConn).Got(), "1");
  EXPECT_EQ(holder.Disconnect().Got(), "ok");
  EXPECT_EQ(holder.State().Got(), "CLOSE");
  EXPECT_EQ(Tcp(Loopback4()).Made().Connect(Loopback4(), kPort).error, ECONNREFUSED);
}

TEST_F(SocketTest, SetsOptionsBeforeItBinds) {
  Socket socket = Tcp(Loopback4()).Asking(Sharing::kReuseAddr).Bound(kPort);
  EXPECT_EQ(socket.Get(so::kReuseAddr).Got(), "1");
  EXPECT_EQ(socket.Set(so::kReuseAddr, 0).Got(), "ok");
  EXPECT_EQ(socket.Get(so::kReuseAddr).Got(), "0");
  EXPECT_EQ(socket.GetBytes(so::kReuseAddr, 1).Got(), "1 bytes 0");
  const int on = 1;
  EXPECT_EQ(socket.SetBytes(so::kReuseAddr, &on, 2).Got(), "EINVAL");
}

TEST_F(SocketTest, EndsACaseWhenAHolderIsRefused) {
  const Socket holder = Tcp(Loopback4()).Bound(kPort);
  EXPECT_THROW(Tcp(Loopback4()).Bound(kPort), UnexpectedAnswer);
  EXPECT_THROW(Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort), UnexpectedAnswer);
}

TEST_F(SocketTest, CannotAskWithoutItsDevice) {
  EXPECT_THROW(Tcp(Loopback4()).Device("nowhere").Made(), CannotAsk);
}

TEST_F(SocketTest, AcceptsWithoutWaiting) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  EXPECT_EQ(listener.TryAccept().first.Got(), "EAGAIN");
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort);
  auto [outcome, accepted] = listener.TryAccept();
  EXPECT_TRUE(outcome.ok());
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->State().Got(), "ESTABLISHED");
}

TEST_F(SocketTest, CarriesBytesBothWays) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  auto [client, server] = Established(listener, Loopback4(), kPort);
  EXPECT_EQ(client.Send("question").Got(), "8");
  EXPECT_EQ(server.Receive().Got(), "question");
  EXPECT_EQ(server.Shutdown(SHUT_WR).Got(), "ok");
  EXPECT_EQ(client.Receive().Got(), "end of file");
}

TEST_F(SocketTest, ResetsWhatItIsConnectedTo) {
  Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  auto [client, server] = Established(listener, Loopback4(), kPort);
  server.Reset();
  EXPECT_EQ(client.Receive().Got(), "ECONNRESET");
}

TEST_F(SocketTest, SendsDatagrams) {
  Socket receiver = Udp(Loopback4()).Bound(kPort);
  Socket sender = Udp(Loopback4()).Made();
  EXPECT_EQ(sender.SendTo(Loopback4(), kPort, "hello").Got(), "5");
  EXPECT_EQ(receiver.Receive().Got(), "hello");
}

TEST_F(SocketTest, PassesAndDuplicatesTheSameSocket) {
  Socket listener = Tcp(Loopback4()).Bound(kPort);
  Socket passed = listener.Passed();
  Socket duplicate = listener.Duplicated();
  EXPECT_NE(passed.descriptor(), listener.descriptor());
  EXPECT_EQ(passed.Listen().Got(), "ok");
  EXPECT_EQ(duplicate.State().Got(), "LISTEN");
  listener.Close();
  passed.Close();
  EXPECT_EQ(Tcp(Loopback4()).Made().Connect(Loopback4(), kPort).Got(), "ok");
  EXPECT_NE(passed.name(), duplicate.name());
}

TEST_F(SocketTest, DescribesItselfWhileItLives) {
  Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(kPort);
  EXPECT_FALSE(testing::Value(Tcp(Loopback4()).Bind(kPort), Succeeds()));
  Journal::Get().Fail("x.cc", 1, "missed");
  const std::string story = Journal::Get().End();
  EXPECT_NE(story.find(holder.name() + ": tcp 127.0.0.1:7777 reuseaddr owner=0 CLOSE"), std::string::npos) << story;
}

}  // namespace
}  // namespace portshare
