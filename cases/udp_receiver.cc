// Which of several UDP sockets on one port receives a datagram?
#include "cases/rows.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

constexpr uint16_t kSenderPort = 9000;

class UdpReceiver : public Case {
 protected:
  // A sender on 127.0.0.1 whose datagrams reach `wanted`, one member of a group of three with `others`; the queues are
  // empty afterwards.
  static Socket SenderThatReaches(Socket& wanted, std::initializer_list<Socket*> others) {
    for (int tries = 0; tries < EnoughToReach(3); ++tries) {
      Socket sender = Udp(Loopback4()).Bound(0);
      sender.SendTo(Loopback4(), port());
      QueuedDatagrams(others);
      if (QueuedDatagrams({&wanted}).counts.front() == 1) return sender;
    }
    throw CannotAsk("no sender reaches the wanted member of the group");
  }
};

struct Row {
  std::string name;
  Address address;
  CaseFacts facts = {};
};
const std::vector<Row> kFamilies = {
    {"ipv4", Loopback4()},
    {"ipv6", Loopback6(), Needs(needs::kIpv6)},
};

CLAIM(
    {.id = "udp.reuseaddr.newest_receives",
     .says = "Of the UDP sockets that share an address and port by SO_REUSEADDR, the one bound last gets every unicast "
             "datagram: nothing is distributed.",
     .rows = {"UDP-RX-001", "UDP-RX-002"},
     .sources = {Kernel("udp_lib_get_port(), udp4_lib_lookup2(), udp6_lib_lookup2()")},
     .documents = {Truth("ES-12"), Stated("TH-16")}});

MATRIX(UdpReceiver, NewestReceivesWithReuseaddr, Row, kFamilies, Witnesses("udp.reuseaddr.newest_receives"),
       Labels("udp")) {
  Socket first = Udp(row.address).ReuseAddr().Bound(port());
  Socket second = Udp(row.address).ReuseAddr().Bound(port());
  Socket newest = Udp(row.address).ReuseAddr().Bound(port());

  EXPECT_THAT(DatagramsOver({&first, &second, &newest}, 20, row.address, port()), Gets(0, 0, 20));
}

CLAIM({.id = "udp.reuseaddr.previous_receives_after_close",
       .says = "When the UDP socket that was bound last is closed, the one before it receives.",
       .rows = {"UDP-RX-005"},
       .sources = {Kernel("udp_lib_unhash(), udp4_lib_lookup2()")}});

CASE(UdpReceiver, PreviousReceivesAfterClose, Witnesses("udp.reuseaddr.previous_receives_after_close"), Labels("udp")) {
  Socket first = Udp(Loopback4()).ReuseAddr().Bound(port());
  Socket second = Udp(Loopback4()).ReuseAddr().Bound(port());
  Socket newest = Udp(Loopback4()).ReuseAddr().Bound(port());

  newest.Close();

  EXPECT_THAT(DatagramsOver({&first, &second}, 10, Loopback4(), port()), Gets(0, 10));
}

CLAIM({.id = "udp.unicast.one_receiver",
       .says = "A unicast datagram reaches exactly one of the sockets that share its port, whichever option they share "
               "it by.",
       .rows = {"UDP-RX-001", "UDP-RX-003"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("__udp4_lib_rcv()")},
       .documents = {Stated("ES-22")}});

const std::vector<SharingRow> kEverySharing = {
    kSharings[0], kSharings[1], {"both", Sharing::kBoth, Needs(needs::kReusePort)}};

MATRIX(UdpReceiver, UnicastReachesOneSocket, SharingRow, kEverySharing, Witnesses("udp.unicast.one_receiver"),
       Labels("udp")) {
  Socket one = Udp(Loopback4()).Asking(row.sharing).Bound(port());
  Socket two = Udp(Loopback4()).Asking(row.sharing).Bound(port());
  Socket three = Udp(Loopback4()).Asking(row.sharing).Bound(port());

  EXPECT_THAT(DatagramsOver({&one, &two, &three}, 1, Loopback4(), port()), ReachesOne(1));
}

