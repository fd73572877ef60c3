// The one error of a question that could not be put: a namespace, a link or a socket that could not be made.
#pragma once

#include <initializer_list>
#include <stdexcept>
#include <string>

namespace portshare {

// Ends a case as `error`, never as `fail`: the kernel gave no answer to the question, because it was not asked.
class CannotAsk : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // `call` is what was tried, in words; `error` its errno, told by its name or in `words`.
  CannotAsk(const std::string& call, int error);
  CannotAsk(const std::string& call, int error, const std::string& words);

  // 0 where no errno is known.
  int error() const { return error_; }

 private:
  int error_ = 0;
};

// Throws `reason` unless it says that this kernel has not got what was asked for or that this user may not have it: any
// call says so by EPERM, EACCES, ENOSYS or EOPNOTSUPP, and this one by an errno of `also` too.  Everything else is a
// shortage or a broken run, and no answer to whether it is there.
void DemandRefusal(const CannotAsk& reason, std::initializer_list<int> also = {});

}  // namespace portshare
