// What the kernel says against itself while a case runs: a warning with a backtrace, a lockup, a taint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netns/descriptor.h"

namespace portshare {

struct KernelComplaint {
  // Of the record in the log; with the text it tells one complaint from another.  0: a taint, which has no record.
  uint64_t sequence;
  std::string text;  // its first line
};

// Where one process stopped watching and another goes on.  Without what may not be read here.
struct KernelMark {
  std::optional<uint64_t> sequence;  // of the record that will be the log's next
  std::optional<uint64_t> taint;
};

// /dev/kmsg: Documentation/ABI/testing/dev-kmsg, and the mask of Documentation/admin-guide/tainted-kernels.rst; or what
// stands for them in the folder that PORTSHARE_KERNEL_FILES names, for the project's own tests.
struct KernelFiles {
  KernelFiles();
  std::string log = "/dev/kmsg";
  std::string taint = "/proc/sys/kernel/tainted";
};

// Does this line of the log begin a complaint?
bool IsComplaint(const std::string& line);

class KernelLog {
 public:
  // From where the log ends now.  Sees nothing of what may not be read (no root, no /dev/kmsg).
  explicit KernelLog(const KernelFiles& files = KernelFiles());
  // From the mark on, taken since the machine was booted last.
  explicit KernelLog(const KernelMark& mark, const KernelFiles& files = KernelFiles());

  static bool Readable() { return KernelLog().log_.open(); }
  static KernelMark Mark(const KernelFiles& files = KernelFiles());

  // Of the time since it was asked last.
  std::vector<KernelComplaint> Since();
  // The same, after the time in which the kernel takes down what a case had: that is done by workers of its own.
  std::vector<KernelComplaint> SinceAndSoon();

 private:
  struct Record;
  bool Read(std::vector<Record>& records);

  KernelFiles files_;
  Descriptor log_;
  uint64_t first_ = 0;  // records before it are not ours
  std::optional<uint64_t> taint_;
};

}  // namespace portshare
