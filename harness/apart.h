// A process for each case, forked in the middle of GoogleTest's run, not started: for places where a start is dear.
#pragma once

#include <optional>
#include <string>

#include "harness/kernel_log.h"

namespace portshare {

class Apart {
 public:
  static Apart& Get();

  // From now on; no case may live longer than so many seconds.
  void Begin(double seconds);

  // Before a case begins, in the process that called Begin(): returns in the case's own process, which is about to
  // begin it, and here when that has ended.
  //
  // Here it writes two events: `exit` for a process that ended otherwise than by 0 or 1, with the end of what
  // it printed, and `kernel` for what the kernel complained of meanwhile.  No process of the case is left.
  // Throws CannotAsk where nothing can be forked.
  void Enter(const std::string& case_id);

  // After the last case, whose work in the kernel may not be done: writes what the kernel complains of, as the last
  // one's.
  void End();

  // Here GoogleTest only believes that a case runs.
  bool watches() const { return role_ == Role::kWatches; }
  // Here it is the only one that will run.
  bool watched() const { return role_ == Role::kWatched; }

 private:
  enum class Role { kNone, kWatches, kWatched };

  Role role_ = Role::kNone;
  double seconds_ = 0;
  int printed_ = -1;  // a file without a name: what a process prints, so that no reader has to keep up with it
  std::optional<KernelLog> log_;
  std::string last_;  // the case that ran last
};

}  // namespace portshare
