#include "bench/load.h"

#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <thread>
#include <vector>

#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare::bench {
namespace {

class Client {
 public:
  Client(const Load& load, int at_once) : load_(load), slots_(static_cast<size_t>(at_once)) {
    if (!epoll_.open()) throw CannotAsk("epoll_create1", errno);
  }

  Harvest Run() {
    const double begin = Now();
    end_ = begin + load_.seconds;
    for (Slot& slot : slots_) Begin(slot);
    std::array<epoll_event, 64> events{};
    double looked = begin;
    while (under_way_ > 0) {
      const int count = epoll_wait(epoll_.number(), events.data(), static_cast<int>(events.size()), 50);
      if (count < 0 && errno != EINTR) throw CannotAsk("epoll_wait", errno);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        Look(slots_[event.data.u32], event.events);
      }
      if (const double now = Now(); now - looked > 0.05) {
        looked = now;
        GiveUp(now);
      }
    }
    return harvest_;
  }

 private:
  struct Slot {
    Descriptor socket;
    double begun = 0;
    bool asked = false;
  };

  // One connection more, or, where it fails at once or the time is over, none.
  void Begin(Slot& slot) {
    slot.socket.Close();
    for (slot.begun = Now(); slot.begun < end_; slot.begun = Now()) {
      slot.socket = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (!slot.socket.open()) throw CannotAsk("socket", errno);
      const linger reset{.l_onoff = 1, .l_linger = 0};
      setsockopt(slot.socket.number(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      slot.asked = load_.question.empty();
      const auto* server = reinterpret_cast<const sockaddr*>(&load_.server);
      if (connect(slot.socket.number(), server, sizeof load_.server) == 0 || errno == EINPROGRESS) {
        epoll_event wanted{};
        wanted.events = EPOLLIN | EPOLLET | (slot.asked ? 0U : static_cast<uint32_t>(EPOLLOUT));
        wanted.data.u32 = static_cast<uint32_t>(&slot - slots_.data());
        if (epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, slot.socket.number(), &wanted) != 0) {
          throw CannotAsk("epoll_ctl", errno);
        }
        ++under_way_;
        return;
      }
      Lose(errno, "connect");
      slot.socket.Close();
    }
  }

  void Look(Slot& slot, uint32_t events) {
    if (!slot.socket.open()) return;
    if (!slot.asked && (events & (EPOLLERR | EPOLLHUP)) == 0 && (events & EPOLLOUT) != 0) {
      slot.asked = true;
      const std::string& question = load_.question;
      if (send(slot.socket.number(), question.data(), question.size(), MSG_NOSIGNAL) < 0)
        return Lost(slot, errno, "send");
    }
    char answer[512];
    const ssize_t length = recv(slot.socket.number(), answer, sizeof answer, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (length < 0) return Lost(slot, errno, "recv");
    if (length == 0) {
      ++harvest_.unanswered;
    } else {
      const double now = Now();
      ++harvest_.answered;
      if (now <= end_) ++harvest_.in_time;
      harvest_.latency.Count((now - slot.begun) * 1e6);
    }
    Next(slot);
  }

  void GiveUp(double now) {
    for (Slot& slot : slots_) {
      if (!slot.socket.open() || now - slot.begun < kPatience) continue;
      ++harvest_.timed_out;
      Next(slot);
    }
  }

  void Lost(Slot& slot, int error, const char* call) {
    Lose(error, call);
    Next(slot);
  }
  void Lose(int error, const char* call) {
    if (error == ECONNREFUSED) {
      ++harvest_.refused;
    } else if (error == ECONNRESET || error == EPIPE) {
      ++harvest_.reset;
    } else {
      throw CannotAsk(call, error);
    }
  }
  void Next(Slot& slot) {
    --under_way_;
    Begin(slot);
  }

  const Load& load_;
  Descriptor epoll_{epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Slot> slots_;
  int under_way_ = 0;
  double end_ = 0;
  Harvest harvest_;
};

}  // namespace

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int ClientThreads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  return std::clamp(CPU_COUNT(&allowed), 1, 2);
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Harvest::Add(const Harvest& other) {
  answered += other.answered;
  refused += other.refused;
  reset += other.reset;
  unanswered += other.unanswered;
  timed_out += other.timed_out;
  in_time += other.in_time;
  latency.Count(other.latency);
}

Harvest Run(const Load& load) {
  const int threads = ClientThreads();
  std::vector<Harvest> harvests(static_cast<size_t>(threads));
  std::vector<std::exception_ptr> troubles(harvests.size());
  {
    std::vector<std::jthread> clients;
    for (size_t i = 0; i < harvests.size(); ++i) {
      clients.emplace_back([&load, &harvest = harvests[i], &trouble = troubles[i], threads] {
        try {
          harvest = Client(load, std::max(load.at_once / threads, 1)).Run();
        } catch (...) {
          trouble = std::current_exception();
        }
      });
    }
  }
  Harvest all;
  for (size_t i = 0; i < harvests.size(); ++i) {
    if (troubles[i]) std::rethrow_exception(troubles[i]);
    all.Add(harvests[i]);
  }
  return all;
}

}  // namespace portshare::bench
