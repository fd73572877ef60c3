// Who receives: all workers from one socket, or each from one of its own.  Each datagram is a question, as to a DNS
// server, and is answered.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/load.h"
#include "bench/server.h"
#include "bench/ways.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare::bench {
namespace {

// Source ports of a client thread: enough of them for a hash to spread.
constexpr size_t kPorts = 256;
constexpr size_t kQuestion = 40;  // bytes, about what a resolver asks

Work Answers(int socket) {
  return [socket](Tally& tally) {
    char question[512];
    while (true) {
      sockaddr_in from{};
      socklen_t length = sizeof from;
      auto* address = reinterpret_cast<sockaddr*>(&from);
      const ssize_t got = recvfrom(socket, question, sizeof question, 0, address, &length);
      if (got == 0) return;  // shut down: all questions have bytes
      if (got < 0) continue;
      static_cast<void>(sendto(socket, question, static_cast<size_t>(got), 0, address, length) == got);
      ++tally.served;
    }
  };
}

struct Answered {
  uint64_t in_time = 0;
  uint64_t lost = 0;
  Spread latency;
};

class Asker {
 public:
  explicit Asker(size_t at_once) : at_once_(std::min(at_once, kPorts)), begun_(kPorts, kFree) {
    const sockaddr_in server = Loopback(kPort);
    for (uint32_t i = 0; i < kPorts; ++i) {
      sockets_.emplace_back(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (connect(sockets_[i].number(), reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) {
        throw CannotAsk("connect", errno);
      }
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = i;
      if (epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, sockets_[i].number(), &event) != 0)
        throw CannotAsk("epoll_ctl", errno);
    }
  }

  Answered Run(double seconds) {
    const double end = Now() + seconds;
    for (size_t i = 0; i < at_once_; ++i) Ask();
    std::array<epoll_event, 64> events{};
    const double give_up = end + kPatience;
    for (double now = Now(); under_way_ > 0 && now < give_up; now = Now()) {
      const int count = epoll_wait(epoll_.number(), events.data(), static_cast<int>(events.size()), 50);
      for (int i = 0; i < count; ++i) {
        if (Take(events[static_cast<size_t>(i)].data.u32, end)) Ask();
      }
    }
    answered_.lost = under_way_;
    return answered_;
  }

 private:
  static constexpr double kFree = -1;

  // From the next port that waits for no answer.
  void Ask() {
    while (begun_[next_] != kFree) next_ = (next_ + 1) % kPorts;
    static constexpr std::array<char, kQuestion> question{};
    begun_[next_] = Now();
    ++under_way_;
    if (send(sockets_[next_].number(), question.data(), question.size(), 0) < 0) throw CannotAsk("send", errno);
    next_ = (next_ + 1) % kPorts;
  }

  // Whether another question may follow.
  bool Take(uint32_t port, double end) {
    char answer[512];
    if (recv(sockets_[port].number(), answer, sizeof answer, 0) < 0 || begun_[port] == kFree) return false;
    const double now = Now();
    answered_.latency.Count((now - begun_[port]) * 1e6);
    begun_[port] = kFree;
    --under_way_;
    if (now > end) return false;
    ++answered_.in_time;
    return true;
  }

  size_t at_once_;
  size_t next_ = 0;
  uint64_t under_way_ = 0;
  Descriptor epoll_{epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Descriptor> sockets_;
  std::vector<double> begun_;
  Answered answered_;
};

Answered AskAll(const Repetition& repetition) {
  const auto threads = static_cast<size_t>(ClientThreads());
  std::vector<Answered> answers(threads);
  std::vector<std::exception_ptr> troubles(threads);
  {
    std::vector<std::jthread> clients;
    for (size_t i = 0; i < threads; ++i) {
      clients.emplace_back([&, i] {
        try {
          answers[i] = Asker(static_cast<size_t>(repetition.at_once) / threads).Run(repetition.seconds);
        } catch (...) {
          troubles[i] = std::current_exception();
        }
      });
    }
  }
  Answered all;
  for (size_t i = 0; i < threads; ++i) {
    if (troubles[i]) std::rethrow_exception(troubles[i]);
    all.in_time += answers[i].in_time;
    all.lost += answers[i].lost;
    all.latency.Count(answers[i].latency);
  }
  return all;
}

}  // namespace

Report Udp(const Repetition& repetition) {
  const bool one_each = repetition.way == "one_each";
  const auto workers = static_cast<size_t>(repetition.way == "alone" ? 1 : repetition.workers);
  if (!one_each && repetition.way != "shared" && repetition.way != "alone") {
    throw std::invalid_argument("udp knows no way " + repetition.way);
  }
  std::vector<Descriptor> sockets;
  for (size_t i = 0; i < (one_each ? workers : 1); ++i) {
    sockets.push_back(Bound(SOCK_DGRAM, one_each ? Share::kPort : Share::kAlone));
  }
  std::vector<Work> work;
  for (size_t i = 0; i < workers; ++i) work.push_back(Answers(sockets[i % sockets.size()].number()));
  Server server(work, {});
  const Answered answered = AskAll(repetition);
  // ENOTCONN, and yet who waits in recv(2) wakes up.  inet_shutdown()
  for (const Descriptor& socket : sockets) shutdown(socket.number(), SHUT_RDWR);
  server.Join();

  Report report;
  report.Add("datagrams_per_second", static_cast<double>(answered.in_time) / repetition.seconds);
  report.Add("latency_mean_us", answered.latency.Mean());
  report.Add("latency_sd_us", answered.latency.Deviation());
  report.Add("lost", static_cast<double>(answered.lost));
  server.Tell(report);
  return report;
}

}  // namespace portshare::bench