CLAIM({.id = "udp.reuseport.spread_over_members",
       .says = "The unicast datagrams of many senders are spread evenly over the UDP sockets that share a port by "
               "SO_REUSEPORT, and none is lost.",
       .kernels = "since 3.9; even since 5.8",
       .rows = {"UDP-RX-003", "I14"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp_ehashfn(), reuseport_select_sock()")},
       .documents = {Stated("ES-19"), Stated("TH-18")}});

MATRIX(UdpReceiver, ManySendersReachEveryMember, Row, kFamilies, Witnesses("udp.reuseport.spread_over_members"),
       Needs(needs::kReusePort), Labels("udp")) {
  Socket one = Udp(row.address).ReusePort().Bound(port());
  Socket two = Udp(row.address).ReusePort().Bound(port());
  const int count = EnoughToReach(2);

  EXPECT_THAT(DatagramsOver({&one, &two}, count, row.address, port()), ReachesEach(count));
}

CASE(UdpReceiver, ManySendersAreSpreadEvenly, Witnesses("udp.reuseport.spread_over_members"), Needs(needs::kReusePort),
     Labels("udp", "statistics")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket one = member.Bound(port());
  Socket two = member.Bound(port());
  Socket three = member.Bound(port());
  Socket four = member.Bound(port());

  EXPECT_THAT(DatagramsOver({&one, &two, &three, &four}, 400, Loopback4(), port()), SpreadsEvenly(400));
}

CLAIM({.id = "udp.reuseport.one_flow_one_member",
       .says = "All datagrams from one address and port to one address and port reach the same socket of an unchanged "
               "SO_REUSEPORT group.",
       .kernels = "since 3.9",
       .rows = {"UDP-RX-004", "I15"},
       .sources = {Kernel("udp_ehashfn(), reuseport_select_sock()")},
       .documents = {Truth("ES-19"), Stated("TH-04")}});

MATRIX(UdpReceiver, OneFlowReachesOneMember, Row, kFamilies, Witnesses("udp.reuseport.one_flow_one_member"),
       Needs(needs::kReusePort), Labels("udp")) {
  Socket one = Udp(row.address).ReusePort().Bound(port());
  Socket two = Udp(row.address).ReusePort().Bound(port());
  Socket sender = Udp(row.address).Bound(kSenderPort);

  for (int sent = 0; sent < EnoughToReach(2); ++sent) sender.SendTo(row.address, port());

  EXPECT_THAT(QueuedDatagrams({&one, &two}), ReachesOne(EnoughToReach(2)));
}

CLAIM({.id = "udp.reuseport.hash_of_the_sender",
       .says = "The member of a SO_REUSEPORT group is chosen by a hash of the flow: another source address or another "
               "source port may reach another member.",
       .kernels = "since 3.9",
       .rows = {"UDP-RX-003", "UDP-RX-004"},
       .sources = {Kernel("udp_ehashfn(), reuseport_select_sock()")},
       .documents = {Stated("TH-04")}});

CASE(UdpReceiver, SourcePortChoosesTheMember, Witnesses("udp.reuseport.hash_of_the_sender"), Needs(needs::kReusePort),
     Labels("udp")) {
  Socket one = Udp(Any4()).ReusePort().Bound(port());
  Socket two = Udp(Any4()).ReusePort().Bound(port());
  const int count = EnoughToReach(2);

  for (int sent = 0; sent < count; ++sent) Udp(Loopback4()).Bound(0).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&one, &two}), ReachesEach(count));
}

CASE(UdpReceiver, SourceAddressChoosesTheMember, Witnesses("udp.reuseport.hash_of_the_sender"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket one = Udp(Any4()).ReusePort().Bound(port());
  Socket two = Udp(Any4()).ReusePort().Bound(port());
  const int count = EnoughToReach(2);

  for (int last = 1; last <= count; ++last) Udp(Loopback4(last)).Bound(kSenderPort).SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&one, &two}), ReachesEach(count));
}

CLAIM(
    {.id = "udp.reuseport.destination_address_is_not_hashed",
     .says = "On a wildcard the hash takes the wildcard for the local address: what one sender sends to any address of "
             "the host reaches the same member of the group.",
     .kernels = "since 5.0",
     .rows = {"UDP-RX-004", "I15"},
     .sources = {Kernel("__udp4_lib_lookup(), udp_ehashfn()"),
                 Commit("4cdeeee9252a net: udp: prefer listeners bound to an address")},
     .documents = {Truth("TH-04")}});

CASE(UdpReceiver, DestinationAddressDoesNotChooseTheMember,
     Witnesses("udp.reuseport.destination_address_is_not_hashed"), Needs(needs::kReusePort), Labels("udp")) {
  Socket one = Udp(Any4()).ReusePort().Bound(port());
  Socket two = Udp(Any4()).ReusePort().Bound(port());
  Socket sender = Udp(Loopback4()).Bound(kSenderPort);
  const int count = EnoughToReach(2);

  for (int last = 1; last <= count; ++last) sender.SendTo(Loopback4(last), port());

  EXPECT_THAT(QueuedDatagrams({&one, &two}), ReachesOne(count));
}

