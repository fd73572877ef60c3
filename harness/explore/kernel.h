// A scenario, run on this kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "model/scenario.h"
#include "netns/descriptor.h"
#include "netns/private_network.h"

namespace portshare {

// A network namespace of one's own with lo and, if the kernel can make them, the devices v0 and v1 (1 and 2 of
// model::Socket::device).  The calling thread lives in it until the end.
class Kernel {
 public:
  // Throws CannotAsk.
  Kernel();

  // false where no pair of devices could be made.
  bool has_devices() const;

  // Runs the scenario on a port that nothing holds and that no TIME_WAIT is left on, and closes what it left open.
  // `answers`: 0 or the errno of each step.  model::Socket::port is added to that port.  A socket is made right before
  // its first step, with its options, device and owner (fchown(2)).  Throws CannotAsk when that, or a connection for
  // TIME_WAIT, failed.
  void Run(const model::Scenario& scenario, std::vector<int>& answers);
};

}  // namespace portshare
