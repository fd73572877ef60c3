#include "harness/in_use.h"

#include <poll.h>

#include <chrono>
#include <fstream>
#include <string>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"

namespace portshare {

int SocketsInUse() {
  std::ifstream file("/proc/thread-self/net/sockstat");
  std::string sockets, used;
  int count = 0;
  if (!(file >> sockets >> used >> count) || used != "used") throw CannotAsk("count the sockets of the namespace");
  return count;
}

Outcome SocketsLeft(int before) {
  const std::string step = "sockets left";
  Journal::Get().Asking(step);
  const auto limit = std::chrono::steady_clock::now() + kStepLimit;
  int left = SocketsInUse() - before;
  // Freed after a grace period of RCU, by a worker.
  while (left > 0 && std::chrono::steady_clock::now() < limit) {
    poll(nullptr, 0, 1);
    left = SocketsInUse() - before;
  }
  return Journal::Get().Answered(Outcome{step, 0, std::to_string(left)});
}

}  // namespace portshare
