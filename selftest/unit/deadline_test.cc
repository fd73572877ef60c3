#include "harness/deadline.h"

#include <gtest/gtest.h>
#include <sys/time.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "harness/journal.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using std::chrono::milliseconds;

class DeadlineTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void TearDown() override {
    unsetenv("PORTSHARE_EVENTS");
    unsetenv("PORTSHARE_DEADLINE");
  }
};

void Hang(const std::string& step) {
  Journal::Get().Begin("unit.hangs", milliseconds(50));
  Journal::Get().Asking(step);
  for (;;) pause();
}

TEST_F(DeadlineTest, EndsTheProcessAndNamesTheStep) {
  EXPECT_EXIT(Hang("accept a"), testing::ExitedWithCode(1), "deadline passed at \"accept a\"");
}

TEST_F(DeadlineTest, WritesAnEndEvent) {
  const std::string file = ScratchFile();
  setenv("PORTSHARE_EVENTS", file.c_str(), 1);
  EXPECT_EXIT(Hang("accept \"a\""), testing::ExitedWithCode(1), "");
  const std::string text = ReadFile(file);
  const auto end = nlohmann::json::parse(text.substr(text.find('\n') + 1));
  EXPECT_EQ(end["event"], "end");
  EXPECT_EQ(end["case"], "unit.hangs");
  EXPECT_EQ(end["status"], "timeout");
  EXPECT_EQ(end["seconds"], 0.05);
  EXPECT_EQ(end["text"], "accept \"a\"");
}

TEST_F(DeadlineTest, StaysOneLineForAStepOfAnyLength) {
  const std::string file = ScratchFile();
  setenv("PORTSHARE_EVENTS", file.c_str(), 1);
  EXPECT_EXIT(Hang(std::string(5000, '"')), testing::ExitedWithCode(1), "a long step");
  const std::string text = ReadFile(file);
  EXPECT_EQ(nlohmann::json::parse(text.substr(text.find('\n') + 1))["text"], "a long step");
}

TEST_F(DeadlineTest, IsOffOnceTheCaseHasEnded) {
  itimerval timer{};
  StartDeadline(milliseconds(20000), "{}");
  getitimer(ITIMER_REAL, &timer);
  EXPECT_GT(timer.it_value.tv_sec, 0);
  StopDeadline();
  getitimer(ITIMER_REAL, &timer);
  EXPECT_EQ(timer.it_value.tv_sec, 0);
  EXPECT_EQ(timer.it_value.tv_usec, 0);
}

TEST_F(DeadlineTest, ComesFromTheEnvironment) {
  EXPECT_EQ(CaseDeadline(), milliseconds(10000));
  setenv("PORTSHARE_DEADLINE", "2.5", 1);
  EXPECT_EQ(CaseDeadline(), milliseconds(2500));
  setenv("PORTSHARE_DEADLINE", "soon", 1);
  EXPECT_EQ(CaseDeadline(), milliseconds(10000));
  setenv("PORTSHARE_DEADLINE", "-1", 1);
  EXPECT_EQ(CaseDeadline(), milliseconds(10000));
}

}  // namespace
}  // namespace portshare
