// docs/rules.md: who may bind beside whom, as the model says it and as this kernel was asked.
#pragma once

#include <functional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/epoch.h"
#include "model/scenario.h"

namespace portshare {

// Kernel::Run, or something in its place.  Throws CannotAsk where a second owner or a device is missing.
using RunScenario = std::function<void(const model::Scenario& scenario, std::vector<int>& answers)>;

// The kernel answered otherwise than the model; what() has a line for each scenario.
struct KernelDisagrees : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The page in Markdown: the same on every kernel and for every user.  Each scenario behind it is asked of the kernel,
// and compared with a model of `here`, that kernel's epoch; how many could not be asked, and why, goes to `notes`.
// Throws KernelDisagrees.
std::string RulesPage(const model::Epoch& here, const RunScenario& run, std::ostream& notes);

}  // namespace portshare
