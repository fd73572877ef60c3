// Servers leave nothing behind, and who listens is told as the kernel has it.
#include "harness/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "harness/listeners.h"
#include "harness/server_needs.h"
#include "harness/socket.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

class ServerTest : public InNetwork {
 protected:
  void SetUp() override {
    InNetwork::SetUp();
    if (IsSkipped()) return;
    NEEDS(needs::kServerRoom);
  }
  static Launch Shell(const std::string& script) { return {.name = "shell", .words = {"sh", "-c", script}}; }
};

// Whether nobody holds the other end of the pipe within a while.
bool Released(int read_end) {
  pollfd entry{read_end, POLLIN, 0};
  return poll(&entry, 1, 3000) == 1 && (entry.revents & POLLHUP) != 0;
}

TEST_F(ServerTest, TellsHowAServerEnded) {
  const ServerRoom room;
  EXPECT_EQ(Server(room, Shell("exit 3")).Ended().Got(), "exit code 3");
  EXPECT_EQ(Server(room, Shell("kill -ABRT $$")).Ended().Got(), "signal ABRT");
  Server killed(room, Shell("sleep 100"));
  killed.Kill();
  EXPECT_EQ(killed.Ended().Got(), "signal KILL");
}

TEST_F(ServerTest, ReadsWhatItsRoomHolds) {
  const ServerRoom room;
  room.Write("portshare-said", "words\n");
  Server shell(room, Shell("cat portshare-said; echo $$; sleep 100"));
  EXPECT_TRUE(shell.Prints("words\n" + std::to_string(shell.number()) + "\n").ok());
  EXPECT_NE(access("/run/portshare-said", F_OK), 0);
}

TEST_F(ServerTest, EndsWithItsRoomAlthoughItLeftItsParent) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  {
    const ServerRoom room;
    Launch launch = Shell("setsid sh -c 'setsid sleep 100 & exit' & exit");
    launch.passed_descriptor = write_end.number();
    Server shell(room, launch);
    write_end.Close();
    EXPECT_EQ(shell.Ended().Got(), "exit code 0");
  }
  EXPECT_TRUE(Released(read_end.number()));
}

TEST_F(ServerTest, FindsItsWorkersAndFreezesThem) {
  const ServerRoom room;
  Server shell(room, Shell("sleep 100 & sleep 100 & wait"));
  EXPECT_EQ(shell.AwaitWorkers(2).Got(), "2");
  FreezeAll(shell.Workers());
  EXPECT_EQ(shell.Workers().size(), 2U);
  KillAll(shell.Workers());
  EXPECT_EQ(shell.Ended().Got(), "exit code 0");
}

TEST_F(ServerTest, SaysThatThereIsNoSuchProgram) {
  const ServerRoom room;
  EXPECT_THROW(Server(room, {.name = "none", .words = {"no-such-program"}}), CannotAsk);
  EXPECT_EQ(FindServer("no-such-program"), "");
}

TEST_F(ServerTest, CountsWhoListensByOwner) {
  EXPECT_EQ(CountTcpListeners(kPort).Got(), "none");
  const SocketSpec shared = Tcp(Loopback4()).ReusePort();
  const Socket first = shared.Bound(kPort).Listening(), second = shared.Bound(kPort).Listening();
  const Socket bound = shared.Bound(kPort);
  const Socket six = Tcp(Loopback6()).Bound(kPort).Listening();
  const Socket receiver = Udp(Loopback4()).Bound(kPort);
  EXPECT_EQ(CountTcpListeners(kPort).Got(), "3 of uid 0");
  EXPECT_EQ(CountUdpReceivers(kPort).Got(), "1 of uid 0");
  EXPECT_EQ(CountTcpListeners(kPort + 1).Got(), "none");
}

TEST_F(ServerTest, CountsWhoWaits) {
  const Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  const Socket one = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort);
  const Socket two = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort);
  EXPECT_EQ(WaitingAtListeners(kPort), std::vector<int>{2});
}

}  // namespace
}  // namespace portshare
