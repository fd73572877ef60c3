#include "harness/server.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "harness/address.h"
#include "harness/deadline.h"
#include "harness/emulate.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"
#include "netns/pipe.h"

namespace portshare {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

// What a server may take to start or to end: Python's take a second on a busy machine.
constexpr Milliseconds kLimit{8000};
constexpr Milliseconds kMoment{1};

void Pause() {
  poll(nullptr, 0, static_cast<int>(kMoment.count()));
}

// Whether `met` is so within the limit.
bool Comes(const std::function<bool()>& met, Milliseconds limit = kLimit) {
  const auto give_up = Clock::now() + limit;
  while (!met()) {
    if (Clock::now() > give_up) return false;
    Pause();
  }
  return true;
}

// What a child says before it becomes somebody else: where it stands, or the call that failed.
struct StartReport {
  int error = 0;
  pid_t number = 0;
  char call[64] = "";
};

void Say(int pipe, int error, const std::string& call) {
  StartReport report{error, static_cast<pid_t>(syscall(SYS_getpid)), ""};
  call.copy(report.call, sizeof report.call - 1);
  [[maybe_unused]] const ssize_t said = write(pipe, &report, sizeof report);
}

[[noreturn]] void Fail(int pipe, const std::string& call) {
  Say(pipe, errno == 0 ? EIO : errno, call);
  _exit(1);
}

// The next report of a child; one of a success and number 0 when it closed the pipe without any.
StartReport Heard(int pipe, const std::string& who) {
  StartReport report;
  pollfd readable{pipe, POLLIN, 0};
  if (poll(&readable, 1, static_cast<int>(kLimit.count())) != 1) throw CannotAsk(who + " said nothing");
  const ssize_t length = read(pipe, &report, sizeof report);
  if (length == 0) return {};
  if (length != sizeof report) throw CannotAsk("hear " + who, errno);
  if (report.error != 0) throw CannotAsk(who + ": " + report.call, report.error);
  return report;
}

std::string Of(pid_t process, const std::string& file) {
  return "/proc/" + std::to_string(process) + "/" + file;
}

Descriptor Opened(const std::string& path, int flags) {
  Descriptor file(open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!file.open()) throw CannotAsk("open " + path, errno);
  return file;
}

// Process 1 of a room: mounts, says so, and waits for the end of everybody who holds the lifeline.
[[noreturn]] void Live(int lifeline, int report) {
  // Whoever was somebody else for a while is undumpable, and what /proc has of it then takes CAP_SYS_PTRACE.  proc(5)
  prctl(PR_SET_DUMPABLE, 1);
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Fail(report, "keep mounts private");
  if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) Fail(report, "mount a tmpfs at /run");
  // Orphans of the servers are buried unseen.
  std::signal(SIGCHLD, SIG_IGN);
  std::signal(SIGALRM, SIG_DFL);
  Say(report, 0, "");
  char byte = 0;
  while (read(lifeline, &byte, 1) < 0 && errno == EINTR) {
  }
  _exit(0);
}

// A child of this process that `live` makes of itself in the PID namespace of `first`; its number here.  A helper
// enters the namespace and makes it: where the machine's own is not this user's, nobody comes back to it.  setns(2)
pid_t BornBeside(pid_t first, const std::function<void()>& live) {
  Pipe born = MakePipe();
  const pid_t helper = fork();
  if (helper < 0) throw CannotAsk("fork", errno);
  if (helper == 0) {
    std::signal(SIGALRM, SIG_DFL);
    const int report = born.write_end.number();
    const Descriptor there(open(Of(first, "ns/pid").c_str(), O_RDONLY | O_CLOEXEC));
    if (!there.open()) Fail(report, "open a PID namespace");
    if (setns(there.number(), CLONE_NEWPID) != 0) Fail(report, "enter a PID namespace");
    clone_args arguments{};
    arguments.flags = CLONE_PARENT;
    const auto child = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
    if (child < 0) Fail(report, "clone3(CLONE_PARENT)");
    if (child == 0) {
      born = {};
      live();
      _exit(1);
    }
    const StartReport found{0, child, ""};
    _exit(write(report, &found, sizeof found) == sizeof found ? 0 : 1);
  }
  born.write_end.Close();
  pid_t child = 0;
  try {
    child = Heard(born.read_end.number(), "a helper").number;
  } catch (const CannotAsk&) {
    kill(helper, SIGKILL);
    waitpid(helper, nullptr, 0);
    throw;
  }
  waitpid(helper, nullptr, 0);
  if (child == 0) throw CannotAsk("a helper ended");
  return child;
}

