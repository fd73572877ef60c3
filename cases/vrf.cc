// Are the ports of VRF devices apart?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/links.h"

namespace portshare {
namespace {

constexpr unsigned kTable = 10;

// v0 and v1 are two ends of a cable, "red" is a VRF device without any of them yet.
class Vrf : public Case {
 protected:
  void SetUp() override {
    Case::SetUp();
    if (IsSkipped()) return;
    Guarded([] {
      AddVethPair("v0", "v1");
      AddVrf("red", kTable);
    });
  }
};

CLAIM({.id = "vrf.tcp_ports_are_apart",
       .says = "A TCP listener in no VRF, one in each VRF and one on a device below a VRF hold one port.",
       .kernels = "since 5.0",
       .rows = {"VRF-001", "VRF-003"},
       .sources = {KernelDoc("networking/vrf.rst"), Commit("3c82a21f4320"), Kernel("inet_bind_bucket_find()")}});

CASE(Vrf, KeepsTcpPortsApart, Witnesses("vrf.tcp_ports_are_apart"), Needs(needs::kVrf, needs::kVeth), Labels("tcp")) {
  Enslave("v0", "red");
  const Socket outside = Tcp(Any4()).Bound(port()).Listening();
  Socket inside = Tcp(Any4()).Device("red").Made();

  EXPECT_THAT(inside.Bind(port()), Succeeds());
  EXPECT_THAT(inside.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Device("v0").Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(Vrf, KeepsTcpPortsOfTwoApart, Witnesses("vrf.tcp_ports_are_apart"),
     Needs(needs::kVrf, needs::kVeth, needs::kSysctl), Labels("tcp")) {
  AddVrf("blue", kTable + 1);
  Enslave("v0", "red");
  Enslave("v1", "blue");
  const Socket red = Tcp(Any4()).Device("red").Bound(port()).Listening();
  Socket blue = Tcp(Any4()).Device("blue").Made();

  EXPECT_THAT(blue.Bind(port()), Succeeds());
  EXPECT_THAT(blue.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Device("red").Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Sysctl("ipv4/tcp_l3mdev_accept", "1"), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Bind(port()), Succeeds());
}

CLAIM(
    {.id = "vrf.udp_ports_are_not_apart",
     .says = "A UDP socket in no VRF keeps its port from sockets in a VRF and on a device below one, other than TCP's.",
     .rows = {"VRF-002"},
     .sources = {Kernel("inet_rcv_saddr_equal()"), Kernel("udp_lib_lport_inuse()")}});

CASE(Vrf, DoesNotKeepUdpPortsApart, Witnesses("vrf.udp_ports_are_not_apart"), Needs(needs::kVrf, needs::kVeth),
     Labels("udp")) {
  Enslave("v0", "red");
  const Socket outside = Udp(Any4()).Bound(port());

  EXPECT_THAT(Udp(Any4()).Device("red").Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Udp(Any4()).Device("v0").Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "vrf.l3mdev_accept_opens_a_listener",
       .says = "A TCP listener in no VRF is there for clients in one only with net.ipv4.tcp_l3mdev_accept.",
       .kernels = "since 4.4",
       .rows = {"VRF-004"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_l3mdev_accept"), Kernel("inet_sk_bound_dev_eq()")}});

CASE(Vrf, HidesAListenerUnlessTheSysctlOpensIt, Witnesses("vrf.l3mdev_accept_opens_a_listener"),
     Needs(needs::kVrf, needs::kVeth, needs::kSysctl), Labels("tcp")) {
  Enslave("v0", "red");
  AddAddress("v0", "10.9.0.1/24");
  const Address local("10.9.0.1");
  const Socket listener = Tcp(Any4()).Bound(port()).Listening();
  const SocketSpec client = Tcp(Any4()).Device("red");

  EXPECT_THAT(client.Made().Connect(local, port()), FailsWith(ECONNREFUSED));
  EXPECT_THAT(Sysctl("ipv4/tcp_l3mdev_accept", "1"), Succeeds());
  EXPECT_THAT(client.Made().Connect(local, port()), Succeeds());
}

CLAIM({.id = "vrf.l3mdev_accept_opens_a_receiver",
       .says = "A UDP socket in no VRF receives what is sent in one only with net.ipv4.udp_l3mdev_accept.",
       .kernels = "since 4.12",
       .rows = {"VRF-005"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, udp_l3mdev_accept"), Kernel("udp_sk_bound_dev_eq()")}});

CASE(Vrf, HidesAReceiverUnlessTheSysctlOpensIt, Witnesses("vrf.l3mdev_accept_opens_a_receiver"),
     Needs(needs::kVrf, needs::kVeth, needs::kSysctl), Labels("udp")) {
  Enslave("v0", "red");
  AddAddress("v0", "10.9.0.1/24");
  const Address local("10.9.0.1");
  Socket receiver = Udp(Any4()).Bound(port());
  Socket sender = Udp(Any4()).Device("red").Made();

  EXPECT_THAT(sender.SendTo(local, port()), Succeeds());
  EXPECT_THAT(QueuedDatagrams({&receiver}), Gets(0));
  EXPECT_THAT(Sysctl("ipv4/udp_l3mdev_accept", "1"), Succeeds());
  EXPECT_THAT(sender.SendTo(local, port()), Succeeds());
  EXPECT_THAT(QueuedDatagrams({&receiver}), Gets(1));
}

CLAIM({.id = "vrf.members_do_not_move_ports",
       .says = "A port that a TCP socket holds on a device stays where it was filed when the device enters or leaves a "
               "VRF: the same bind succeeds once more, and the first of the two to listen keeps the other from it.",
       .kernels = "since 5.0, by measurement; documented nowhere",
       .rows = {"VRF-006", "VRF-007"},
       .sources = {Kernel("inet_bind_bucket_match()"), Kernel("inet_csk_listen_start()")}});

struct Move {
  std::string name;
  bool enters;
};

const std::vector<Move> kMoves = {{"left", false}, {"entered", true}};

MATRIX(Vrf, DoesNotMoveAPortWhen, Move, kMoves, Witnesses("vrf.members_do_not_move_ports"),
       Needs(needs::kVrf, needs::kVeth)) {
  if (!row.enters) Enslave("v0", "red");
  const SocketSpec spec = Tcp(Any4()).Device("v0");
  Socket before = spec.Bound(port());
  EXPECT_THAT(spec.Bind(port()), FailsWith(EADDRINUSE));

  row.enters ? Enslave("v0", "red") : Release("v0");

  Socket after = spec.Made();
  EXPECT_THAT(after.Bind(port()), Succeeds());
  EXPECT_THAT(after.Listen(), Succeeds());
  EXPECT_THAT(before.Listen(), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
