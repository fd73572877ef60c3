// One scenario, asked of the kernel and of the model, for a reader.
#pragma once

#include <ostream>
#include <vector>

#include "harness/explore/notation.h"
#include "model/epoch.h"

namespace portshare {

// Runs the scenario on this kernel and in a model of it, and writes both step by step with the model's reason.  0 when
// they agree on every answer and each "=>" of the text came true, else 1.  Throws CannotAsk.
int Ask(const Script& script, const model::Epoch& epoch, std::ostream& out);

// The same with the kernel's answers at hand: 0 or the errno of each step.
int TellBoth(const Script& script, const model::Epoch& epoch, const std::vector<int>& kernel, std::ostream& out);

}  // namespace portshare
