#pragma once

#include <string>

namespace portshare {

// The symbol of an errno, "EADDRINUSE"; "errno 524" for a number that has none in user space.
std::string ErrnoName(int error);

}  // namespace portshare
