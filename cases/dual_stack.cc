// Who may bind a port when IPv4 and IPv6 sockets want it together?
#include "harness/case.h"
#include "harness/explore/epochs.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using DualStack = Case;

// The wildcard of IPv6 with and without IPv4.
SocketSpec Dual(const SocketSpec& spec) {
  return spec.DualStack();
}
SocketSpec OnlyV6(const SocketSpec& spec) {
  return spec.V6Only();
}

// Two sockets that ask for the same port without any option that shares it.
struct Pair {
  std::string name;
  SocketSpec holder;
  SocketSpec newcomer;
};

using Transport = SocketSpec (*)(const Address&);

std::vector<Pair> InBothTransports(std::vector<Pair> (*pairs)(const std::string& prefix, Transport make)) {
  std::vector<Pair> all = pairs("tcp_", Tcp);
  const std::vector<Pair> udp = pairs("udp_", Udp);
  all.insert(all.end(), udp.begin(), udp.end());
  return all;
}

CLAIM({.id = "dual_stack.wildcard_holds_ipv4",
       .says = "An IPv6 wildcard socket that is not IPV6_V6ONLY holds its port on every IPv4 address too: it conflicts "
               "with any IPv4 socket of that port, whichever comes first.",
       .kernels = "all but 6.1 before 6.1.25 and 6.2, where TCP misses some conflicts",
       .rows = {"DS-001", "DS-002", "DS-004"},
       .sources = {Man("ipv6(7), IPV6_V6ONLY"), Rfc("RFC 3493, section 5.3"), Kernel("inet_rcv_saddr_equal()")}});

const std::vector<Pair> kWildcardHoldsIpv4 = InBothTransports([](const std::string& prefix, Transport make) {
  return std::vector<Pair>{
      {prefix + "ipv4_wildcard_second", Dual(make(Any6())), make(Any4())},
      {prefix + "ipv4_address_second", Dual(make(Any6())), make(Loopback4())},
      {prefix + "ipv4_wildcard_first", make(Any4()), Dual(make(Any6()))},
      {prefix + "ipv4_address_first", make(Loopback4()), Dual(make(Any6()))},
  };
});

MATRIX(DualStack, WildcardHoldsIpv4, Pair, kWildcardHoldsIpv4, Witnesses("dual_stack.wildcard_holds_ipv4"),
       Needs(needs::kIpv6), Labels("ipv6")) {
  const Socket holder = row.holder.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "dual_stack.v6only_leaves_ipv4_free",
       .says = "An IPv6 wildcard socket with IPV6_V6ONLY and an IPv4 socket hold one port side by side.",
       .kernels = "all but 6.1 before 6.1.170 and 6.2 to 6.8, where TCP refuses some",
       .rows = {"DS-002", "DS-003", "DS-006", "DS-009"},
       .sources = {Man("ipv6(7), IPV6_V6ONLY"), Rfc("RFC 3493, section 5.3"), Kernel("inet_rcv_saddr_equal()")}});

CLAIM({.id = "dual_stack.ipv6_address_leaves_ipv4_free",
       .says = "A socket on an IPv6 address other than the wildcard never conflicts with IPv4.",
       .rows = {"DS-004", "DS-005", "DS-009"},
       .sources = {Man("ipv6(7), IPV6_V6ONLY"), Kernel("__inet6_bind(), inet_rcv_saddr_equal()")}});

const std::vector<Pair> kV6OnlyLeavesIpv4Free = InBothTransports([](const std::string& prefix, Transport make) {
  return std::vector<Pair>{
      {prefix + "ipv4_wildcard_first", make(Any4()), OnlyV6(make(Any6()))},
      {prefix + "ipv4_wildcard_second", OnlyV6(make(Any6())), make(Any4())},
      {prefix + "ipv4_address_first", make(Loopback4()), OnlyV6(make(Any6()))},
      {prefix + "ipv4_address_second", OnlyV6(make(Any6())), make(Loopback4())},
      {prefix + "mapped_address_second", OnlyV6(make(Any6())), make(MappedLoopback())},
      {prefix + "mapped_wildcard_second", OnlyV6(make(Any6())), make(MappedAny())},
      {prefix + "mapped_address_first", make(MappedLoopback()), OnlyV6(make(Any6()))},
      {prefix + "mapped_wildcard_first", make(MappedAny()), OnlyV6(make(Any6()))},
  };
});

