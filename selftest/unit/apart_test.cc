#include "harness/apart.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

// A process that belongs to no group of its case any more.
void LeaveOne(const std::string& file) {
  if (fork() != 0) return;
  setsid();
  std::ofstream(file) << getpid() << std::endl;
  while (true) pause();
}

// Watches a case that leaves such a process, and exits with 0 when that is gone, too.
[[noreturn]] void Watch(const std::string& file) {
  Apart::Get().Begin(20);
  Apart::Get().Enter("unit.case");
  if (Apart::Get().watched()) {
    LeaveOne(file);
    while (ReadFile(file).empty()) usleep(1000);
    _exit(0);
  }
  const pid_t left = std::atoi(ReadFile(file).c_str());
  const bool gone = left > 0 && kill(left, 0) != 0;
  if (left > 0) kill(left, SIGKILL);
  std::_Exit(gone ? 0 : 1);
}

TEST(ApartTest, LeavesNoProcessOfACase) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string file = ScratchFile();
  EXPECT_EXIT(Watch(file), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace portshare
