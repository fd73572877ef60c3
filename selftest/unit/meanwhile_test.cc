#include "harness/meanwhile.h"

#include <gtest/gtest.h>
#include <sched.h>

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
  cpu_set_t usable;
  CPU_ZERO(&usable);
  sched_getaffinity(0, sizeof usable, &usable);
  if (CPU_COUNT(&usable) < 2) GTEST_SKIP() << "one processor";
  std::atomic<int> its = -1;
  int own = -1;

  std::thread([&] {
    StayOnThisProcessor();
    own = sched_getcpu();
    Meanwhile([&] { its = sched_getcpu(); }).End();
  }).join();

  EXPECT_NE(own, its);
}

}  // namespace
}  // namespace portshare
