// Who may bind a UDP port that another socket already holds?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using UdpBind = Case;

CLAIM({.id = "udp.reuseaddr.shared",
       .says = "Several UDP sockets that all ask for SO_REUSEADDR share one address and port.",
       .rows = {"UDP-BIND-002"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("udp_lib_lport_inuse()")},
       .documents = {Stated("ES-12"), Stated("TH-14")}});

CASE(UdpBind, ReuseaddrSharesAPort, Witnesses("udp.reuseaddr.shared"), Labels("udp")) {
  const Socket one = Udp(Loopback4()).ReuseAddr().Bound(port());
  const Socket two = Udp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Udp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
}

CLAIM({.id = "udp.reuseport.shared",
       .says = "Several UDP sockets of one owner that all ask for SO_REUSEPORT share one address and port.",
       .kernels = "since 3.9",
       .rows = {"UDP-BIND-005"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Commit("ba418fa357a7 soreuseport: UDP/IPv4 implementation")},
       .documents = {Stated("TH-02")}});

CASE(UdpBind, ReuseportSharesAPort, Witnesses("udp.reuseport.shared"), Needs(needs::kReusePort), Labels("udp")) {
  const Socket one = Udp(Loopback4()).ReusePort().Bound(port());
  const Socket two = Udp(Loopback4()).ReusePort().Bound(port());

  EXPECT_THAT(Udp(Loopback4()).ReusePort().Bind(port()), Succeeds());
}

CLAIM({.id = "udp.bind.every_holder_must_share",
       .says =
           "A newcomer needs an option in common with every socket that holds the port: SO_REUSEPORT alone is refused "
           "where one of two holders asked for SO_REUSEADDR alone.",
       .kernels = "since 3.9",
       .rows = {"UDP-BIND-008"},
       .sources = {Kernel("udp_lib_lport_inuse()")}});

CASE(UdpBind, EveryHolderMustShare, Witnesses("udp.bind.every_holder_must_share"), Needs(needs::kReusePort),
     Labels("udp")) {
  const Socket both = Udp(Loopback4()).Asking(Sharing::kBoth).Bound(port());
  const Socket address_only = Udp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Udp(Loopback4()).ReusePort().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM(
    {.id = "udp.reuseaddr.any_owner",
     .says = "SO_REUSEADDR shares a UDP port between sockets of different owners: it keeps nobody out who asks for it "
             "too.",
     .rows = {"UDP-BIND-004"},
     .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("udp_lib_lport_inuse()")},
     .documents = {Truth("ES-12"), Stated("TH-15")}});

CASE(UdpBind, ReuseaddrSharesBetweenOwners, Witnesses("udp.reuseaddr.any_owner"), Needs(needs::kSecondOwner),
     Labels("udp")) {
  const Socket holder = Udp(Loopback4()).ReuseAddr().OwnedBy(Alice()).Bound(port());

  EXPECT_THAT(Udp(Loopback4()).ReuseAddr().OwnedBy(Bob()).Bind(port()), Succeeds());
}

