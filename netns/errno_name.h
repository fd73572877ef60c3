#pragma once

#include <optional>
#include <string>

namespace portshare {

// The symbol of an errno, "EADDRINUSE"; "errno 524" for a number that has none in user space.
std::string ErrnoName(int error);

// The errno that has this symbol.
std::optional<int> ErrnoNumber(const std::string& name);

// MAX_ERRNO: what a system call returns above it in size is no error.  include/linux/err.h
inline constexpr int kMostErrno = 4095;

}  // namespace portshare
