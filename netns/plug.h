// A plug in a link: what is to be sent waits until it is pulled.  tc(8), sch_plug
#pragma once

#include <string>

namespace portshare {

// All that `device` of the caller's namespace sends from now on is held back, nothing is lost.  Throws CannotAsk.
class Plug {
 public:
  explicit Plug(const std::string& device);
  // Lets all of it go, and what comes after it.
  void Pull() const;

 private:
  void Ask(unsigned flags, int action) const;

  unsigned device_;
};

}  // namespace portshare
