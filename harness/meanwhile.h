// Something that happens while the case does something else: a thread beside the case's own.
#pragma once

#include <atomic>
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

}  // namespace portshare
