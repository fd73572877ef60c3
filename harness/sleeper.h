// Threads that sleep in a call until the kernel wakes them, and which of them it woke.
#pragma once

#include <sys/epoll.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <initializer_list>
#include <string>
#include <thread>

#include "harness/outcome.h"
#include "harness/socket.h"
#include "netns/descriptor.h"

namespace portshare {

// An epoll instance that watches one socket for something to take.  `events`: EPOLLET, EPOLLEXCLUSIVE.
class Watch {
 public:
  // Throws CannotAsk.
  explicit Watch(const Socket& socket, uint32_t events = 0);

  int descriptor() const { return epoll_.number(); }

 private:
  Descriptor epoll_;
};

// One thread in one call.  It is on the case's processor, so that a wake-up that has been sent shows at once.
class Sleeper {
 public:
  // Returns when the thread sleeps in accept(2), poll(2) or epoll_wait(2), or did not have to.  Throws CannotAsk.
  static Sleeper InAccept(const Socket& listener);
  static Sleeper InPoll(const Socket& socket);
  static Sleeper InEpoll(const Watch& watch);
  ~Sleeper();
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // Whether the call has returned; false when the thread still sleeps.  Throws CannotAsk when it does neither.
  bool woken() const;
  // The same call once more.
  void SleepAgain();

 private:
  explicit Sleeper(std::function<int()> call);
  void Begin();
  void End();
  bool returned() const { return returned_; }
  bool asleep() const;

  std::function<int()> call_;
  std::atomic<pid_t> thread_id_ = 0;
  std::atomic<bool> returned_ = false;
  Descriptor taken_;  // what accept(2) gave
  std::thread thread_;
};

// Which sleepers were woken, after everything sent has been delivered: 1 or 0 for each.
Share Woken(std::initializer_list<const Sleeper*> sleepers);

}  // namespace portshare
