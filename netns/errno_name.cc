#include "netns/errno_name.h"

#include <cstring>

namespace portshare {

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

std::optional<int> ErrnoNumber(const std::string& name) {
  for (int error = 1; error <= kMostErrno; ++error) {
    const char* known = strerrorname_np(error);
    if (known != nullptr && name == known) return error;
  }
  return {};
}

}  // namespace portshare
