// The sweep: every scenario of the families, asked of the kernel and of the model.
#pragma once

#include <iosfwd>
#include <set>
#include <string>

#include "harness/explore/alphabet.h"
#include "model/epoch.h"

namespace portshare {

struct SweepOptions {
  int jobs = 1;
  bool deep = false;
  uint64_t seed = 1;           // of the random walks
  std::set<std::string> only;  // ids of cases; empty for all
  // One part of several; the parts together ask exactly what the whole asks.  GTEST_TOTAL_SHARDS, GTEST_SHARD_INDEX
  int shards = 1;
  int shard = 0;
};

// Every case of a sweep: its id, "explore.tcp.pairs", and what it says.
struct SweepCase {
  std::string id;
  std::string says;
  bool deep = false;
};
std::vector<SweepCase> SweepCases();

// Writes of each case that it was skipped: there is no place to ask from.
void SkipSweep(const SweepOptions& options, const std::string& why);

// Asks, writes the events of each case and the tables to `out`.  Returns false when a case failed or could not be
// asked.
bool Sweep(const SweepOptions& options, const Letters& letters, const model::Epoch& epoch, std::ostream& out);

}  // namespace portshare
