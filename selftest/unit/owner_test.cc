// Acting as another: in this thread, and in children that must be what they were asked to be.
#include "harness/owner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "harness/emulate.h"
#include "harness/socket.h"
#include "netns/cannot_ask.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using OwnerTest = InNetwork;
using Outcomes = std::vector<Outcome>;

uid_t FileOwner() {
  return static_cast<uid_t>(setfsuid(static_cast<uid_t>(-1)));
}

std::string WhatStops(const std::function<void()>& act) {
  try {
    act();
  } catch (const CannotAsk& reason) {
    return reason.what();
  }
  return "nothing";
}

bool HasChildren() {
  return waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD;
}

TEST_F(OwnerTest, ActsAsAnotherForAWhile) {
  NEEDS(needs::kSecondOwner);
  {
    const As alice(Alice());
    EXPECT_EQ(geteuid(), Alice().uid);
    EXPECT_EQ(FileOwner(), Alice().uid);
    EXPECT_EQ(getuid(), 0U);
  }
  EXPECT_EQ(geteuid(), 0U);
  EXPECT_EQ(FileOwner(), 0U);
}

TEST_F(OwnerTest, StaysWhoItIsWhenAnotherIsRefused) {
  NEEDS(needs::kSecondOwner);
  {
    const As alice(Alice());
    EXPECT_EQ(WhatStops([] { const As bob(Bob()); }), "become bob: EPERM");
    EXPECT_EQ(geteuid(), Alice().uid);
  }
  EXPECT_EQ(geteuid(), 0U);
}

TEST_F(OwnerTest, ChangesTheFileOwnerAlone) {
  NEEDS(needs::kSecondOwner);
  {
    const AsFileOwner bob(Bob());
    EXPECT_EQ(FileOwner(), Bob().uid);
    EXPECT_EQ(geteuid(), 0U);
  }
  EXPECT_EQ(FileOwner(), 0U);
}

TEST_F(OwnerTest, MakesSocketsOfTheOwner) {
  NEEDS(needs::kSecondOwner);
  EXPECT_EQ(Tcp(Loopback4()).OwnedBy(Bob()).Made().OwnerUid().Got(), "1002");
  EXPECT_EQ(geteuid(), 0U);
}

TEST_F(OwnerTest, ReducesAChildToAnIdentity) {
  NEEDS(needs::kSecondOwner);
  const auto answers = InChild({1001, 1002, {}}, [] {
    Socket socket = Tcp(Loopback4()).Made();
    return Outcomes{socket.OwnerUid(), Outcome{"uid", 0, std::to_string(getuid())},
                    Outcome{"gid", 0, std::to_string(getegid())}, socket.Bind(80)};
  });
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0].Got(), "1001");
  EXPECT_EQ(answers[1].Got(), "1001");
  EXPECT_EQ(answers[2].Got(), "1002");
  EXPECT_EQ(answers[3].Got(), "EACCES");
  EXPECT_EQ(getuid(), 0U);
}

TEST_F(OwnerTest, LeavesAChildTheCapabilitiesThatWereAskedFor) {
  NEEDS(needs::kSecondOwner);
  const auto answers =
      InChild({1001, 1001, {CAP_NET_BIND_SERVICE}}, [] { return Outcomes{Tcp(Loopback4()).Bind(80)}; });
  EXPECT_EQ(answers.at(0).Got(), "ok");
}

TEST_F(OwnerTest, VerifiesTheIdentityInTheChild) {
  NEEDS(needs::kSecondOwner);
  // libcap-ng takes the uid -1 for one that is not to be changed.
  EXPECT_EQ(WhatStops([] {
              InChild({static_cast<uid_t>(-1), 0, {}}, [] { return Outcomes(); });
            }),
            "as uid 4294967295: the child kept other ids or capabilities than asked for");
  EXPECT_FALSE(HasChildren());
}

TEST_F(OwnerTest, JoinsTheChildsStepsToTheStory) {
  const int names = Journal::Get().names();
  InAnotherProcess("the same user", [] { return Outcomes{Tcp(Loopback4()).Bind(kPort)}; });
  const auto& lines = Journal::Get().lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "in a child process as the same user:");
  EXPECT_EQ(lines[1], "a: tcp 127.0.0.1 owner=0");
  EXPECT_EQ(lines[2], "bind a 127.0.0.1:7777  => ok");
  EXPECT_EQ(Journal::Get().names(), names + 1);
}