MATRIX(DualStack, V6OnlyLeavesIpv4Free, Pair, kV6OnlyLeavesIpv4Free, Witnesses("dual_stack.v6only_leaves_ipv4_free"),
       Needs(needs::kIpv6), Labels("ipv6")) {
  const Socket holder = row.holder.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), Succeeds());
}

const std::vector<Pair> kIpv6AddressLeavesIpv4Free = InBothTransports([](const std::string& prefix, Transport make) {
  return std::vector<Pair>{
      {prefix + "beside_ipv4_address", make(Loopback4()), make(Loopback6())},
      {prefix + "before_ipv4_wildcard", make(Loopback6()), make(Any4())},
      {prefix + "before_ipv4_address", make(Loopback6()), make(Loopback4())},
      {prefix + "beside_mapped_wildcard", make(MappedAny()), make(Loopback6())},
  };
});

MATRIX(DualStack, Ipv6AddressLeavesIpv4Free, Pair, kIpv6AddressLeavesIpv4Free,
       Witnesses("dual_stack.ipv6_address_leaves_ipv4_free"), Needs(needs::kIpv6), Labels("ipv6")) {
  const Socket holder = row.holder.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), Succeeds());
}

CLAIM({.id = "dual_stack.wildcard_needs_both_families",
       .says = "An IPv6 wildcard without IPV6_V6ONLY is refused beside a V6ONLY wildcard, and beside an IPv6 address.",
       .rows = {"DS-003", "DS-005"},
       .sources = {Man("ipv6(7), IPV6_V6ONLY"), Kernel("inet_rcv_saddr_equal()")}});

CASE(DualStack, WildcardIsRefusedOverOneWildcardOfEachFamily, Witnesses("dual_stack.wildcard_needs_both_families"),
     Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  const Socket six = Tcp(Any6()).V6Only().Bound(port());
  const Socket four = Tcp(Any4()).Bound(port());

  EXPECT_THAT(Tcp(Any6()).DualStack().Bind(port()), FailsWith(EADDRINUSE));
}

CASE(DualStack, WildcardIsRefusedOverAnIpv6Address, Witnesses("dual_stack.wildcard_needs_both_families"),
     Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  const Socket holder = Tcp(Loopback6()).Bound(port());

  EXPECT_THAT(Tcp(Any6()).DualStack().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "dual_stack.mapped_address_is_the_ipv4_address",
       .says = "An IPv4-mapped address stands for that IPv4 address: ::ffff:127.0.0.1 conflicts where 127.0.0.1 does, "
               "and ::ffff:0.0.0.0 where 0.0.0.0 does.",
       .kernels = "all but unfixed 6.1 to 6.5 (fixed in 6.5.6), where TCP answers some otherwise",
       .rows = {"DS-006", "DS-007", "DS-009", "DS-010"},
       .sources = {Man("ipv6(7), Address format"), Rfc("RFC 4291, section 2.5.5.2"),
                   Kernel("inet_rcv_saddr_equal()")}});

const std::vector<Pair> kMappedIsIpv4 = InBothTransports([](const std::string& prefix, Transport make) {
  return std::vector<Pair>{
      {prefix + "mapped_address_then_ipv4_address", make(MappedLoopback()), make(Loopback4())},
      {prefix + "mapped_address_then_ipv4_wildcard", make(MappedLoopback()), make(Any4())},
      {prefix + "mapped_address_then_dual_wildcard", make(MappedLoopback()), Dual(make(Any6()))},
      {prefix + "ipv4_address_then_mapped_address", make(Loopback4()), make(MappedLoopback())},
      {prefix + "mapped_wildcard_then_ipv4_wildcard", make(MappedAny()), make(Any4())},
      {prefix + "mapped_wildcard_then_ipv4_address", make(MappedAny()), make(Loopback4())},
      {prefix + "mapped_wildcard_then_dual_wildcard", make(MappedAny()), Dual(make(Any6()))},
      {prefix + "ipv4_wildcard_then_mapped_wildcard", make(Any4()), make(MappedAny())},
      {prefix + "ipv4_wildcard_then_mapped_address", make(Any4()), make(MappedLoopback())},
      {prefix + "mapped_address_then_mapped_wildcard", make(MappedLoopback()), make(MappedAny())},
  };
});

