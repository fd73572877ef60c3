// What the kernel answered to one step.
#pragma once

#include <string>
#include <vector>

namespace portshare {

// One call and its answer.  `step` is the call in scenario notation ("bind b"); `error` is 0 or an errno; `answer` is
// what was read on success ("1", "LISTEN", "0/20"), empty for a call that has nothing to tell but success.
struct Outcome {
  std::string step;
  int error = 0;
  std::string answer;
  // The line of the case's journal that holds the step.
  int row = 0;

  bool ok() const { return error == 0; }
  // "EADDRINUSE", the answer, or "ok".
  std::string Got() const;
};

// How many connections or datagrams reached each of several sockets; `answer` is "0/20".
struct Share : Outcome {
  std::vector<int> counts;
};

// Thrown when a step that a case builds on was refused; the refusal is already recorded as an unexpected answer.
struct UnexpectedAnswer {};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

}  // namespace portshare
