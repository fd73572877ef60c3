// Is a port asked for again when the device of its socket changes?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/links.h"

namespace portshare {
namespace {

// v0 and v1 are two ends of a cable; who asks is root, who may change the device of a socket.
class DeviceChanged : public Case {
 protected:
  void SetUp() override {
    Case::SetUp();
    if (IsSkipped()) return;
    Guarded([] { AddVethPair("v0", "v1"); });
  }
};

CLAIM({.id = "device.change_asks_nobody",
       .says = "A bound socket that is taken off its device is not compared with those of other devices: both stay, "
               "newcomers are refused, and of TCP neither can listen.",
       .rows = {"DEVU-003", "DEVU-004"},
       .sources = {Kernel("sock_bindtoindex_locked()"), Kernel("inet_csk_listen_start()"),
                   Kernel("udp_lib_get_port()")}});

CASE(DeviceChanged, OfUdpLeavesTwoHolders, Witnesses("device.change_asks_nobody"), Needs(needs::kVeth, needs::kNetRaw),
     Labels("udp")) {
  Socket changed = Udp(Loopback4()).Device("lo").Bound(port());
  const Socket other = Udp(Loopback4()).Device("v0").Bound(port());

  EXPECT_THAT(changed.SetDevice(""), Succeeds());

  EXPECT_THAT(changed.GetDevice(), Is("none"));
  EXPECT_THAT(Udp(Loopback4()).Device("v1").Bind(port()), FailsWith(EADDRINUSE));
}

CASE(DeviceChanged, OfTcpLeavesTwoThatCannotListen, Witnesses("device.change_asks_nobody"),
     Needs(needs::kVeth, needs::kNetRaw), Labels("tcp")) {
  Socket changed = Tcp(Loopback4()).Device("lo").Bound(port());
  Socket other = Tcp(Loopback4()).Device("v0").Bound(port());

  EXPECT_THAT(changed.SetDevice(""), Succeeds());

  EXPECT_THAT(Tcp(Loopback4()).Device("v1").Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(changed.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(other.Listen(), FailsWith(EADDRINUSE));
}

CLAIM({.id = "device.change_moves_a_listener",
       .says = "A listener that changes its device holds the port on the new one, and leaves it free on the old one.",
       .rows = {"DEV-009"},
       .sources = {Kernel("sock_bindtoindex_locked()"), Kernel("inet_csk_bind_conflict()")}});

CASE(DeviceChanged, OfAListenerMovesItsPort, Witnesses("device.change_moves_a_listener"),
     Needs(needs::kVeth, needs::kNetRaw), Labels("tcp")) {
  Socket listener = Tcp(Any4()).Device("v0").Bound(port()).Listening();

  EXPECT_THAT(listener.SetDevice("v1"), Succeeds());

  EXPECT_THAT(Tcp(Any4()).Device("v0").Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Device("v1").Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "device.udp_disconnect_clears_it",
     .says = "connect(2) with AF_UNSPEC takes a UDP socket off its device, so that two of one address and port hold it "
             "everywhere and newcomers are refused.",
     .rows = {"DEVU-001"},
     .sources = {Kernel("__udp_disconnect()"), Man("connect(2), AF_UNSPEC")}});

CASE(DeviceChanged, ByDisconnectOfUdpIsNoDevice, Witnesses("device.udp_disconnect_clears_it"), Needs(needs::kVeth),
     Labels("udp")) {
  Socket client = Udp(Loopback4()).Device("lo").Bound(port());
  Socket other = Udp(Loopback4()).Device("v0").Bound(port());
  EXPECT_THAT(client.Connect(Loopback4(), 9000), Succeeds());

  EXPECT_THAT(client.Disconnect(), Succeeds());

  EXPECT_THAT(client.GetDevice(), Is("none"));
  EXPECT_THAT(Udp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(DatagramsOver({&client, &other}, 3, Loopback4(), port()), Gets(3, 0));
}

CLAIM(
    {.id = "device.tcp_disconnect_keeps_it",
     .says = "connect(2) with AF_UNSPEC leaves a bound TCP socket on its device, whether it was connected or not, and "
             "its port free on other devices.",
     .rows = {"DEVU-002"},
     .sources = {Kernel("tcp_disconnect()"), Man("connect(2), AF_UNSPEC")}});

struct Earlier {
  std::string name;
  bool connected;
};

const std::vector<Earlier> kEarlier = {{"never_connected", false}, {"connected_before", true}};

MATRIX(DeviceChanged, ByDisconnectOfTcpIsTheSame, Earlier, kEarlier, Witnesses("device.tcp_disconnect_keeps_it"),
       Needs(needs::kVeth), Labels("tcp")) {
  const Socket server = Tcp(Loopback4()).Bound(9001).Listening();
  Socket client = Tcp(Loopback4()).Device("lo").Bound(port());
  if (row.connected) {
    EXPECT_THAT(client.Connect(Loopback4(), 9001), Succeeds());
  }

  EXPECT_THAT(client.Disconnect(), Succeeds());

  EXPECT_THAT(client.GetDevice(), Is("lo"));
  EXPECT_THAT(Tcp(Loopback4()).Device("v0").Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Device("lo").Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
