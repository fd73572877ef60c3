// Who gets a TCP port when one socket has the wildcard and another a specific address?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/owner.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using TcpWildcard = Case;

CLAIM({.id = "tcp.wildcard.occupies_every_address",
       .says = "Without sharing flags the wildcard and a specific address exclude each other in either order.",
       .rows = {"TCP-WILD-001", "TCP-WILD-002"},
       .sources = {Man("bind(2), ERRORS, EADDRINUSE"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpWildcard, WildcardTakesThePortOnEveryAddress, Witnesses("tcp.wildcard.occupies_every_address"), Labels("tcp")) {
  const Socket holder = Tcp(Any4()).Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(TcpWildcard, ASpecificAddressKeepsTheWildcardOut, Witnesses("tcp.wildcard.occupies_every_address"),
     Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());

  EXPECT_THAT(Tcp(Any4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.wildcard.shared_by_reuseaddr_before_listen",
       .says = "With SO_REUSEADDR on both the wildcard and a specific address hold one port while neither listens.",
       .rows = {"TCP-WILD-003"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpWildcard, AddressReuseSharesWithTheWildcardBeforeAnyoneListens,
     Witnesses("tcp.wildcard.shared_by_reuseaddr_before_listen"), Labels("tcp")) {
  const Socket holder = Tcp(Any4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
}

CASE(TcpWildcard, AddressReuseAdmitsTheWildcardBeforeAnyoneListens,
     Witnesses("tcp.wildcard.shared_by_reuseaddr_before_listen"), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Tcp(Any4()).ReuseAddr().Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.wildcard.listener_ends_address_reuse",
       .says = "Once the wildcard or a specific address listens, SO_REUSEADDR no longer admits the other.",
       .rows = {"TCP-WILD-004", "TCP-WILD-005"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("ES-10")}});

CASE(TcpWildcard, AListeningWildcardRefusesASpecificAddress, Witnesses("tcp.wildcard.listener_ends_address_reuse"),
     Labels("tcp")) {
  const Socket holder = Tcp(Any4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CASE(TcpWildcard, AListeningSpecificAddressRefusesTheWildcard, Witnesses("tcp.wildcard.listener_ends_address_reuse"),
     Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(Tcp(Any4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.wildcard.specific_listener_comes_first",
       .says = "With SO_REUSEPORT both may listen: the specific listener gets every connection to its address, the "
               "wildcard all others, and they never split one address.",
       .kernels = "since 3.9",
       .rows = {"TCP-WILD-006", "TCP-WILD-007"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_lhash2_lookup()")}});

CASE(TcpWildcard, ALaterSpecificListenerGetsAllOfItsAddress, Witnesses("tcp.wildcard.specific_listener_comes_first"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket wildcard = Tcp(Any4()).ReusePort().Bound(port()).Listening();
  Socket specific = Tcp(Loopback4(1)).ReusePort().Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&wildcard, &specific}, 8, Loopback4(1), port()), Gets(0, 8));
}

CASE(TcpWildcard, ALaterWildcardGetsOnlyTheOtherAddresses, Witnesses("tcp.wildcard.specific_listener_comes_first"),
     Needs(needs::kReusePort), Labels("tcp")) {
  Socket specific = Tcp(Loopback4(1)).ReusePort().Bound(port()).Listening();
  Socket wildcard = Tcp(Any4()).ReusePort().Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&specific, &wildcard}, 8, Loopback4(1), port()), Gets(8, 0));
  EXPECT_THAT(ConnectionsOver({&specific, &wildcard}, 8, Loopback4(9), port()), Gets(0, 8));
}

CLAIM({.id = "tcp.wildcard.inherits_the_address_of_a_closed_listener",
       .says = "When the specific listener closes, connections to its address reach the wildcard listener at once.",
       .kernels = "since 3.9",
       .rows = {"MISC-008"},
       .sources = {Kernel("inet_lhash2_lookup()")}});

CASE(TcpWildcard, TheWildcardServesTheAddressOfAClosedListener,
     Witnesses("tcp.wildcard.inherits_the_address_of_a_closed_listener"), Needs(needs::kReusePort), Labels("tcp")) {
  Socket specific = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Socket wildcard = Tcp(Any4()).ReusePort().Bound(port()).Listening();

  specific.Close();
  EXPECT_THAT(ConnectionsOver({&wildcard}, 5, Loopback4(), port()), Gets(5));
}

CLAIM(
    {.id = "tcp.wildcard.of_another_owner_keeps_every_address",
     .says = "Another owner cannot bind a specific address beneath a listening SO_REUSEPORT wildcard, not even one on "
             "which nobody listens.",
     .kernels = "since 3.9",
     .rows = {"MISC-009"},
     .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpWildcard, AnotherOwnerGetsNoAddressBeneathTheWildcard,
     Witnesses("tcp.wildcard.of_another_owner_keeps_every_address"), Needs(needs::kReusePort, needs::kSecondOwner),
     Labels("tcp")) {
  const Socket wildcard = Tcp(Any4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  const Socket specific = Tcp(Loopback4(1)).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4(2)).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