CLAIM(
    {.id = "udp.reuseport.last_member_takes_the_closed_place",
     .says = "When a member of a SO_REUSEPORT group is closed, the member bound last takes its place, and with it its "
             "share of the hash; the other members keep theirs.",
     .kernels = "since 4.5",
     .rows = {"UDP-RX-022"},
     .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("__reuseport_detach_sock()")}});

CASE(UdpReceiver, LastMemberTakesTheClosedPlace, Witnesses("udp.reuseport.last_member_takes_the_closed_place"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket first = Udp(Loopback4()).ReusePort().Bound(port());
  Socket second = Udp(Loopback4()).ReusePort().Bound(port());
  Socket last = Udp(Loopback4()).ReusePort().Bound(port());
  Socket sender = SenderThatReaches(first, {&second, &last});

  first.Close();
  sender.SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&second, &last}), Gets(0, 1));
}

// The second member stays second, now of two: the end of the hash that was the last member's is its own.
CASE(UdpReceiver, OtherMembersKeepTheirPlaces, Witnesses("udp.reuseport.last_member_takes_the_closed_place"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket first = Udp(Loopback4()).ReusePort().Bound(port());
  Socket second = Udp(Loopback4()).ReusePort().Bound(port());
  Socket last = Udp(Loopback4()).ReusePort().Bound(port());
  Socket sender = SenderThatReaches(last, {&first, &second});

  first.Close();
  sender.SendTo(Loopback4(), port());

  EXPECT_THAT(QueuedDatagrams({&second, &last}), Gets(1, 0));
}

CLAIM({.id = "udp.both_options.newest_then_group",
       .says =
           "A UDP socket with SO_REUSEADDR alone that is bound after one with both options takes every datagram, until "
           "a third socket with both options joins the first in a group, which takes them all.",
       .kernels = "since 4.5",
       .rows = {"UDP-RX-006"},
       .sources = {Kernel("udp_reuseport_add_sock(), udp4_lib_lookup2()")}});

CASE(UdpReceiver, ReuseaddrNewcomerTakesAll, Witnesses("udp.both_options.newest_then_group"), Needs(needs::kReusePort),
     Labels("udp")) {
  Socket both = Udp(Loopback4()).Asking(Sharing::kBoth).Bound(port());
  Socket address_only = Udp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(DatagramsOver({&both, &address_only}, 20, Loopback4(), port()), Gets(0, 20));
}

CASE(UdpReceiver, GroupTakesAllFromAReuseaddrSocket, Witnesses("udp.both_options.newest_then_group"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket first = Udp(Loopback4()).Asking(Sharing::kBoth).Bound(port());
  Socket address_only = Udp(Loopback4()).ReuseAddr().Bound(port());
  Socket second = Udp(Loopback4()).Asking(Sharing::kBoth).Bound(port());
  const int count = EnoughToReach(2);

  EXPECT_THAT(DatagramsOver({&first, &second}, count, Loopback4(), port()), ReachesEach(count));
  EXPECT_THAT(QueuedDatagrams({&address_only}), Gets(0));
}

CLAIM({.id = "udp.shutdown.unconnected_keeps_receiving",
       .says =
           "shutdown(2) of an unconnected UDP socket fails with ENOTCONN and takes nothing from it: it keeps its place "
           "in its group.",
       .kernels = "since 3.9",
       .rows = {"UDP-RX-013"},
       .sources = {Man("shutdown(2), ERRORS"), Kernel("inet_shutdown()")}});

CASE(UdpReceiver, ShutdownOfAnUnconnectedSocketTakesNothing, Witnesses("udp.shutdown.unconnected_keeps_receiving"),
     Needs(needs::kReusePort), Labels("udp")) {
  Socket one = Udp(Loopback4()).ReusePort().Bound(port());
  Socket two = Udp(Loopback4()).ReusePort().Bound(port());
  const int count = EnoughToReach(2);

  EXPECT_THAT(two.Shutdown(SHUT_RD), FailsWith(ENOTCONN));
  EXPECT_THAT(DatagramsOver({&one, &two}, count, Loopback4(), port()), ReachesEach(count));
}

}  // namespace
}  // namespace portshare
