// The ways to share a port among workers that the documents compare, one repetition each.
#pragma once

#include <string>

#include "bench/report.h"

namespace portshare::bench {

struct Repetition {
  std::string way;
  double seconds = 1;
  int workers = 4;
  int at_once = 32;  // connections or datagrams under way
};

// Both throw CannotAsk, and std::invalid_argument for a way that there is not.  They measure in the namespace that the
// caller is in.
Report Tcp(const Repetition& repetition);
Report Udp(const Repetition& repetition);

}  // namespace portshare::bench
