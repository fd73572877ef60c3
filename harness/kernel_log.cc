#include "harness/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

namespace portshare {
namespace {

// How lib/bug.c, the allocators, the sanitizers of the kernel, the lock validator, the watchdogs, the sockets and the
// faults of each architecture begin.  SLUB's "BUG kmalloc-64 (Not tainted)" has no colon.
constexpr std::array<std::string_view, 28> kBeginnings = {
    "WARNING: ",
    "BUG: ",
    "BUG ",
    "kernel BUG at ",
    "Kernel BUG at ",
    "Kernel bug detected",
    "Kernel panic",
    "Oops",
    "Internal error: ",
    "Unable to handle kernel ",
    "general protection fault",
    "UBSAN: ",
    "INFO: task ",
    "INFO: rcu",
    "INFO: possible ",
    "INFO: trying to register non-static key",
    "rcu: INFO: ",
    "watchdog: BUG: ",
    "watchdog: Watchdog detected ",
    "NMI watchdog: BUG: ",
    "NMI watchdog: Watchdog detected ",
    "unregister_netdevice: waiting",
    "refcount_t: ",
    "list_add corruption",
    "list_del corruption",
    "ODEBUG: ",
    "Attempt to release ",        // inet_sock_destruct(): a socket that is alive, or in a state
    "IPv4: Attempt to release ",  // the same, of newer kernels
};

// Documentation/admin-guide/tainted-kernels.rst, from bit 0 on.
constexpr std::string_view kTaints = "PFSRMBUDAWCIOELKXTNJ";
// Those that say what was loaded into the kernel, as the first use of a protocol may do, and not what befell it.
constexpr std::string_view kTaintsOfModules = "PFRCOEKTN";

constexpr std::chrono::milliseconds kSoon{300};

// MIPS: "CPU 1 Unable to handle kernel paging request".
std::string_view WithoutProcessor(std::string_view line) {
  if (!line.starts_with("CPU ")) return line;
  const size_t end = line.find_first_not_of("0123456789", 4);
  return end == std::string_view::npos || end == 4 || line[end] != ' ' ? line : line.substr(end + 1);
}

// die() of every architecture counts how often it was called: "illegal operation: 0001 ilc:1 [#1]".
bool CountsDeaths(std::string_view line) {
  const size_t begin = line.find("[#");
  if (begin == std::string_view::npos) return false;
  const size_t end = line.find_first_not_of("0123456789", begin + 2);
  return end != std::string_view::npos && end > begin + 2 && line[end] == ']';
}

std::optional<uint64_t> Taint(const std::string& path) {
  uint64_t mask = 0;
  std::ifstream file(path);
  return file >> mask ? std::optional(mask) : std::nullopt;
}

}  // namespace

struct KernelLog::Record {
  uint64_t sequence;
  bool of_kernel;  // not of a program that wrote to /dev/kmsg
  std::string text;
};

KernelFiles::KernelFiles() {
  const char* folder = std::getenv("PORTSHARE_KERNEL_FILES");
  if (folder == nullptr) return;
  log = std::string(folder) + "/kmsg";
  taint = std::string(folder) + "/tainted";
}

bool IsComplaint(const std::string& line) {
  const std::string_view said = WithoutProcessor(line);
  return CountsDeaths(said) || std::any_of(kBeginnings.begin(), kBeginnings.end(),
                                           [&](std::string_view beginning) { return said.starts_with(beginning); });
}

KernelLog::KernelLog(const KernelFiles& files)
    : files_(files), log_(open(files.log.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)), taint_(Taint(files.taint)) {
  if (log_.open()) lseek(log_.number(), 0, SEEK_END);
}

KernelLog::KernelLog(const KernelMark& mark, const KernelFiles& files) : KernelLog(files) {
  taint_ = mark.taint;
  if (!mark.sequence) return;
  first_ = *mark.sequence;
  if (log_.open()) lseek(log_.number(), 0, SEEK_SET);
}

KernelMark KernelLog::Mark(const KernelFiles& files) {
  KernelLog log(KernelMark{.sequence = 0, .taint = {}}, files);
  KernelMark mark{.sequence = {}, .taint = Taint(files.taint)};
  if (!log.log_.open()) return mark;
  mark.sequence = 0;
  for (std::vector<Record> records; log.Read(records);) {
    if (!records.empty()) mark.sequence = records.back().sequence + 1;
  }
  return mark;
}

// Some that follow; false when there are no more.  /dev/kmsg gives one a read, a file of the tests as many as it has.
bool KernelLog::Read(std::vector<Record>& records) {
  records.clear();
  char text[8192];
  ssize_t count;
  // EPIPE: records were overwritten before they were read; the next read goes on with the oldest that is left.
  do {
    count = log_.open() ? read(log_.number(), text, sizeof text) : 0;
  } while (count < 0 && errno == EPIPE);
  if (count <= 0) return false;
  // "facility * 8 + level,sequence,microseconds,flags;text", then lines of " key=value".
  std::istringstream lines(std::string(text, static_cast<size_t>(count)));
  for (std::string line; std::getline(lines, line);) {
    const size_t comma = line.find(','), semicolon = line.find(';');
    if (line.starts_with(' ') || comma == std::string::npos || semicolon == std::string::npos) continue;
    records.push_back({.sequence = std::strtoull(line.c_str() + comma + 1, nullptr, 10),
                       .of_kernel = std::strtoull(line.c_str(), nullptr, 10) < 8,
                       .text = line.substr(semicolon + 1)});
  }
  return true;
}

std::vector<KernelComplaint> KernelLog::Since() {
  std::vector<KernelComplaint> complaints;
  for (std::vector<Record> records; Read(records);) {
    for (const Record& record : records) {
      if (record.sequence < first_ || !record.of_kernel || !IsComplaint(record.text)) continue;
      complaints.push_back({record.sequence, record.text});
    }
  }
  const std::optional<uint64_t> taint = Taint(files_.taint);
  const uint64_t fresh = taint && taint_ ? *taint & ~*taint_ : 0;
  for (size_t bit = 0; bit < kTaints.size(); ++bit) {
    const char letter = kTaints[bit];
    if ((fresh >> bit & 1) == 0 || kTaintsOfModules.find(letter) != std::string_view::npos) continue;
    complaints.push_back({0, std::string("taints itself: ") + letter});
  }
  taint_ = taint;
  return complaints;
}

std::vector<KernelComplaint> KernelLog::SinceAndSoon() {
  if (log_.open() || taint_) std::this_thread::sleep_for(kSoon);
  return Since();
}

}  // namespace portshare
