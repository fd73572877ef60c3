// Any bytes as orders to the first process of a guest: each order gets one answer, and what it needs of a file or a
// process is made up here.  How to build and run it: notation_fuzz.cc
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "selftest/fuzz/require.h"

namespace {

struct OrdersEnded {};

// No file of this machine is written, and no command started.
int FileOfTheGuest() {
  static int number = 0;
  return ++number % 2 == 0 ? memfd_create("file", 0) : -1;
}

}  // namespace

#define main guest_main
#define open(...) FileOfTheGuest()
#define unlink(path) static_cast<void>(path)
#define fork() (-1)
#define _exit(code) throw OrdersEnded()
#include "kernels/guest/init.cc"
#undef main
#undef open
#undef unlink
#undef fork
#undef _exit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static MemoryFile orders("orders"), answers("answers");
  orders.Hold({reinterpret_cast<const char*>(data), size});
  answers.Hold("");
  try {
    Serve({orders.number(), answers.number()});
  } catch (const OrdersEnded&) {
  }
  const std::string said = answers.Content();
  Require(said.starts_with("!ready\n") && said.ends_with('\n'), "answers are lines");
  for (size_t begin = 0, end; (end = said.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line = std::string_view(said).substr(begin, end - begin);
    Require(line == "!ready" || line == "!put" || line.starts_with("!end ") || line.starts_with("!error "),
            "every answer is one of the protocol's");
  }
  return 0;
}
