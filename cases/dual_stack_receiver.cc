// Which socket gets the traffic when IPv4 and IPv6 sockets share a port?
#include <sched.h>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using DualStackReceiver = Case;

CLAIM(
    {.id = "dual_stack.tcp_ipv4_goes_to_the_ipv4_group",
     .says = "When a dual-stack and an IPv4 wildcard listener share a port by SO_REUSEPORT, every IPv4 connection goes "
             "to the IPv4 listener and every IPv6 one to the other.",
     .kernels = "since 4.6",
     .rows = {"DS-014"},
     .sources = {Kernel("inet_lhash2_lookup(), compute_score()")}});

CASE(DualStackReceiver, EachFamilyReachesItsOwnListener, Witnesses("dual_stack.tcp_ipv4_goes_to_the_ipv4_group"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket dual = Tcp(Any6()).DualStack().ReusePort().Bound(port()).Listening();
  Socket four = Tcp(Any4()).ReusePort().Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&dual, &four}, 20, Loopback4(), port()), Gets(0, 20));
  EXPECT_THAT(ConnectionsOver({&dual, &four}, 20, Loopback6(), port()), Gets(20, 0));
}

CLAIM({.id = "dual_stack.tcp_v6only_and_dual_are_two_groups",
       .says = "A dual-stack wildcard and a V6ONLY one that share a port by SO_REUSEPORT are two groups, and the group "
               "that listened first gets every IPv6 connection.",
       .kernels = "since 4.6",
       .rows = {"DS-015", "DS-016", "I13"},
       .sources = {Kernel("inet_reuseport_add_sock(), inet_lhash2_lookup()")}});

CASE(DualStackReceiver, DualListenerGetsAllWhenFirst, Witnesses("dual_stack.tcp_v6only_and_dual_are_two_groups"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket dual = Tcp(Any6()).DualStack().ReusePort().Bound(port()).Listening();
  Socket only_v6 = Tcp(Any6()).V6Only().ReusePort().Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&dual, &only_v6}, EnoughToReach(2), Loopback6(), port()), Gets(EnoughToReach(2), 0));
}

CASE(DualStackReceiver, V6OnlyListenerGetsAllWhenFirst, Witnesses("dual_stack.tcp_v6only_and_dual_are_two_groups"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket only_v6 = Tcp(Any6()).V6Only().ReusePort().Bound(port()).Listening();
  Socket dual = Tcp(Any6()).DualStack().ReusePort().Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&only_v6, &dual}, EnoughToReach(2), Loopback6(), port()), Gets(EnoughToReach(2), 0));
}

CLAIM(
    {.id = "dual_stack.mapped_listener_is_a_group_of_its_own",
     .says = "Listeners on 127.0.0.1 and on ::ffff:127.0.0.1 that share a port by SO_REUSEPORT are two groups, and the "
             "IPv4 sockets get every connection.",
     .kernels = "since 4.6",
     .rows = {"DS-017", "MISC-007"},
     .sources = {Kernel("inet_reuseport_add_sock(), compute_score()")}});

CASE(DualStackReceiver, Ipv4ListenerGetsAllBesideAMappedOne,
     Witnesses("dual_stack.mapped_listener_is_a_group_of_its_own"), Needs(needs::kReusePort, needs::kIpv6),
     Labels("tcp", "ipv6")) {
  Socket mapped = Tcp(MappedLoopback()).ReusePort().Bound(port()).Listening();
  Socket four = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&mapped, &four}, EnoughToReach(2), Loopback4(), port()), Gets(0, EnoughToReach(2)));
}

CASE(DualStackReceiver, MappedListenerJoinsNoIpv4Group, Witnesses("dual_stack.mapped_listener_is_a_group_of_its_own"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket one = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Socket two = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Socket mapped = Tcp(MappedLoopback()).ReusePort().Bound(port()).Listening();
  const int count = EnoughToReach(3);

  EXPECT_THAT(ConnectionsOver({&one, &two}, count, Loopback4(), port()), ReachesEach(count));
  EXPECT_THAT(QueuedConnections({&mapped}), Gets(0));
}

CLAIM(
    {.id = "dual_stack.ipv4_group_outranks_the_device",
     .says = "For an IPv4 connection an IPv4 listener comes before a dual-stack one that is bound to the device and to "
             "the processor.",
     .kernels = "since 4.6",
     .rows = {"SCORE-003"},
     .sources = {Man("socket(7), SO_BINDTODEVICE"), Man("socket(7), SO_INCOMING_CPU"),
                 Kernel("inet_lhash2_lookup(), compute_score()")}});

CASE(DualStackReceiver, Ipv4ListenerOutranksADeviceBoundDualOne, Witnesses("dual_stack.ipv4_group_outranks_the_device"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket four = Tcp(Any4()).ReusePort().Bound(port()).Listening();
  Socket dual =
      Tcp(Any6()).DualStack().ReusePort().Device("lo").Set(so::kIncomingCpu, sched_getcpu()).Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&four, &dual}, 10, Loopback4(), port()), Gets(10, 0));
}

CLAIM(
    {.id = "dual_stack.device_bound_listener_serves_ipv4",
     .says = "A dual-stack listener that is bound to a device and to a processor accepts IPv4 connections that arrive "
             "there.",
     .rows = {"SCORE-004"},
     .sources = {Man("ipv6(7), IPV6_V6ONLY"), Kernel("compute_score()")}});

