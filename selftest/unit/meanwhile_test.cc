#include "harness/meanwhile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <atomic>

#include "harness/traffic.h"

namespace portshare {
namespace {

TEST(Meanwhile, ActsBesideTheCaller) {
  std::atomic<bool> goes_on = false;
  std::atomic<int> acted = 0;
  Meanwhile meanwhile([&] {
    while (!goes_on) std::this_thread::yield();
    acted = 1;
  });

  EXPECT_FALSE(meanwhile.done());
  goes_on = true;
  meanwhile.End();
  EXPECT_TRUE(meanwhile.done());
  EXPECT_EQ(acted, 1);
  meanwhile.End();
}

TEST(Meanwhile, IsWaitedForWhereItGoes) {
  int acted = 0;
  {
    const Meanwhile meanwhile([&] { acted = 1; });
  }
  EXPECT_EQ(acted, 1);
}

TEST(Meanwhile, LeavesTheCallersProcessor) {
  std::atomic<int> its = -1;
  int own = -1;
  int usable = 0;

  std::thread([&] {
    cpu_set_t all;
    CPU_ZERO(&all);
    for (size_t processor = 0; processor < CPU_SETSIZE; ++processor) CPU_SET(processor, &all);
    sched_setaffinity(0, sizeof all, &all);
    sched_getaffinity(0, sizeof all, &all);
    usable = CPU_COUNT(&all);
    StayOnThisProcessor();
    own = sched_getcpu();
    Meanwhile([&] { its = sched_getcpu(); }).End();
  }).join();

  if (usable < 2) GTEST_SKIP() << "one processor";
  EXPECT_NE(own, its);
}

TEST(AtOnce, ActsInAllThreadsAtTheSameTime) {
  std::atomic<int> acted = 0;
  std::array<int, 3> seen = {};

  AtOnce(seen.size(), [&](size_t number) {
    ++acted;
    while (acted < 3) std::this_thread::yield();
    seen.at(number) = acted;
  });

  EXPECT_THAT(seen, testing::Each(3));
}

}  // namespace
}  // namespace portshare
