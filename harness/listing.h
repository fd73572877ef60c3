// What the program can tell about itself, as JSON for the driver.
#pragma once

#include <string>

namespace portshare {

// Claims and cases.  results/claims.schema.json
std::string ClaimsAsJson();

// What this user and kernel lack: every need with its reason and its fix.
std::string FactsAsJson();

}  // namespace portshare
