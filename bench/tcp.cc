// Who accepts: one for all, all of them from one listener, or each from one of its own.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bench/load.h"
#include "bench/server.h"
#include "bench/ways.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare::bench {
namespace {

// All that is served is one byte, so that what is measured is how connections come to their workers.
void Serve(int connection, Tally& tally) {
  static_cast<void>(send(connection, "k", 1, MSG_NOSIGNAL));
  close(connection);
  ++tally.served;
}

// Whether accept(2) says that the listener was shut down; all else concerns one connection.
bool Ended(int error) {
  return error == EINVAL || error == EBADF;
}

Work AcceptsBlocking(int listener) {
  return [listener](Tally& tally) {
    while (true) {
      const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0) {
        Serve(connection, tally);
      } else if (Ended(errno)) {
        return;
      }
    }
  };
}

// An instance of epoll a worker, on one listener: `how` is 0 (level-triggered) or EPOLLEXCLUSIVE.
Work AcceptsWhenTold(int listener, uint32_t how) {
  return [listener, how](Tally& tally) {
    const Descriptor instance(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = EPOLLIN | how;
    if (epoll_ctl(instance.number(), EPOLL_CTL_ADD, listener, &event) != 0) _exit(1);
    while (true) {
      if (epoll_wait(instance.number(), &event, 1, -1) != 1) continue;
      const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0) {
        Serve(connection, tally);
      } else if (Ended(errno)) {
        return;
      } else {
        ++tally.woken_for_nothing;
      }
    }
  };
}

struct Pipe {
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw CannotAsk("pipe2", errno);
    read_end = Descriptor(ends[0]);
    write_end = Descriptor(ends[1]);
  }
  Descriptor read_end;
  Descriptor write_end;
};

constexpr int kNoMore = -1;

Work TakesFrom(int pipe) {
  return [pipe](Tally& tally) {
    for (int connection = 0;
         read(pipe, &connection, sizeof connection) == sizeof connection && connection != kNoMore;) {
      Serve(connection, tally);
    }
  };
}

// In turn.
Work HandsOff(int listener, std::vector<int> pipes) {
  return [listener, pipes = std::move(pipes)](Tally&) {
    for (size_t turn = 0;; turn = (turn + 1) % pipes.size()) {
      const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0 && Ended(errno)) break;
      if (connection >= 0) static_cast<void>(write(pipes[turn], &connection, sizeof connection) == sizeof connection);
    }
    for (const int pipe : pipes) static_cast<void>(write(pipe, &kNoMore, sizeof kNoMore) == sizeof kNoMore);
  };
}

// The listeners and who does what with them.
struct Team {
  std::vector<Descriptor> listeners;
  std::vector<Pipe> pipes;
  std::vector<Work> workers, helpers;

  int Listen(Share share, int flags = 0) {
    listeners.push_back(Bound(SOCK_STREAM | flags, share));
    return listeners.back().number();
  }
};

Team TeamFor(const std::string& way, int size) {
  Team team;
  const auto count = static_cast<size_t>(size);
  if (way == "handoff") {
    const int listener = team.Listen(Share::kAlone);
    team.pipes.resize(count);
    std::vector<int> write_ends;
    for (const Pipe& pipe : team.pipes) {
      team.workers.push_back(TakesFrom(pipe.read_end.number()));
      write_ends.push_back(pipe.write_end.number());
    }
    team.helpers.push_back(HandsOff(listener, write_ends));
  } else if (way == "race_blocking") {
    team.workers.assign(count, AcceptsBlocking(team.Listen(Share::kAlone)));
  } else if (way == "race_epoll") {
    team.workers.assign(count, AcceptsWhenTold(team.Listen(Share::kAlone, SOCK_NONBLOCK), 0));
  } else if (way == "race_exclusive") {
    team.workers.assign(count, AcceptsWhenTold(team.Listen(Share::kAlone, SOCK_NONBLOCK), EPOLLEXCLUSIVE));
  } else if (way == "one_each") {
    for (size_t i = 0; i < count; ++i) team.workers.push_back(AcceptsBlocking(team.Listen(Share::kPort)));
  } else if (way == "alone") {
    team.workers.push_back(AcceptsBlocking(team.Listen(Share::kAlone)));
  } else {
    throw std::invalid_argument("tcp knows no way " + way);
  }
  return team;
}

}  // namespace

Report Tcp(const Repetition& repetition) {
  const Team team = TeamFor(repetition.way, repetition.workers);
  Server server(team.workers, team.helpers);
  const Harvest harvest =
      Run({.server = Loopback(kPort), .seconds = repetition.seconds, .at_once = repetition.at_once, .question = {}});
  for (const Descriptor& listener : team.listeners) shutdown(listener.number(), SHUT_RDWR);
  server.Join();

  Report report;
  report.Add("connections_per_second", static_cast<double>(harvest.in_time) / repetition.seconds);
  report.Add("latency_mean_us", harvest.latency.Mean());
  report.Add("latency_sd_us", harvest.latency.Deviation());
  report.Add("lost", static_cast<double>(harvest.lost()));
  server.Tell(report);
  return report;
}

}  // namespace portshare::bench
