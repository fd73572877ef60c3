#include "harness/need.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "harness/address.h"
#include "harness/bpf.h"
#include "harness/cpu.h"
#include "harness/deadline.h"
#include "harness/emulate.h"
#include "harness/i386.h"
#include "harness/option.h"
#include "harness/overrun.h"
#include "harness/owner.h"
#include "harness/plug_need.h"
#include "harness/server_needs.h"
#include "harness/socket.h"
#include "harness/vsock.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "netns/errno_name.h"
#include "netns/links.h"
#include "netns/private_network.h"
#include "netns/sysctl.h"

namespace portshare {
namespace {

using Missing = std::optional<std::string>;

Missing OpensSocket(int family, int type, int protocol, const std::string& what) {
  const Descriptor probe(socket(family, type | SOCK_CLOEXEC, protocol));
  if (probe.open()) return std::nullopt;
  const CannotAsk reason("probe: " + what + " socket", errno);
  // EINVAL: the number of MPTCP is beyond those that Linux before 5.6 knows; ENOPROTOOPT: net.mptcp.enabled=0.
  DemandRefusal(reason, {EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EINVAL, ENOPROTOOPT});
  const bool forbidden = reason.error() == EPERM || reason.error() == EACCES;
  return (forbidden ? "this user may make no " : "this kernel makes no ") + what + " socket (" +
         ErrnoName(reason.error()) + ")";
}

// Listening wants the hash that signs cookies: ENOSYS without it.  sctp_listen_start()
Missing ListensOverSctp() {
  if (Missing none = OpensSocket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, "SCTP")) return none;
  const PrivateNetwork scratch;
  const Descriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP));
  if (listen(probe.number(), 1) == 0) return std::nullopt;
  DemandRefusal(CannotAsk("probe: listen over SCTP", errno), {ENOSYS});
  return "SCTP cannot listen here (ENOSYS)";
}

Missing SetsOnTcp(Option option, const std::string& why, int value = 1) {
  const Descriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.open()) throw CannotAsk("probe: TCP socket", errno);
  if (setsockopt(probe.number(), option.level, option.number, &value, sizeof value) == 0) return std::nullopt;
  const CannotAsk reason(why, errno);
  DemandRefusal(reason, {ENOPROTOOPT});
  return why + " (" + ErrnoName(reason.error()) + ")";
}

// In the caller's namespace.
Missing SetsSysctl(const std::string& name) {
  const int error = WriteSysctl("ipv4/" + name, "1");
  if (error == 0) return std::nullopt;
  DemandRefusal(CannotAsk("set net.ipv4." + name, error), {ENOENT, EROFS});
  return "net.ipv4." + name + " cannot be set here (" + ErrnoName(error) + ")";
}

// Whether `make` can make a link: in a namespace of the probe's own, so that nothing stays.
template <typename Make>
Missing MakesLink(Make make) {
  const PrivateNetwork scratch;
  try {
    make();
    return std::nullopt;
  } catch (const CannotAsk& reason) {
    DemandRefusal(reason);
    return reason.what();
  }
}

// 33000 sockets in processes of at least 1000 each, at some 5 KB of memory a socket.
Missing RoomForManySockets() {
  constexpr long kSockets = 33000;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 1024) return "only " + std::to_string(limit.rlim_max) + " open files a process are allowed here";
  long open = 0, unused = 0, most = 0;
  if (std::ifstream("/proc/sys/fs/file-nr") >> open >> unused >> most && most - open < kSockets) {
    return "only " + std::to_string(most - open) + " more open files are allowed on this machine";
  }
  std::ifstream memory("/proc/meminfo");
  for (std::string word; memory >> word;) {
    long kilobytes = 0;
    if (word == "MemAvailable:" && memory >> kilobytes && kilobytes < 5 * kSockets) {
      return "only " + std::to_string(kilobytes / 1024) + " MB of memory are free";
    }
  }
  return std::nullopt;
}

Missing FiltersCalls() {
  try {
    OnLinux38([] { return std::vector<Outcome>(); });
    return std::nullopt;
  } catch (const CannotAsk& reason) {
    DemandRefusal(reason, {EINVAL});  // prctl(2) of a kernel without filters
    return reason.what();
  }
}