void Become(const Owner& owner, int report) {
  if (owner == Root()) return;
  if (setresgid(owner.uid, owner.uid, owner.uid) != 0 || setresuid(owner.uid, owner.uid, owner.uid) != 0) {
    Fail(report, "become " + owner.name);
  }
}

// A copy of a descriptor that is out of the way of 0 to 3.
int Aside(int descriptor, int report) {
  const int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 10);
  if (copy < 0) Fail(report, "duplicate a descriptor");
  return copy;
}

[[noreturn]] void Start(const Launch& launch, const std::string& path, int mounts, int printed, int report) {
  std::signal(SIGALRM, SIG_DFL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (setns(mounts, CLONE_NEWNS) != 0 || chdir("/run") != 0) Fail(report, "enter the room");
  if (launch.on_linux_38) {
    try {
      EmulateLinux38();
    } catch (const CannotAsk& reason) {
      errno = reason.error();
      Fail(report, reason.what());
    }
  }
  const int output = Aside(printed, report);
  const int passed = launch.passed_descriptor < 0 ? -1 : Aside(launch.passed_descriptor, report);
  const int said = Aside(report, report);
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
      (passed >= 0 && dup2(passed, 3) < 0)) {
    Fail(said, "arrange descriptors");
  }
  Become(launch.owner, said);
  std::vector<char*> arguments{const_cast<char*>(path.c_str())};
  for (size_t word = 1; word < launch.words.size(); ++word) {
    arguments.push_back(const_cast<char*>(launch.words[word].c_str()));
  }
  arguments.push_back(nullptr);
  Say(said, 0, "");
  execv(path.c_str(), arguments.data());
  Fail(said, "start " + path);
}

// State and parent of a process, as /proc tells it: 'Z' and 0 of one that is gone.
std::pair<char, pid_t> StateOf(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  std::string stat;
  std::getline(file, stat, '\0');
  char state = 'Z';
  pid_t parent = 0;
  // The name of the program stands in parentheses and may itself hold any of them.
  if (const size_t name = stat.rfind(')'); name != std::string::npos) {
    std::istringstream(stat.substr(name + 1)) >> state >> parent;
  }
  return {state, parent};
}

void SignalAll(const std::vector<pid_t>& processes, int signal, const std::string& states) {
  for (const pid_t process : processes) kill(process, signal);
  const bool met = Comes([&] {
    return std::ranges::all_of(processes, [&](pid_t process) {
      return states.find(StateOf(std::to_string(process)).first) != std::string::npos;
    });
  });
  if (!met) throw CannotAsk("processes did not follow signal " + std::to_string(signal));
}

Descriptor Client(int type) {
  Descriptor client(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (!client.open()) throw CannotAsk("socket for a client", errno);
  LimitSends(client.number());
  return client;
}

// Whether something is said in return; false at once when the other end refuses.
bool Answers(int client, const void* question, size_t length, Milliseconds limit) {
  if (send(client, question, length, MSG_NOSIGNAL) != static_cast<ssize_t>(length)) return false;
  pollfd readable{client, POLLIN, 0};
  char answer[512];
  return poll(&readable, 1, static_cast<int>(limit.count())) == 1 && recv(client, answer, sizeof answer, 0) > 0;
}

constexpr char kPage[] = "GET / HTTP/1.0\r\n\r\n";
// a.test. IN A, once, without recursion.  RFC 1035, 4.1
constexpr unsigned char kName[] = {0x12, 0x34, 0, 0,   0,   1,   0,   0, 0, 0, 0, 0,
                                   1,    'a',  4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};

}  // namespace

