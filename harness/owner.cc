#include "harness/owner.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "harness/socket.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "netns/pipe.h"

namespace portshare {
namespace {

using Json = nlohmann::ordered_json;

// glibc's seteuid() changes every thread; the kernel's call changes the caller alone.
bool SetEffectiveUid(uid_t uid) {
  return syscall(SYS_setresuid, -1, uid, -1) == 0;
}

uid_t FileOwner() {
  return static_cast<uid_t>(setfsuid(static_cast<uid_t>(-1)));
}

bool SetFileOwner(uid_t uid) {
  setfsuid(uid);
  return FileOwner() == uid;
}

// libcap-ng's state does not survive fork(2): all of it happens here, in the child.
void ReduceTo(const Identity& identity) {
  capng_clear(CAPNG_SELECT_BOTH);
  for (const int capability : identity.capabilities) {
    capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED),
                 static_cast<unsigned>(capability));
  }
  // A user namespace of one uid forbids to drop groups, and no port asks for them.  user_namespaces(7)
  const int groups = setgroups(0, nullptr) == 0 ? CAPNG_DROP_SUPP_GRP : CAPNG_NO_FLAG;
  const int failed = capng_change_id(static_cast<int>(identity.uid), static_cast<int>(identity.gid),
                                     static_cast<capng_flags_t>(groups | CAPNG_CLEAR_BOUNDING));
  if (failed != 0) throw CannotAsk("capng_change_id: error " + std::to_string(failed));
}

void Verify(const Identity& identity) {
  uid_t real = 0, effective = 0, saved = 0;
  gid_t real_group = 0, effective_group = 0, saved_group = 0;
  getresuid(&real, &effective, &saved);
  getresgid(&real_group, &effective_group, &saved_group);
  const bool ids = real == identity.uid && effective == identity.uid && saved == identity.uid &&
                   FileOwner() == identity.uid && real_group == identity.gid && effective_group == identity.gid &&
                   saved_group == identity.gid;
  capng_clear(CAPNG_SELECT_BOTH);
  bool capabilities = capng_get_caps_process() == 0;
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    const bool wanted = std::find(identity.capabilities.begin(), identity.capabilities.end(), capability) !=
                        identity.capabilities.end();
    for (const capng_type_t set : {CAPNG_EFFECTIVE, CAPNG_PERMITTED}) {
      capabilities = capabilities && wanted == (capng_have_capability(set, static_cast<unsigned>(capability)) == 1);
    }
  }
  if (!ids || !capabilities) throw CannotAsk("the child kept other ids or capabilities than asked for");
}

void EnterUserNamespaceOf(const Owner& owner) {
  if (syscall(SYS_setresgid, owner.uid, owner.uid, owner.uid) != 0) throw CannotAsk("setresgid", errno);
  if (syscall(SYS_setresuid, owner.uid, owner.uid, owner.uid) != 0) throw CannotAsk("setresuid", errno);
  // A change of uid makes the process undumpable, and with that /proc/self root's.  proc(5)
  prctl(PR_SET_DUMPABLE, 1);
  if (unshare(CLONE_NEWUSER) != 0) throw CannotAsk("unshare(CLONE_NEWUSER)", errno);
  const Descriptor map(open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC));
  const std::string line = "0 " + std::to_string(owner.uid) + " 1";
  if (!map.open() || write(map.number(), line.data(), line.size()) < 0) {
    throw CannotAsk("map uid 0 to " + owner.name, errno);
  }
}

// What a child says: the lines that it added to the journal, and its outcomes or its error.
Json Said(const std::string& who, const std::function<std::vector<Outcome>()>& ask) {
  Json said{{"lines", Json::array()}, {"outcomes", Json::array()}};
  const size_t known_lines = Journal::Get().lines().size();
  const bool failed_before = testing::Test::HasFailure();
  Journal::Get().Note("in a child process as " + who + ":");
  try {
    for (const Outcome& outcome : ask()) {
      said["outcomes"].push_back({outcome.step, outcome.error, outcome.answer, outcome.row});
    }
  } catch (const UnexpectedAnswer&) {
    said["refused"] = true;
  } catch (const CannotAsk& reason) {
    said["error"] = reason.what();
    said["errno"] = reason.error();
  } catch (const std::exception& failure) {
    said["error"] = failure.what();
  }
  const auto& lines = Journal::Get().lines();
  for (size_t line = known_lines; line < lines.size(); ++line) said["lines"].push_back(lines[line]);
  said["names"] = Journal::Get().names();
  said["held"] = Journal::Get().held();
  // GoogleTest's record of an expectation that was missed here ends with this process.
  if (!failed_before && testing::Test::HasFailure()) said["refused"] = true;
  return said;
}

