#include "netns/cannot_ask.h"

#include "netns/errno_name.h"

namespace portshare {

CannotAsk::CannotAsk(const std::string& call, int error) : std::runtime_error(call + ": " + ErrnoName(error)) {}

}  // namespace portshare