std::string FindServer(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(std::string(path != nullptr ? path : "") + ":/usr/local/sbin:/usr/sbin:/usr/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const bool absolute = folder.starts_with('/');
    folder.append("/").append(program);
    if (absolute && access(folder.c_str(), X_OK) == 0) return folder;
  }
  return "";
}

ServerRoom::ServerRoom() {
  Pipe lifeline = MakePipe();
  Pipe report = MakePipe();
  clone_args arguments{};
  arguments.flags = CLONE_NEWPID | CLONE_NEWNS;
  arguments.exit_signal = SIGCHLD;
  const auto first = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
  if (first < 0) throw CannotAsk("clone3(CLONE_NEWPID | CLONE_NEWNS)", errno);
  if (first == 0) {
    lifeline.write_end.Close();
    Live(lifeline.read_end.number(), report.write_end.number());
  }
  report.write_end.Close();
  try {
    if (Heard(report.read_end.number(), "a room for servers").number == 0) throw CannotAsk("a room for servers ended");
  } catch (const CannotAsk&) {
    kill(first, SIGKILL);
    waitpid(first, nullptr, 0);
    throw;
  }
  first_ = first;
  lifeline_ = std::move(lifeline.write_end);
}

ServerRoom::~ServerRoom() {
  lifeline_.Close();
  kill(first_, SIGKILL);
  waitpid(first_, nullptr, 0);
}

std::optional<std::string> ServerRoom::Missing() {
  try {
    const ServerRoom room;
    const Descriptor mounts = Opened(Of(room.first_, "ns/mnt"), O_RDONLY);
    int status = 0;
    waitpid(BornBeside(room.first_, [&] { _exit(setns(mounts.number(), CLONE_NEWNS) == 0 ? 0 : errno); }), &status, 0);
    if (!WIFEXITED(status)) throw CannotAsk("a child that enters the room died");
    if (WEXITSTATUS(status) != 0) throw CannotAsk("enter the room", WEXITSTATUS(status));
    return std::nullopt;
  } catch (const CannotAsk& reason) {
    // Kernels that know the namespaces in part, or this way to make and to enter them.
    DemandRefusal(reason, {EINVAL, ENOSPC, ENOENT, ENODEV});
    return std::string("there is no place for servers: ") + reason.what();
  }
}

