// Who conflicts with a socket that is bound to a device, and who receives beside it?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/links.h"

namespace portshare {
namespace {

class DeviceBound : public Case {
 protected:
  static Socket Ready(const SocketSpec& spec, bool listens) {
    Socket socket = spec.Bound(port());
    return listens ? std::move(socket).Listening() : std::move(socket);
  }
  static Share Twenty(bool connections, Socket& first, Socket& second, const Address& to) {
    return connections ? ConnectionsOver({&first, &second}, 20, to, port())
                       : DatagramsOver({&first, &second}, 20, to, port());
  }
};

CLAIM({.id = "device.ports_are_apart",
       .says = "Listeners on two devices hold one port; a socket without a device is refused beside any of them.",
       .rows = {"DEV-001"},
       .sources = {Man("socket(7), SO_BINDTODEVICE"), Kernel("inet_csk_bind_conflict()")}});

CASE(DeviceBound, KeepsItsPortOnOneDevice, Witnesses("device.ports_are_apart"), Needs(needs::kVeth), Labels("tcp")) {
  AddVethPair("v0", "v1");
  const Socket first = Tcp(Any4()).Device("v0").Bound(port()).Listening();
  Socket second = Tcp(Any4()).Device("v1").Made();

  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(second.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).Device("v0").Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "device.owners_are_compared",
     .says = "A device does not make up for another owner: with SO_REUSEPORT a device-bound newcomer is refused beside "
             "another user's listener without a device.",
     .kernels = "since 3.9",
     .rows = {"DEV-010"},
     .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

CASE(DeviceBound, DoesNotPassAnotherOwner, Witnesses("device.owners_are_compared"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const Socket holder = Tcp(Any4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  const SocketSpec newcomer = Tcp(Any4()).ReusePort().Device("lo");

  EXPECT_THAT(newcomer.OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().Device("lo").OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(newcomer.OwnedBy(Alice()).Bind(port()), Succeeds());
}

CLAIM({.id = "device.listener_hears_no_other",
       .says = "A listener on a device is not there for a client of another one.",
       .rows = {"DEV-008"},
       .sources = {Man("socket(7), SO_BINDTODEVICE"), Kernel("compute_score()")}});

CASE(DeviceBound, DoesNotHearLoopback, Witnesses("device.listener_hears_no_other"), Needs(needs::kVeth),
     Labels("tcp")) {
  AddVethPair("v0", "v1");
  const Socket listener = Tcp(Loopback4()).Device("v0").Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(ECONNREFUSED));
}

CLAIM({.id = "device.preferred_without_a_group",
       .says = "Of two UDP sockets that share by SO_REUSEADDR the one on the device of the datagram receives, although "
               "it is older.",
       .rows = {"DEV-016"},
       .sources = {Kernel("compute_score()"), Man("socket(7), SO_BINDTODEVICE")}});

CASE(DeviceBound, ReceivesBeforeANewerSocket, Witnesses("device.preferred_without_a_group"),
     Follows("bound_devices_score"), Labels("udp")) {
  Socket near = Udp(Any4()).ReuseAddr().Device("lo").Bound(port());
  Socket newest = Udp(Any4()).ReuseAddr().Bound(port());

  EXPECT_THAT(DatagramsOver({&near, &newest}, 20, Loopback4(), port()), Gets(20, 0));
}

CLAIM({.id = "device.does_not_outrank_the_address",
       .says = "With SO_REUSEPORT a socket on the address receives all, and one on the wildcard and the device none.",
       .kernels = "since 3.9",
       .rows = {"DEV-003", "DEV-004"},
       .sources = {Kernel("__inet_lookup_listener()"), Kernel("__udp4_lib_lookup()")}});

struct Transport {
  std::string name;
  SocketSpec (*spec)(const Address&);
  bool stream;
};

const std::vector<Transport> kTransports = {{"tcp", Tcp, true}, {"udp", Udp, false}};

MATRIX(DeviceBound, ComesAfterTheAddress, Transport, kTransports, Witnesses("device.does_not_outrank_the_address"),
       Needs(needs::kReusePort)) {
  Socket specific = Ready(row.spec(Loopback4()).ReusePort(), row.stream);
  Socket near = Ready(row.spec(Any4()).ReusePort().Device("lo"), row.stream);

  EXPECT_THAT(Twenty(row.stream, specific, near, Loopback4()), Gets(20, 0));
}

CLAIM({.id = "device.group_ends_the_search",
       .says = "In a SO_REUSEPORT group whose members differ in their device one member takes all, by its place in the "
               "list and not by its device: of IPv4 the newest, of IPv6 the oldest.",
       .kernels = "since 3.9, by measurement; documented nowhere",
       .rows = {"DEV-002", "DEV-005", "DEV-006", "DEV-011", "DEV-012", "DEV-013", "DEV-014", "DEV-015"},
       .sources = {Kernel("lookup_reuseport(), which ends the search at the first group that it meets"),
                   Kernel("inet_hash(), which puts IPv6 listeners of SO_REUSEPORT at the tail")}});

struct Order {
  std::string name;
  SocketSpec (*spec)(const Address&);
  bool stream;
  bool ipv6;
  bool near_first;
  CaseFacts facts = {};
};

const std::vector<Order> kOrders = {
    {"tcp4_device_first", Tcp, true, false, true},
    {"tcp4_device_last", Tcp, true, false, false},
    {"tcp6_device_first", Tcp, true, true, true, Needs(needs::kIpv6)},
    {"tcp6_device_last", Tcp, true, true, false, Needs(needs::kIpv6)},
    {"udp4_device_first", Udp, false, false, true},
    {"udp4_device_last", Udp, false, false, false},
    {"udp6_device_first", Udp, false, true, true, Needs(needs::kIpv6)},
    {"udp6_device_last", Udp, false, true, false, Needs(needs::kIpv6)},
};

MATRIX(DeviceBound, InAGroupGoesByTheList, Order, kOrders, Witnesses("device.group_ends_the_search"),
       Needs(needs::kReusePort)) {
  const SocketSpec member = row.spec(row.ipv6 ? Any6() : Any4()).ReusePort();
  const SocketSpec near = member.Device("lo");
  Socket first = Ready(row.near_first ? near : member, row.stream);
  Socket second = Ready(row.near_first ? member : near, row.stream);

  const Share share = Twenty(row.stream, first, second, row.ipv6 ? Loopback6() : Loopback4());
  EXPECT_THAT(share, row.ipv6 ? Gets(20, 0) : Gets(0, 20));
}

CLAIM(
    {.id = "device.group_with_a_connection_is_scored",
     .says = "A UDP member that connects leaves its SO_REUSEPORT group, and the order in the list decides again among "
             "those that stay.",
     .kernels = "since 6.13; before, a connected member made the group go by score, and the one on the device "
                "received",
     .rows = {"DEV-017"},
     .sources = {Kernel("udp_lib_hash4()"), Kernel("reuseport_has_conns()")}});

CASE(DeviceBound, InAGroupIsNotFoundByAConnection, Witnesses("device.group_with_a_connection_is_scored"),
     Needs(needs::kReusePort), Follows("udp_files_by_connection"), Labels("udp")) {
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket near = member.Device("lo").Bound(port());
  Socket connected = member.Bound(port()).ConnectedTo(Loopback4(), 9000);
  Socket newest = member.Bound(port());

  EXPECT_THAT(DatagramsOver({&near, &connected, &newest}, 20, Loopback4(), port()), Gets(0, 0, 20));
}

}  // namespace
}  // namespace portshare
