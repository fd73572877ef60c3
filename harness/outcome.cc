#include "harness/outcome.h"

#include <ostream>

#include "netns/errno_name.h"

namespace portshare {

std::string Outcome::Got() const {
  if (error != 0) return ErrnoName(error);
  return answer.empty() ? "ok" : answer;
}

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << outcome.Got() << "  (" << outcome.step << ")";
}

}  // namespace portshare
