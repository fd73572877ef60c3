// What happens when SO_REUSEADDR or SO_REUSEPORT is set or cleared on a socket that is bound already?
#include "cases/rows.h"
#include "harness/case.h"
#include "harness/explore/epochs.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using FlagsChangedLate = Case;

const SocketSpec kTcp = Tcp(Loopback4());
const SocketSpec kUdp = Udp(Loopback4());
const SocketSpec kTcpSharing = kTcp.ReusePort();
const SocketSpec kUdpSharing = kUdp.ReusePort();

CLAIM({.id = "flags.may_change_in_every_state",
       .says = "Both options may be set and cleared at any time of a socket's life; nothing is checked again.",
       .rows = {"TOG-000"},
       .sources = {Man("socket(7), Socket options"), Kernel("sk_setsockopt()")}});

MATRIX(FlagsChangedLate, AcceptedWhileBound, OptionRow, kOptions, Witnesses("flags.may_change_in_every_state")) {
  Socket holder = kTcp.Bound(port());

  EXPECT_THAT(holder.Set(row.option, 1), Succeeds());
  EXPECT_THAT(holder.Get(row.option), Is(1));
  EXPECT_THAT(holder.Set(row.option, 0), Succeeds());
  EXPECT_THAT(holder.Get(row.option), Is(0));
}

MATRIX(FlagsChangedLate, AcceptedWhileListening, OptionRow, kOptions, Witnesses("flags.may_change_in_every_state")) {
  Socket holder = kTcp.Bound(port()).Listening();

  EXPECT_THAT(holder.Set(row.option, 1), Succeeds());
  EXPECT_THAT(holder.Get(row.option), Is(1));
  EXPECT_THAT(holder.Set(row.option, 0), Succeeds());
  EXPECT_THAT(holder.Get(row.option), Is(0));
}

MATRIX(FlagsChangedLate, AcceptedWhileConnected, OptionRow, kOptions, Witnesses("flags.may_change_in_every_state")) {
  Socket listener = kTcp.Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());

  EXPECT_THAT(connection.client.Set(row.option, 1), Succeeds());
  EXPECT_THAT(connection.client.Get(row.option), Is(1));
  EXPECT_THAT(connection.server.Set(row.option, 1), Succeeds());
  EXPECT_THAT(connection.server.Set(row.option, 0), Succeeds());
  EXPECT_THAT(connection.server.Get(row.option), Is(0));
}

MATRIX(FlagsChangedLate, AcceptedWhileThePortIsShared, OptionRow, kOptions,
       Witnesses("flags.may_change_in_every_state")) {
  Socket first = kTcp.Set(row.option).Bound(port());
  Socket second = kTcp.Set(row.option).Bound(port());

  EXPECT_THAT(first.Set(row.option, 0), Succeeds());
  EXPECT_THAT(second.Set(row.option, 0), Succeeds());
  EXPECT_THAT(first.State(), Is("CLOSE"));
}

