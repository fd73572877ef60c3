// One worker of the sweep: asks its part of a family, compares, counts.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/explore/families.h"
#include "harness/explore/kernel.h"
#include "harness/explore/tally.h"
#include "model/machine.h"

namespace portshare {

// A worker's share: one of `jobs` in one of `shards`.
struct Part {
  uint64_t shards = 1;
  uint64_t shard = 0;
  uint64_t jobs = 1;
  uint64_t job = 0;
};

class Worker {
 public:
  // `mutants` are those of model::AllMutants(); the board says which of them are dead already.
  Worker(const Alphabet& alphabet, const model::Epoch& epoch, const std::vector<model::Mutant>& mutants, Board& board,
         Tally& tally);

  // Asks the scenarios of the groups of this part.  Throws CannotAsk.
  void Ask(const Family& family, uint64_t seed, const Part& part);

  // One scenario, counted and compared.
  void Examine(const Proposal& proposal, Invariant invariant);

 private:
  // Does the kernel refuse the newcomer beside the holder?  Asked at most once by all workers.
  bool Conflict(int holder, int newcomer);
  void Compare(const model::Scenario& scenario);
  void Watch(const Proposal& proposal, Invariant invariant);
  // An invariant held or did not; `explained` where the model knows that it does not.
  void Saw(const Proposal& proposal, Invariant invariant, bool holds, bool explained);
  void Mismatch(const model::Scenario& scenario, size_t step);
  void Find(const std::string& key, const std::function<std::string()>& text);
  void TryMutants(const model::Scenario& scenario);

  const Alphabet& alphabet_;
  const model::Epoch epoch_;
  Board& board_;
  Tally& tally_;
  Kernel kernel_;
  model::Machine machine_;
  struct Suspect {
    size_t number;
    model::Machine machine;
    uint64_t rule;  // the bit of the rule that it breaks; all bits for an epoch
  };
  std::vector<Suspect> alive_;
  std::vector<int> answers_;
  std::vector<model::Decision> decisions_;
  std::map<std::string, size_t> findings_;
  // Of the group that is being asked: how many scenarios, how many went well, whether history had a part in any.
  struct Group {
    int scenarios = 0;
    int accepted = 0;
    bool remembered = false;
    bool first_accepted = false;
    int last_answer = 0;
    bool same_last_answer = true;
  } group_;
};

// The scenario with what the model expects, and where the kernel answers otherwise: the text of a failure.
std::string Story(const model::Scenario& scenario, const std::vector<int>& answers, const model::Epoch& epoch);

}  // namespace portshare
