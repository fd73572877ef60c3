// From the scenario in which something was found to the one that is worth reading.
#pragma once

#include <functional>

#include "model/scenario.h"

namespace portshare {

// The question is put at most this often, so that shrinking always ends.
inline constexpr int kMostProbes = 2'000;

// The fewest steps that still show it, then the plainest sockets: no flags, no device, one owner, 127.0.0.1.  Owners,
// devices and loopbacks are numbered in the order of their first use, so that two finds of one kind mostly end in one
// text.  `still_differs` is asked about scenarios that the notation can write, and was true of `found`.
model::Scenario Shrink(const model::Scenario& found, const std::function<bool(const model::Scenario&)>& still_differs);

}  // namespace portshare
