// When does SO_REUSEPORT let several TCP sockets listen on one port?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using TcpReuseport = Case;

const SocketSpec kSharing = Tcp(Loopback4()).ReusePort();

CLAIM({.id = "tcp.reuseport.several_listeners",
       .says = "TCP sockets of one owner that all ask for SO_REUSEPORT may listen on one address and port together.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-001"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Commit("c617f398edd4 soreuseport: TCP/IPv4 implementation")},
       .documents = {Stated("TH-01")}});

CASE(TcpReuseport, SeveralListenOnOnePort, Witnesses("tcp.reuseport.several_listeners"), Needs(needs::kReusePort)) {
  Socket holder = kSharing.Bound(port()).Listening();
  Socket newcomer = kSharing.Bound(port());

  EXPECT_THAT(newcomer.Listen(), Succeeds());
  EXPECT_THAT(ConnectionsOver({&holder, &newcomer}, EnoughToReach(2), Loopback4(), port()),
              ReachesEach(EnoughToReach(2)));
}

CLAIM({.id = "tcp.reuseport.both_must_ask",
       .says = "SO_REUSEPORT on one side alone, newcomer or listener, opens no port.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-002", "TCP-RP-003"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseport, RefusesANewcomerWithoutIt, Witnesses("tcp.reuseport.both_must_ask"), Needs(needs::kReusePort)) {
  const Socket holder = kSharing.Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(TcpReuseport, RefusesBesideAListenerWithoutIt, Witnesses("tcp.reuseport.both_must_ask"),
     Needs(needs::kReusePort)) {
  const Socket holder = Tcp(Loopback4()).Bound(port()).Listening();

  EXPECT_THAT(kSharing.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseport.newcomer_asks_before_bind",
       .says = "A newcomer has to set SO_REUSEPORT before it calls bind() on a shared port.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("ES-15"), Stated("EN-03")}});

CASE(TcpReuseport, TheNewcomerAsksBeforeItBinds, Witnesses("tcp.reuseport.newcomer_asks_before_bind"),
     Needs(needs::kReusePort)) {
  const Socket holder = kSharing.Bound(port());
  Socket newcomer = Tcp(Loopback4()).Made();

  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(newcomer.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.reuseport.holder_may_ask_late",
       .says = "A socket that is bound already, or even listens, may set SO_REUSEPORT then and is joined from then on.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-004", "TCP-RP-005"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("reuseport_add_sock()")},
       .documents = {Truth("ES-15"), Truth("EN-03")}});

CASE(TcpReuseport, ABoundHolderMayAskLate, Witnesses("tcp.reuseport.holder_may_ask_late"), Needs(needs::kReusePort)) {
  Socket holder = Tcp(Loopback4()).Bound(port());

  EXPECT_THAT(holder.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(kSharing.Bind(port()), Succeeds());
}

CASE(TcpReuseport, AListenerMayAskLateAndSharesItsConnections, Witnesses("tcp.reuseport.holder_may_ask_late"),
     Needs(needs::kReusePort)) {
  Socket holder = Tcp(Loopback4()).Bound(port()).Listening();
  EXPECT_THAT(holder.Set(so::kReusePort), Succeeds());
  Socket newcomer = kSharing.Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&holder, &newcomer}, EnoughToReach(2), Loopback4(), port()),
              ReachesEach(EnoughToReach(2)));
}

CLAIM(
    {.id = "tcp.bind.to_an_address_not_an_interface",
     .says = "A socket is bound to an address: two addresses of one interface give one port twice, without any option.",
     .sources = {Man("ip(7), Address format"), Kernel("inet_rcv_saddr_equal()")},
     .documents = {Truth("EN-03")}});

CASE(TcpReuseport, TwoAddressesOfOneInterfaceNeedNoOption, Witnesses("tcp.bind.to_an_address_not_an_interface")) {
  const Socket holder = Tcp(Loopback4(1)).Bound(port()).Listening();
  Socket newcomer = Tcp(Loopback4(2)).Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CLAIM({.id = "tcp.reuseport.owners_must_match",
       .says = "SO_REUSEPORT joins nobody to the port of another owner; root is no exception on either side.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-006", "TCP-RP-007", "TCP-RP-008"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

struct TwoOwners {
  std::string name;
  Owner holder;
  Owner newcomer;
};

const std::vector<TwoOwners> kTwoOwners = {
    {"another_user_beside_a_user", Alice(), Bob()},
    {"root_beside_a_user", Alice(), Root()},
    {"a_user_beside_root", Root(), Alice()},
};

MATRIX(TcpReuseport, RefusesAnotherOwner, TwoOwners, kTwoOwners, Witnesses("tcp.reuseport.owners_must_match"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = kSharing.OwnedBy(row.holder).Bound(port()).Listening();

  EXPECT_THAT(kSharing.OwnedBy(row.newcomer).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseport.no_substitute_for_reuseaddr",
       .says = "SO_REUSEADDR on one side and SO_REUSEPORT on the other do not make up for each other.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-009", "TCP-RP-010", "TCP-RP-011"},
       .sources = {Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseport, AddressReuseDoesNotJoinAPortSharingListener, Witnesses("tcp.reuseport.no_substitute_for_reuseaddr"),
     Needs(needs::kReusePort)) {
  const Socket holder = kSharing.Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CASE(TcpReuseport, DoesNotJoinAnAddressReusingListener, Witnesses("tcp.reuseport.no_substitute_for_reuseaddr"),
     Needs(needs::kReusePort)) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(kSharing.Bind(port()), FailsWith(EADDRINUSE));
}

CASE(TcpReuseport, DoesNotJoinAnAddressReusingSocketThatIsOnlyBound,
     Witnesses("tcp.reuseport.no_substitute_for_reuseaddr"), Needs(needs::kReusePort)) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(kSharing.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseport.with_reuseaddr_still_listens_together",
       .says = "Sockets of one owner with both options listen together, as with SO_REUSEPORT alone.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-012"},
       .sources = {Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseport, BothOptionsOnBothSidesListenTogether,
     Witnesses("tcp.reuseport.with_reuseaddr_still_listens_together"), Needs(needs::kReusePort)) {
  const Socket holder = kSharing.ReuseAddr().Bound(port()).Listening();
  Socket newcomer = kSharing.ReuseAddr().Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CLAIM({.id = "tcp.both_options.owners_share_until_one_listens",
       .says = "Sockets of two owners with both options share a port by address reuse until the first of them listens.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-013", "TCP-RP-014"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("inet_csk_listen_start()")}});

CASE(TcpReuseport, OfTwoOwnersWithBothOptionsOnlyTheFirstListens,
     Witnesses("tcp.both_options.owners_share_until_one_listens"), Needs(needs::kReusePort, needs::kSecondOwner)) {
  Socket holder = kSharing.ReuseAddr().OwnedBy(Alice()).Bound(port());
  Socket newcomer = kSharing.ReuseAddr().OwnedBy(Bob()).Made();

  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(holder.Listen(), Succeeds());
  EXPECT_THAT(newcomer.Listen(), FailsWith(EADDRINUSE));
}

CASE(TcpReuseport, AnotherOwnerWithBothOptionsIsRefusedByAListener,
     Witnesses("tcp.both_options.owners_share_until_one_listens"), Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = kSharing.ReuseAddr().OwnedBy(Alice()).Bound(port()).Listening();

  EXPECT_THAT(kSharing.ReuseAddr().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.both_options.listener_is_joined_by_reuseport_alone",
       .says = "A listener with both options is joined by a socket that has SO_REUSEPORT alone, not by one that has "
               "SO_REUSEADDR alone.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-015"},
       .sources = {Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseport, AListenerWithBothOptionsIsJoinedByPortSharingOnly,
     Witnesses("tcp.both_options.listener_is_joined_by_reuseport_alone"), Needs(needs::kReusePort)) {
  const Socket holder = kSharing.ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(kSharing.Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.reuseport.bound_member_gets_nothing_until_it_listens",
       .says = "A socket that only bound the shared port gets no connection; it takes its share once it listens.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-016"},
       .sources = {Kernel("inet_hash()"), Kernel("reuseport_select_sock()")}});

CASE(TcpReuseport, ABoundSocketGetsItsShareOnceItListens,
     Witnesses("tcp.reuseport.bound_member_gets_nothing_until_it_listens"), Needs(needs::kReusePort)) {
  Socket listener = kSharing.Bound(port());
  Socket idle = kSharing.Bound(port());
  EXPECT_THAT(listener.Listen(), Succeeds());

  EXPECT_THAT(ConnectionsOver({&listener}, 10, Loopback4(), port()), Gets(10));
  EXPECT_THAT(idle.Listen(), Succeeds());
  EXPECT_THAT(ConnectionsOver({&listener, &idle}, EnoughToReach(2), Loopback4(), port()),
              ReachesEach(EnoughToReach(2)));
}

CLAIM({.id = "tcp.reuseport.client_on_the_servers_port_meets_itself",
       .says = "A client that shares its server's address and port and connects to them is connected to itself, and "
               "the listener gets nothing.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-017", "EPH-024"},
       .sources = {Rfc("RFC 9293, 3.5: simultaneous open")}});

CASE(TcpReuseport, AClientOnItsServersPortMeetsItself,
     Witnesses("tcp.reuseport.client_on_the_servers_port_meets_itself"), Needs(needs::kReusePort)) {
  Socket listener = kSharing.Bound(port()).Listening();
  Socket client = kSharing.Bound(port());

  EXPECT_THAT(client.Connect(Loopback4(), port()), Succeeds());
  EXPECT_THAT(client.State(), Is("ESTABLISHED"));
  EXPECT_THAT(client.LocalName(), Is("127.0.0.1:7777"));
  EXPECT_THAT(client.Send("echo"), Is(4));
  EXPECT_THAT(client.Receive(), Is("echo"));
  EXPECT_THAT(QueuedConnections({&listener}), Gets(0));
}

CLAIM({.id = "tcp.reuseport.first_member_may_leave",
       .says = "When the socket that held the port first is closed, the others keep the port and may still listen.",
       .kernels = "since 3.9",
       .rows = {"TCP-RP-018"},
       .sources = {Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseport, TheOthersKeepThePortOfAClosedHolder, Witnesses("tcp.reuseport.first_member_may_leave"),
     Needs(needs::kReusePort)) {
  Socket first = kSharing.Bound(port()).Listening();
  Socket second = kSharing.Bound(port());
  first.Close();

  EXPECT_THAT(second.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseport.a_port_of_the_kernels_choice_is_shared_too",
       .says = "A port that the kernel chose for a socket with SO_REUSEPORT is joined like one that was named.",
       .kernels = "since 3.9",
       .rows = {"MISC-003"},
       .sources = {Man("ip(7), ip_local_port_range"), Kernel("inet_csk_get_port()")}});

CASE(TcpReuseport, APortChosenByTheKernelIsJoined,
     Witnesses("tcp.reuseport.a_port_of_the_kernels_choice_is_shared_too"), Needs(needs::kReusePort)) {
  Socket holder = kSharing.Bound(0);
  Socket newcomer = kSharing.Made();

  EXPECT_THAT(newcomer.Bind(holder.Port()), Succeeds());
  EXPECT_THAT(holder.Listen(), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

}  // namespace
}  // namespace portshare
