// What a worker of the sweep counts.  It lies in memory that the workers share with their parent, so it is plain bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "harness/explore/families.h"
#include "model/epoch.h"
#include "model/rule.h"

namespace portshare {

// How often something that looks alike came up, and the shortest story of it.
struct Finding {
  uint64_t count = 0;
  std::array<char, 2000> text = {};
};

struct Tally {
  struct Count {
    uint64_t checked = 0;
    uint64_t violated = 0;
    uint64_t unexplained = 0;
  };

  uint64_t scenarios = 0;
  uint64_t steps = 0;
  uint64_t digest = 0;       // a sum over the scenarios: those of all parts add up to that of the whole
  uint64_t mismatches = 0;   // answers that the model does not give
  uint64_t unexplained = 0;  // answers that the contract refuses, for no cause that the model knows
  std::array<uint64_t, model::kEpochs.size()> causes = {};
  std::array<uint64_t, model::kRules> rules = {};
  std::array<Count, kInvariants> invariants = {};
  std::array<Finding, 16> findings = {};  // those with a count; what comes beyond is only counted
  std::array<char, 500> trouble = {};     // why the worker could not ask

  void Add(const Tally& other);
};

// What all workers read and write.
struct Board {
  static constexpr size_t kMostMutants = 256;
  static constexpr size_t kMostSockets = 192;
  using Answers = std::array<std::atomic<uint8_t>, kMostSockets * kMostSockets>;

  std::array<std::atomic<uint8_t>, kMostMutants> killed = {};
  // Pair by pair: 0 not asked yet, 1 admitted, 2 refused; TCP and UDP.
  std::array<Answers, 2> pairs = {};
};

}  // namespace portshare
