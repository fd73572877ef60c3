// Sockets in other processes: one for each instance of a server, or more than one process may hold.
#pragma once

#include <sys/types.h>

#include <vector>

#include "harness/socket.h"

namespace portshare {

// `sockets` sockets of one spec on one port, spread evenly over child processes that live as long as the crowd.
class Crowd {
 public:
  // As few processes as the limit of open files allows.
  static constexpr int kFewProcesses = 0;

  // A refusal fails the case and ends it; what could not be asked throws CannotAsk.
  static Crowd Bound(const SocketSpec& spec, uint16_t port, int sockets, int processes = kFewProcesses);
  static Crowd Listening(const SocketSpec& spec, uint16_t port, int sockets, int processes = kFewProcesses);

  Crowd(Crowd&&) = default;
  Crowd& operator=(Crowd&&) = delete;
  ~Crowd();

  int processes() const { return static_cast<int>(members_.size()); }
  // How many connections each process has accepted since the crowd began: all that its queues held.  Throws CannotAsk.
  std::vector<int> Accepted();

 private:
  enum class Until { kBound, kListening };
  struct Member {
    pid_t process;
    Descriptor control;
  };

  Crowd() = default;
  static Crowd Made(const SocketSpec& spec, uint16_t port, int sockets, int processes, Until until);
  [[noreturn]] static void Live(const SocketSpec& spec, uint16_t port, int sockets, Until until, int control);

  std::vector<Member> members_;
};

}  // namespace portshare