MATRIX(DualStack, MappedAddressIsTheIpv4Address, Pair, kMappedIsIpv4,
       Witnesses("dual_stack.mapped_address_is_the_ipv4_address"), Needs(needs::kIpv6), Labels("ipv6")) {
  const Socket holder = row.holder.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "dual_stack.mapped_wildcard_holds_mapped_addresses",
       .says = "::ffff:0.0.0.0 holds its port on every IPv4-mapped address that asks for it later.",
       .kernels = "all but 6.1.170 to 6.1.192, where TCP misses the conflict",
       .rows = {"DS-009", "DS-010"},
       .sources = {Kernel("inet_rcv_saddr_equal(), inet_bind2_bucket_match_addr_any()")}});

CASE(DualStack, MappedUdpWildcardHoldsMappedAddresses, Witnesses("dual_stack.mapped_wildcard_holds_mapped_addresses"),
     Needs(needs::kIpv6), Labels("udp", "ipv6")) {
  const Socket holder = Udp(MappedAny()).Bound(port());

  EXPECT_THAT(Udp(MappedLoopback()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(DualStack, MappedTcpWildcardHoldsMappedAddresses, Witnesses("dual_stack.mapped_wildcard_holds_mapped_addresses"),
     Needs(needs::kIpv6), Follows("mapped_wildcard_missed"), Labels("tcp", "ipv6")) {
  const int wanted = CurrentEpoch().mapped_wildcard_missed ? 0 : EADDRINUSE;
  Socket holder = Tcp(MappedAny()).Bound(port());

  EXPECT_THAT(Tcp(MappedLoopback(2)).Bind(port()), AnswersWith(wanted));
  EXPECT_THAT(holder.Listen(), Succeeds());
  EXPECT_THAT(Tcp(MappedLoopback(3)).ReuseAddr().Bind(port()), AnswersWith(wanted));
}

CLAIM({.id = "dual_stack.v6only_binds_no_mapped_address",
       .says = "A socket with IPV6_V6ONLY cannot bind an IPv4-mapped address: EINVAL; it can bind another one after.",
       .rows = {"DS-008"},
       .sources = {Man("ipv6(7), IPV6_V6ONLY"), Kernel("__inet6_bind()")}});

CASE(DualStack, V6OnlyBindsNoMappedAddress, Witnesses("dual_stack.v6only_binds_no_mapped_address"), Needs(needs::kIpv6),
     Labels("tcp", "ipv6")) {
  Socket newcomer = Tcp(MappedLoopback()).V6Only().Made();

  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EINVAL));
  EXPECT_THAT(newcomer.BindTo(Loopback6(), port()), Succeeds());
}

CLAIM({.id = "dual_stack.v6only_is_fixed_by_bind",
       .says = "IPV6_V6ONLY cannot be changed after bind, and binding an IPv6 address other than the wildcard sets it.",
       .rows = {"DS-011"},
       .sources = {Kernel("do_ipv6_setsockopt(), __inet6_bind()")}});

CASE(DualStack, BoundWildcardKeepsBothFamilies, Witnesses("dual_stack.v6only_is_fixed_by_bind"), Needs(needs::kIpv6),
     Labels("tcp", "ipv6")) {
  Socket wildcard = Tcp(Any6()).DualStack().Bound(port());

  EXPECT_THAT(wildcard.Set(so::kV6Only), FailsWith(EINVAL));
  EXPECT_THAT(wildcard.Get(so::kV6Only), Is(0));
}

CASE(DualStack, BoundAddressIsV6Only, Witnesses("dual_stack.v6only_is_fixed_by_bind"), Needs(needs::kIpv6),
     Labels("tcp", "ipv6")) {
  Socket bound = Tcp(Loopback6()).DualStack().Bound(port());

  EXPECT_THAT(bound.Get(so::kV6Only), Is(1));
  EXPECT_THAT(bound.Set(so::kV6Only, 0), FailsWith(EINVAL));
}

CLAIM({.id = "dual_stack.bindv6only_turns_the_default",
       .says = "net.ipv6.bindv6only=1 makes new IPv6 sockets V6ONLY, so that their wildcard leaves IPv4 free.",
       .rows = {"DS-012"},
       .sources = {Man("ipv6(7), IPV6_V6ONLY"), KernelDoc("networking/ip-sysctl.rst, bindv6only")}});

CASE(DualStack, SysctlTurnsTheDefault, Witnesses("dual_stack.bindv6only_turns_the_default"),
     Needs(needs::kIpv6, needs::kSysctl), Labels("tcp", "ipv6")) {
  EXPECT_THAT(Sysctl("ipv6/bindv6only", "1"), Succeeds());
  Socket six = Tcp(Any6()).Bound(port());

  EXPECT_THAT(six.Get(so::kV6Only), Is(1));
  EXPECT_THAT(Tcp(Any4()).Bind(port()), Succeeds());
}

CLAIM(
    {.id = "dual_stack.accepted_connection_holds_the_ipv4_address",
     .says = "An IPv4 connection that a dual-stack listener accepted has a mapped local address, and still holds that "
             "IPv4 address after the listener is closed.",
     .rows = {"DS-013"},
     .sources = {Man("ipv6(7), Address format"), Kernel("tcp_v6_syn_recv_sock(), inet_csk_bind_conflict()")}});

CASE(DualStack, AcceptedConnectionHoldsItsIpv4Address,
     Witnesses("dual_stack.accepted_connection_holds_the_ipv4_address"), Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket listener = Tcp(Any6()).DualStack().Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());
  listener.Close();

  EXPECT_THAT(connection.server.LocalName(), Is("[::ffff:127.0.0.1]:7777"));
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4(2)).Bind(port()), Succeeds());
}

