// Who receives a multicast or broadcast datagram when several sockets share the port?
#include "cases/rows.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/links.h"

namespace portshare {
namespace {

using Multicast = Case;

const Address kGroup("239.1.1.1");
const Address kOtherGroup("239.1.1.2");
const Address kBroadcast("127.255.255.255");

// IPv4 groups are reached over lo.
void GroupsOverLoopback() {
  AddRoute("224.0.0.0/4", "lo");
}

// IPv6 groups are reached over a cable from v0 to v1.
void GroupsOverCable() {
  AddVethPair("v0", "v1");
  AddAddress("v0", "fe80::98/64");
  AddAddress("v1", "fe80::99/64");
}

// How a family reaches its group, and what a sharer asks for.
struct Row {
  std::string name;
  void (*lay_out)();
  SocketSpec member;
  Address group;
  std::string joined_on;
  Address destination;
  Address unicast;
  CaseFacts facts = {};
};

Row Ipv4(const std::string& option, Sharing sharing, const CaseFacts& facts) {
  return {"ipv4_" + option, GroupsOverLoopback, Udp(Any4()).Asking(sharing), kGroup, "lo", kGroup, Loopback4(), facts};
}
Row Ipv6(const std::string& option, Sharing sharing, const CaseFacts& facts) {
  return {"ipv6_" + option,
          GroupsOverCable,
          Udp(Any6()).DualStack().Asking(sharing),
          Address("ff02::77"),
          "v1",
          Address("ff02::77%v0"),
          Loopback6(),
          facts};
}

const std::vector<Row> kReuseaddr = {
    Ipv4("reuseaddr", Sharing::kReuseAddr, {}),
    Ipv6("reuseaddr", Sharing::kReuseAddr, Needs(needs::kIpv6, needs::kVeth)),
};
const std::vector<Row> kBothOptions = {
    Ipv4("reuseaddr", Sharing::kReuseAddr, {}),
    Ipv4("reuseport", Sharing::kReusePort, Needs(needs::kReusePort)),
    Ipv6("reuseaddr", Sharing::kReuseAddr, Needs(needs::kIpv6, needs::kVeth)),
    Ipv6("reuseport", Sharing::kReusePort, Needs(needs::kReusePort, needs::kIpv6, needs::kVeth)),
};

CLAIM(
    {.id = "multicast.copied_to_every_member",
     .says =
         "Each socket that shares a port gets a copy of every multicast datagram, by SO_REUSEADDR and by SO_REUSEPORT "
         "alike: multicast is never distributed as SO_REUSEPORT distributes unicast.",
     .rows = {"MC-001", "MC-002", "MC-008", "MC-009"},
     .sources = {Man("ip(7), IP_ADD_MEMBERSHIP"), Kernel("__udp4_lib_mcast_deliver(), __udp6_lib_mcast_deliver()")},
     .documents = {Truth("ES-25"), Truth("ES-05")}});

MATRIX(Multicast, EveryMemberGetsEveryDatagram, Row, kBothOptions, Witnesses("multicast.copied_to_every_member"),
       Labels("udp", "multicast")) {
  row.lay_out();
  Socket one = row.member.Bound(port());
  Socket two = row.member.Bound(port());
  EXPECT_THAT(one.Join(row.group, row.joined_on), Succeeds());
  EXPECT_THAT(two.Join(row.group, row.joined_on), Succeeds());

  EXPECT_THAT(DatagramsOver({&one, &two}, 20, row.destination, port()), Gets(20, 20));
}

CLAIM({.id = "multicast.also_to_sockets_that_did_not_join",
       .says = "A socket on the port that joined nothing gets a copy too, of any group that some socket of the network "
               "joined.",
       .rows = {"MC-001", "MC-008"},
       .sources = {Man("ip(7), IP_MULTICAST_ALL"), Kernel("ip_mc_sf_allow(), inet6_mc_check()")}});

MATRIX(Multicast, ReachesASocketThatDidNotJoin, Row, kReuseaddr,
       Witnesses("multicast.also_to_sockets_that_did_not_join"), Labels("udp", "multicast")) {
  row.lay_out();
  Socket member = row.member.Bound(port());
  Socket bystander = row.member.Bound(port());
  EXPECT_THAT(member.Join(row.group, row.joined_on), Succeeds());

  EXPECT_THAT(DatagramsOver({&member, &bystander}, 1, row.destination, port()), Gets(1, 1));
}

CLAIM({.id = "multicast.unicast_still_has_one_receiver",
       .says =
           "Joining a group changes nothing for unicast: of the sockets that share by SO_REUSEADDR the one bound last "
           "gets it.",
       .rows = {"MC-001"},
       .sources = {Kernel("udp4_lib_lookup2()")}});

MATRIX(Multicast, UnicastStillReachesTheNewest, Row, kReuseaddr, Witnesses("multicast.unicast_still_has_one_receiver"),
       Labels("udp", "multicast")) {
  row.lay_out();
  Socket member = row.member.Bound(port());
  Socket newest = row.member.Bound(port());
  EXPECT_THAT(member.Join(row.group, row.joined_on), Succeeds());

  EXPECT_THAT(DatagramsOver({&member, &newest}, 20, row.unicast, port()), Gets(0, 20));
}

CLAIM({.id = "multicast.bound_group_filters",
       .says = "A socket that is bound to a group's address gets that group only.",
       .rows = {"MC-003"},
       .sources = {Man("ip(7), Address format"), Kernel("__udp_is_mcast_sock()")}});

CASE(Multicast, BoundGroupFiltersByDestination, Witnesses("multicast.bound_group_filters"),
     Labels("udp", "multicast")) {
  GroupsOverLoopback();
  Socket one = Udp(kGroup).ReuseAddr().Bound(port());
  Socket other = Udp(kOtherGroup).ReuseAddr().Bound(port());
  EXPECT_THAT(one.Join(kGroup, "lo"), Succeeds());
  EXPECT_THAT(other.Join(kOtherGroup, "lo"), Succeeds());

  EXPECT_THAT(DatagramsOver({&one, &other}, 1, kGroup, port()), Gets(1, 0));
  EXPECT_THAT(DatagramsOver({&one, &other}, 1, kOtherGroup, port()), Gets(0, 1));
}

CLAIM(
    {.id = "multicast.all_can_be_turned_off",
     .says = "With IP_MULTICAST_ALL at 0 a socket gets the groups that it joined itself; by default it gets those that "
             "anyone joined.",
     .kernels = "since 2.6.31",
     .rows = {"MC-004"},
     .sources = {Man("ip(7), IP_MULTICAST_ALL"), Kernel("ip_mc_sf_allow()")}});

CASE(Multicast, AllTurnedOffLeavesOwnMemberships, Witnesses("multicast.all_can_be_turned_off"),
     Labels("udp", "multicast")) {
  GroupsOverLoopback();
  Socket member = Udp(Any4()).ReuseAddr().Set(so::kMulticastAll, 0).Bound(port());
  Socket everything = Udp(Any4()).ReuseAddr().Bound(port());
  Socket nothing = Udp(Any4()).ReuseAddr().Set(so::kMulticastAll, 0).Bound(port());
  EXPECT_THAT(member.Join(kGroup, "lo"), Succeeds());
  EXPECT_THAT(everything.Join(kOtherGroup, "lo"), Succeeds());

  EXPECT_THAT(DatagramsOver({&member, &everything, &nothing}, 1, kGroup, port()), Gets(1, 1, 0));
  EXPECT_THAT(DatagramsOver({&member, &everything, &nothing}, 1, kOtherGroup, port()), Gets(0, 1, 0));
}

CLAIM({.id = "multicast.changes_nothing_at_bind",
       .says =
           "Binding a port for multicast follows the rules of any UDP port: another owner is refused by SO_REUSEPORT, "
           "and a group's address conflicts with the wildcard as any address does.",
       .kernels = "since 3.9",
       .rows = {"MC-005"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp_lib_lport_inuse()")}});

struct Newcomer {
  std::string name;
  SocketSpec spec;
};
const std::vector<Newcomer> kOthers = {
    {"wildcard_reuseport", Udp(Any4()).ReusePort()},
    {"wildcard_reuseaddr", Udp(Any4()).ReuseAddr()},
    {"group_reuseaddr", Udp(kGroup).ReuseAddr()},
};

MATRIX(Multicast, ChangesNothingAtBind, Newcomer, kOthers, Witnesses("multicast.changes_nothing_at_bind"),
       Needs(needs::kReusePort, needs::kSecondOwner), Labels("udp", "multicast")) {
  GroupsOverLoopback();
  Socket holder = Udp(Any4()).ReusePort().OwnedBy(Alice()).Bound(port());
  EXPECT_THAT(holder.Join(kGroup, "lo"), Succeeds());

  EXPECT_THAT(row.spec.OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "broadcast.copied_to_every_socket",
     .says =
         "Each socket that shares a port gets a copy of every broadcast datagram, by SO_REUSEADDR and by SO_REUSEPORT "
         "alike.",
     .rows = {"MC-006", "MC-007"},
     .sources = {Man("socket(7), SO_BROADCAST"), Kernel("__udp4_lib_mcast_deliver()")},
     .documents = {Truth("ES-05")}});

MATRIX(Multicast, BroadcastReachesEverySocket, SharingRow, kSharings, Witnesses("broadcast.copied_to_every_socket"),
       Labels("udp", "broadcast")) {
  Socket one = Udp(Any4()).Asking(row.sharing).Set(so::kBroadcast).Bound(port());
  Socket two = Udp(Any4()).Asking(row.sharing).Set(so::kBroadcast).Bound(port());
  Socket sender = Udp(Any4()).Set(so::kBroadcast).Made();

  EXPECT_THAT(sender.SendTo(kBroadcast, port()), Succeeds());

  EXPECT_THAT(QueuedDatagrams({&one, &two}), Gets(1, 1));
}

CLAIM({.id = "multicast.same_on_a_crowded_port",
       .says = "The copies reach every member also when more than ten other sockets are bound to the port, where the "
               "kernel looks sockets up by address.",
       .rows = {"MC-010"},
       .sources = {Kernel("__udp4_lib_mcast_deliver()")}});

CASE(Multicast, ReachesEveryMemberOnACrowdedPort, Witnesses("multicast.same_on_a_crowded_port"),
     Labels("udp", "multicast")) {
  GroupsOverLoopback();
  std::vector<Socket> crowd;
  for (int last = 1; last <= 11; ++last) crowd.push_back(Udp(Loopback4(last)).ReuseAddr().Bound(port()));
  Socket on_wildcard = Udp(Any4()).ReuseAddr().Bound(port());
  Socket on_group = Udp(kGroup).ReuseAddr().Bound(port());
  EXPECT_THAT(on_wildcard.Join(kGroup, "lo"), Succeeds());
  EXPECT_THAT(on_group.Join(kGroup, "lo"), Succeeds());

  EXPECT_THAT(DatagramsOver({&on_wildcard, &on_group}, 1, kGroup, port()), Gets(1, 1));
}

CLAIM({.id = "multicast.connected_socket_filters_by_source",
       .says = "A connected socket gets no multicast from anyone but its peer.",
       .rows = {"MC-011"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("__udp_is_mcast_sock()")}});

CASE(Multicast, ConnectedSocketFiltersBySource, Witnesses("multicast.connected_socket_filters_by_source"),
     Labels("udp", "multicast")) {
  GroupsOverLoopback();
  // On the wildcard connect(2) would set the local address too, which no group's datagram has.
  Socket connected = Udp(kGroup).ReuseAddr().Bound(port());
  Socket member = Udp(Any4()).ReuseAddr().Bound(port());
  EXPECT_THAT(connected.Join(kGroup, "lo"), Succeeds());
  EXPECT_THAT(member.Join(kGroup, "lo"), Succeeds());
  EXPECT_THAT(connected.Connect(Loopback4(), 9000), Succeeds());

  EXPECT_THAT(DatagramsOver({&connected, &member}, 1, kGroup, port()), Gets(0, 1));
  Udp(Loopback4()).Bound(9000).SendTo(kGroup, port());
  EXPECT_THAT(QueuedDatagrams({&connected, &member}), Gets(1, 1));
}

}  // namespace
}  // namespace portshare
