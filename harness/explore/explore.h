#pragma once

namespace portshare {

// Makes the listing know the cases of a sweep; with `deep` also those that only a deep sweep has.
void AddSweepCases(bool deep);

}  // namespace portshare
