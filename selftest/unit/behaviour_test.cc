#include "harness/behaviour.h"

#include <set>
#include <string>

#include "harness/vsock.h"
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
    // Machines differ in what vsock(7) reaches.
    if (std::string(behaviour.name) == "vsock_stays_bound" && needs::kVsockLoopback.probe()) continue;
    EXPECT_TRUE(behaviour.probe().has_value()) << behaviour.name;
  }
}

}  // namespace
}  // namespace portshare
