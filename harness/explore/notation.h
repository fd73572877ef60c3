// The scenario notation: one text for failures, `ask`, reproducers and known deviations.
//
//   a: tcp 0.0.0.0 reuseport owner=1001
//   b: udp [::] v6only reuseaddr dev=v0
//   unrelated 11
//   bind a
//   listen a             => EADDRINUSE
//   set a reuseaddr off
//   own a 1002
//   time_wait a
//   close a
//
// One step a line, or several separated by ';'; # starts a comment.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "model/scenario.h"

namespace portshare {

// A scenario with what the text says beside it.  `names` by socket; `expected` by step: 0 or the errno after "=>".
struct Script {
  model::Scenario scenario;
  std::vector<std::string> names;
  std::vector<std::optional<int>> expected;
};

// What is wrong with a text, and where: lines and columns count from 1; columns count bytes.
struct NotationError : std::runtime_error {
  NotationError(int at_line, int at_column, const std::string& what);
  int line;
  int column;
};

// Longer texts are refused.
inline constexpr size_t kMostSteps = 10'000;

// Throws NotationError and nothing else, for any bytes.
Script Parse(std::string_view text);

// "a: tcp 0.0.0.0 reuseport owner=1001"
std::string SocketText(const std::string& name, const model::Socket& socket);
// "set a reuseaddr off"
std::string StepText(const model::Step& step, const std::vector<std::string>& names);
// The whole scenario, a line each, which Parse() takes back.
std::string Print(const Script& script);
// a, b, c, ... for as many sockets.
std::vector<std::string> DefaultNames(size_t sockets);

}  // namespace portshare