CLAIM({.id = "udp.reuseport.one_owner",
       .says = "SO_REUSEPORT shares a UDP port between sockets of one owner only.",
       .kernels = "since 3.9",
       .rows = {"UDP-BIND-005"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp_lib_lport_inuse()")}});

CASE(UdpBind, ReuseportSharesWithItsOwnOwner, Witnesses("udp.reuseport.one_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("udp")) {
  const Socket holder = Udp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port());

  EXPECT_THAT(Udp(Loopback4()).ReusePort().OwnedBy(Alice()).Bind(port()), Succeeds());
  EXPECT_THAT(Udp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "udp.both_options.any_owner",
       .says = "SO_REUSEPORT keeps no other owner out of a UDP port whose sockets ask for SO_REUSEADDR as well.",
       .kernels = "since 3.9",
       .rows = {"UDP-BIND-006"},
       .sources = {Kernel("udp_lib_lport_inuse()")}});

CASE(UdpBind, BothOptionsShareBetweenOwners, Witnesses("udp.both_options.any_owner"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("udp")) {
  const Socket holder = Udp(Loopback4()).Asking(Sharing::kBoth).OwnedBy(Alice()).Bound(port());

  EXPECT_THAT(Udp(Loopback4()).Asking(Sharing::kBoth).OwnedBy(Bob()).Bind(port()), Succeeds());
}

CLAIM({.id = "udp.bind.wildcard_holds_every_address",
       .says = "A UDP wildcard and any specific address conflict on one port, whichever is bound first.",
       .rows = {"UDP-BIND-010", "UDP-BIND-011"},
       .sources = {Man("ip(7), Address format"), Kernel("udp_lib_lport_inuse(), inet_rcv_saddr_equal()")}});

struct Addresses {
  std::string name;
  Address holder;
  Address newcomer;
};
const std::vector<Addresses> kOverlapping = {
    {"first_address_after_wildcard", Any4(), Loopback4()},
    {"other_address_after_wildcard", Any4(), Loopback4(9)},
    {"wildcard_after_address", Loopback4(), Any4()},
};

MATRIX(UdpBind, WildcardHoldsEveryAddress, Addresses, kOverlapping, Witnesses("udp.bind.wildcard_holds_every_address"),
       Labels("udp")) {
  const Socket holder = Udp(row.holder).Bound(port());

  EXPECT_THAT(Udp(row.newcomer).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "udp.reuseaddr.specific_address_before_wildcard",
       .says = "With SO_REUSEADDR a UDP wildcard and a specific address share a port; the specific socket gets what is "
               "sent to its address and the wildcard the rest.",
       .rows = {"UDP-BIND-003"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("__udp4_lib_lookup()")}});

CASE(UdpBind, SpecificAddressComesBeforeTheWildcard, Witnesses("udp.reuseaddr.specific_address_before_wildcard"),
     Labels("udp")) {
  Socket specific = Udp(Loopback4()).ReuseAddr().Bound(port());
  Socket wildcard = Udp(Any4()).ReuseAddr().Bound(port());

  EXPECT_THAT(DatagramsOver({&wildcard, &specific}, 5, Loopback4(), port()), Gets(0, 5));
  EXPECT_THAT(DatagramsOver({&wildcard, &specific}, 5, Loopback4(2), port()), Gets(5, 0));
}

CLAIM({.id = "udp.reuseport.wildcard_beside_addresses",
       .says = "With SO_REUSEPORT a UDP wildcard and several specific addresses of one owner share a port.",
       .kernels = "since 3.9",
       .rows = {"UDP-BIND-009"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp_lib_lport_inuse()")}});

CASE(UdpBind, ReuseportSharesWildcardAndAddresses, Witnesses("udp.reuseport.wildcard_beside_addresses"),
     Needs(needs::kReusePort), Labels("udp")) {
  const Socket one = Udp(Loopback4()).ReusePort().Bound(port());
  const Socket wildcard = Udp(Any4()).ReusePort().Bound(port());

  EXPECT_THAT(Udp(Loopback4(2)).ReusePort().Bind(port()), Succeeds());
}

CLAIM({.id = "udp.bind.port_0_may_give_a_shared_port",
       .says =
           "bind(2) of a UDP socket to port 0 may give a port in use when the sockets share it by SO_REUSEADDR, or by "
           "SO_REUSEPORT and owner.",
       .rows = {"EPH-022"},
       .sources = {Man("ip(7), ip_local_port_range"), Kernel("udp_lib_get_port()")}});

CLAIM({.id = "udp.bind.port_0_gives_no_unshared_port",
       .says = "bind(2) of a UDP socket to port 0 never gives a port whose holder does not share it with the newcomer: "
               "EADDRINUSE when there is no other port.",
       .rows = {"EPH-021"},
       .sources = {Man("bind(2), ERRORS"), Kernel("udp_lib_get_port(), udp_lib_lport_inuse()")}});

struct Automatic {
  std::string name;
  Sharing sharing;
  CaseFacts facts = {};
};
const std::vector<Automatic> kAutomatic = {
    {"reuseaddr", Sharing::kReuseAddr},
    {"reuseport", Sharing::kReusePort, Needs(needs::kReusePort)},
};

MATRIX(UdpBind, PortZeroMayGiveASharersPort, Automatic, kAutomatic, Witnesses("udp.bind.port_0_may_give_a_shared_port"),
       Needs(needs::kSysctl), Labels("udp", "automatic_port")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "40000 40000"), Succeeds());
  const Socket holder = Udp(Loopback4()).Asking(row.sharing).Bound(0);
  Socket newcomer = Udp(Loopback4()).Asking(row.sharing).Made();

  EXPECT_THAT(newcomer.Bind(0), Succeeds());
  EXPECT_THAT(newcomer.LocalName(), Is("127.0.0.1:40000"));
}

const std::vector<Automatic> kNewcomers = {
    {"none", Sharing::kNone},
    {"reuseaddr", Sharing::kReuseAddr},
    {"reuseport", Sharing::kReusePort, Needs(needs::kReusePort)},
};

MATRIX(UdpBind, PortZeroGivesNoUnsharedPort, Automatic, kNewcomers, Witnesses("udp.bind.port_0_gives_no_unshared_port"),
       Needs(needs::kSysctl), Labels("udp", "automatic_port")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "40000 40000"), Succeeds());
  const Socket holder = Udp(Loopback4()).Bound(0);

  EXPECT_THAT(Udp(Loopback4()).Asking(row.sharing).Bind(0), FailsWith(EADDRINUSE));
}

CASE(UdpBind, PortZeroGivesNoPortOfAnotherOwnersGroup, Witnesses("udp.bind.port_0_gives_no_unshared_port"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kSysctl), Labels("udp", "automatic_port")) {
  EXPECT_THAT(Sysctl("ipv4/ip_local_port_range", "40000 40000"), Succeeds());
  const Socket holder = Udp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(0);

  EXPECT_THAT(Udp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(0), FailsWith(EADDRINUSE));
}

CLAIM({.id = "udp.bind.automatic_port_can_be_joined",
       .says = "A UDP port that the kernel chose for a socket with SO_REUSEPORT can be bound by its number beside it.",
       .kernels = "since 3.9",
       .rows = {"MISC-004"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp_lib_get_port()")}});

CASE(UdpBind, AutomaticPortCanBeJoined, Witnesses("udp.bind.automatic_port_can_be_joined"), Needs(needs::kReusePort),
     Labels("udp", "automatic_port")) {
  const Socket holder = Udp(Loopback4()).ReusePort().Bound(0);

  EXPECT_THAT(Udp(Loopback4()).ReusePort().Bind(holder.Port()), Succeeds());
}

}  // namespace
}  // namespace portshare
