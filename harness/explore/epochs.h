// What differs between kernels, asked of this one: a probe for each epoch.
#pragma once

#include <vector>

#include "harness/listing.h"
#include "model/epoch.h"

namespace portshare {

// A scenario whose last answer tells one epoch and no other.  The answers before it are ok, or it tells nothing.
struct EpochProbe {
  bool model::Epoch::*field;
  const char* scenario;  // notation.h
  // The last answer, 0 or an errno, of a kernel for which the epoch is true, and of one for which it is not.
  int when_true;
  int when_false;
  // Asked so often, in another namespace each time, until it is true: where chance may hide the epoch, since each
  // namespace has hashes of its own.
  int turns = 1;
};

// One for each of model::kEpochs, in their order.
const std::vector<EpochProbe>& EpochProbes();

// This kernel's answers, in the order of model::kEpochs.  Asked once a process, in a network and a thread of their own:
// neither the caller's network nor its journal sees it.  Throws CannotAsk.
const std::vector<EpochFact>& EpochFacts();

// The same as the model's record; what could not be asked has its default.
const model::Epoch& CurrentEpoch();

}  // namespace portshare
