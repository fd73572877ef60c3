#include "harness/behaviour.h"

#include <set>

#include "harness/kernel_log.h"
#include "model/epoch.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

TEST(Behaviours, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const model::EpochText& text : model::kEpochs) names.insert(text.name);
  for (const Behaviour& behaviour : Behaviours()) EXPECT_TRUE(names.insert(behaviour.name).second) << behaviour.name;
}

// Where all is at hand, each probe comes to an answer.
TEST_F(InNetwork, EveryBehaviourIsTold) {
  for (const Behaviour& behaviour : Behaviours()) {
    const PrivateNetwork network;
    EXPECT_TRUE(behaviour.probe().has_value()) << behaviour.name;
  }
}

TEST(KernelLogTest, KnowsAComplaint) {
  EXPECT_TRUE(IsComplaint("WARNING: CPU: 0 PID: 7 at net/ipv4/inet_hashtables.c:100 inet_bind"));
  EXPECT_TRUE(IsComplaint("BUG: KASAN: slab-use-after-free in udp_lib_get_port"));
  EXPECT_TRUE(IsComplaint("INFO: task portshare_cases:12 blocked for more than 120 seconds."));
  EXPECT_FALSE(IsComplaint("v0: entered promiscuous mode"));
  EXPECT_FALSE(IsComplaint("this is no BUG: at all"));
}

TEST(KernelLogTest, BeginsWhereTheLogEnds) {
  KernelLog log;
  EXPECT_TRUE(log.Since().empty());
}

}  // namespace
}  // namespace portshare
