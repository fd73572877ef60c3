// Who may bind a port on an address that this host does not have?
#include <linux/capability.h>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/links.h"

namespace portshare {
namespace {

using NonlocalAddresses = Case;

// Documentation addresses (RFC 5737, RFC 3849), which no device has until a case gives it to one.
const Address kNowhere4("192.0.2.1");
const Address kNowhere6("2001:db8::1");

CLAIM({.id = "nonlocal.refused",
       .says = "An address that no device has cannot be bound, by root neither.",
       .rows = {"NL-001", "NL-002"},
       .sources = {Man("bind(2), ERRORS"), Kernel("inet_addr_valid_or_nonlocal()")}});

CASE(NonlocalAddresses, AreRefused, Witnesses("nonlocal.refused"), Labels("tcp", "udp")) {
  EXPECT_THAT(Tcp(kNowhere4).Bind(port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Udp(kNowhere4).Bind(port()), FailsWith(EADDRNOTAVAIL));
}

CASE(NonlocalAddresses, OfIpv6AreRefused, Witnesses("nonlocal.refused"), Needs(needs::kIpv6), Labels("tcp", "udp")) {
  EXPECT_THAT(Tcp(kNowhere6).Bind(port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Udp(kNowhere6).Bind(port()), FailsWith(EADDRNOTAVAIL));
}

CLAIM({.id = "nonlocal.freebind_needs_no_privilege",
       .says = "With IP_FREEBIND a plain user binds an address that no device has.",
       .rows = {"NL-001"},
       .sources = {Man("ip(7), IP_FREEBIND"), Kernel("inet_can_nonlocal_bind()")}});

CASE(NonlocalAddresses, AreFreeToAPlainUserWithFreebind, Witnesses("nonlocal.freebind_needs_no_privilege"),
     Needs(needs::kSecondOwner), Labels("tcp", "udp")) {
  const As alice(Alice());

  EXPECT_THAT(Tcp(kNowhere4).Set(so::kFreeBind).Bind(port()), Succeeds());
  EXPECT_THAT(Udp(kNowhere4).Set(so::kFreeBind).Bind(port()), Succeeds());
}

CLAIM(
    {.id = "nonlocal.freebind_keeps_conflicts",
     .says = "IP_FREEBIND changes nothing about conflicts: the port is taken on that address and on the wildcard, and "
             "free elsewhere.",
     .rows = {"NL-001"},
     .sources = {Man("ip(7), IP_FREEBIND"), Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")}});

struct Kind {
  std::string name;
  SocketSpec (*spec)(const Address&);
  CaseFacts facts;
};
const std::vector<Kind> kKinds = {{"tcp", &Tcp, Labels("tcp")}, {"udp", &Udp, Labels("udp")}};

MATRIX(NonlocalAddresses, AreHeldLikeAnyOther, Kind, kKinds, Witnesses("nonlocal.freebind_keeps_conflicts")) {
  const Socket holder = row.spec(kNowhere4).Set(so::kFreeBind).Bound(port());

  EXPECT_THAT(row.spec(kNowhere4).Set(so::kFreeBind).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(row.spec(Any4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(row.spec(Loopback4()).Bind(port()), Succeeds());
}

CLAIM({.id = "nonlocal.sysctl_per_family",
       .says = "ip_nonlocal_bind lets everyone bind such addresses; IPv4 and IPv6 each have a switch of their own.",
       .rows = {"NL-002"},
       .sources = {KernelDoc("networking/ip-sysctl, ip_nonlocal_bind"), Kernel("inet_can_nonlocal_bind()"),
                   Kernel("ipv6_can_nonlocal_bind()")}});

CASE(NonlocalAddresses, OfIpv4AreFreeToAllByASysctl, Witnesses("nonlocal.sysctl_per_family"),
     Needs(needs::kSecondOwner, needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_nonlocal_bind", "1"), Succeeds());

  const As alice(Alice());
  Socket socket = Tcp(kNowhere4).Made();
  EXPECT_THAT(socket.Bind(port()), Succeeds());
  EXPECT_THAT(socket.Listen(), Succeeds());
}

CASE(NonlocalAddresses, OfIpv6HaveASysctlOfTheirOwn, Witnesses("nonlocal.sysctl_per_family"),
     Needs(needs::kIpv6, needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/ip_nonlocal_bind", "1"), Succeeds());
  EXPECT_THAT(Tcp(kNowhere6).Bind(port()), FailsWith(EADDRNOTAVAIL));

  EXPECT_THAT(Sysctl("ipv6/ip_nonlocal_bind", "1"), Succeeds());
  EXPECT_THAT(Tcp(kNowhere6).Bind(port()), Succeeds());
}

CASE(NonlocalAddresses, OfIpv4DoNotHeedTheSysctlOfIpv6, Witnesses("nonlocal.sysctl_per_family"),
     Needs(needs::kIpv6, needs::kSysctl), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv6/ip_nonlocal_bind", "1"), Succeeds());

  EXPECT_THAT(Tcp(kNowhere4).Bind(port()), FailsWith(EADDRNOTAVAIL));
}

CLAIM({.id = "nonlocal.transparent_needs_a_capability",
       .says = "IP_TRANSPARENT needs CAP_NET_ADMIN or CAP_NET_RAW; with it addresses that no device has are bound and "
               "conflict like any other.",
       .rows = {"NL-003"},
       .sources = {Man("ip(7), IP_TRANSPARENT"), Man("capabilities(7), CAP_NET_RAW"), Kernel("do_ip_setsockopt()")}});

struct Capable {
  std::string name;
  int capability;
  CaseFacts facts = {};
};
const std::vector<Capable> kEnough = {{"net_admin", CAP_NET_ADMIN}, {"net_raw", CAP_NET_RAW, Needs(needs::kNetRaw)}};

MATRIX(NonlocalAddresses, AreOpenedByTransparentWith, Capable, kEnough,
       Witnesses("nonlocal.transparent_needs_a_capability"), Needs(needs::kSecondOwner, needs::kReducedChild),
       Labels("tcp")) {
  const Identity able{.uid = Alice().uid, .gid = Alice().uid, .capabilities = {row.capability}};
  const auto answers = InChild(able, [] {
    Socket socket = Tcp(kNowhere4).Made();
    return std::vector{socket.Set(so::kTransparent), socket.Bind(port())};
  });
  EXPECT_THAT(answers.at(0), Succeeds());
  EXPECT_THAT(answers.at(1), Succeeds());
}

CASE(NonlocalAddresses, AreNotOpenedByTransparentToAPlainUser, Witnesses("nonlocal.transparent_needs_a_capability"),
     Needs(needs::kSecondOwner), Labels("tcp")) {
  Socket socket = Tcp(kNowhere4).OwnedBy(Alice()).Made();

  const As alice(Alice());
  EXPECT_THAT(socket.Set(so::kTransparent), FailsWith(EPERM));
  EXPECT_THAT(socket.Bind(port()), FailsWith(EADDRNOTAVAIL));
}

CASE(NonlocalAddresses, OfTransparentSocketsConflict, Witnesses("nonlocal.transparent_needs_a_capability"),
     Labels("tcp")) {
  const Socket holder = Tcp(kNowhere4).Set(so::kTransparent).Bound(port());

  EXPECT_THAT(Tcp(kNowhere4).Set(so::kTransparent).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "nonlocal.shared_before_the_address_comes",
       .says = "Listeners share by SO_REUSEPORT a port on an address that no device has yet, and share its connections "
               "once the address comes.",
       .kernels = "since 3.9",
       .rows = {"NL-004"},
       .sources = {Man("ip(7), IP_FREEBIND"), Man("socket(7), SO_REUSEPORT"), Kernel("reuseport_select_sock()")}});

CASE(NonlocalAddresses, AreSharedBeforeTheyCome, Witnesses("nonlocal.shared_before_the_address_comes"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec spec = Tcp(kNowhere4).Set(so::kFreeBind).ReusePort();
  Socket first = spec.Bound(port()).Listening();
  Socket second = spec.Made();
  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(second.Listen(), Succeeds());

  AddAddress("lo", "192.0.2.1/32");
  const int enough = EnoughToReach(2);
  EXPECT_THAT(ConnectionsOver({&first, &second}, enough, kNowhere4, port()), ReachesEach(enough));
}

CLAIM({.id = "nonlocal.held_after_the_address_left",
       .says = "A listener keeps its port when its address is taken away: the address cannot be bound and the wildcard "
               "stays refused.",
       .rows = {"NL-005"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Man("bind(2), ERRORS")}});

CASE(NonlocalAddresses, AreStillHeldAfterTheyLeft, Witnesses("nonlocal.held_after_the_address_left"), Labels("tcp")) {
  AddAddress("lo", "192.0.2.1/32");
  const Socket holder = Tcp(kNowhere4).Bound(port()).Listening();
  DeleteAddress("lo", "192.0.2.1/32");

  EXPECT_THAT(Tcp(kNowhere4).Bind(port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(Tcp(kNowhere4).Set(so::kFreeBind).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(NonlocalAddresses, ServeAgainWhenTheyComeBack, Witnesses("nonlocal.held_after_the_address_left"), Labels("tcp")) {
  AddAddress("lo", "192.0.2.1/32");
  Socket holder = Tcp(kNowhere4).Bound(port()).Listening();
  DeleteAddress("lo", "192.0.2.1/32");
  AddAddress("lo", "192.0.2.1/32");

  EXPECT_THAT(ConnectionsOver({&holder}, 1, kNowhere4, port()), Gets(1));
}

}  // namespace
}  // namespace portshare
