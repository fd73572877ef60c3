// Who may bind a privileged port, and which ports are privileged?
#include <linux/capability.h>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using PrivilegedPorts = Case;

// Documentation addresses (RFC 5737, RFC 3849), which no device here has.
const Address kNowhere4("192.0.2.1");
const Address kNowhere6("2001:db8::1");

struct Kind {
  std::string name;
  SocketSpec spec;
  CaseFacts facts;
};
const std::vector<Kind> kKinds = {
    {"tcp4", Tcp(Loopback4()), Labels("tcp")},
    {"udp4", Udp(Loopback4()), Labels("udp")},
    {"tcp6", Tcp(Loopback6()), {.needs = {&needs::kIpv6}, .labels = {"tcp"}}},
    {"udp6", Udp(Loopback6()), {.needs = {&needs::kIpv6}, .labels = {"udp"}}},
};

CLAIM({.id = "privilege.needed_below_1024",
       .says = "Ports 1 to 1023 need CAP_NET_BIND_SERVICE, for TCP and UDP, IPv4 and IPv6 alike; port 1024 and the "
               "kernel's choice do not.",
       .rows = {"PRIV-001"},
       .sources = {Man("ip(7), Address format"), Man("capabilities(7), CAP_NET_BIND_SERVICE"),
                   Kernel("inet_port_requires_bind_service()")},
       .documents = {Truth("ES-02")}});

MATRIX(PrivilegedPorts, AreRefusedToAPlainUser, Kind, kKinds, Witnesses("privilege.needed_below_1024"),
       Needs(needs::kSecondOwner)) {
  const As alice(Alice());

  EXPECT_THAT(row.spec.Bind(1), FailsWith(EACCES));
  EXPECT_THAT(row.spec.Bind(80), FailsWith(EACCES));
  EXPECT_THAT(row.spec.Bind(1023), FailsWith(EACCES));
}

MATRIX(PrivilegedPorts, BeginBelow1024, Kind, kKinds, Witnesses("privilege.needed_below_1024"),
       Needs(needs::kSecondOwner)) {
  const As alice(Alice());

  EXPECT_THAT(row.spec.Bind(1024), Succeeds());
  EXPECT_THAT(row.spec.Bind(0), Succeeds());
}

CASE(PrivilegedPorts, NeedThisCapabilityAndNoOther, Witnesses("privilege.needed_below_1024"),
     Needs(needs::kSecondOwner, needs::kReducedChild, needs::kNetBindService, needs::kNetRaw), Labels("tcp")) {
  const auto bind80 = [] { return std::vector{Tcp(Loopback4()).Bind(80)}; };
  const Identity able{.uid = Alice().uid, .gid = Alice().uid, .capabilities = {CAP_NET_BIND_SERVICE}};
  const Identity unable{.uid = Alice().uid, .gid = Alice().uid, .capabilities = {CAP_NET_ADMIN, CAP_NET_RAW}};

  EXPECT_THAT(InChild(able, bind80).at(0), Succeeds());
  EXPECT_THAT(InChild(unable, bind80).at(0), FailsWith(EACCES));
}

CLAIM({.id = "privilege.limit_is_a_sysctl",
       .says = "net.ipv4.ip_unprivileged_port_start sets the lowest port that needs no capability, for IPv6 as well.",
       .kernels = "since 4.11",
       .rows = {"PRIV-002"},
       .sources = {KernelDoc("networking/ip-sysctl, ip_unprivileged_port_start"),
                   Kernel("inet_port_requires_bind_service()")},
       .documents = {Truth("ES-02")}});

MATRIX(PrivilegedPorts, BeginWhereTheSysctlSays, Kind, kKinds, Witnesses("privilege.limit_is_a_sysctl"),
       Needs(needs::kSecondOwner, needs::kSysctl)) {
  EXPECT_THAT(Sysctl("ipv4/ip_unprivileged_port_start", "80"), Succeeds());

  const As alice(Alice());
  EXPECT_THAT(row.spec.Bind(80), Succeeds());
  EXPECT_THAT(row.spec.Bind(79), FailsWith(EACCES));
}

MATRIX(PrivilegedPorts, MayBeginHigher, Kind, kKinds, Witnesses("privilege.limit_is_a_sysctl"),
       Needs(needs::kSecondOwner, needs::kSysctl)) {
  EXPECT_THAT(Sysctl("ipv4/ip_unprivileged_port_start", "8000"), Succeeds());

  const As alice(Alice());
  EXPECT_THAT(row.spec.Bind(7999), FailsWith(EACCES));
  EXPECT_THAT(row.spec.Bind(8000), Succeeds());
}

CLAIM({.id = "privilege.limit_zero_ends_it",
       .says = "With net.ipv4.ip_unprivileged_port_start at 0 no port needs a capability.",
       .kernels = "since 4.11",
       .rows = {"PRIV-003"},
       .sources = {KernelDoc("networking/ip-sysctl, ip_unprivileged_port_start")}});

MATRIX(PrivilegedPorts, DoNotExistWithTheLimitAtZero, Kind, kKinds, Witnesses("privilege.limit_zero_ends_it"),
       Needs(needs::kSecondOwner, needs::kSysctl)) {
  EXPECT_THAT(Sysctl("ipv4/ip_unprivileged_port_start", "0"), Succeeds());

  const As alice(Alice());
  EXPECT_THAT(row.spec.Bind(1), Succeeds());
}

