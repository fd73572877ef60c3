// Which processor the case runs on, and so which one handles what it sends over loopback and veth.
#pragma once

#include <sched.h>

#include "harness/need.h"

namespace portshare {

namespace needs {
extern const Need kTwoProcessors;
}

// Where this thread runs; a case stays there until it moves.
int ThisProcessor();
// Another one that this thread may run on; -1 where there is none.
int OtherProcessor();
// Moves this thread for good.  Throws CannotAsk.
void MoveToProcessor(int number);

// While it lives, this thread stays where it is.  Throws CannotAsk.
class OnOneProcessor {
 public:
  OnOneProcessor();
  ~OnOneProcessor();
  OnOneProcessor(const OnOneProcessor&) = delete;
  OnOneProcessor& operator=(const OnOneProcessor&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace portshare