Descriptor ListenerOfAGroup(uint16_t port) {
  Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress local(Loopback4(), port);
  const int on = 1;
  if (setsockopt(listener.number(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      bind(listener.number(), local.get(), local.length) != 0 || listen(listener.number(), 1) != 0) {
    throw CannotAsk("listen in a group", errno);
  }
  return listener;
}

// Whether a connection that waits on a closing listener arrives at the other one.
Missing Migrates() {
  if (Missing without_groups = needs::kReusePort.probe()) return without_groups;
  constexpr uint16_t kPort = 7777;
  const PrivateNetwork scratch;
  if (Missing unset = SetsSysctl("tcp_migrate_req")) return unset;
  Descriptor closing = ListenerOfAGroup(kPort);
  const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  LimitSends(client.number());
  const SocketAddress peer(Loopback4(), kPort);
  if (connect(client.number(), peer.get(), peer.length) != 0) throw CannotAsk("connect", errno);
  const Descriptor other = ListenerOfAGroup(kPort);
  closing.Close();
  pollfd arrived{other.number(), POLLIN, 0};
  const int ready = poll(&arrived, 1, 0);
  if (ready < 0) throw CannotAsk("poll", errno);
  if (ready == 1) return std::nullopt;
  return "net.ipv4.tcp_migrate_req has no effect on this kernel";
}

Missing NumbersOptionsAsMostDo() {
#if defined(__alpha__) || defined(__mips__) || defined(__hppa__) || defined(__sparc__)
  return "this architecture has numbers of its own for the options of sockets";
#else
  return std::nullopt;
#endif
}

constexpr char kNewerKernel[] = "ask a kernel that has it";

}  // namespace

namespace needs {

const Need kReusePort{"so_reuseport", "no_so_reuseport", "ask Linux 3.9 or newer", [] {
                        return SetsOnTcp(so::kReusePort, "this kernel has no SO_REUSEPORT, Linux has it since 3.9");
                      }};
const Need kIpv6{"ipv6", "no_ipv6", "enable IPv6 (modprobe ipv6, or ipv6.disable=0)",
                 [] { return OpensSocket(AF_INET6, SOCK_STREAM, 0, "IPv6"); }, "ipv6"};
const Need kVeth{"veth", "no_veth", "build the kernel with CONFIG_VETH",
                 [] { return MakesLink([] { AddLink("probe0", "veth"); }); }, "veth"};
const Need kDummy{"dummy", "no_dummy", "build the kernel with CONFIG_DUMMY",
                  [] { return MakesLink([] { AddLink("probe0", "dummy"); }); }, "dummy"};
const Need kVrf{"vrf", "no_vrf", "build the kernel with CONFIG_NET_VRF",
                [] { return MakesLink([] { AddVrf("probe0", 10); }); }, "vrf"};
const Need kMptcp{"mptcp", "no_mptcp", kNewerKernel,
                  [] { return OpensSocket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "MPTCP"); }};
const Need kUdpLite{"udplite", "no_udplite", "ask Linux before 7.2, which removed it",
                    [] { return OpensSocket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, "UDP-Lite"); }};
const Need kSctp{"sctp", "no_sctp",
                 "build the kernel with CONFIG_IP_SCTP and the hash that net.sctp.cookie_hmac_alg names",
                 ListensOverSctp, "sctp"};
const Need kDccp{"dccp", "no_dccp", "ask Linux before 6.16, which removed it, with CONFIG_IP_DCCP",
                 [] { return OpensSocket(AF_INET, SOCK_DCCP, IPPROTO_DCCP, "DCCP"); }, "dccp dccp_ipv4"};
const Need kVsock{"vsock", "no_vsock",
                  "build the kernel with CONFIG_VSOCKETS (in a container also --security-opt seccomp=unconfined)",
                  [] { return OpensSocket(AF_VSOCK, SOCK_STREAM, 0, "vsock"); }, "vsock vsock_loopback"};
const Need kRepair{"tcp_repair", "no_tcp_repair", "build the kernel with CONFIG_CHECKPOINT_RESTORE and run as root",
                   [] { return SetsOnTcp(so::kRepair, "TCP_REPAIR is refused"); }};
