#include "netns/private_network.h"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "netns/cannot_ask.h"
#include "netns/errno_name.h"
#include "netns/links.h"
#include "netns/pipe.h"

namespace portshare {
namespace {

std::string trouble;

constexpr char kCurrentNetwork[] = "/proc/thread-self/ns/net";

// What says that there is none here: not built in; user.max_*_namespaces, before and since Linux 4.9; no /proc or none
// of its files; no rtnetlink for lo.
constexpr std::initializer_list<int> kNoNamespace = {EINVAL, EUSERS, ENOSPC, ENOENT, EAFNOSUPPORT};

struct Range {
  std::string start;
  std::string count;
};

// The first range of ids that /etc/subuid or /etc/subgid gives to this user.  subuid(5)
std::optional<Range> SubordinateRange(const char* file) {
  const passwd* user = getpwuid(getuid());
  const std::string number = std::to_string(getuid());
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    Range range;
    std::getline(fields, name, ':');
    std::getline(fields, range.start, ':');
    std::getline(fields, range.count, ':');
    if (!range.count.empty() && (name == number || (user != nullptr && name == user->pw_name))) return range;
  }
  return std::nullopt;
}

// How the mapping of ranges ended, as an exit code; newuidmap(1) itself ends with one of the first two.
enum Mapping { kMapped = 0, kNotMapped = 1, kShortage = 100, kLate = 101 };

// What each step of it may take: all of them ask the name service, which may never answer.
constexpr unsigned kMappingSeconds = 5;

int Await(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return WTERMSIG(status) == SIGALRM ? kLate : kShortage;
}

int Run(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) return kShortage;
  if (child == 0) {
    alarm(kMappingSeconds);  // execve(2) keeps it
    const Descriptor quiet(open("/dev/null", O_WRONLY | O_CLOEXEC));
    dup2(quiet.number(), STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(errno == ENOENT || errno == EACCES ? kNotMapped : kShortage);
  }
  return Await(child);
}

bool WriteFile(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// Every id that there is here to itself, for `process`: a container's root may, without newuidmap(1) and its ranges.
// Whoever has one id may map that to itself, too, and would be no root by it.
bool MapAllIds(pid_t process) {
  if (getuid() != 0) return false;
  for (const char* kind : {"uid_map", "gid_map"}) {
    std::ifstream here(std::string("/proc/self/") + kind);
    std::string map;
    bool several = false;
    for (std::string inside, outside, count; here >> inside >> outside >> count;) {
      several = several || !map.empty() || count != "1";
      map.append(inside).append(" ").append(inside).append(" ").append(count).append("\n");
    }
    if (!several || !WriteFile(("/proc/" + std::to_string(process) + "/" + kind).c_str(), map)) return false;
  }
  return true;
}

// Maps this user to 0 and its subordinate range from 1 on, for `process`; newuidmap(1) must run outside the namespace.
int MapRanges(pid_t process) {
  if (MapAllIds(process)) return kMapped;
  alarm(kMappingSeconds);
  const auto uids = SubordinateRange("/etc/subuid");
  const auto gids = SubordinateRange("/etc/subgid");
  alarm(0);
  if (!uids || !gids) return kNotMapped;
  const std::string pid = std::to_string(process);
  const int mapped = Run({"newuidmap", pid, "0", std::to_string(getuid()), "1", "1", uids->start, uids->count});
  if (mapped != kMapped) return mapped;
  return Run({"newgidmap", pid, "0", std::to_string(getgid()), "1", "1", gids->start, gids->count});
}

// Of one id, where nobody has mapped any: of two maps one may have been refused.
bool MapOwnId(const char* map, unsigned id) {
  return std::ifstream(map).peek() != std::ifstream::traits_type::eof() ||
         WriteFile(map, "0 " + std::to_string(id) + " 1");
}

// unshare(2) of user and network namespace, with a child left outside that maps the ranges once the namespace exists.
Privilege EnterUserNamespace() {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  const pid_t self = getpid();
  Pipe entered = MakePipe();
  const pid_t mapper = fork();
  if (mapper < 0) throw CannotAsk("fork", errno);
  if (mapper == 0) {
    entered.write_end.Close();
    std::signal(SIGALRM, SIG_DFL);
    char byte = 0;
    _exit(read(entered.read_end.number(), &byte, 1) == 1 ? MapRanges(self) : kNotMapped);
  }
  // The network comes along: setns(2) back to one that the user namespace does not own would be refused.
  const int failed = unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 ? errno : 0;
  // Unheard, the mapper meets the end of file and maps nothing.
  const bool heard = failed == 0 && write(entered.write_end.number(), "x", 1) == 1;
  entered.write_end.Close();
  const int mapped = Await(mapper);
  if (failed != 0) {
    DemandRefusal(CannotAsk("unshare(CLONE_NEWUSER | CLONE_NEWNET)", failed), kNoNamespace);
    trouble = "this user may make neither a network nor a user namespace (" + ErrnoName(failed) + ")";
    return Privilege::kNone;
  }
  if (heard && mapped == kMapped) return Privilege::kSubuidRanges;
  if (mapped == kShortage) throw CannotAsk("newuidmap or newgidmap could not be started, or died");
  if (mapped == kLate) trouble = "the ranges were not mapped in " + std::to_string(kMappingSeconds) + " s";
  if (WriteFile("/proc/self/setgroups", "deny") && MapOwnId("/proc/self/uid_map", uid) &&
      MapOwnId("/proc/self/gid_map", gid)) {
    return Privilege::kOneUid;
  }
  trouble = "a user namespace was made, but nothing may be done in it" + (trouble.empty() ? "" : ": " + trouble);
  return Privilege::kNone;
}

// A container's filter of calls may let everybody leave a network and nobody come back.
void DemandWayBack() {
  const Descriptor here(open(kCurrentNetwork, O_RDONLY | O_CLOEXEC));
  if (!here.open()) throw CannotAsk("open the network namespace", errno);
  if (setns(here.number(), CLONE_NEWNET) != 0) throw CannotAsk("setns(CLONE_NEWNET)", errno);
}

// All that a case needs: CAP_SYS_ADMIN makes the namespace, CAP_NET_ADMIN brings lo up.
bool MayMakeNetwork(std::string& refused) {
  try {
    DemandWayBack();
    const PrivateNetwork scratch;
    return true;
  } catch (const CannotAsk& reason) {
    DemandRefusal(reason, kNoNamespace);
    refused = reason.what();
    return false;
  }
}

Privilege BecomeRoot() {
  std::string refused;
  if (MayMakeNetwork(refused)) return Privilege::kRoot;
  const Privilege entered = EnterUserNamespace();
  if (entered == Privilege::kNone || MayMakeNetwork(refused)) return entered;
  trouble = "a user namespace was made, but no network namespace in it (" + refused + ")";
  return Privilege::kNone;
}

}  // namespace

Privilege BecomeNamespaceRoot() {
  // A user namespace that a shortage left half-made must not pass for root's own at the next call.
  static std::optional<CannotAsk> shortage;
  static const Privilege privilege = [] {
    try {
      return BecomeRoot();
    } catch (const CannotAsk& reason) {
      shortage = reason;
      return Privilege::kNone;
    }
  }();
  if (shortage) throw CannotAsk(*shortage);
  return privilege;
}

std::string PrivilegeName(Privilege privilege) {
  switch (privilege) {
    case Privilege::kRoot:
      return "root";
    case Privilege::kSubuidRanges:
      return "subuid_ranges";
    case Privilege::kOneUid:
      return "one_uid";
    case Privilege::kNone:
      break;
  }
  return "none";
}

const std::string& PrivilegeTrouble() {
  return trouble;
}

PrivateNetwork::PrivateNetwork(Descriptor before) : before_(std::move(before)) {
  if (!before_.open()) throw CannotAsk("open the network namespace", errno);
  if (unshare(CLONE_NEWNET) != 0) throw CannotAsk("unshare(CLONE_NEWNET)", errno);
}

// Entered once the other constructor is done, so that a lo that stays down leaves the namespace again.
PrivateNetwork::PrivateNetwork() : PrivateNetwork(Descriptor(open(kCurrentNetwork, O_RDONLY | O_CLOEXEC))) {
  LinkUp("lo");
}

PrivateNetwork::~PrivateNetwork() {
  // Staying in the private namespace would let the next case see this one's sockets.
  if (setns(before_.number(), CLONE_NEWNET) != 0) std::terminate();
}

}  // namespace portshare
