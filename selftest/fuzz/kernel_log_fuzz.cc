// Any bytes for /dev/kmsg and, behind the first NUL, for /proc/sys/kernel/tainted: what is a complaint is one line.
// How to build and run it: notation_fuzz.cc
#include <cstdint>

#include "harness/kernel_log.h"
#include "selftest/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static MemoryFile log("kmsg"), taint("tainted");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = text.find('\0');
  log.Hold(text.substr(0, end));
  taint.Hold(end == std::string_view::npos ? "0" : text.substr(end + 1));
  portshare::KernelFiles files;
  files.log = log.path();
  files.taint = taint.path();

  const portshare::KernelMark mark = portshare::KernelLog::Mark(files);
  portshare::KernelLog from_the_first({.sequence = 0, .taint = 0}, files);
  for (const portshare::KernelComplaint& complaint : from_the_first.Since()) {
    Require(complaint.text.find('\n') == std::string::npos, "a complaint is one line");
    Require(complaint.text.starts_with("taints itself: ") || portshare::IsComplaint(complaint.text),
            "what is told is a complaint");
  }
  Require(from_the_first.Since().empty(), "nothing is told twice");
  Require(mark.sequence.has_value(), "a log that is there has an end");
  return 0;
}
