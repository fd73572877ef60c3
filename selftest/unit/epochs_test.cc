// The epochs: each probe tells its own epoch and no other, and the kernel's answers are the model's.
#include "harness/explore/epochs.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/emulate.h"
#include "harness/explore/notation.h"
#include "model/machine.h"
#include "netns/errno_name.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using model::Epoch;

// The model's answers to the scenario of a probe.
std::vector<int> ByTheModel(const EpochProbe& probe, const Epoch& epoch) {
  const Script script = Parse(probe.scenario);
  model::Machine machine(epoch);
  machine.Begin(script.scenario);
  std::vector<int> answers;
  for (const model::Step& step : script.scenario.steps) answers.push_back(machine.Do(step).error);
  return answers;
}

std::vector<int> Ending(const EpochProbe& probe, int last) {
  std::vector<int> answers(Parse(probe.scenario).scenario.steps.size(), 0);
  answers.back() = last;
  return answers;
}

TEST(EpochProbes, AreOneForEachEpochInOrder) {
  ASSERT_EQ(EpochProbes().size(), model::kEpochs.size());
  for (size_t place = 0; place < model::kEpochs.size(); ++place) {
    EXPECT_EQ(EpochProbes()[place].field, model::kEpochs[place].field) << model::kEpochs[place].name;
  }
}

TEST(EpochProbes, TellTheirOwnEpoch) {
  for (size_t place = 0; place < model::kEpochs.size(); ++place) {
    const EpochProbe& probe = EpochProbes()[place];
    Epoch epoch;
    epoch.*probe.field = true;
    EXPECT_EQ(ByTheModel(probe, epoch), Ending(probe, probe.when_true)) << model::kEpochs[place].name;
    epoch.*probe.field = false;
    EXPECT_EQ(ByTheModel(probe, epoch), Ending(probe, probe.when_false)) << model::kEpochs[place].name;
  }
}

// Whatever the other epochs are, so that the order in which a kernel is repaired does not matter.
TEST(EpochProbes, TellNoOtherEpoch) {
  for (size_t place = 0; place < model::kEpochs.size(); ++place) {
    const EpochProbe& probe = EpochProbes()[place];
    for (const bool value : {true, false}) {
      for (const model::EpochText& other : model::kEpochs) {
        // Without SO_REUSEPORT most are not asked.
        if (other.field == probe.field || other.field == &Epoch::reuseport) continue;
        Epoch epoch;
        epoch.*probe.field = value;
        epoch.*other.field = !(epoch.*other.field);
        EXPECT_EQ(ByTheModel(probe, epoch), Ending(probe, value ? probe.when_true : probe.when_false))
            << model::kEpochs[place].name << " with " << other.name;
      }
    }
  }
}

TEST_F(InNetwork, ProbingLeavesTheCallersNetworkAlone) {
  const auto networks = [] { return std::filesystem::read_symlink("/proc/thread-self/ns/net"); };
  const auto before = networks();
  const size_t told = Journal::Get().lines().size();
  EpochFacts();
  EXPECT_EQ(networks(), before);
  EXPECT_EQ(Journal::Get().lines().size(), told);
}

TEST_F(InNetwork, WhatWasAskedIsTheCurrentEpoch) {
  for (size_t place = 0; place < model::kEpochs.size(); ++place) {
    const EpochFact& fact = EpochFacts()[place];
    EXPECT_EQ(fact.name, model::kEpochs[place].name);
    EXPECT_EQ(CurrentEpoch().*model::kEpochs[place].field, fact.holds.value_or(Epoch().*model::kEpochs[place].field));
  }
}

}  // namespace
}  // namespace portshare
