// Any scenario as a C program: no text of it gets out of its string or its comment.
// How to build and run it: notation_fuzz.cc
#include <algorithm>
#include <cstdint>

#include "harness/explore/reproduce.h"
#include "netns/cannot_ask.h"
#include "selftest/fuzz/require.h"

namespace {

// Every string ends on its line, every comment before the file does, and outside of both there is no other character
// than C has.
void RequireWellFormed(const std::string& program) {
  enum { kCode, kString, kCharacter, kComment } place = kCode;
  for (size_t at = 0; at < program.size(); ++at) {
    const char letter = program[at], next = at + 1 < program.size() ? program[at + 1] : '\0';
    Require(letter == '\n' || letter == '\t' || (letter >= ' ' && letter <= '~'), "C is ASCII");
    if (place == kComment) {
      if (letter == '*' && next == '/') place = kCode, ++at;
    } else if (place == kCode) {
      if (letter == '/' && next == '*') place = kComment, ++at;
      if (letter == '"') place = kString;
      if (letter == '\'') place = kCharacter;
    } else {
      Require(letter != '\n', "a string ends on its line");
      if (letter == '\\') ++at;
      if (letter == (place == kString ? '"' : '\'')) place = kCode;
    }
  }
  Require(place == kCode, "the program ends outside of strings and comments");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const portshare::Script script = portshare::Parse({reinterpret_cast<const char*>(data), size});
    const std::vector<int> expected(script.scenario.steps.size(), 0);
    const std::vector<std::string> reasons(script.scenario.steps.size(), "a reason");
    RequireWellFormed(portshare::CProgram(script, expected, reasons));
  } catch (const portshare::NotationError&) {
  } catch (const portshare::CannotAsk&) {
  }
  return 0;
}
