// Outcomes, what is expected of them, and the arithmetic of luck.
#include "harness/outcome.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "harness/matchers.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using testing::Value;

Share Spread(const std::vector<int>& counts, int error = 0) {
  return Counted("spread", counts, error);
}

TEST(Outcome, TellsTheErrorTheAnswerOrOk) {
  EXPECT_EQ((Outcome{"bind a", EADDRINUSE, ""}).Got(), "EADDRINUSE");
  EXPECT_EQ((Outcome{"state a", 0, "LISTEN"}).Got(), "LISTEN");
  EXPECT_EQ((Outcome{"bind a", 0, ""}).Got(), "ok");
  std::ostringstream text;
  text << Outcome{"bind a", EACCES, ""};
  EXPECT_EQ(text.str(), "EACCES  (bind a)");
}

TEST(Matchers, TellSuccessFromFailure) {
  const Outcome ok{"bind a", 0, ""}, refused{"bind a", EADDRINUSE, ""};
  EXPECT_TRUE(Value(ok, Succeeds()));
  EXPECT_FALSE(Value(refused, Succeeds()));
  EXPECT_TRUE(Value(refused, FailsWith(EADDRINUSE)));
  EXPECT_FALSE(Value(refused, FailsWith(EACCES)));
  EXPECT_FALSE(Value(ok, FailsWith(EADDRINUSE)));
}

TEST(Matchers, WantAnAnswerOnlyOfASuccess) {
  EXPECT_TRUE(Value(Outcome{"state a", 0, "LISTEN"}, Is("LISTEN")));
  EXPECT_FALSE(Value(Outcome{"state a", 0, "CLOSE"}, Is("LISTEN")));
  EXPECT_FALSE(Value(Outcome{"state a", EBADF, "LISTEN"}, Is("LISTEN")));
  EXPECT_TRUE(Value(Outcome{"get a reuseport", 0, "1"}, Is(1)));
  EXPECT_FALSE(Value(Outcome{"get a reuseport", 0, "0"}, Is(1)));
}

TEST(Matchers, WantExactCounts) {
  EXPECT_TRUE(Value(Spread({0, 20}), Gets(0, 20)));
  EXPECT_FALSE(Value(Spread({20, 0}), Gets(0, 20)));
  EXPECT_FALSE(Value(Spread({0, 20}, ECONNREFUSED), Gets(0, 20)));
}

TEST(Matchers, WantSomethingAtEach) {
  EXPECT_TRUE(Value(Spread({1, 19}), ReachesEach(20)));
  EXPECT_FALSE(Value(Spread({0, 20}), ReachesEach(20)));
  EXPECT_FALSE(Value(Spread({1, 18}), ReachesEach(20)));
  EXPECT_FALSE(Value(Spread({1, 19}, ECONNREFUSED), ReachesEach(20)));
}

TEST(Matchers, WantAllAtOne) {
  EXPECT_TRUE(Value(Spread({0, 20, 0}), ReachesOne(20)));
  EXPECT_FALSE(Value(Spread({0, 19, 0}), ReachesOne(20)));
  EXPECT_FALSE(Value(Spread({1, 20, 0}), ReachesOne(20)));
  EXPECT_FALSE(Value(Spread({20, 20, 0}), ReachesOne(20)));
  EXPECT_FALSE(Value(Spread({0, 20, 0}, ECONNREFUSED), ReachesOne(20)));
}

TEST(Matchers, WantAnEvenSpreadOfAll) {
  EXPECT_TRUE(Value(Spread({480, 520}), SpreadsEvenly(1000)));
  EXPECT_FALSE(Value(Spread({250, 750}), SpreadsEvenly(1000)));
  EXPECT_FALSE(Value(Spread({480, 519}), SpreadsEvenly(1000)));
  EXPECT_FALSE(Value(Spread({480, 520}, ECONNREFUSED), SpreadsEvenly(1000)));
  EXPECT_FALSE(Value(Spread({0, 0}), SpreadsEvenly(0)));
}

TEST(Matchers, SayWhatTheyWant) {
  EXPECT_EQ(testing::PrintToString(testing::DescribeMatcher<Outcome>(FailsWith(EADDRINUSE))), "\"EADDRINUSE\"");
  EXPECT_EQ(testing::DescribeMatcher<Share>(Gets(0, 20)), "0/20");
  EXPECT_EQ(testing::DescribeMatcher<Outcome>(testing::Not(Succeeds())), "not ok");
}

// The values are those of the chi-square distribution's published tables.
TEST(ChanceOfSpread, IsTheUpperTailOfChiSquare) {
  EXPECT_NEAR(ChanceOfSpread({60, 40}), 0.0455003, 1e-7);                                  // 4 of 1 degree
  EXPECT_NEAR(ChanceOfSpread({30, 30, 40}), std::exp(-1.0), 1e-12);                        // 2 of 2
  EXPECT_NEAR(ChanceOfSpread({20, 25, 25, 30}), 0.5724067, 1e-7);                          // 2 of 3
  EXPECT_NEAR(ChanceOfSpread({10, 20, 30, 20, 20}), 0.0404277, 1e-7);                      // 10 of 4
  EXPECT_NEAR(ChanceOfSpread({0, 100}) / 1.523971e-23, 1.0, 1e-5);                         // 100 of 1
  EXPECT_NEAR(ChanceOfSpread({10, 10, 10, 10, 10, 10, 10, 10, 10, 20}), 0.5159324, 1e-7);  // 90/11 of 9
}

TEST(ChanceOfSpread, IsOneWithoutFreedomOrUnevenness) {
  EXPECT_EQ(ChanceOfSpread({}), 1);
  EXPECT_EQ(ChanceOfSpread({7}), 1);
  EXPECT_EQ(ChanceOfSpread({7, 7}), 1);
  EXPECT_EQ(ChanceOfSpread({7, 7, 7}), 1);
}

TEST(EnoughToReach, IsTheLeastThatMakesAMissRare) {
  EXPECT_EQ(EnoughToReach(0), 1);
  EXPECT_EQ(EnoughToReach(1), 1);
  for (const int members : {2, 3, 4, 10}) {
    const auto miss = [members](int tries) { return members * std::pow(1.0 - 1.0 / members, tries); };
    EXPECT_LE(miss(EnoughToReach(members)), 1e-10) << members;
    EXPECT_GT(miss(EnoughToReach(members) - 1), 1e-10) << members;
  }
}

}  // namespace
}  // namespace portshare
