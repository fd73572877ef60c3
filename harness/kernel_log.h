// What the kernel says against itself while a case runs: a warning with a backtrace, a lockup, a taint.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "netns/descriptor.h"

namespace portshare {

struct KernelComplaint {
  uint64_t sequence;  // of the record in the log, which tells one complaint from another
  std::string text;   // its first line
};

// Does this line of the log begin a complaint?
bool IsComplaint(const std::string& line);

// From where the log ends now.  /dev/kmsg: Documentation/ABI/testing/dev-kmsg
class KernelLog {
 public:
  // Sees nothing where the log may not be read (no root, no /dev/kmsg).
  KernelLog();
  static KernelLog Closed() { return KernelLog(Descriptor()); }

  bool readable() const { return log_.open(); }
  std::vector<KernelComplaint> Since();

 private:
  explicit KernelLog(Descriptor log) : log_(std::move(log)) {}

  Descriptor log_;
};

}  // namespace portshare
