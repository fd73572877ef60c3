#include "harness/signal_scope.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace portshare {
namespace {

// A child that waits for its end.
pid_t Waiting() {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  return child;
}

void End(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

int ErrorOfSignal(pid_t process) {
  return kill(process, 0) != 0 ? errno : 0;
}

// In a process of its own, because there is no way back. The exit code is the error, or that of a kernel without.
enum ExitCode { kCannot = 200, kOwnChildRefused = 201 };

TEST(SignalScope, ReachesItsOwnProcessesAndNoOthers) {
  const pid_t other = Waiting();
  ASSERT_EQ(ErrorOfSignal(other), 0);
  const pid_t inside = fork();
  if (inside == 0) {
    if (!KeepSignalsInside()) _exit(kCannot);
    const pid_t own = Waiting();
    const int of_own = ErrorOfSignal(own);
    End(own);
    _exit(of_own != 0 ? kOwnChildRefused : ErrorOfSignal(other));
  }
  int status = 0;
  waitpid(inside, &status, 0);
  End(other);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannot) GTEST_SKIP() << "this kernel, or this user, cannot";
  EXPECT_EQ(WEXITSTATUS(status), EPERM);
}

}  // namespace
}  // namespace portshare
