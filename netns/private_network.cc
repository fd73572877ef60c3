#include "netns/private_network.h"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "netns/cannot_ask.h"
#include "netns/errno_name.h"
#include "netns/links.h"

namespace portshare {
namespace {

std::string trouble;

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

bool RunsWell(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, arguments[0], &quiet, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&quiet);
  int status = 0;
  return failed == 0 && waitpid(child, &status, 0) == child && status == 0;
}

bool WriteFile(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// Maps this user to 0 and its subordinate range from 1 on, for `process`; newuidmap(1) must run outside the namespace.
bool MapRanges(pid_t process) {
  const auto uids = SubordinateRange("/etc/subuid");
  const auto gids = SubordinateRange("/etc/subgid");
  if (!uids || !gids) return false;
  const std::string pid = std::to_string(process);
  return RunsWell({"newuidmap", pid, "0", std::to_string(getuid()), "1", "1", uids->start, uids->count}) &&
         RunsWell({"newgidmap", pid, "0", std::to_string(getgid()), "1", "1", gids->start, gids->count});
}

// unshare(2) of user and network namespace, with a child left outside that maps the ranges once the namespace exists.
Privilege EnterUserNamespace() {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  const pid_t self = getpid();
  int entered[2];
  if (pipe2(entered, O_CLOEXEC) != 0) throw CannotAsk("pipe2", errno);
  const Descriptor read_end(entered[0]);
  Descriptor write_end(entered[1]);
  const pid_t mapper = fork();
  if (mapper < 0) throw CannotAsk("fork", errno);
  if (mapper == 0) {
    write_end.Close();
    char byte = 0;
    _exit(read(read_end.number(), &byte, 1) == 1 && MapRanges(self) ? 0 : 1);
  }
  // The network comes along: setns(2) back to one that the user namespace does not own would be refused.
  const int failed = unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 ? errno : 0;
  // Unheard, the mapper meets the end of file and maps nothing.
  const bool heard = failed == 0 && write(write_end.number(), "x", 1) == 1;
  write_end.Close();
  int status = 0;
  waitpid(mapper, &status, 0);
  if (failed != 0) {
    trouble = "this user may make neither a network nor a user namespace (" + ErrnoName(failed) + ")";
    return Privilege::kNone;
  }
  if (heard && status == 0) return Privilege::kSubuidRanges;
  if (WriteFile("/proc/self/setgroups", "deny") && WriteFile("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") &&
      WriteFile("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1")) {
    return Privilege::kOneUid;
  }
  trouble = "a user namespace was made, but nothing may be done in it";
  return Privilege::kNone;
}

// All that a case needs: CAP_SYS_ADMIN makes the namespace, CAP_NET_ADMIN brings lo up.
bool MayMakeNetwork() {
  try {
    const PrivateNetwork scratch;
    return true;
  } catch (const CannotAsk&) {
    return false;
  }
}

}  // namespace

Privilege BecomeNamespaceRoot() {
  static const Privilege privilege = [] {
    if (MayMakeNetwork()) return Privilege::kRoot;
    const Privilege entered = EnterUserNamespace();
    if (entered == Privilege::kNone || MayMakeNetwork()) return entered;
    trouble = "a user namespace was made, but no network namespace in it";
    return Privilege::kNone;
  }();
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
PrivateNetwork::PrivateNetwork() : PrivateNetwork(Descriptor(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC))) {
  LinkUp("lo");
}

PrivateNetwork::~PrivateNetwork() {
  // Staying in the private namespace would let the next case see this one's sockets.
  if (setns(before_.number(), CLONE_NEWNET) != 0) std::terminate();
}

}  // namespace portshare
