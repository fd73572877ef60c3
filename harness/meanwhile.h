// Something that happens while something else does: threads beside the case's own.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>

namespace portshare {

// Runs `act` on another processor than the caller's where there is one.  The constructor returns when the thread is
// about to act, the destructor when it has.  `act` must end by itself, and must not write to the journal: it calls the
// kernel, not a Socket.
class Meanwhile {
 public:
  explicit Meanwhile(std::function<void()> act);
  ~Meanwhile() { End(); }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

  bool done() const { return done_; }
  void End();

 private:
  std::atomic<bool> there_ = false;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

// Calls act(0) to act(count - 1) at the same moment, each in a thread of its own on any processor, and returns when all
// have ended.  Throws std::system_error where there cannot be so many threads; none of them has acted then.
void AtOnce(size_t count, const std::function<void(size_t)>& act);

}  // namespace portshare
