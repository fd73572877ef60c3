#include "harness/meanwhile.h"

#include <sched.h>

#include <utility>

namespace portshare {
namespace {

// A case stays on one processor; who acts beside it must not be there.  With a single processor nothing changes.
void LeaveProcessor(int processor) {
  cpu_set_t others;
  CPU_ZERO(&others);
  for (int other = 0; other < CPU_SETSIZE; ++other) {
    if (other != processor) CPU_SET(static_cast<size_t>(other), &others);
  }
  sched_setaffinity(0, sizeof others, &others);
}

}  // namespace

Meanwhile::Meanwhile(std::function<void()> act)
    : thread_([this, act = std::move(act), here = sched_getcpu()] {
        LeaveProcessor(here);
        there_ = true;
        act();
        done_ = true;
      }) {
  while (!there_) std::this_thread::yield();
}

void Meanwhile::End() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace portshare
