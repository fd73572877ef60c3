#include "harness/crowd.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

// What a member says after its sockets stand, and each time that it is asked.
struct Report {
  int error = 0;
  char trouble[200] = "";  // why nothing could be asked
  int accepted = 0;
};

void RaiseToHardLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int EnoughProcesses(int sockets) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kOthers = 64;  // descriptors that a child has already
  const int each = static_cast<int>(std::clamp<rlim_t>(limit.rlim_max, kOthers + 1, 1 << 20) - kOthers);
  return (sockets + each - 1) / each;
}

Report Heard(int control) {
  Report report;
  pollfd entry{control, POLLIN, 0};
  // A crowd of many takes longer than a step, in gVisor some seconds: the case's deadline decides.
  const int limit = static_cast<int>(CaseDeadline().count());
  if (poll(&entry, 1, limit) != 1 || recv(control, &report, sizeof report, 0) != sizeof report) {
    throw CannotAsk("a process of a crowd said nothing");
  }
  if (report.trouble[0] != '\0') throw CannotAsk(std::string("in a process of a crowd: ") + report.trouble);
  return report;
}

int TakeAll(int listener) {
  int taken = 0;
  for (pollfd entry{listener, POLLIN, 0}; poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0; ++taken) {
    const Descriptor connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.open()) break;
  }
  return taken;
}

}  // namespace

void Crowd::Live(const SocketSpec& spec, uint16_t port, int sockets, Until until, int control) {
  Report report;
  std::vector<Descriptor> held;
  try {
    RaiseToHardLimit();
    const SocketAddress local(*spec.address_, port);
    while (report.error == 0 && static_cast<int>(held.size()) < sockets) {
      held.push_back(spec.Opened());
      const int socket = held.back().number();
      const bool done =
          bind(socket, local.get(), local.length) == 0 && (until == Until::kBound || listen(socket, 1024) == 0);
      if (!done) report.error = errno;
    }
  } catch (const std::exception& failure) {
    std::string(failure.what()).copy(report.trouble, sizeof report.trouble - 1);
  }
  char question = 0;
  while (send(control, &report, sizeof report, MSG_NOSIGNAL) == sizeof report && recv(control, &question, 1, 0) == 1) {
    for (const Descriptor& listener : held) report.accepted += TakeAll(listener.number());
  }
  _exit(0);
}

Crowd Crowd::Made(const SocketSpec& spec, uint16_t port, int sockets, int processes, Until until) {
  Crowd crowd;
  if (processes == kFewProcesses) processes = EnoughProcesses(sockets);
  const std::string step = std::string(until == Until::kBound ? "bind " : "bind and listen ") +
                           std::to_string(sockets) + " x " + spec.text() + " on " + std::to_string(port) + " in " +
                           std::to_string(processes) + " processes";
  Journal::Get().Asking(step);
  for (int left = processes; left > 0; --left) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw CannotAsk("socketpair", errno);
    Descriptor ours(ends[0]);
    const Descriptor theirs(ends[1]);
    const int share = (sockets + left - 1) / left;
    sockets -= share;
    const pid_t process = fork();
    if (process < 0) throw CannotAsk("fork", errno);
    if (process == 0) {
      // Whoever hears the end of file must be the only one: the other members' ends are not this child's.
      ours.Close();
      for (Member& member : crowd.members_) member.control.Close();
      Live(spec, port, share, until, theirs.number());
    }
    crowd.members_.push_back({process, std::move(ours)});
  }
  int error = 0;
  for (const Member& member : crowd.members_) error = std::max(error, Heard(member.control.number()).error);
  Journal::Get().Needs(Journal::Get().Answered(Outcome{step, error, ""}));
  return crowd;
}

Crowd Crowd::Bound(const SocketSpec& spec, uint16_t port, int sockets, int processes) {
  return Made(spec, port, sockets, processes, Until::kBound);
}

Crowd Crowd::Listening(const SocketSpec& spec, uint16_t port, int sockets, int processes) {
  return Made(spec, port, sockets, processes, Until::kListening);
}

Crowd::~Crowd() {
  for (const Member& member : members_) kill(member.process, SIGKILL);
  for (const Member& member : members_) waitpid(member.process, nullptr, 0);
}

std::vector<int> Crowd::Accepted() {
  std::vector<int> counts;
  for (const Member& member : members_) {
    if (send(member.control.number(), "?", 1, MSG_NOSIGNAL) != 1) throw CannotAsk("a process of a crowd is gone");
    counts.push_back(Heard(member.control.number()).accepted);
  }
  return counts;
}

}  // namespace portshare
