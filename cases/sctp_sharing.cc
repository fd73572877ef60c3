// Do SCTP sockets, one-to-one and one-to-many, share a port as TCP's do?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using SctpSharing = Case;

// linux/sctp.h
constexpr int kNumberOfReusePort = 36;
constexpr Option kSctpReusePort{IPPROTO_SCTP, kNumberOfReusePort, "sctp_reuse_port"};

SocketSpec OneToMany(const Address& address) {
  return {{"sctp-many", SOCK_SEQPACKET, IPPROTO_SCTP}, address};
}

struct Style {
  std::string name;
  SocketSpec spec;
};

const std::vector<Style> kStyles = {{"one_to_one", Sctp(Loopback4())}, {"one_to_many", OneToMany(Loopback4())}};

CLAIM({.id = "sctp.ports_are_apart",
       .says = "A port of SCTP is taken for other SCTP sockets without options, on the same address only, and free for "
               "TCP.",
       .rows = {"SCTP-001", "SCTP-009"},
       .sources = {Man("sctp(7)"), Kernel("sctp_get_port_local()")}});

MATRIX(SctpSharing, IsRefusedWithoutOptions, Style, kStyles, Witnesses("sctp.ports_are_apart"), Needs(needs::kSctp)) {
  const Socket holder = row.spec.Bound(port()).Listening();

  EXPECT_THAT(row.spec.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Sctp(Loopback4(2)).Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
}

CLAIM({.id = "sctp.wildcards_cover_as_tcp_s_do",
       .says = "An SCTP listener on 0.0.0.0 refuses an address of IPv4 and the dual-stack [::], and not [::] with "
               "IPV6_V6ONLY.",
       .rows = {"SCTP-008"},
       .sources = {Kernel("sctp_bind_addr_conflict()"), Kernel("sctp_v6_cmp_addr()")}});

CASE(SctpSharing, OfAWildcardFollowsTheFamilies, Witnesses("sctp.wildcards_cover_as_tcp_s_do"),
     Needs(needs::kSctp, needs::kIpv6)) {
  const Socket holder = Sctp(Any4()).Bound(port()).Listening();

  EXPECT_THAT(Sctp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Sctp(Any6()).DualStack().Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Sctp(Any6()).V6Only().Bind(port()), Succeeds());
}

CLAIM(
    {.id = "sctp.reuseaddr_ends_with_a_listener",
     .says = "With SO_REUSEADDR SCTP sockets bind one port while none of them listens; one listens, and newcomers are "
             "refused then.",
     .rows = {"SCTP-002", "SCTP-006", "SCTP-011"},
     .sources = {Kernel("sctp_get_port_local()"), Man("socket(7), SO_REUSEADDR")}});

MATRIX(SctpSharing, OfReuseaddrEndsWithAListener, Style, kStyles, Witnesses("sctp.reuseaddr_ends_with_a_listener"),
       Needs(needs::kSctp)) {
  const SocketSpec sharer = row.spec.ReuseAddr();
  Socket first = sharer.Bound(port());
  Socket second = sharer.Bound(port());

  EXPECT_THAT(first.Listen(), Succeeds());
  EXPECT_THAT(second.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(sharer.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "sctp.reuseport_shares_with_one_owner",
       .says = "SCTP listeners with SO_REUSEPORT share a port, and another user's socket is refused.",
       .kernels = "since 5.0; 5.10 is the oldest that was asked",
       .rows = {"SCTP-003", "SCTP-004", "SCTP-007"},
       .sources = {Kernel("sctp_get_port_local()"), Kernel("sctp_hash_endpoint()")}});

MATRIX(SctpSharing, OfReuseportListens, Style, kStyles, Witnesses("sctp.reuseport_shares_with_one_owner"),
       Needs(needs::kSctp, needs::kReusePort)) {
  const SocketSpec sharer = row.spec.ReusePort();
  const Socket first = sharer.Bound(port()).Listening();
  Socket second = sharer.Made();

  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(second.Listen(), Succeeds());
  EXPECT_THAT(row.spec.Bind(port()), FailsWith(EADDRINUSE));
}

MATRIX(SctpSharing, RefusesAnotherOwner, Style, kStyles, Witnesses("sctp.reuseport_shares_with_one_owner"),
       Needs(needs::kSctp, needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReusePort().OwnedBy(Alice()).Bound(port()).Listening();

  EXPECT_THAT(row.spec.ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(row.spec.ReusePort().OwnedBy(Alice()).Bind(port()), Succeeds());
}

CLAIM({.id = "sctp.reuse_port_is_reuseaddr",
       .says = "SCTP_REUSE_PORT lets one-to-one sockets share as SO_REUSEADDR does: a listener ends it.",
       .rows = {"SCTP-005"},
       .sources = {Rfc("RFC 6458, 8.1.27"), Kernel("sctp_setsockopt_reuse_port()"), Kernel("sctp_get_port_local()")}});

CASE(SctpSharing, OfItsOwnOptionEndsWithAListener, Witnesses("sctp.reuse_port_is_reuseaddr"), Needs(needs::kSctp)) {
  const SocketSpec sharer = Sctp(Loopback4()).Set(kSctpReusePort);
  Socket first = sharer.Bound(port());
  EXPECT_THAT(sharer.Bind(port()), Succeeds());

  EXPECT_THAT(first.Listen(), Succeeds());
  EXPECT_THAT(sharer.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(first.Get(kSctpReusePort), Is(1));
}

CLAIM({.id = "sctp.reuse_port_is_for_unbound_one_to_one_sockets",
       .says = "SCTP_REUSE_PORT is refused for a one-to-many socket with EOPNOTSUPP, and for a bound one with EFAULT.",
       .rows = {"SCTP-005", "SCTP-010"},
       .sources = {Rfc("RFC 6458, 8.1.27"), Kernel("sctp_setsockopt_reuse_port()")}});

CASE(SctpSharing, OfItsOwnOptionIsRefusedOneToMany, Witnesses("sctp.reuse_port_is_for_unbound_one_to_one_sockets"),
     Needs(needs::kSctp)) {
  EXPECT_THAT(OneToMany(Loopback4()).Made().Set(kSctpReusePort), FailsWith(EOPNOTSUPP));
}

CASE(SctpSharing, OfItsOwnOptionIsRefusedOnceBound, Witnesses("sctp.reuse_port_is_for_unbound_one_to_one_sockets"),
     Needs(needs::kSctp)) {
  Socket holder = Sctp(Loopback4()).Bound(port());

  EXPECT_THAT(holder.Set(kSctpReusePort), FailsWith(EFAULT));
  EXPECT_THAT(Sctp(Loopback4()).Set(kSctpReusePort).Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