CLAIM({.id = "dual_stack.address_family_must_fit",
       .says = "An IPv6 socket refuses an IPv4 socket address with EINVAL.",
       .rows = {"DS-018"},
       .sources = {Kernel("inet6_bind_sk()")}});

CASE(DualStack, Ipv6SocketRefusesAnIpv4SocketAddress, Witnesses("dual_stack.address_family_must_fit"),
     Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  EXPECT_THAT(Tcp(Any6()).Made().BindTo(Loopback4(), port()), FailsWith(EINVAL));
}

CLAIM(
    {.id = "dual_stack.streams_on_group_addresses",
     .says = "A TCP socket may bind an IPv4 multicast or broadcast address, but no IPv6 multicast address (EINVAL); a "
             "UDP socket may bind either.",
     .rows = {"DS-019"},
     .sources = {Man("ip(7), Address format"), Kernel("__inet6_bind(), __inet_bind()")}});

struct GroupAddress {
  std::string name;
  SocketSpec newcomer;
  CaseFacts facts = {};
};
const std::vector<GroupAddress> kBindableGroups = {
    {"tcp_ipv4_multicast", Tcp(Address("224.0.0.1"))},
    {"tcp_limited_broadcast", Tcp(Address("255.255.255.255"))},
    {"tcp_subnet_broadcast", Tcp(Address("127.255.255.255"))},
    {"udp_ipv4_multicast", Udp(Address("224.0.0.1"))},
    {"udp_ipv6_multicast", Udp(Address("ff02::1%lo")), Needs(needs::kIpv6)},
};

MATRIX(DualStack, BindsGroupAddress, GroupAddress, kBindableGroups,
       Witnesses("dual_stack.streams_on_group_addresses")) {
  EXPECT_THAT(row.newcomer.Bind(port()), Succeeds());
}

CASE(DualStack, TcpBindsNoIpv6Multicast, Witnesses("dual_stack.streams_on_group_addresses"), Needs(needs::kIpv6),
     Labels("tcp", "ipv6")) {
  EXPECT_THAT(Tcp(Address("ff02::1%lo")).Bind(port()), FailsWith(EINVAL));
}

CLAIM(
    {.id = "dual_stack.reuseaddr_across_families",
     .says = "SO_REUSEADDR shares a TCP port between an IPv4 wildcard and a dual-stack one as it does inside a family: "
             "both may bind, one may listen.",
     .rows = {"DS-020"},
     .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

CASE(DualStack, ReuseaddrLetsOneFamilyListen, Witnesses("dual_stack.reuseaddr_across_families"), Needs(needs::kIpv6),
     Labels("tcp", "ipv6")) {
  Socket four = Tcp(Any4()).ReuseAddr().Bound(port());
  Socket dual = Tcp(Any6()).DualStack().ReuseAddr().Bound(port());

  EXPECT_THAT(four.Listen(), Succeeds());
  EXPECT_THAT(dual.Listen(), FailsWith(EADDRINUSE));
}

CASE(DualStack, ReuseaddrWaitsForTheOtherFamilysListener, Witnesses("dual_stack.reuseaddr_across_families"),
     Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket listener = Tcp(Any6()).DualStack().ReuseAddr().Bound(port()).Listening();
  Socket newcomer = Tcp(Any4()).ReuseAddr().Made();

  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
  listener.Close();
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
