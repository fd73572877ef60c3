// What the program can tell about itself, as JSON for the driver.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace portshare {

// Claims and cases.  results/claims.schema.json
std::string ClaimsAsJson();

// One of model::kEpochs or of Behaviours() on this kernel; none where this user or kernel lacks what its probe needs.
struct EpochFact {
  std::string name;
  std::optional<bool> holds;
};

// What this user and kernel lack, every need with its reason and its fix; the kernel's epochs; and where its log ends
// now, for --complaints-since.
std::string FactsAsJson(const std::vector<EpochFact>& epochs);

}  // namespace portshare
