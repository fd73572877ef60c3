#pragma once

#include <string>

namespace portshare {

// From now on this process meets a kernel without SO_REUSEPORT: setsockopt(2) and getsockopt(2) of it answer
// ENOPROTOOPT, as Linux before 3.9 does, and SO_REUSEADDR works as before.  seccomp(2) through libseccomp; children
// inherit it.  Throws CannotAsk.
void EmulateLinux38();

}  // namespace portshare