CASE(DualStackReceiver, DeviceBoundDualListenerServesIpv4, Witnesses("dual_stack.device_bound_listener_serves_ipv4"),
     Needs(needs::kIpv6), Labels("tcp", "ipv6")) {
  Socket dual = Tcp(Any6()).DualStack().Device("lo").Set(so::kIncomingCpu, sched_getcpu()).Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&dual}, 4, Loopback4(), port()), Gets(4));
}

CLAIM(
    {.id = "dual_stack.udp_prefers_ipv4_and_exact",
     .says = "An IPv4 datagram prefers an IPv4 wildcard socket to a dual-stack one, and a socket on the mapped address "
             "to both.",
     .rows = {"UDP-RX-012"},
     .sources = {Kernel("__udp4_lib_lookup(), compute_score()")}});

CASE(DualStackReceiver, Ipv4DatagramPrefersTheIpv4Socket, Witnesses("dual_stack.udp_prefers_ipv4_and_exact"),
     Needs(needs::kIpv6), Labels("udp", "ipv6")) {
  Socket four = Udp(Any4()).ReuseAddr().Bound(port());
  Socket dual = Udp(Any6()).DualStack().ReuseAddr().Bound(port());

  EXPECT_THAT(DatagramsOver({&four, &dual}, 5, Loopback4(), port()), Gets(5, 0));
}

CASE(DualStackReceiver, Ipv4DatagramPrefersTheMappedAddress, Witnesses("dual_stack.udp_prefers_ipv4_and_exact"),
     Needs(needs::kIpv6), Labels("udp", "ipv6")) {
  Socket mapped = Udp(MappedLoopback()).ReuseAddr().Bound(port());
  Socket dual = Udp(Any6()).DualStack().ReuseAddr().Bound(port());
  Socket four = Udp(Any4()).ReuseAddr().Bound(port());

  EXPECT_THAT(DatagramsOver({&mapped, &dual, &four}, 5, Loopback4(), port()), Gets(5, 0, 0));
}

CLAIM({.id = "dual_stack.udp_v6only_and_dual_are_two_groups",
       .says =
           "A dual-stack UDP wildcard and a V6ONLY one that share a port by SO_REUSEPORT are two groups: the one bound "
           "first gets every IPv6 datagram, and the dual-stack one every IPv4 datagram.",
       .kernels = "since 4.5",
       .rows = {"UDP-RX-019", "UDP-RX-020"},
       .sources = {Kernel("udp_reuseport_add_sock(), udp6_lib_lookup2()")}});

CASE(DualStackReceiver, DualUdpSocketGetsAllWhenFirst, Witnesses("dual_stack.udp_v6only_and_dual_are_two_groups"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("udp", "ipv6")) {
  Socket dual = Udp(Any6()).DualStack().ReusePort().Bound(port());
  Socket only_v6 = Udp(Any6()).V6Only().ReusePort().Bound(port());

  EXPECT_THAT(DatagramsOver({&dual, &only_v6}, EnoughToReach(2), Loopback6(), port()), Gets(EnoughToReach(2), 0));
  EXPECT_THAT(DatagramsOver({&dual, &only_v6}, 5, Loopback4(), port()), Gets(5, 0));
}

CASE(DualStackReceiver, V6OnlyUdpSocketGetsAllWhenFirst, Witnesses("dual_stack.udp_v6only_and_dual_are_two_groups"),
     Needs(needs::kReusePort, needs::kIpv6), Labels("udp", "ipv6")) {
  Socket only_v6 = Udp(Any6()).V6Only().ReusePort().Bound(port());
  Socket dual = Udp(Any6()).DualStack().ReusePort().Bound(port());

  EXPECT_THAT(DatagramsOver({&only_v6, &dual}, EnoughToReach(2), Loopback6(), port()), Gets(EnoughToReach(2), 0));
  EXPECT_THAT(DatagramsOver({&only_v6, &dual}, 5, Loopback4(), port()), Gets(0, 5));
}

CLAIM(
    {.id = "dual_stack.udp_reuseaddr_newest_wildcard_receives",
     .says = "Of a V6ONLY UDP wildcard and a dual-stack one that share a port by SO_REUSEADDR, the one bound last gets "
             "every IPv6 datagram.",
     .rows = {"UDP-RX-021"},
     .sources = {Kernel("udp_lib_get_port(), udp6_lib_lookup2()")}});

CASE(DualStackReceiver, NewestUdpWildcardGetsAllWithReuseaddr,
     Witnesses("dual_stack.udp_reuseaddr_newest_wildcard_receives"), Needs(needs::kIpv6), Labels("udp", "ipv6")) {
  Socket only_v6 = Udp(Any6()).V6Only().ReuseAddr().Bound(port());
  Socket dual = Udp(Any6()).DualStack().ReuseAddr().Bound(port());

  EXPECT_THAT(DatagramsOver({&only_v6, &dual}, 40, Loopback6(), port()), Gets(0, 40));
  EXPECT_THAT(DatagramsOver({&only_v6, &dual}, 5, Loopback4(), port()), Gets(0, 5));
}

}  // namespace
}  // namespace portshare
