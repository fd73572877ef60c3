// The one error of a question that could not be put: a namespace, a link or a socket that could not be made.
#pragma once

#include <stdexcept>
#include <string>

namespace portshare {

// Ends a case as `error`, never as `fail`: the kernel gave no answer to the question, because it was not asked.
class CannotAsk : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // `call` is what was tried, in words; `error` its errno.
  CannotAsk(const std::string& call, int error);
};

}  // namespace portshare