CLAIM({.id = "privilege.owner_replaces_no_capability",
       .says = "To have the owner of a privileged port's holder, even root, does not replace the capability.",
       .kernels = "since 3.9",
       .rows = {"PRIV-004"},
       .sources = {Kernel("inet_port_requires_bind_service()"), Man("capabilities(7), CAP_NET_BIND_SERVICE")}});

CASE(PrivilegedPorts, AreRefusedToTheHoldersOwnUser, Witnesses("privilege.owner_replaces_no_capability"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kSysctl), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(1080);
  EXPECT_THAT(Sysctl("ipv4/ip_unprivileged_port_start", "2000"), Succeeds());

  const As alice(Alice());
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().Bind(1080), FailsWith(EACCES));
}

CASE(PrivilegedPorts, AreRefusedWithASocketOfRoot, Witnesses("privilege.owner_replaces_no_capability"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kNetBindService), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Root()).Bound(80).Listening();
  Socket newcomer = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  EXPECT_THAT(newcomer.ChangeOwner(Root()), Succeeds());

  const As alice(Alice());
  EXPECT_THAT(newcomer.Bind(80), FailsWith(EACCES));
}

CLAIM({.id = "privilege.asked_at_bind_only",
       .says = "The capability is asked for at bind(2) alone: a socket that root bound listens for a plain user, and "
               "the port stays held when the limit rises above it.",
       .rows = {"PRIV-005"},
       .sources = {Kernel("__inet_bind()"), Man("capabilities(7), CAP_NET_BIND_SERVICE")}});

CASE(PrivilegedPorts, BoundByRootListenForAPlainUser, Witnesses("privilege.asked_at_bind_only"),
     Needs(needs::kSecondOwner, needs::kNetBindService), Labels("tcp")) {
  Socket socket = Tcp(Loopback4()).OwnedBy(Alice()).Made();
  EXPECT_THAT(socket.Bind(80), Succeeds());

  const As alice(Alice());
  EXPECT_THAT(socket.Listen(), Succeeds());
}

CASE(PrivilegedPorts, DoNotEndAnEarlierHolder, Witnesses("privilege.asked_at_bind_only"),
     Needs(needs::kSecondOwner, needs::kSysctl), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).OwnedBy(Alice()).Bound(port());
  EXPECT_THAT(Sysctl("ipv4/ip_unprivileged_port_start", "8000"), Succeeds());

  const As alice(Alice());
  EXPECT_THAT(holder.Listen(), Succeeds());
}

CLAIM({.id = "privilege.disjoint_from_the_local_range",
       .says = "The range of the kernel's own choice may not reach below the privileged limit, nor the limit above its "
               "beginning; what is refused changes nothing.",
       .kernels = "since 4.11",
       .rows = {"PRIV-007"},
       .sources = {KernelDoc("networking/ip-sysctl, ip_unprivileged_port_start"), Kernel("ipv4_local_port_range()"),
                   Kernel("ipv4_privileged_ports()")}});

CASE(PrivilegedPorts, AreNoPartOfTheLocalRange, Witnesses("privilege.disjoint_from_the_local_range"),
     Needs(needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "40001 40001"), Succeeds());
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "900 1000"), FailsWith(EINVAL));
  EXPECT_THAT(Sysctl("ipv4/ip_unprivileged_port_start", "40002"), FailsWith(EINVAL));

  Socket chosen = Tcp(Loopback4()).Bound(0);
  EXPECT_THAT(chosen.LocalName(), Is("127.0.0.1:40001"));
}

CASE(PrivilegedPorts, LeaveTheKernelsChoiceToAPlainUser, Witnesses("privilege.disjoint_from_the_local_range"),
     Needs(needs::kSecondOwner, needs::kSysctl), Labels("tcp", "udp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "900 1000"), FailsWith(EINVAL));

  const As alice(Alice());
  EXPECT_THAT(Tcp(Loopback4()).Bind(0), Succeeds());
  EXPECT_THAT(Udp(Loopback4()).Made().Connect(Loopback4(), 9), Succeeds());
}

CASE(PrivilegedPorts, GiveWayToTheLocalRangeOnceTheLimitIsLower, Witnesses("privilege.disjoint_from_the_local_range"),
     Needs(needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_unprivileged_port_start", "900"), Succeeds());

  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "900 1000"), Succeeds());
}

CLAIM({.id = "privilege.order_of_refusals",
       .says = "A privileged port on an address that is not local is refused for its address by IPv4 and for its port "
               "by IPv6.",
       .rows = {"PRIV-008"},
       .sources = {Kernel("__inet_bind()"), Kernel("__inet6_bind()"), Man("bind(2), ERRORS")}});

CASE(PrivilegedPorts, OfIpv4AreRefusedForTheAddressFirst, Witnesses("privilege.order_of_refusals"),
     Needs(needs::kSecondOwner), Labels("tcp", "udp")) {
  const As alice(Alice());

  EXPECT_THAT(Tcp(kNowhere4).Bind(80), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Udp(kNowhere4).Bind(80), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Tcp(kNowhere4).Bind(port()), FailsWith(EADDRNOTAVAIL));
}

CASE(PrivilegedPorts, OfIpv6AreRefusedForThePortFirst, Witnesses("privilege.order_of_refusals"),
     Needs(needs::kSecondOwner, needs::kIpv6), Labels("tcp", "udp")) {
  const As alice(Alice());

  EXPECT_THAT(Tcp(kNowhere6).Bind(80), FailsWith(EACCES));
  EXPECT_THAT(Udp(kNowhere6).Bind(80), FailsWith(EACCES));
  EXPECT_THAT(Tcp(kNowhere6).Bind(port()), FailsWith(EADDRNOTAVAIL));
}

}  // namespace
}  // namespace portshare