void ServerRoom::Write(const std::string& name, const std::string& text) const {
  const Descriptor file = Opened(Of(first_, "root/run/" + name), O_WRONLY | O_CREAT | O_TRUNC);
  if (write(file.number(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw CannotAsk("write " + name, errno);
  }
}

Server::Server(const ServerRoom& room, const Launch& launch)
    : name_(launch.name), printed_(memfd_create("printed", MFD_CLOEXEC)) {
  const std::string path = FindServer(launch.words.at(0));
  if (path.empty()) throw CannotAsk("there is no " + launch.words[0]);
  if (!printed_.open()) throw CannotAsk("memfd_create", errno);
  Pipe report = MakePipe();
  const Descriptor mounts = Opened(Of(room.first_, "ns/mnt"), O_RDONLY);
  process_ = BornBeside(room.first_,
                        [&] { Start(launch, path, mounts.number(), printed_.number(), report.write_end.number()); });
  report.write_end.Close();
  try {
    number_ = Heard(report.read_end.number(), name_).number;
    Heard(report.read_end.number(), name_);  // nothing but the end of the pipe, by execve(2)
  } catch (const CannotAsk&) {
    Kill();
    throw;
  }
  Journal::Get().Note("start " + name_ + (launch.owner == Root() ? "" : " as " + launch.owner.name) +
                      (launch.on_linux_38 ? " on Linux 3.8" : ""));
}

Server::~Server() {
  for (const pid_t worker : Workers()) kill(worker, SIGKILL);
  Kill();
}

bool Server::Gone() {
  if (!gone_ && waitpid(process_, &status_, WNOHANG) == process_) gone_ = true;
  return gone_;
}

std::string Server::Printed() const {
  std::string text(size_t{64} << 10, '\0');
  const ssize_t length = pread(printed_.number(), text.data(), text.size(), 0);
  text.resize(length > 0 ? static_cast<size_t>(length) : 0);
  return text;
}

Outcome Server::Answered(const std::string& step, int error, const std::string& answer) {
  Outcome outcome = Journal::Get().Answered(Outcome{step, error, answer});
  std::istringstream lines(error == 0 ? "" : Printed());
  for (std::string line; std::getline(lines, line);) Journal::Get().Note("  " + name_ + " said: " + line);
  return outcome;
}

Outcome Server::Serves(const std::string& step, const std::function<bool(int)>& asked) {
  Journal::Get().Asking(step);
  const auto give_up = Clock::now() + kLimit;
  while (!asked(static_cast<int>(std::chrono::duration_cast<Milliseconds>(give_up - Clock::now()).count()))) {
    if (Gone()) return Answered(step, ESRCH);
    if (Clock::now() > give_up) return Answered(step, ETIMEDOUT);
    Pause();
  }
  return Answered(step, 0);
}

Outcome Server::ServesHttp(uint16_t port) {
  const SocketAddress there(Loopback4(), port);
  return Serves("page of " + name_ + " at " + Loopback4().text(port), [&there](int left) {
    const Descriptor client = Client(SOCK_STREAM);
    return connect(client.number(), there.get(), there.length) == 0 &&
           Answers(client.number(), kPage, sizeof kPage - 1, Milliseconds(std::max(left, 0)));
  });
}

Outcome Server::ServesDns(uint16_t port) {
  const SocketAddress there(Loopback4(), port);
  return Serves("name of " + name_ + " at " + Loopback4().text(port), [&there](int left) {
    const Descriptor client = Client(SOCK_DGRAM);
    return connect(client.number(), there.get(), there.length) == 0 &&
           Answers(client.number(), kName, sizeof kName, Milliseconds(std::clamp(left, 0, 500)));
  });
}

Outcome Server::Ended() {
  const std::string step = "end of " + name_;
  Journal::Get().Asking(step);
  if (!Comes([this] { return Gone(); })) return Answered(step, ETIMEDOUT);
  if (!WIFSIGNALED(status_)) return Answered(step, 0, "exit code " + std::to_string(WEXITSTATUS(status_)));
  return Answered(step, 0, std::string("signal ") + sigabbrev_np(WTERMSIG(status_)));
}

Outcome Server::Prints(const std::string& text) {
  const std::string step = name_ + " prints \"" + text + "\"";
  Journal::Get().Asking(step);
  const bool printed = Comes([&] { return Printed().find(text) != std::string::npos; }, kStepLimit);
  return Answered(step, printed ? 0 : ETIMEDOUT);
}

void Server::Signal(int signal) const {
  if (!gone_) kill(process_, signal);
}

void Server::Kill() {
  if (gone_) return;
  kill(process_, SIGKILL);
  waitpid(process_, &status_, 0);
  gone_ = true;
}

void Server::Freeze() {
  Signal(SIGSTOP);
  const bool stopped = Comes([this] { return StateOf(std::to_string(process_)).first == 'T'; });
  if (!stopped) throw CannotAsk(name_ + " did not stop");
}

std::vector<pid_t> Server::Workers() const {
  std::vector<pid_t> workers;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    const std::string name = entry.path().filename();
    if (std::atoi(name.c_str()) > 0 && StateOf(name).second == process_) workers.push_back(std::atoi(name.c_str()));
  }
  return workers;
}

Outcome Server::AwaitWorkers(int wanted) {
  const std::string step = "workers of " + name_;
  Journal::Get().Asking(step);
  int count = 0;
  Comes(
      [&] {
        count = static_cast<int>(Workers().size());
        return count == wanted;
      },
      kStepLimit);
  return Answered(step, 0, std::to_string(count));
}

void FreezeAll(const std::vector<pid_t>& processes) {
  SignalAll(processes, SIGSTOP, "TZX");
}

void KillAll(const std::vector<pid_t>& processes) {
  SignalAll(processes, SIGKILL, "ZX");
}

}  // namespace portshare
