#include "harness/emulate.h"

#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <memory>

#include "harness/owner.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

void Check(int error, const std::string& action) {
  if (error < 0) throw CannotAsk("seccomp: " + action, -error);
}

// libc of s390x passes the arguments of both calls in memory, by socketcall(2), which is where no filter looks.
void DemandEffect() {
  const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.open()) throw CannotAsk("seccomp: socket to try the filter", errno);
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(probe.number(), SOL_SOCKET, SO_REUSEPORT, &value, &length) != 0) return;
  throw CannotAsk("seccomp", EOPNOTSUPP, "this libc calls socketcall(2), whose arguments no filter sees");
}

}  // namespace

void EmulateLinux38() {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release);
  if (filter == nullptr) throw CannotAsk("seccomp_init failed");
  // Otherwise libseccomp says ECANCELED for whatever the kernel answers.
  Check(seccomp_attr_set(filter.get(), SCMP_FLTATR_API_SYSRAWRC, 1), "keep the kernel's errno");
  // no_new_privs would forbid the setuid mappers of a user namespace; the process has CAP_SYS_ADMIN in its own instead.
  Check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0), "leave no_new_privs alone");
  // The emulation speaks for the native calls; without this, libseccomp would kill whoever makes one of another ABI.
  Check(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW), "let other ABIs pass");
  for (const int call : {SCMP_SYS(setsockopt), SCMP_SYS(getsockopt)}) {
    // Both arguments are ints: what a caller left in the upper halves of the registers does not count.
    Check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOPROTOOPT), call, 2,
                           SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, SOL_SOCKET),
                           SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, SO_REUSEPORT)),
          "add a rule");
  }
  Check(seccomp_load(filter.get()), "load the filter");
  DemandEffect();
}

std::vector<Outcome> OnLinux38(const std::function<std::vector<Outcome>()>& ask) {
  return InAnotherProcess("a program on Linux 3.8", [&] {
    EmulateLinux38();
    return ask();
  });
}

}  // namespace portshare
