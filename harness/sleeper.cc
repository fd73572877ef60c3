#include "harness/sleeper.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <vector>

#include "harness/deadline.h"
#include "harness/traffic.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

constexpr int kWake = SIGUSR1;

// A handler that does nothing, without SA_RESTART: the call that it meets returns EINTR.  signal(7)
void LetSignalsEndCalls() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  if (sigaction(kWake, &action, nullptr) != 0) throw CannotAsk("sigaction", errno);
}

// The letter after the name in parentheses.  proc(5), /proc/pid/stat
char StateOf(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_ends = line.rfind(')');
  return name_ends + 2 < line.size() ? line[name_ends + 2] : ' ';
}

}  // namespace

Watch::Watch(const Socket& socket, uint32_t events) : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event readable{};
  readable.events = EPOLLIN | events;
  if (epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket.descriptor(), &readable) != 0) {
    throw CannotAsk("epoll on " + socket.name(), errno);
  }
}

Sleeper Sleeper::InAccept(const Socket& listener) {
  return Sleeper([from = listener.descriptor()] { return accept4(from, nullptr, nullptr, SOCK_CLOEXEC); });
}

Sleeper Sleeper::InPoll(const Socket& socket) {
  return Sleeper([on = socket.descriptor()] {
    pollfd entry{on, POLLIN, 0};
    poll(&entry, 1, -1);
    return -1;
  });
}

Sleeper Sleeper::InEpoll(const Watch& watch) {
  return Sleeper([on = watch.descriptor()] {
    epoll_event event{};
    epoll_wait(on, &event, 1, -1);
    return -1;
  });
}

Sleeper::Sleeper(std::function<int()> call) : call_(std::move(call)) {
  LetSignalsEndCalls();
  Begin();
}

Sleeper::~Sleeper() {
  End();
}

void Sleeper::Begin() {
  returned_ = false;
  thread_id_ = 0;
  thread_ = std::thread([this] {
    thread_id_ = gettid();
    taken_ = Descriptor(call_());
    returned_ = true;
  });
  try {
    woken();
  } catch (const CannotAsk&) {
    End();  // nobody else would: of a constructor that throws there is no destructor
    throw;
  }
}

// A signal that comes before the call is lost: so again, until the call has returned.
void Sleeper::End() {
  if (!thread_.joinable()) return;  // it could not be made
  while (!returned()) {
    pthread_kill(thread_.native_handle(), kWake);
    std::this_thread::yield();
  }
  thread_.join();
}

void Sleeper::SleepAgain() {
  End();
  Begin();
}

bool Sleeper::asleep() const {
  return thread_id_ != 0 && StateOf(thread_id_) == 'S' && !returned();
}

// Once it has been woken, a thread is not asleep again before it has said that its call returned.
bool Sleeper::woken() const {
  const auto limit = std::chrono::steady_clock::now() + kStepLimit;
  while (!returned() && !asleep()) {
    if (std::chrono::steady_clock::now() > limit) throw CannotAsk("a thread neither sleeps nor goes on");
    std::this_thread::yield();
  }
  return returned();
}

Share Woken(std::initializer_list<const Sleeper*> sleepers) {
  AwaitDelivery();
  std::vector<int> counts;
  for (const Sleeper* sleeper : sleepers) counts.push_back(sleeper->woken() ? 1 : 0);
  return Counted("woken", counts);
}

}  // namespace portshare