TEST_F(OwnerTest, LeavesNoTraceOfAChildThatAskedNothing) {
  InAnotherProcess("the same user", [] { return Outcomes(); });
  EXPECT_TRUE(Journal::Get().lines().empty());
}

TEST_F(OwnerTest, TellsWhatStoppedTheChild) {
  EXPECT_EQ(
      WhatStops([] { InAnotherProcess("the same user", []() -> Outcomes { throw CannotAsk("socket", EMFILE); }); }),
      "as the same user: socket: EMFILE");
  EXPECT_FALSE(HasChildren());
}

TEST_F(OwnerTest, EndsTheCaseWhenAStepWasRefusedInTheChild) {
  const Socket holder = Tcp(Loopback4()).Bound(kPort);
  EXPECT_THROW(InAnotherProcess("the same user",
                                [] {
                                  const Socket newcomer = Tcp(Loopback4()).Bound(kPort);
                                  return Outcomes();
                                }),
               UnexpectedAnswer);
  EXPECT_THAT(Journal::Get().held(), testing::HasSubstr(holder.name() + ": tcp 127.0.0.1:7777"));
}

TEST_F(OwnerTest, EndsTheCaseWhenAnExpectationIsMissedInTheChild) {
  EXPECT_THROW(InAnotherProcess("the same user",
                                [] {
                                  ADD_FAILURE() << "missed on purpose";
                                  return Outcomes();
                                }),
               UnexpectedAnswer);
}

TEST_F(OwnerTest, LimitsAChildWhoseParentMayBeEndedFirst) {
  const auto timer = InAnotherProcess("the same user", [] {
    itimerval left{};
    getitimer(ITIMER_REAL, &left);
    return Outcomes{Outcome{"timer", 0, left.it_value.tv_sec > 0 ? "runs" : "stands"}};
  });
  EXPECT_EQ(timer.at(0).Got(), "runs");
}

TEST_F(OwnerTest, TellsThatTheChildDied) {
  EXPECT_EQ(WhatStops([] { InAnotherProcess("the same user", []() -> Outcomes { _exit(0); }); }),
            "a child process as the same user died before it answered");
  EXPECT_EQ(WhatStops([] {
              InAnotherProcess("the same user", []() -> Outcomes {
                raise(SIGKILL);
                return {};
              });
            }),
            "a child process as the same user died before it answered");
  EXPECT_FALSE(HasChildren());
}

TEST_F(OwnerTest, EndsAChildThatHangs) {
  EXPECT_EQ(WhatStops([] {
              InAnotherProcess("the same user", []() -> Outcomes {
                for (;;) pause();
              });
            }),
            "a child process said nothing for 3000 ms");
  EXPECT_FALSE(HasChildren());
}

TEST_F(OwnerTest, BecomesRootOfANamespaceOfTheOwner) {
  NEEDS(needs::kUserNamespace);
  const auto answers = InUserNamespaceOf(Alice(), [] {
    Socket socket = Tcp(Loopback4()).Made();
    return Outcomes{Outcome{"uid", 0, std::to_string(getuid())}, socket.OwnerUid(), socket.Bind(80)};
  });
  EXPECT_EQ(answers.at(0).Got(), "0");
  EXPECT_EQ(answers.at(1).Got(), "0");
  EXPECT_EQ(answers.at(2).Got(), "EACCES");
}

TEST_F(OwnerTest, EmulatesAKernelWithoutReusePort) {
  NEEDS(needs::kReusePort);
  const auto answers = InAnotherProcess("the same user", [] {
    EmulateLinux38();
    Socket socket = Tcp(Loopback4()).Made();
    return Outcomes{socket.Set(so::kReusePort), socket.Get(so::kReusePort), socket.Set(so::kReuseAddr),
                    socket.Get(so::kReuseAddr)};
  });
  EXPECT_EQ(answers.at(0).Got(), "ENOPROTOOPT");
  EXPECT_EQ(answers.at(1).Got(), "ENOPROTOOPT");
  EXPECT_EQ(answers.at(2).Got(), "ok");
  EXPECT_EQ(answers.at(3).Got(), "1");
  EXPECT_EQ(Tcp(Loopback4()).Made().Set(so::kReusePort).Got(), "ok");
}

}  // namespace
}  // namespace portshare
