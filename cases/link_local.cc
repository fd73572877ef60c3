// What does a link-local address hold: a port, or a port on one device?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "netns/links.h"

namespace portshare {
namespace {

using LinkLocal = Case;

// Two devices, v0 and v1, which both have the address fe80::99.
void SameAddressOnTwoDevices() {
  AddVethPair("v0", "v1");
  AddAddress("v0", "fe80::99/64");
  AddAddress("v1", "fe80::99/64");
}

CLAIM({.id = "link_local.needs_a_device",
       .says = "A link-local address without the device that scopes it cannot be bound: EINVAL.",
       .rows = {"LL-001"},
       .sources = {Man("ipv6(7), Address format"), Rfc("RFC 4007, section 6"), Kernel("__inet6_bind()")}});

CASE(LinkLocal, BindNeedsADevice, Witnesses("link_local.needs_a_device"), Needs(needs::kIpv6, needs::kVeth),
     Labels("tcp", "ipv6")) {
  SameAddressOnTwoDevices();

  EXPECT_THAT(Tcp(Address("fe80::99")).Bind(port()), FailsWith(EINVAL));
}

CLAIM({.id = "link_local.holds_the_port_on_its_device",
       .says = "The same link-local address on two devices is two addresses: both hold the port and both listen.",
       .rows = {"LL-001"},
       .sources = {Rfc("RFC 4007, section 6"), Kernel("inet_csk_bind_conflict()")}});

CASE(LinkLocal, HoldsThePortOnItsDevice, Witnesses("link_local.holds_the_port_on_its_device"),
     Needs(needs::kIpv6, needs::kVeth), Labels("tcp", "ipv6")) {
  SameAddressOnTwoDevices();
  const Socket holder = Tcp(Address("fe80::99%v0")).Bound(port()).Listening();
  Socket newcomer = Tcp(Address("fe80::99%v1")).Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Address("fe80::99%v0")).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "link_local.bind_binds_the_device",
       .says = "Binding a link-local address binds the socket to its device, as SO_BINDTODEVICE would.",
       .rows = {"LL-001"},
       .sources = {Man("socket(7), SO_BINDTODEVICE"), Kernel("__inet6_bind()")}});

CASE(LinkLocal, BindBindsTheDevice, Witnesses("link_local.bind_binds_the_device"), Needs(needs::kIpv6, needs::kVeth),
     Labels("tcp", "ipv6")) {
  SameAddressOnTwoDevices();

  EXPECT_THAT(Tcp(Address("fe80::99%v0")).Bound(port()).GetDevice(), Is("v0"));
}

CLAIM({.id = "link_local.refused_bind_leaves_the_device",
       .says =
           "A refused bind to a link-local address leaves the socket bound to the device, so that its next bind holds "
           "the port on that device only.",
       .rows = {"LL-002", "LL-003"},
       .sources = {Kernel("__inet6_bind()")}});

CASE(LinkLocal, AddressThatIsNotHereLeavesTheDevice, Witnesses("link_local.refused_bind_leaves_the_device"),
     Needs(needs::kIpv6, needs::kVeth), Labels("tcp", "ipv6")) {
  SameAddressOnTwoDevices();
  Socket socket = Tcp(Any6()).Made();

  EXPECT_THAT(socket.GetDevice(), Is("none"));
  EXPECT_THAT(socket.BindTo(Address("fe80::77%v0"), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(socket.GetDevice(), Is("v0"));
}

CASE(LinkLocal, PortInUseLeavesTheDevice, Witnesses("link_local.refused_bind_leaves_the_device"),
     Needs(needs::kIpv6, needs::kVeth), Labels("tcp", "ipv6")) {
  SameAddressOnTwoDevices();
  const Socket holder = Tcp(Address("fe80::99%v0")).Bound(port());
  Socket refused = Tcp(Address("fe80::99%v0")).Made();

  EXPECT_THAT(refused.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(refused.GetDevice(), Is("v0"));
  EXPECT_THAT(refused.BindTo(Any6(), 7788), Succeeds());
  EXPECT_THAT(refused.GetDevice(), Is("v0"));
}

CASE(LinkLocal, WildcardAfterARefusedBindLeavesOtherDevicesFree, Witnesses("link_local.refused_bind_leaves_the_device"),
     Needs(needs::kIpv6, needs::kVeth), Labels("tcp", "ipv6")) {
  SameAddressOnTwoDevices();
  Socket refused = Tcp(Any6()).Made();
  EXPECT_THAT(refused.BindTo(Address("fe80::77%v0"), port()), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(refused.Bind(port()), Succeeds());

  EXPECT_THAT(Tcp(Any6()).Device("v1").Bind(port()), Succeeds());
  EXPECT_THAT(Tcp(Any6()).Device("v0").Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
