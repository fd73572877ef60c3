// A scenario as a C program for those who have nothing but a compiler and a kernel.
#pragma once

#include <string>
#include <vector>

#include "harness/explore/notation.h"

namespace portshare {

// One C11 file that needs libc and the kernel's headers.  It asks the scenario in a network namespace of its own,
// prints a line a step, and exits 0 when every answer is the expected one, 1 when one differs, 2 when it could not be
// asked. `expected` (0 or an errno) and `reasons` (a sentence with its citation) are by step.  Throws CannotAsk for
// unrelated sockets beside port 32768, which has no other port in its hash slot that could be bound.
std::string CProgram(const Script& script, const std::vector<int>& expected, const std::vector<std::string>& reasons);

}  // namespace portshare
