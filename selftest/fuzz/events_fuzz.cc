// Any bytes in what a case tells of itself: each event is one line of JSON, whatever a kernel, a server or a message
// said. How to build and run it: notation_fuzz.cc
#include <cstdint>
#include <nlohmann/json.hpp>

#include "harness/journal.h"
#include "selftest/fuzz/require.h"

namespace {

MemoryFile& Events() {
  static MemoryFile events("events");
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  setenv("PORTSHARE_EVENTS", Events().path().c_str(), 1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  Events().Hold("");
  portshare::Journal& journal = portshare::Journal::Get();
  journal.Begin("fuzz.case", std::chrono::seconds(60));
  journal.Asking(text);
  journal.Checked(journal.Answered(portshare::Outcome{text, 0, text}), text, size % 2 == 0);
  if (size % 3 == 0) journal.Error(text);
  if (size % 5 == 0) journal.Skip(text, text, text);
  journal.Fail(text, 1, text);
  journal.End();
  portshare::TellExit("fuzz.case", text, 0.5, text);
  portshare::TellComplaint("fuzz.case", {1, text});

  const std::string told = Events().Content();
  int lines = 0;
  for (size_t begin = 0, end; (end = told.find('\n', begin)) != std::string::npos; begin = end + 1, ++lines) {
    Require(nlohmann::json::accept(told.begin() + static_cast<std::ptrdiff_t>(begin),
                                   told.begin() + static_cast<std::ptrdiff_t>(end)),
            "an event is JSON");
  }
  Require(lines == 5, "an event is one line");
  return 0;
}
