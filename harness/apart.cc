#include "harness/apart.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "harness/journal.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

constexpr std::chrono::seconds kGrace{2};
constexpr off_t kTail = 8 << 10;  // bytes of what a process printed that are told of it

sigset_t EndsOfChildren() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}

std::string Tail(int file) {
  const off_t size = lseek(file, 0, SEEK_END);
  std::string text(static_cast<size_t>(std::clamp<off_t>(size, 0, kTail)), '\0');
  const ssize_t count = pread(file, text.data(), text.size(), std::max<off_t>(size - kTail, 0));
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

// The status of `child` as of wait(2), after `seconds` at most; -1 when it has not ended.
int Ended(pid_t child, double seconds) {
  const sigset_t ends = EndsOfChildren();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return status;
    const std::chrono::duration<double> left = give_up - std::chrono::steady_clock::now();
    if (left.count() <= 0) return -1;
    const auto whole = static_cast<time_t>(left.count());
    const timespec limit{whole, static_cast<long>((left.count() - static_cast<double>(whole)) * 1e9)};
    sigtimedwait(&ends, nullptr, &limit);
  }
}

// The first throw of a static program sorts all of its unwind tables: here, and not in the process of each case, where
// it took a tenth of the time.
void SortUnwindTables() {
  try {
    throw CannotAsk("nothing");
  } catch (const CannotAsk&) {
  }
}

// All that are left, as /proc tells it: the list of a process's children there is an option of the kernel.
void KillChildren() {
  std::error_code none;  // of a place without /proc, where nothing is found
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    const pid_t process = std::atoi(entry.path().filename().c_str());
    if (process <= 0) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat, '\0');
    // The name of the program stands in parentheses and may itself hold any of them.
    char state = 0;
    pid_t parent = 0;
    std::istringstream rest(stat.substr(stat.rfind(')') + 1));
    if (rest >> state >> parent && parent == getpid()) kill(process, SIGKILL);
  }
}

// Kills and buries them, and what becomes a child by that; gives up on one that not even this ends.
void EndChildren() {
  const sigset_t ends = EndsOfChildren();
  const auto give_up = std::chrono::steady_clock::now() + kGrace;
  while (std::chrono::steady_clock::now() < give_up) {
    const pid_t found = waitpid(-1, nullptr, WNOHANG);
    if (found < 0) return;
    if (found > 0) continue;
    KillChildren();
    const timespec moment{0, 10'000'000};
    sigtimedwait(&ends, nullptr, &moment);
  }
}

std::string How(int status) {
  if (status < 0) return "Timeout";
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Apart& Apart::Get() {
  static Apart apart;
  return apart;
}

void Apart::Begin(double seconds) {
  std::FILE* const file = std::tmpfile();
  if (file == nullptr) throw CannotAsk("a temporary file", errno);
  printed_ = fileno(file);
  seconds_ = seconds;
  role_ = Role::kWatches;
  log_.emplace();
  SortUnwindTables();
  // What a case leaves behind when its process ends becomes a child of this one, and is found.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const sigset_t ends = EndsOfChildren();
  sigprocmask(SIG_BLOCK, &ends, nullptr);
}

void Apart::Enter(const std::string& case_id) {
  if (ftruncate(printed_, 0) != 0 || lseek(printed_, 0, SEEK_SET) != 0) throw CannotAsk("a temporary file", errno);
  std::fflush(nullptr);
  const auto begun = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child < 0) throw CannotAsk("fork", errno);
  if (child == 0) {
    role_ = Role::kWatched;
    setsid();
    const sigset_t ends = EndsOfChildren();
    sigprocmask(SIG_UNBLOCK, &ends, nullptr);
    dup2(printed_, STDOUT_FILENO);
    dup2(printed_, STDERR_FILENO);
    return;
  }
  const int status = Ended(child, seconds_);
  // Nothing of a case may live on beside the next one: its group, and whoever left the group.
  kill(-child, SIGKILL);
  if (status < 0) waitpid(child, nullptr, 0);
  EndChildren();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
  last_ = case_id;
  for (const KernelComplaint& complaint : log_->Since()) TellComplaint(case_id, complaint);
  if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1) {
    TellExit(case_id, How(status), seconds.count(), Tail(printed_));
  }
}

void Apart::End() {
  if (!watches() || last_.empty()) return;
  for (const KernelComplaint& complaint : log_->SinceAndSoon()) TellComplaint(last_, complaint);
}

}  // namespace portshare
