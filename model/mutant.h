// A model with one rule broken: to see that the sweep would notice.
#pragma once

#include <string>
#include <vector>

#include "model/rule.h"

namespace portshare::model {

// One change of one rule: its answer, or something that it looks at.  Or of one epoch.
struct Mutant {
  enum class Change : uint8_t { kNone, kNegated, kAlways, kNever, kTweaked, kEpoch };

  Change change = Change::kNone;
  Rule rule = Rule::kAlone;
  uint8_t tweak = 0;  // of kTweaked: a place in the list of tweaks; of kEpoch: in kEpochs

  // What the broken rule answers.
  bool Holds(const Situation& asked) const;
  // The epoch as this mutant believes it to be.
  Epoch Believes(Epoch epoch) const;
  // "shares_by_port: owners are not compared"
  std::string Text() const;
};

// Every change that makes a rule answer otherwise in at least one situation that the alphabet has.
std::vector<Mutant> AllMutants(const Epoch& epoch);

}  // namespace portshare::model
