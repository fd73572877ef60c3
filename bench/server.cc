#include "bench/server.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <thread>

#include "bench/load.h"
#include "netns/cannot_ask.h"

namespace portshare::bench {
namespace {

constexpr unsigned kLongest = 60;  // seconds; the driver stops us sooner

double ThreadSeconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

std::span<Tally> SharedTallies(size_t count) {
  void* memory = mmap(nullptr, count * sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw CannotAsk("mmap", errno);
  return {static_cast<Tally*>(memory), count};
}

// Counted on the thread's own stack: neighbours in shared memory would slow each other down.
void RunThread(const Work& work, Tally& shared) {
  Tally own;
  work(own);
  own.cpu = ThreadSeconds();
  shared = own;
}

}  // namespace

Server::Server(const std::vector<Work>& workers, const std::vector<Work>& helpers)
    : tallies_(SharedTallies(workers.size() + helpers.size())), workers_(workers.size()) {
  const pid_t parent = getpid();
  child_ = fork();
  if (child_ < 0) throw CannotAsk("fork", errno);
  if (child_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  alarm(kLongest);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < tallies_.size(); ++i) {
      const Work& work = i < workers.size() ? workers[i] : helpers[i - workers.size()];
      threads.emplace_back(RunThread, std::cref(work), std::ref(tallies_[i]));
    }
  }
  _exit(0);
}

Server::~Server() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  munmap(tallies_.data(), tallies_.size_bytes());
}

void Server::Join() {
  int status = 0;
  waitpid(child_, &status, 0);
  child_ = 0;
  if (status != 0) throw CannotAsk("the server's process ended early");
}

void Server::Tell(Report& report) const {
  std::vector<double> served;
  uint64_t all = 0, for_nothing = 0;
  double cpu = 0;
  for (size_t i = 0; i < tallies_.size(); ++i) {
    cpu += tallies_[i].cpu;
    for_nothing += tallies_[i].woken_for_nothing;
    if (i >= workers_) continue;
    served.push_back(static_cast<double>(tallies_[i].served));
    all += tallies_[i].served;
  }
  std::ranges::sort(served, std::greater{});
  report.Add("served_by_worker", served);
  report.Add("share_max_min", served.front() / std::max(served.back(), 1.0));
  report.Add("server_cpu_us", cpu * 1e6 / static_cast<double>(all));
  report.Add("woken_for_nothing", static_cast<double>(for_nothing) / static_cast<double>(all));
}

Descriptor Bound(int type, Share share) {
  Descriptor made(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (!made.open()) throw CannotAsk("socket", errno);
  const int on = 1;
  if (share == Share::kPort && setsockopt(made.number(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    throw CannotAsk("setsockopt(SO_REUSEPORT)", errno);
  }
  const sockaddr_in address = Loopback(kPort);
  if (bind(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw CannotAsk("bind", errno);
  const bool stream = (type & ~SOCK_NONBLOCK) == SOCK_STREAM;
  if (stream && listen(made.number(), SOMAXCONN) != 0) throw CannotAsk("listen", errno);
  return made;
}

}  // namespace portshare::bench
