#include "harness/journal.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/matchers.h"
#include "harness/outcome.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using Json = nlohmann::json;

class JournalTest : public testing::Test {
 protected:
  // The event stream is opened once for a process, so that each question about it starts a process anew.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static Journal& Begun() {
    Journal::Get().Begin("unit.case", std::chrono::seconds(10));
    return Journal::Get();
  }

  static std::vector<Json> Events(const std::string& file) {
    std::vector<Json> events;
    std::istringstream lines(ReadFile(file));
    for (std::string line; std::getline(lines, line);) events.push_back(Json::parse(line));
    return events;
  }
};

TEST_F(JournalTest, NamesSocketsInOrder) {
  Journal& journal = Begun();
  EXPECT_EQ(journal.NextName(), "a");
  EXPECT_EQ(journal.NextName(), "b");
  journal.SkipNames(25);
  EXPECT_EQ(journal.NextName(), "z");
  EXPECT_EQ(journal.NextName(), "a1");
  EXPECT_EQ(journal.names(), 27);
  journal.End();
}

TEST_F(JournalTest, GivesEachAnswerItsRow) {
  Journal& journal = Begun();
  journal.Note("a: tcp 127.0.0.1");
  EXPECT_EQ(journal.Answered(Outcome{"bind a", 0, ""}).row, 2);
  EXPECT_EQ(journal.Answered(Outcome{"listen a", EADDRINUSE, ""}).row, 3);
  EXPECT_EQ(journal.lines().back(), "listen a  => EADDRINUSE");
  journal.End();
}

TEST_F(JournalTest, CountsAnExpectationOnce) {
  Journal& journal = Begun();
  const Outcome outcome = journal.Answered(Outcome{"bind a", 0, ""});
  journal.Checked(outcome, "ok", true);
  journal.Checked(outcome, "ok", true);
  EXPECT_EQ(journal.outcomes(), 1);
  journal.End();
}

TEST_F(JournalTest, TellsNoStoryOfAPass) {
  Journal& journal = Begun();
  journal.Checked(journal.Answered(Outcome{"bind a", 0, ""}), "ok", true);
  EXPECT_EQ(journal.End(), "");
}

TEST_F(JournalTest, TellsStepsWantedAnswersAndHoldersOfAFailure) {
  Journal& journal = Begun();
  journal.Holds(1000, [] { return std::string("a: the holder"); });
  journal.Holds(1001, [] { return std::string("b: gone"); });
  journal.Forgets(1001);
  journal.Checked(journal.Answered(Outcome{"bind c", 0, ""}), "EADDRINUSE", false);
  journal.Fail("x.cc", 3, "missed");
  const std::string story = journal.End();
  journal.Forgets(1000);
  EXPECT_NE(story.find("  bind c  => ok   <-- wanted EADDRINUSE\n"), std::string::npos) << story;
  EXPECT_NE(story.find("  a: the holder\n"), std::string::npos) << story;
  EXPECT_EQ(story.find("b: gone"), std::string::npos) << story;
}

TEST_F(JournalTest, ForgetsTheCaseBefore) {
  Begun().Note("old");
  Journal::Get().End();
  EXPECT_TRUE(Begun().lines().empty());
  EXPECT_EQ(Journal::Get().names(), 0);
  Journal::Get().End();
}

// Lets `act` happen in a program started anew, whose event stream is a file, and returns the events.
#define EVENTS_OF(act)                                                                         \
  [&] {                                                                                        \
    const std::string file = ScratchFile();                                                    \
    setenv("PORTSHARE_EVENTS", file.c_str(), 1);                                               \
    EXPECT_EXIT((act(), Journal::Get().End(), std::_Exit(0)), testing::ExitedWithCode(0), ""); \
    unsetenv("PORTSHARE_EVENTS");                                                              \
    return Events(file);                                                                       \
  }()

TEST_F(JournalTest, WritesStartOutcomeAndEnd) {
  setenv("PORTSHARE_ATTEMPT", "2", 1);
  const auto events = EVENTS_OF([] {
    Journal& journal = Begun();
    journal.Checked(journal.Answered(Outcome{"bind a", EADDRINUSE, ""}), "EADDRINUSE", true);
  });
  unsetenv("PORTSHARE_ATTEMPT");
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0]["event"], "start");
  EXPECT_EQ(events[0]["case"], "unit.case");
  EXPECT_EQ(events[0]["attempt"], 2);
  EXPECT_EQ(events[1]["step"], "bind a");
  EXPECT_EQ(events[1]["row"], 1);
  EXPECT_EQ(events[1]["got"], "EADDRINUSE");
  EXPECT_EQ(events[1]["ok"], true);
  EXPECT_EQ(events[2]["status"], "pass");
  EXPECT_EQ(events[2]["outcomes"], 1);
}

TEST_F(JournalTest, EndsAsSkipWithTheFirstReason) {
  const auto events = EVENTS_OF([] {
    Begun().Skip("no_veth", "first", "load veth");
    Journal::Get().Skip("no_vrf", "second", "load vrf");
  });
  EXPECT_EQ(events.back()["status"], "skip");
  EXPECT_EQ(events.back()["code"], "no_veth");
  EXPECT_EQ(events.back()["text"], "first");
  EXPECT_EQ(events.back()["fix"], "load veth");
}

TEST_F(JournalTest, EndsAsErrorThoughAFailureCameToo) {
  const auto events = EVENTS_OF([] {
    Begun().Error("socket: EMFILE");
    Journal::Get().Fail("x.cc", 3, "could not ask");
  });
  EXPECT_EQ(events.back()["status"], "error");
  EXPECT_EQ(events.back()["text"], "socket: EMFILE");
}

TEST_F(JournalTest, EndsAsFailWithTheStoryAtTheLastFailure) {
  const auto events = EVENTS_OF([] {
    Begun().Note("a: tcp");
    Journal::Get().Fail("x.cc", 3, "one");
    Journal::Get().Fail("x.cc", 4, "two");
  });
  EXPECT_EQ(events.back()["status"], "fail");
  const Json failures = events.back()["failures"];
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_EQ(failures[0]["message"], "one");
  EXPECT_EQ(failures[1]["line"], 4);
  EXPECT_EQ(failures[1]["message"], "two\nsteps:\n  a: tcp\n");
}

TEST_F(JournalTest, KeepsBytesThatAreNoText) {
  const auto events = EVENTS_OF([] {
    Journal& journal = Begun();
    journal.Checked(journal.Answered(Outcome{"receive a", 0, "\xff"}), "x", false);
  });
  EXPECT_EQ(events[1]["got"], "\xef\xbf\xbd");
}

}  // namespace
}  // namespace portshare
