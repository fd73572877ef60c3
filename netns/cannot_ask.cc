#include "netns/cannot_ask.h"

#include <algorithm>
#include <cerrno>

#include "netns/errno_name.h"

namespace portshare {

CannotAsk::CannotAsk(const std::string& call, int error) : CannotAsk(call, error, ErrnoName(error)) {}

CannotAsk::CannotAsk(const std::string& call, int error, const std::string& words)
    : std::runtime_error(call + ": " + words), error_(error) {}

void DemandRefusal(const CannotAsk& reason, std::initializer_list<int> also) {
  const auto is_one_of = [&reason](std::initializer_list<int> errors) {
    return std::find(errors.begin(), errors.end(), reason.error()) != errors.end();
  };
  if (!is_one_of({EPERM, EACCES, ENOSYS, EOPNOTSUPP}) && !is_one_of(also)) throw reason;
}

}  // namespace portshare
