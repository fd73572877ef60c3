// Any bytes for the scenario parser: what it takes prints and parses back to an equal scenario, and what it refuses has
// a place in the text.
//
// The other parsers' are built and run alike.
//
//   cmake --preset fuzz && cmake --build build/fuzz --target notation_fuzz
//   mkdir build/fuzz/new
//   build/fuzz/notation_fuzz -max_total_time=300 -timeout=10 build/fuzz/new selftest/fuzz/notation
//
// -dict=selftest/fuzz/notation.dict gets it further in the same time.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "harness/explore/notation.h"
#include "selftest/fuzz/require.h"

namespace {

std::optional<portshare::Script> Taken(std::string_view text) {
  try {
    return portshare::Parse(text);
  } catch (const portshare::NotationError& error) {
    const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
    Require(error.line >= 1 && error.line <= lines, "the line is one of the text's");
    Require(error.column >= 1 && static_cast<size_t>(error.column) <= text.size() + 1,
            "the column is one of the text's");
    const std::string_view what = error.what();
    Require(what.size() < 1000, "the message is short");
    Require(std::all_of(what.begin(), what.end(), [](char byte) { return byte >= ' ' && byte <= '~'; }),
            "the message is printable");
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto script = Taken({reinterpret_cast<const char*>(data), size});
  if (!script) return 0;
  const std::string printed = portshare::Print(*script);
  const auto again = Taken(printed);
  Require(again == script, "what is printed parses back to an equal scenario");
  Require(portshare::Print(*again) == printed, "printing what was printed changes nothing");
  return 0;
}