CLAIM({.id = "reuseaddr.holder_may_ask_late",
       .says = "A bound socket that sets SO_REUSEADDR then is joined from then on, for TCP while nobody listens.",
       .rows = {"TOG-007", "TOG-015"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")}});

struct OneProtocol {
  std::string name;
  SocketSpec spec;
};

const std::vector<OneProtocol> kProtocols = {{"tcp", kTcp}, {"udp", kUdp}};

MATRIX(FlagsChangedLate, AddressReuseAfterBindIsEnough, OneProtocol, kProtocols,
       Witnesses("reuseaddr.holder_may_ask_late")) {
  Socket holder = row.spec.Bound(port());

  EXPECT_THAT(holder.Set(so::kReuseAddr), Succeeds());
  EXPECT_THAT(row.spec.ReuseAddr().Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.reuseaddr.cleared_on_the_holder",
       .says = "A bound TCP socket that clears SO_REUSEADDR is no longer joined.",
       .kernels = "since 6.8; before, a hint of the port still let newcomers in",
       .rows = {"TOG-001"},
       .sources = {Kernel("inet_csk_get_port()"), Kernel("inet_csk_update_fastreuse()")}});

struct TwoAddresses {
  std::string name;
  SocketSpec holder;
  SocketSpec newcomer;
  CaseFacts facts = {};
};

const std::vector<TwoAddresses> kOverlapping = {
    {"ipv4_wildcard", Tcp(Any4()), Tcp(Any4())},
    {"wildcard_after_address", Tcp(Loopback4(2)), Tcp(Any4())},
    {"ipv6_address", Tcp(Loopback6()), Tcp(Loopback6()), Needs(needs::kIpv6)},
};

MATRIX(FlagsChangedLate, ClearingAddressReuseEndsTheSharing, TwoAddresses, kOverlapping,
       Witnesses("tcp.reuseaddr.cleared_on_the_holder"), Follows("reuseaddr_hint")) {
  Socket holder = row.holder.ReuseAddr().Bound(port());

  EXPECT_THAT(holder.Set(so::kReuseAddr, 0), Succeeds());
  EXPECT_THAT(row.newcomer.ReuseAddr().Bind(port()), AnswersWith(CurrentEpoch().reuseaddr_hint ? 0 : EADDRINUSE));
}

CLAIM({.id = "tcp.reuseaddr.cleared_between_bind_and_listen",
       .says = "When one of two TCP sockets that share a port clears SO_REUSEADDR, neither of them can listen.",
       .rows = {"TOG-006"},
       .sources = {Kernel("inet_csk_listen_start()"), Kernel("inet_csk_bind_conflict()")}});

CASE(FlagsChangedLate, ClearingAddressReuseOnOneKeepsBothFromListening,
     Witnesses("tcp.reuseaddr.cleared_between_bind_and_listen")) {
  Socket first = kTcp.ReuseAddr().Bound(port());
  Socket second = kTcp.ReuseAddr().Bound(port());
  EXPECT_THAT(first.Set(so::kReuseAddr, 0), Succeeds());

  EXPECT_THAT(first.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(second.Listen(), FailsWith(EADDRINUSE));
}

CLAIM({.id = "tcp.reuseaddr.cleared_then_closed",
       .says = "A listener that cleared SO_REUSEADDR and closed leaves nothing behind on its port.",
       .rows = {"TOG-012"},
       .sources = {Kernel("inet_bind_bucket_destroy()")}});

CASE(FlagsChangedLate, AClosedListenerLeavesNoTraceOfItsFlags, Witnesses("tcp.reuseaddr.cleared_then_closed")) {
  Socket holder = kTcp.ReuseAddr().Bound(port()).Listening();
  EXPECT_THAT(holder.Set(so::kReuseAddr, 0), Succeeds());
  holder.Close();

  EXPECT_THAT(kTcp.Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.reuseport.cleared_holder_is_still_joined",
       .says = "Clearing SO_REUSEPORT does not stop sockets of the same owner from joining the TCP port: the port "
               "remembers who shared it.",
       .kernels = "since 3.9, where that memory outlives the agreement",
       .rows = {"TOG-002", "TOG-008", "TOG-011"},
       .sources = {Kernel("sk_reuseport_match()"),
                   Commit("637bc8bbe6c0 inet: reset tb->fastreuseport when adding a reuseport sk")}});

// What is promised instead: known_anomalies.hint_outlives_its_socket.
int StillJoined() {
  return CurrentEpoch().hint_ends_with_its_socket ? EADDRINUSE : 0;
}

CASE(FlagsChangedLate, AListenerThatClearedPortSharingIsStillJoined,
     Witnesses("tcp.reuseport.cleared_holder_is_still_joined"), Follows("hint_ends_with_its_socket"),
     Needs(needs::kReusePort)) {
  Socket holder = kTcpSharing.Bound(port()).Listening();
  EXPECT_THAT(holder.Set(so::kReusePort, 0), Succeeds());
  EXPECT_THAT(holder.Get(so::kReusePort), Is(0));
  Socket newcomer = kTcpSharing.Made();

  EXPECT_THAT(newcomer.Bind(port()), AnswersWith(StillJoined()));
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(FlagsChangedLate, AListenerLeftWithAddressReuseIsStillJoined,
     Witnesses("tcp.reuseport.cleared_holder_is_still_joined"), Follows("hint_ends_with_its_socket"),
     Needs(needs::kReusePort)) {
  Socket holder = kTcpSharing.ReuseAddr().Bound(port()).Listening();
  EXPECT_THAT(holder.Set(so::kReusePort, 0), Succeeds());

  EXPECT_THAT(kTcpSharing.ReuseAddr().Bind(port()), AnswersWith(StillJoined()));
}

CASE(FlagsChangedLate, AMemberThatClearedPortSharingKeepsNobodyOut,
     Witnesses("tcp.reuseport.cleared_holder_is_still_joined"), Follows("hint_ends_with_its_socket"),
     Needs(needs::kReusePort)) {
  Socket first = kTcpSharing.Bound(port());
  const Socket second = kTcpSharing.Bound(port());
  EXPECT_THAT(first.Set(so::kReusePort, 0), Succeeds());

  EXPECT_THAT(kTcpSharing.Bind(port()), AnswersWith(StillJoined()));
}

CLAIM({.id = "tcp4.reuseport.cleared_listener_loses_to_the_newcomer",
       .says = "An IPv4 listener that cleared SO_REUSEPORT gets no new connection once another joined: the newcomer "
               "takes them all.",
       .kernels = "since 4.6",
       .rows = {"TOG-002", "I13"},
       .sources = {Kernel("inet_reuseport_add_sock()"), Kernel("__inet_hash()")}});

CASE(FlagsChangedLate, OnIpv4TheNewcomerTakesAll, Witnesses("tcp4.reuseport.cleared_listener_loses_to_the_newcomer"),
     Needs(needs::kReusePort)) {
  Socket holder = kTcpSharing.Bound(port()).Listening();
  EXPECT_THAT(holder.Set(so::kReusePort, 0), Succeeds());
  Socket newcomer = kTcpSharing.Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&holder, &newcomer}, 20, Loopback4(), port()), Gets(0, 20));
}

CLAIM({.id = "tcp6.reuseport.cleared_listener_keeps_all",
       .says = "An IPv6 listener that cleared SO_REUSEPORT keeps all new connections although another joined.",
       .kernels = "since 4.6",
       .rows = {"TOG-003", "I13"},
       .sources = {Kernel("__inet_hash()")}});

CASE(FlagsChangedLate, OnIpv6TheHolderKeepsAll, Witnesses("tcp6.reuseport.cleared_listener_keeps_all"),
     Needs(needs::kReusePort, needs::kIpv6)) {
  Socket holder = Tcp(Loopback6()).ReusePort().Bound(port()).Listening();
  EXPECT_THAT(holder.Set(so::kReusePort, 0), Succeeds());
  Socket newcomer = Tcp(Loopback6()).ReusePort().Bound(port()).Listening();

  EXPECT_THAT(ConnectionsOver({&holder, &newcomer}, 20, Loopback6(), port()), Gets(20, 0));
}

CLAIM({.id = "tcp4.reuseport.cleared_members_are_not_balanced",
       .says = "IPv4 listeners are no longer balanced when all of them, or only the newest, cleared SO_REUSEPORT: the "
               "newest takes every connection.",
       .kernels = "since 4.6",
       .rows = {"TOG-004", "TOG-005"},
       .sources = {Kernel("inet_lookup_reuseport()")}});

CASE(FlagsChangedLate, ClearedOnBothTheNewestTakesAll, Witnesses("tcp4.reuseport.cleared_members_are_not_balanced"),
     Needs(needs::kReusePort)) {
  Socket first = kTcpSharing.Bound(port()).Listening();
  Socket second = kTcpSharing.Bound(port()).Listening();
  EXPECT_THAT(first.Set(so::kReusePort, 0), Succeeds());
  EXPECT_THAT(second.Set(so::kReusePort, 0), Succeeds());

  EXPECT_THAT(ConnectionsOver({&first, &second}, EnoughToReach(2), Loopback4(), port()), Gets(0, EnoughToReach(2)));
}

CASE(FlagsChangedLate, ClearedOnTheNewestItTakesAll, Witnesses("tcp4.reuseport.cleared_members_are_not_balanced"),
     Needs(needs::kReusePort)) {
  Socket first = kTcpSharing.Bound(port()).Listening();
  Socket second = kTcpSharing.Bound(port()).Listening();
  EXPECT_THAT(second.Set(so::kReusePort, 0), Succeeds());

  EXPECT_THAT(ConnectionsOver({&first, &second}, EnoughToReach(2), Loopback4(), port()), Gets(0, EnoughToReach(2)));
}

CLAIM({.id = "tcp.reuseport.cleared_between_bind_and_listen",
       .says = "A bound socket that cleared SO_REUSEPORT cannot listen beside the others, which still can.",
       .kernels = "since 3.9",
       .rows = {"TOG-009", "TOG-010"},
       .sources = {Kernel("inet_csk_listen_start()"), Kernel("sk_reuseport_match()")}});

CASE(FlagsChangedLate, CannotListenBesideAListenerWithoutIt, Witnesses("tcp.reuseport.cleared_between_bind_and_listen"),
     Needs(needs::kReusePort)) {
  Socket first = kTcpSharing.Bound(port());
  Socket second = kTcpSharing.Bound(port());
  EXPECT_THAT(first.Listen(), Succeeds());
  EXPECT_THAT(second.Set(so::kReusePort, 0), Succeeds());

  EXPECT_THAT(second.Listen(), FailsWith(EADDRINUSE));
}

CASE(FlagsChangedLate, TheOneThatKeptItListensBesideOneThatClearedIt,
     Witnesses("tcp.reuseport.cleared_between_bind_and_listen"), Follows("hint_ends_with_its_socket"),
     Needs(needs::kReusePort)) {
  Socket first = kTcpSharing.Bound(port());
  Socket second = kTcpSharing.Bound(port());
  EXPECT_THAT(first.Set(so::kReusePort, 0), Succeeds());

  EXPECT_THAT(first.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(second.Listen(), AnswersWith(StillJoined()));
}

CLAIM({.id = "udp.options_cleared_on_the_holder",
       .says = "A bound UDP socket that clears the option that it shares by is no longer joined.",
       .rows = {"TOG-013", "TOG-016"},
       .sources = {Kernel("udp_lib_lport_inuse()")}});

MATRIX(FlagsChangedLate, ClearingItOnUdpEndsTheSharing, OptionRow, kOptions,
       Witnesses("udp.options_cleared_on_the_holder")) {
  Socket holder = kUdp.Set(row.option).Bound(port());

  EXPECT_THAT(holder.Set(row.option, 0), Succeeds());
  EXPECT_THAT(kUdp.Set(row.option).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "udp.reuseport.holder_may_ask_late",
       .says = "A bound UDP socket that sets SO_REUSEPORT then is joined, and both get datagrams.",
       .kernels = "since 3.9",
       .rows = {"TOG-014"},
       .sources = {Kernel("udp_reuseport_add_sock()")}});

CASE(FlagsChangedLate, PortSharingAfterBindIsEnoughForUdp, Witnesses("udp.reuseport.holder_may_ask_late"),
     Needs(needs::kReusePort)) {
  Socket holder = kUdp.Bound(port());
  EXPECT_THAT(holder.Set(so::kReusePort), Succeeds());
  Socket newcomer = kUdpSharing.Bound(port());

  EXPECT_THAT(DatagramsOver({&holder, &newcomer}, EnoughToReach(2), Loopback4(), port()),
              ReachesEach(EnoughToReach(2)));
}

}  // namespace
}  // namespace portshare
