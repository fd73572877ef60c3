// A program as a user would start it, in the namespace of the case.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "harness/outcome.h"
#include "netns/descriptor.h"

namespace portshare {

// A running program.  Its standard input stays open, and empty, until the program is ended by this object's end.
class Program {
 public:
  // `words` is the path and the arguments; `name` stands for them in the story.  Throws CannotAsk.
  Program(std::string name, const std::vector<std::string>& words);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The next line that it prints within the step limit; "errno 98" is told as the error of the outcome.  ETIMEDOUT
  // when it prints nothing.  Throws CannotAsk when it ended instead.
  Outcome Answer();

 private:
  std::string name_;
  pid_t process_ = 0;
  Descriptor input_;
  Descriptor output_;
};

}  // namespace portshare
