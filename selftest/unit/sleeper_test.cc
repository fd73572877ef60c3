// Threads that sleep in a call, and what is said of them.
#include "harness/sleeper.h"

#include <system_error>
#include <vector>

#include "harness/owner.h"
#include "harness/socket.h"
#include "selftest/unit/in_network.h"
#include "selftest/unit/refused_calls.h"

namespace portshare {
namespace {

using SleeperTest = InNetwork;

TEST_F(SleeperTest, EndsThoughNothingComes) {
  const Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  const Watch watch(listener);
  const Sleeper in_accept = Sleeper::InAccept(listener), in_poll = Sleeper::InPoll(listener);
  const Sleeper in_epoll = Sleeper::InEpoll(watch);

  EXPECT_EQ(Woken({&in_accept, &in_poll, &in_epoll}).answer, "0/0/0");
}

TEST_F(SleeperTest, SleepsAgainUntilSomethingComes) {
  const Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  Sleeper sleeper = Sleeper::InAccept(listener);
  sleeper.SleepAgain();
  EXPECT_FALSE(sleeper.woken());

  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort);

  EXPECT_EQ(Woken({&sleeper}).answer, "1");
}

TEST_F(SleeperTest, WhoNeedNotSleepIsWoken) {
  const Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kPort);

  const Sleeper sleeper = Sleeper::InPoll(listener);

  EXPECT_TRUE(sleeper.woken());
}

TEST_F(SleeperTest, GoesThoughItCouldNotSleepAgain) {
  NEEDS(needs::kSeccomp);
  const Socket listener = Tcp(Loopback4()).Bound(kPort).Listening();

  const std::vector<Outcome> said = InAnotherProcess("the same user", [&] {
    Sleeper sleeper = Sleeper::InAccept(listener);
    NoMoreProcesses()();
    EXPECT_THROW(sleeper.SleepAgain(), std::system_error);
    return std::vector<Outcome>{};
  });

  EXPECT_TRUE(said.empty());
}

}  // namespace
}  // namespace portshare
