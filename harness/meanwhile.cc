#include "harness/meanwhile.h"

#include <sched.h>

#include <stop_token>
#include <utility>
#include <vector>

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

void UseAllProcessors() {
  LeaveProcessor(CPU_SETSIZE);
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

void AtOnce(size_t count, const std::function<void(size_t)>& act) {
  std::atomic<size_t> there = 0;
  std::vector<std::jthread> threads;
  for (size_t number = 0; number < count; ++number) {
    threads.emplace_back([&, number](const std::stop_token& one_is_missing) {
      UseAllProcessors();
      for (++there; there < count; std::this_thread::yield()) {
        if (one_is_missing.stop_requested()) return;
      }
      act(number);
    });
  }
  // Not left to their destructors: who still waits for the last one would be told that it is missing.
  for (std::jthread& thread : threads) thread.join();
}

}  // namespace portshare
