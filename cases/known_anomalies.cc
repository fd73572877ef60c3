// Does every holder have to agree before a newcomer joins it?  So it was promised, and no kernel keeps it.
//
// These cases say what was promised, and fail on every kernel that was asked (5.10 to 7.3-rc7): that is why they are
// here.  results/known_deviations.toml expects it, cause by cause, for as long as the epoch that a case follows is
// false; a case that begins to pass then fails the run.  They ask what bind answers and no more: nothing here takes
// what was sent to another owner.  SECURITY.md.
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "netns/links.h"

namespace portshare {
namespace {

using KnownAnomalies = Case;

CLAIM(
    {.id = "sharing.every_holder_agrees",
     .says = "A newcomer joins a port only if each holder that it overlaps shares with it: both asked for one option, "
             "and by SO_REUSEPORT only with their own owner.",
     .kernels = "all that have SO_REUSEPORT; none keeps it with three sockets",
     .rows = {"LL-004", "FLG-002", "BUG-FRP-001", "BUG-FRP-003", "BUG-FRP-004", "BUG-UDP-001"},
     .sources = {Man("socket(7), SO_REUSEPORT"), Commit("c617f398edd4"), Kernel("sk_reuseport_match()"),
                 Kernel("inet_csk_update_fastreuse()"), Kernel("udp_lib_lport_inuse()")},
     .documents = {Stated("ES-17")}});

// The holder never agreed to share with the newcomer; the other one is why the newcomer is let in.
struct Three {
  std::string name;
  SocketSpec holder;
  SocketSpec other;
  SocketSpec newcomer;
  CaseFacts facts = {};
};

// The hint knows no device: the other one holds the port on another device than the holder.
const std::vector<Three> kDevices = {
    {"same_device", Tcp(Any4()).Device("v0"), Tcp(Any4()).ReusePort().Device("v1"),
     Tcp(Any4()).ReusePort().Device("v0")},
    {"no_device", Tcp(Loopback4()).Device("v0"), Tcp(Loopback4()).ReusePort().Device("v1"),
     Tcp(Loopback4()).ReusePort()},
    {"ipv6_of_two_owners", Tcp(Any6()).Device("v0").OwnedBy(Alice()),
     Tcp(Any6()).ReusePort().Device("v1").OwnedBy(Bob()), Tcp(Any6()).ReusePort().Device("v0").OwnedBy(Bob()),
     Needs(needs::kIpv6, needs::kSecondOwner)},
};

MATRIX(KnownAnomalies, DeviceNotCompared, Three, kDevices, Witnesses("sharing.every_holder_agrees"),
       Follows("hint_compares_devices"), Needs(needs::kReusePort, needs::kVeth), Labels("tcp")) {
  AddVethPair("v0", "v1");
  const Socket holder = row.holder.Bound(port());
  const Socket other = row.other.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

// The same by bind(2) alone: a link-local address brings its device.
CASE(KnownAnomalies, DeviceOfALinkLocalAddressNotCompared, Witnesses("sharing.every_holder_agrees"),
     Follows("hint_compares_devices"), Needs(needs::kReusePort, needs::kVeth, needs::kIpv6, needs::kSecondOwner),
     Labels("tcp", "ipv6")) {
  AddVethPair("v0", "v1");
  AddAddress("v0", "fe80::99/64");
  AddAddress("v1", "fe80::99/64");
  const Socket holder = Tcp(Address("fe80::99%v0")).OwnedBy(Alice()).Bound(port()).Listening();
  const Socket other = Tcp(Address("fe80::99%v1")).ReusePort().OwnedBy(Bob()).Bound(port());

  EXPECT_THAT(Tcp(Address("fe80::99%v0")).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

// To the hint every [::] is the same, with IPV6_V6ONLY or without: the other one leaves IPv4 to the holder.
const SocketSpec kOnlyV6 = Tcp(Any6()).V6Only().ReusePort();
const SocketSpec kDual = Tcp(Any6()).DualStack().ReusePort();
const std::vector<Three> kWildcards = {
    {"ipv4_address", Tcp(Loopback4()), kOnlyV6, kDual},
    {"mapped_address", Tcp(MappedLoopback()), kOnlyV6, kDual},
    {"two_owners", Tcp(Any4()).ReusePort().OwnedBy(Alice()), kOnlyV6.OwnedBy(Bob()), kDual.OwnedBy(Bob()),
     Needs(needs::kSecondOwner)},
};

MATRIX(KnownAnomalies, V6onlyAndDualConfused, Three, kWildcards, Witnesses("sharing.every_holder_agrees"),
       Follows("hint_compares_v6only"), Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  const Socket holder = row.holder.Bound(port()).Listening();
  const Socket other = row.other.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

// To the hint 0.0.0.0 is the dual-stack [::]: the other one leaves IPv6 to the holder.
const SocketSpec kIpv4 = Tcp(Any4()).ReusePort();
const std::vector<Three> kFamilies = {
    {"ipv6_address", Tcp(Loopback6()), kIpv4, kDual},
    {"reuseaddr", Tcp(Any6()).V6Only().ReuseAddr(), kIpv4, kDual.ReuseAddr()},
    {"two_owners", Tcp(Any6()).V6Only().ReusePort().OwnedBy(Alice()), kIpv4.OwnedBy(Bob()), kDual.OwnedBy(Bob()),
     Needs(needs::kSecondOwner)},
};

MATRIX(KnownAnomalies, FamilyConfused, Three, kFamilies, Witnesses("sharing.every_holder_agrees"),
       Follows("hint_compares_families"), Needs(needs::kReusePort, needs::kIpv6), Labels("tcp", "ipv6")) {
  const Socket holder = row.holder.Bound(port()).Listening();
  const Socket other = row.other.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

// The hint is written for whoever was let in: the other one shares with the holder by SO_REUSEADDR alone.
const std::vector<Three> kBridges = {
    {"address_below_wildcard", Tcp(Loopback4()).ReuseAddr(), Tcp(Any4()).Asking(Sharing::kBoth),
     Tcp(Loopback4()).ReusePort()},
    {"ipv6", Tcp(Loopback6()).ReuseAddr(), Tcp(Loopback6()).Asking(Sharing::kBoth), Tcp(Loopback6()).ReusePort(),
     Needs(needs::kIpv6)},
    {"two_owners", Tcp(Any4()).ReuseAddr(), Tcp(Any4()).Asking(Sharing::kBoth).OwnedBy(Bob()),
     Tcp(Any4()).ReusePort().OwnedBy(Bob()), Needs(needs::kSecondOwner)},
    {"two_owners_with_both", Tcp(Loopback4()).Asking(Sharing::kBoth).OwnedBy(Alice()),
     Tcp(Loopback4()).Asking(Sharing::kBoth).OwnedBy(Bob()), Tcp(Loopback4()).ReusePort().OwnedBy(Bob()),
     Needs(needs::kSecondOwner)},
};

MATRIX(KnownAnomalies, AddressReuseBridge, Three, kBridges, Witnesses("sharing.every_holder_agrees"),
       Follows("hint_needs_agreement"), Needs(needs::kReusePort), Labels("tcp")) {
  const Socket holder = row.holder.Bound(port());
  const Socket other = row.other.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

// The hint stays when the socket that wrote it agrees no more, or is gone.
struct Outlived {
  std::string name;
  Outcome (*newcomer)(uint16_t port);
  CaseFacts facts = {};
};

Outcome AfterTheListenerClearedIt(uint16_t port) {
  Socket holder = Tcp(Loopback6()).ReusePort().Bound(port).Listening();
  EXPECT_THAT(holder.Set(so::kReusePort, 0), Succeeds());
  return Tcp(Loopback6()).ReusePort().Bind(port);
}

Outcome AfterTheOwnerChanged(uint16_t port) {
  Socket holder = Tcp(Any4()).ReusePort().OwnedBy(Alice()).Bound(port);
  EXPECT_THAT(holder.ChangeOwner(Bob()), Succeeds());
  return Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bind(port);
}

Outcome AfterTheWriterClosed(uint16_t port) {
  Socket holder = Tcp(Loopback4()).ReusePort().Bound(port);
  Socket writer = Tcp(Any4()).ReusePort().Bound(port);
  EXPECT_THAT(holder.Set(so::kReusePort, 0), Succeeds());
  writer.Close();
  return Tcp(Loopback4()).ReusePort().Bind(port);
}

const std::vector<Outlived> kOutlived = {
    {"the_listener_cleared_it", AfterTheListenerClearedIt, Needs(needs::kIpv6)},
    {"the_owner_changed", AfterTheOwnerChanged, Needs(needs::kSecondOwner)},
    {"the_writer_closed", AfterTheWriterClosed},
};

MATRIX(KnownAnomalies, HintOutlivesItsSocket, Outlived, kOutlived, Witnesses("sharing.every_holder_agrees"),
       Follows("hint_ends_with_its_socket"), Needs(needs::kReusePort), Labels("tcp")) {
  EXPECT_THAT(row.newcomer(port()), FailsWith(EADDRINUSE));
}

// UDP asks its list of holders up to the first that shares: the other one stands before the holder.
const std::vector<Three> kLists = {
    {"ipv6_wildcard", Udp(Loopback6()), Udp(Loopback4()).ReusePort(), Udp(Any6()).DualStack().ReusePort(),
     Needs(needs::kIpv6)},
    {"address_reuse", Udp(Loopback4()).ReuseAddr(), Udp(Loopback4()).Asking(Sharing::kBoth),
     Udp(Loopback4()).ReusePort()},
    {"two_owners", Udp(Loopback4()).ReusePort().OwnedBy(Alice()), Udp(Loopback4(2)).ReusePort().OwnedBy(Bob()),
     Udp(Any4()).ReusePort().OwnedBy(Bob()), Needs(needs::kSecondOwner)},
};

MATRIX(KnownAnomalies, UdpFirstMatch, Three, kLists, Witnesses("sharing.every_holder_agrees"),
       Follows("udp_asks_every_holder"), Needs(needs::kReusePort), Labels("udp")) {
  const Socket holder = row.holder.Bound(port());
  const Socket other = row.other.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
