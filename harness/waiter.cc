#include "harness/waiter.h"

#include <sys/epoll.h>

#include <cerrno>
#include <vector>

#include "harness/traffic.h"
#include "netns/cannot_ask.h"

namespace portshare {

Waiter::Waiter(const Socket& socket) : epoll_(epoll_create1(EPOLL_CLOEXEC)), socket_(socket.name()) {
  epoll_event readable{};
  readable.events = EPOLLIN;
  if (epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket.descriptor(), &readable) != 0) {
    throw CannotAsk("epoll on " + socket_, errno);
  }
}

bool Waiter::told() const {
  epoll_event event{};
  return epoll_wait(epoll_.number(), &event, 1, 0) == 1;
}

Share Told(std::initializer_list<const Waiter*> waiters) {
  AwaitDelivery();
  std::string step = "told: the waiters on";
  std::vector<int> counts;
  for (const Waiter* waiter : waiters) {
    step += " " + waiter->socket();
    counts.push_back(waiter->told() ? 1 : 0);
  }
  return Counted(step, counts);
}

}  // namespace portshare
