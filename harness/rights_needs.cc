// What a user or a container may be refused while the kernel has it.
#include <cap-ng.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "harness/address.h"
#include "harness/need.h"
#include "harness/owner.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "netns/errno_name.h"
#include "netns/private_network.h"
#include "netns/sysctl.h"

namespace portshare {
namespace {

using Missing = std::optional<std::string>;

// Why `call` is not permitted here; what else may go wrong with it is no answer.
template <typename Call>
Missing Refused(Call call, std::initializer_list<int> also = {}) {
  try {
    call();
    return std::nullopt;
  } catch (const CannotAsk& reason) {
    DemandRefusal(reason, also);
    return reason.what();
  }
}

Descriptor Opened(int family, int type, int protocol, const std::string& what) {
  Descriptor made(socket(family, type | SOCK_CLOEXEC, protocol));
  if (!made.open()) throw CannotAsk(what, errno);
  return made;
}

// Of this thread alone, there and back.  setresgid(2)
void TakeGroupOf(const Owner& owner) {
  const gid_t before = getegid();
  if (syscall(SYS_setresgid, -1, owner.uid, -1) != 0) throw CannotAsk("take the group of " + owner.name, errno);
  if (syscall(SYS_setresgid, -1, before, -1) != 0) std::terminate();
}

Missing BecomesCarol() {
  const auto refused = Refused(
      [] {
        { const As carol(Carol()); }
        TakeGroupOf(Carol());
        const Descriptor given = Opened(AF_INET, SOCK_STREAM, 0, "probe: TCP socket");
        if (fchown(given.number(), Carol().uid, static_cast<gid_t>(-1)) != 0) {
          throw CannotAsk("give a socket to carol", errno);
        }
      },
      {EINVAL});  // an id that this user namespace does not map
  if (!refused) return std::nullopt;
  const std::string& trouble = PrivilegeTrouble();
  return "only one uid is at hand: " + *refused + (trouble.empty() ? "" : "; " + trouble);
}

// InChild() takes all out of the bounding set; any will do to see whether it may.
Missing ReducesChildren() {
  return Refused([] {
    InAnotherProcess("somebody who may do less", [] {
      if (prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT) != 0) throw CannotAsk("drop from the bounding set", errno);
      return std::vector<Outcome>();
    });
  });
}

Missing MakesUserNamespace() {
  // Not built in, or a uid that is not mapped; user.max_user_namespaces; the same before Linux 4.9.  unshare(2)
  return Refused([] { InUserNamespaceOf(Alice(), [] { return std::vector<Outcome>(); }); }, {EINVAL, ENOSPC, EUSERS});
}

// Whoever has the capability is refused by a fault of the kernel, which is the cases' to find.
Missing BindsPrivilegedPorts() {
  if (capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_BIND_SERVICE) != 0) return {};
  return Refused([] {
    const Descriptor probe = Opened(AF_INET, SOCK_STREAM, 0, "probe: TCP socket");
    const SocketAddress local(Loopback4(), 1);
    if (bind(probe.number(), local.get(), local.length) != 0) throw CannotAsk("bind port 1", errno);
  });
}

Missing MakesRawSockets() {
  return Refused([] { Opened(AF_INET, SOCK_RAW, IPPROTO_UDP, "make a raw socket"); });
}

// What every kernel has, as it is.
Missing SetsSysctls() {
  const PrivateNetwork scratch;
  constexpr char kAny[] = "ipv4/ip_local_port_range";
  const int error = WriteSysctl(kAny, ReadSysctl(kAny).value_or(""));
  if (error == 0) return std::nullopt;
  DemandRefusal(CannotAsk("set a sysctl", error), {EROFS, ENOENT});
  return "/proc/sys/net cannot be written here (" + ErrnoName(error) + ")";
}

}  // namespace

namespace needs {

const Need kNamespace{
    "namespace", "no_namespace",
    "run as root (in a container with --cap-add NET_ADMIN --cap-add SYS_ADMIN), or allow user namespaces "
    "(user.max_user_namespaces, and kernel.apparmor_restrict_unprivileged_userns=0 where AppArmor has it; in a "
    "container --security-opt seccomp=unconfined)",
    [] {
      if (BecomeNamespaceRoot() != Privilege::kNone) return Missing();
      return Missing(PrivilegeTrouble());
    }};
const Need kSecondOwner{
    "second_owner", "no_second_owner",
    "run as root (in a container with --cap-add SETUID --cap-add SETGID --cap-add CHOWN), or give this user ranges in "
    "/etc/subuid and /etc/subgid and install uidmap",
    BecomesCarol};
const Need kReducedChild{"reduced_child", "no_reduced_child", "run as root (in a container with --cap-add SETPCAP)",
                         ReducesChildren};
const Need kUserNamespace{"user_namespace", "no_user_namespace",
                          "allow nested user namespaces (in a container: --security-opt seccomp=unconfined)",
                          MakesUserNamespace};
const Need kNetBindService{"net_bind_service", "no_net_bind_service",
                           "run as root (in a container with --cap-add NET_BIND_SERVICE)", BindsPrivilegedPorts};
const Need kNetRaw{"net_raw", "no_net_raw", "run as root (in a container with --cap-add NET_RAW)", MakesRawSockets};
const Need kSysctl{"sysctl", "no_sysctl",
                   "make /proc/sys/net writable: in a container with --security-opt systempaths=unconfined (docker) or "
                   "--security-opt unmask=/proc/sys (podman)",
                   SetsSysctls};

}  // namespace needs
}  // namespace portshare
