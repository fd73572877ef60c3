#include "harness/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace portshare {
namespace {

// How lib/bug.c, the sanitizers of the kernel, the lock validator and the watchdogs begin.
constexpr std::array<std::string_view, 13> kBeginnings = {
    "WARNING: ",
    "BUG: ",
    "kernel BUG at ",
    "Oops",
    "UBSAN: ",
    "INFO: task ",
    "INFO: rcu",
    "rcu: INFO: ",
    "watchdog: BUG: ",
    "unregister_netdevice: waiting",
    "general protection fault",
    "refcount_t: ",
    "list_add corruption",
};

}  // namespace

bool IsComplaint(const std::string& line) {
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](std::string_view beginning) { return line.starts_with(beginning); });
}

KernelLog::KernelLog() : log_(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
  if (log_.open()) lseek(log_.number(), 0, SEEK_END);
}

std::vector<KernelComplaint> KernelLog::Since() {
  std::vector<KernelComplaint> complaints;
  if (!log_.open()) return complaints;
  char record[8192];
  for (;;) {
    // EPIPE: records were overwritten before they were read; the next read goes on with the oldest that is left.
    const ssize_t count = read(log_.number(), record, sizeof record);
    if (count < 0 && errno == EPIPE) continue;
    if (count <= 0) return complaints;
    // "priority,sequence,microseconds,flags;text", then lines of key=value.
    const std::string line(record, static_cast<size_t>(count));
    const size_t comma = line.find(','), text = line.find(';') + 1;
    const std::string said = line.substr(text, line.find('\n', text) - text);
    if (IsComplaint(said)) complaints.push_back({std::strtoull(line.c_str() + comma + 1, nullptr, 10), said});
  }
}

}  // namespace portshare
