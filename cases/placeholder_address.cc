// Why is 127.0.0.6 taken when nobody bound it?
//
// A dual-stack wildcard socket that connects to an IPv6 peer has no IPv4 address any more.  The kernel writes 127.0.0.6
// into its IPv4 fields as a placeholder, and the search for conflicts takes the placeholder for an address.
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using PlaceholderAddress = Case;

constexpr uint16_t kServer = 9001;

CLAIM({.id = "placeholder.udp_client_holds_127_0_0_6",
       .says = "A dual-stack UDP socket that is connected to an IPv6 peer holds its port on 127.0.0.6, and on no other "
               "address of IPv4; the IPv4 wildcard is refused.",
       .rows = {"GHOST-001"},
       .sources = {Kernel("LOOPBACK4_IPV6, ipv4_rcv_saddr_equal(), udp_lib_lport_inuse()")}});

CASE(PlaceholderAddress, UdpClientOfAnIpv6PeerHolds127006, Witnesses("placeholder.udp_client_holds_127_0_0_6"),
     Needs(needs::kIpv6), Labels("udp", "ipv6")) {
  const Socket client = Udp(Any6()).DualStack().Bound(port()).ConnectedTo(Loopback6(), 9);

  EXPECT_THAT(Udp(Loopback4(6)).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Udp(Loopback4(7)).Bind(port()), Succeeds());
  EXPECT_THAT(Udp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "placeholder.tcp_client_holds_the_ipv4_wildcard",
     .says = "A dual-stack TCP socket that is connected to an IPv6 peer keeps the IPv4 wildcard from its port, whether "
             "it bound the port or connect(2) chose it.",
     .rows = {"GHOST-002", "GHOST-004"},
     .sources = {Kernel("LOOPBACK4_IPV6, inet_csk_get_port()")}});

CLAIM({.id = "placeholder.tcp_client_leaves_127_0_0_6_free",
       .says = "A dual-stack TCP socket that is connected to an IPv6 peer leaves 127.0.0.6 free.",
       .kernels = "since 6.1; before, 127.0.0.6 is refused",
       .rows = {"GHOST-002", "GHOST-004"},
       .sources = {Kernel("LOOPBACK4_IPV6, inet_csk_get_port()"),
                   Commit("28044fc1d495 net: Add a bhash2 table hashed by port and address")}});

CASE(PlaceholderAddress, BoundTcpClientHoldsTheIpv4Wildcard,
     Witnesses("placeholder.tcp_client_holds_the_ipv4_wildcard"), Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  const Socket server = Tcp(Loopback6()).Bound(kServer).Listening();
  const Socket client = Tcp(Any6()).DualStack().Bound(port()).ConnectedTo(Loopback6(), kServer);

  EXPECT_THAT(Tcp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4(7)).Bind(port()), Succeeds());
}

CASE(PlaceholderAddress, UnboundTcpClientHoldsTheIpv4Wildcard,
     Witnesses("placeholder.tcp_client_holds_the_ipv4_wildcard"), Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  const Socket server = Tcp(Loopback6()).Bound(kServer).Listening();
  const Socket client = Tcp(Any6()).DualStack().Made().ConnectedTo(Loopback6(), kServer);

  EXPECT_THAT(Tcp(Any4()).Bind(client.Port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4(7)).Bind(client.Port()), Succeeds());
}

CASE(PlaceholderAddress, BoundTcpClientLeaves127006Free, Witnesses("placeholder.tcp_client_leaves_127_0_0_6_free"),
     Needs(needs::kIpv6), Follows("tcp_files_by_address"), Labels("tcp", "ipv6")) {
  const Socket server = Tcp(Loopback6()).Bound(kServer).Listening();
  const Socket client = Tcp(Any6()).DualStack().Bound(port()).ConnectedTo(Loopback6(), kServer);

  EXPECT_THAT(Tcp(Loopback4(6)).Bind(port()), Succeeds());
}

CASE(PlaceholderAddress, UnboundTcpClientLeaves127006Free, Witnesses("placeholder.tcp_client_leaves_127_0_0_6_free"),
     Needs(needs::kIpv6), Follows("tcp_files_by_address"), Labels("tcp", "ipv6")) {
  const Socket server = Tcp(Loopback6()).Bound(kServer).Listening();
  const Socket client = Tcp(Any6()).DualStack().Made().ConnectedTo(Loopback6(), kServer);

  EXPECT_THAT(Tcp(Loopback4(6)).Bind(client.Port()), Succeeds());
}

CLAIM({.id = "placeholder.none_for_a_bound_address",
       .says = "A socket that bound an IPv6 address other than the wildcard leaves 127.0.0.6 free.",
       .rows = {"GHOST-003"},
       .sources = {Kernel("__inet6_bind()")}});

CASE(PlaceholderAddress, BoundIpv6AddressHoldsNoIpv4, Witnesses("placeholder.none_for_a_bound_address"),
     Needs(needs::kIpv6), Labels("udp", "ipv6")) {
  const Socket holder = Udp(Loopback6()).Bound(port());

  EXPECT_THAT(Udp(Loopback4(6)).Bind(port()), Succeeds());
}

CLAIM({.id = "placeholder.none_for_a_mapped_peer",
       .says = "A dual-stack TCP socket that is connected to an IPv4-mapped peer holds the IPv4 address that it really "
               "uses, and neither another IPv4 address nor an IPv6 one.",
       .rows = {"GHOST-005"},
       .sources = {Kernel("tcp_v6_connect()")}});

CASE(PlaceholderAddress, ClientOfAMappedPeerHoldsItsOwnIpv4Address, Witnesses("placeholder.none_for_a_mapped_peer"),
     Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  const Socket server = Tcp(Loopback4()).Bound(kServer).Listening();
  const Socket client = Tcp(Any6()).DualStack().Bound(port()).ConnectedTo(MappedLoopback(), kServer);

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4(7)).Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback6()).Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