std::string ReadAll(int pipe) {
  std::string text;
  char block[4096];
  pollfd readable{pipe, POLLIN, 0};
  while (poll(&readable, 1, static_cast<int>(kStepLimit.count())) == 1) {
    const ssize_t length = read(pipe, block, sizeof block);
    if (length <= 0) return text;
    text.append(block, static_cast<size_t>(length));
  }
  throw CannotAsk("a child process said nothing for " + std::to_string(kStepLimit.count()) + " ms");
}

}  // namespace

Owner Root() {
  return {0, "root"};
}
Owner Alice() {
  return {1001, "alice"};
}
Owner Bob() {
  return {1002, "bob"};
}
Owner Carol() {
  return {1003, "carol"};
}

As::As(const Owner& owner) : before_(geteuid()) {
  if (!SetEffectiveUid(owner.uid)) throw CannotAsk("become " + owner.name, errno);
}

As::~As() {
  // Going on as somebody else would put every later question in the wrong mouth.
  if (!SetEffectiveUid(before_)) std::terminate();
}

AsFileOwner::AsFileOwner(const Owner& owner) : before_(FileOwner()) {
  if (!SetFileOwner(owner.uid)) throw CannotAsk("become " + owner.name + " for files was refused");
}

AsFileOwner::~AsFileOwner() {
  if (!SetFileOwner(before_)) std::terminate();
}

std::vector<Outcome> InAnotherProcess(const std::string& who, const std::function<std::vector<Outcome>()>& ask) {
  Pipe pipe = MakePipe();
  const pid_t child = fork();
  if (child < 0) throw CannotAsk("fork", errno);
  if (child == 0) {
    LimitChild();
    const std::string said = Said(who, ask).dump(-1, ' ', false, Json::error_handler_t::replace);
    const ssize_t written = write(pipe.write_end.number(), said.data(), said.size());
    _exit(written == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  pipe.write_end.Close();
  std::string text;
  try {
    text = ReadAll(pipe.read_end.number());
  } catch (const CannotAsk&) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    throw;
  }
  waitpid(child, nullptr, 0);
  const Json said = Json::parse(text, nullptr, false);
  if (said.is_discarded()) throw CannotAsk("a child process as " + who + " died before it answered");
  // A probe that asked nothing leaves nothing in the story.
  if (said["lines"].size() > 1) {
    for (const auto& line : said["lines"]) Journal::Get().Note(line.get<std::string>());
    Journal::Get().SkipNames(said["names"].get<int>());
    Journal::Get().NoteHeld(said["held"].get<std::string>());
  }
  if (said.contains("error")) {
    throw CannotAsk("as " + who, said.value("errno", 0), said["error"].get<std::string>());
  }
  if (said.contains("refused")) throw UnexpectedAnswer();
  std::vector<Outcome> outcomes;
  for (const auto& fields : said["outcomes"]) {
    outcomes.push_back(
        {fields[0].get<std::string>(), fields[1].get<int>(), fields[2].get<std::string>(), fields[3].get<int>()});
  }
  return outcomes;
}

std::vector<Outcome> InChild(const Identity& identity, const std::function<std::vector<Outcome>()>& ask) {
  return InAnotherProcess("uid " + std::to_string(identity.uid), [&] {
    ReduceTo(identity);
    Verify(identity);
    return ask();
  });
}

std::vector<Outcome> InUserNamespaceOf(const Owner& owner, const std::function<std::vector<Outcome>()>& ask) {
  return InAnotherProcess("uid 0 of a user namespace of " + owner.name, [&] {
    EnterUserNamespaceOf(owner);
    return ask();
  });
}

}  // namespace portshare
