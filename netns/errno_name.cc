#include "netns/errno_name.h"

#include <cstring>

namespace portshare {

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

}  // namespace portshare