const Need kMigration{"tcp_migrate_req", "no_tcp_migrate_req", "ask Linux 5.14 or newer", Migrates, "", &kSysctl};
const Need kSynCookies{"syn_cookies",
                       "no_syn_cookies",
                       "build the kernel with CONFIG_SYN_COOKIES",
                       [] {
                         const PrivateNetwork scratch;
                         return SetsSysctl("tcp_syncookies");
                       },
                       "",
                       &kSysctl};
const Need kManySockets{"many_sockets", "no_many_sockets",
                        "raise fs.file-max and the hard limit of open files, or give the machine 512 MB of memory",
                        RoomForManySockets};
const Need kAutobindReuse{"ip_autobind_reuse",
                          "no_ip_autobind_reuse",
                          "ask Linux 5.7 or newer",
                          [] {
                            const PrivateNetwork scratch;
                            return SetsSysctl("ip_autobind_reuse");
                          },
                          "",
                          &kSysctl};
// 0 asks for no range.
const Need kLocalPortRange{
    "ip_local_port_range_option", "no_ip_local_port_range_option", "ask Linux 6.3 or newer",
    [] { return SetsOnTcp(so::kLocalPortRange, "this kernel has no IP_LOCAL_PORT_RANGE, Linux has it since 6.3", 0); }};
const Need kPortStepWidth{"ip_local_port_step_width",
                          "no_ip_local_port_step_width",
                          "ask Linux 7.1 or newer",
                          [] {
                            const PrivateNetwork scratch;
                            return SetsSysctl("ip_local_port_step_width");
                          },
                          "",
                          &kSysctl};
const Need kSeccomp{"seccomp", "no_seccomp",
                    "build the kernel with CONFIG_SECCOMP_FILTER, and ask another architecture than s390x",
                    FiltersCalls};
const Need kI386{"i386", "no_i386", "ask an x86-64 kernel with CONFIG_IA32_EMULATION", [] {
                   if (i386::Answers()) return Missing();
                   return Missing("this kernel answers no i386 system calls");
                 }};
const Need kGenericNumbers{"generic_numbers", "no_generic_numbers",
                           "ask another architecture than Alpha, MIPS, PA-RISC and SPARC", NumbersOptionsAsMostDo};
const Need kPython{"python3", "no_python3", "install python3", [] {
                     if (access("/usr/bin/python3", X_OK) == 0) return Missing();
                     return Missing("there is no /usr/bin/python3");
                   }};

}  // namespace needs

std::optional<Unmet> FirstUnmet(const std::vector<const Need*>& needs) {
  for (const Need* need : needs) {
    if (need->first != nullptr) {
      if (const auto missing = need->first->probe()) return Unmet{need->first, *missing};
    }
    if (const auto missing = need->probe()) return Unmet{need, *missing};
  }
  return std::nullopt;
}

bool Includes(const std::vector<const Need*>& needs, const Need& need) {
  return std::any_of(needs.begin(), needs.end(),
                     [&need](const Need* one) { return one == &need || one->first == &need; });
}

const std::vector<const Need*>& AllNeeds() {
  using namespace needs;
  static const std::vector<const Need*> all = {&kNamespace,     &kReusePort,      &kSecondOwner,
                                               &kReducedChild,  &kUserNamespace,  &kNetBindService,
                                               &kNetRaw,        &kSysctl,         &kIpv6,
                                               &kVeth,          &kDummy,          &kVrf,
                                               &kMptcp,         &kUdpLite,        &kSctp,
                                               &kDccp,          &kVsock,          &kRepair,
                                               &kMigration,     &kSynCookies,     &kManySockets,
                                               &kAutobindReuse, &kLocalPortRange, &kPortStepWidth,
                                               &kSeccomp,       &kI386,           &kGenericNumbers,
                                               &kPython,        &kServerRoom,     &kNginx,
                                               &kHaproxy,       &kApache,         &kGunicorn,
                                               &kUnbound,       &kKnot,           &kBind9,
                                               &kPlug,          &kNftables,       &kBpf,
                                               &kSkReuseport,   &kSkLookup,       &kSockMap,
                                               &kSkMigrate,     &kTwoProcessors,  &kMemoryInfo,
                                               &kVsockLoopback};
  return all;
}

}  // namespace portshare
