// Workers that wait for connections.
#pragma once

#include <initializer_list>
#include <string>

#include "harness/outcome.h"
#include "harness/socket.h"
#include "netns/descriptor.h"

namespace portshare {

// A worker that watches one socket through an epoll instance of its own, level-triggered.  epoll(7)
class Waiter {
 public:
  // Throws CannotAsk.
  explicit Waiter(const Socket& socket);

  // Whether epoll_wait(2) reports the socket now.
  bool told() const;
  const std::string& socket() const { return socket_; }

 private:
  Descriptor epoll_;
  std::string socket_;
};

// Which waiters are told that there is something to take, after everything sent has been delivered: 1 or 0 for each.
Share Told(std::initializer_list<const Waiter*> waiters);

}  // namespace portshare
