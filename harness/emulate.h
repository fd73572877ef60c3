#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/outcome.h"

namespace portshare {

// From now on this process meets a kernel without SO_REUSEPORT: setsockopt(2) and getsockopt(2) of it answer
// ENOPROTOOPT, as Linux before 3.9 does, and SO_REUSEADDR works as before.  seccomp(2) through libseccomp; children
// inherit it.  Throws CannotAsk.
void EmulateLinux38();

// Runs `ask` in a child process that meets such a kernel; this process goes on as before.  InAnotherProcess()
std::vector<Outcome> OnLinux38(const std::function<std::vector<Outcome>()>& ask);

}  // namespace portshare
