// Differences between kernels that the model does not describe, each an epoch with a probe, as those in model/epoch.h
// are.
#pragma once

#include <optional>
#include <vector>

#include "harness/listing.h"

namespace portshare {

struct Behaviour {
  const char* name;
  const char* says;    // what a kernel does for which it is true
  const char* source;  // commit or function, and since when
  // In a private network; none where this kernel or this user lacks what it takes.  Throws CannotAsk or
  // UnexpectedAnswer.
  std::optional<bool> (*probe)();
};

const std::vector<Behaviour>& Behaviours();

// This kernel's, in their order.  Outside of cases: the steps stand in the journal.
std::vector<EpochFact> BehaviourFacts();

}  // namespace portshare
