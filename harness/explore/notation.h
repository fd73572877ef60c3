// The scenario notation: one text for failures, `ask`, reproducers and known deviations.
//
//   a: tcp 0.0.0.0 reuseport owner=1001
//   b: udp [::]:7778 v6only reuseaddr dev=v0
//   unrelated 11
//   bind a
//   listen a             => EADDRINUSE
//   set a reuseaddr off
//   own a 1002
//   time_wait a
//   close b
//
// One step a line, or several separated by ';'; # starts a comment.  A socket is declared before its first step; port
// 7777 goes without saying.  What a failure tells is taken as well: "bind a 0.0.0.0:7777", whose port counts where the
// declaration has none, "set a reuseport=1", "chown a 1002", "device=v0", and after an answer "<-- wanted ok" or a
// remark in parentheses, neither of which is kept.
#pragma once

#include <cstdint>
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

  bool operator==(const Script&) const = default;
};

// What is wrong with a text, and where: lines and columns count from 1; columns count bytes.
// what() is "3:6: expected a socket's name, found "zz"; declared are a, b".
struct NotationError : std::runtime_error {
  NotationError(int at_line, int at_column, const std::string& wrong);
  int line;
  int column;
};

// What model::Socket::port counts from: the port that the cases use.
inline constexpr uint16_t kScenarioPort = 7777;

// Longer texts are refused.
inline constexpr size_t kMostSteps = 10'000;
inline constexpr size_t kMostSockets = 1'000;
inline constexpr uint32_t kMostUnrelated = 1'000;

// Throws NotationError and nothing else, for any bytes.
Script Parse(std::string_view text);

// "a: tcp 0.0.0.0 reuseport owner=1001"
std::string SocketText(const std::string& name, const model::Socket& socket);
// "set a reuseaddr off"
std::string StepText(const model::Step& step, const std::vector<std::string>& names);
// The whole scenario, a line each, which Parse() takes back.  `expected` may be empty.
std::string Print(const Script& script);
// a, b, ... z, a1, b1, ... for as many sockets, as the journal names them.
std::vector<std::string> DefaultNames(size_t sockets);

}  // namespace portshare
