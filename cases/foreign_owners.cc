// Whom does the rule of one owner keep out of a shared port, and whom not?
#include "cases/rows.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using ForeignOwners = Case;

CLAIM({.id = "owner.one_for_all_sharers",
       .says = "Sockets of which each has SO_REUSEPORT and nothing else share an address and port only if all belong "
               "to one user.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()"),
                   Commit("c617f398edd4"), Commit("ba418fa357a7")},
       .documents = {Stated("ES-16"), Stated("TH-03")}});

MATRIX(ForeignOwners, OfOneUserShare, ProtocolRow, kProtocols, Witnesses("owner.one_for_all_sharers"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const As alice(Alice());
  const Socket holder = row.spec.ReusePort().Bound(port());

  EXPECT_THAT(row.spec.ReusePort().Bind(port()), Succeeds());
}

MATRIX(ForeignOwners, OfTwoUsersDoNotShare, ProtocolRow, kProtocols, Witnesses("owner.one_for_all_sharers"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReusePort().OwnedBy(Alice()).Bound(port());

  EXPECT_THAT(row.spec.ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.first_listener_decides",
       .says = "Who wants to listen beside the only listener of a port needs that listener's owner.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("EN-06")}});

CASE(ForeignOwners, ListenOnlyBesideOneOfTheirOwn, Witnesses("owner.first_listener_decides"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const Socket first = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();

  Socket second = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(second.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.stranger_refused",
       .says = "A user's port that is shared by SO_REUSEPORT alone is refused to every other user, on the same address "
               "and on the wildcard.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")},
       .documents = {Stated("ES-17")}});

struct Strange {
  std::string name;
  SocketSpec holder;
  SocketSpec stranger;
  CaseFacts facts;
};
const std::vector<Strange> kStrangers = {
    {"tcp_same_address", Tcp(Loopback4()), Tcp(Loopback4()), Labels("tcp")},
    {"tcp_on_the_wildcard", Tcp(Loopback4()), Tcp(Any4()), Labels("tcp")},
    {"tcp_below_the_wildcard", Tcp(Any4()), Tcp(Loopback4()), Labels("tcp")},
    {"udp_same_address", Udp(Loopback4()), Udp(Loopback4()), Labels("udp")},
    {"udp_on_the_wildcard", Udp(Loopback4()), Udp(Any4()), Labels("udp")},
    {"udp_below_the_wildcard", Udp(Any4()), Udp(Loopback4()), Labels("udp")},
};

MATRIX(ForeignOwners, AreRefused, Strange, kStrangers, Witnesses("owner.stranger_refused"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.holder.ReusePort().OwnedBy(Alice()).Bound(port());

  EXPECT_THAT(row.stranger.ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(row.stranger.ReuseAddr().ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.root_not_exempt",
       .says = "Root is an owner like any other: it may not join a user's port, and no user may join root's.",
       .kernels = "since 3.9",
       .rows = {"UID-008"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")},
       .documents = {Truth("ES-16")}});

MATRIX(ForeignOwners, AreRefusedAsRootToo, ProtocolRow, kProtocols, Witnesses("owner.root_not_exempt"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReusePort().OwnedBy(Alice()).Bound(port());

  EXPECT_THAT(row.spec.ReusePort().OwnedBy(Root()).Bind(port()), FailsWith(EADDRINUSE));
}

MATRIX(ForeignOwners, AreRefusedBesideRootToo, ProtocolRow, kProtocols, Witnesses("owner.root_not_exempt"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReusePort().OwnedBy(Root()).Bound(port());

  EXPECT_THAT(row.spec.ReusePort().OwnedBy(Alice()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.root_without_capabilities",
       .says = "Uid 0 is the owner even where it has no capability: such a process joins root's port and opens no "
               "privileged one.",
       .kernels = "since 3.9",
       .rows = {"PRIV-006"},
       .sources = {Kernel("sock_alloc()"), Man("capabilities(7), CAP_NET_BIND_SERVICE")}});

CASE(ForeignOwners, DoNotIncludeRootWithoutCapabilities, Witnesses("owner.root_without_capabilities"),
     Needs(needs::kReusePort, needs::kReducedChild), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();

  const auto answers = InChild({.uid = 0, .gid = 0, .capabilities = {}}, [] {
    return std::vector{Tcp(Loopback4()).ReusePort().Bind(port()), Tcp(Loopback4()).Bind(80)};
  });
  EXPECT_THAT(answers.at(0), Succeeds());
  EXPECT_THAT(answers.at(1), FailsWith(EACCES));
}

CLAIM({.id = "owner.compared_across_user_namespaces",
       .says = "Compared is who a user is outside: uid 0 of a user namespace shares with the user it is mapped to and "
               "with no other.",
       .kernels = "since 3.9",
       .rows = {"USERNS-001"},
       .sources = {Man("user_namespaces(7), User and group ID mappings"), Kernel("inet_csk_bind_conflict()")}});

CASE(ForeignOwners, DoNotIncludeTheUserHiddenBehindANamespace, Witnesses("owner.compared_across_user_namespaces"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kUserNamespace), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();

  const auto join = [] { return std::vector{Tcp(Loopback4()).ReusePort().Bind(port())}; };
  EXPECT_THAT(InUserNamespaceOf(Alice(), join).at(0), Succeeds());
  EXPECT_THAT(InUserNamespaceOf(Bob(), join).at(0), FailsWith(EADDRINUSE));
}

CASE(ForeignOwners, IncludeRootOfAUserNamespace, Witnesses("owner.compared_across_user_namespaces"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kUserNamespace), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Root()).Bound(port());

  const auto answers =
      InUserNamespaceOf(Alice(), [] { return std::vector{Tcp(Loopback4()).ReusePort().Bind(port())}; });
  EXPECT_THAT(answers.at(0), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.compared_per_overlap",
       .says = "Owners are compared with every overlapping socket and with no other: two users may hold a port on two "
               "addresses, and then neither may bind its wildcard.",
       .kernels = "since 3.9",
       .rows = {"UID-009"},
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")},
       .documents = {Truth("EN-06"), Truth("TH-03")}});

MATRIX(ForeignOwners, HoldThePortOnAnotherAddress, ProtocolRow, kProtocols, Witnesses("owner.compared_per_overlap"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReusePort().OwnedBy(Alice()).Bound(port());
  Socket neighbour = row.spec.ReusePort().OwnedBy(Bob()).Made();

  EXPECT_THAT(neighbour.BindTo(Loopback4(2), port()), Succeeds());
}

// TCP alone: for UDP the answer to the wildcard depends on the order in which the others came.
CASE(ForeignOwners, OnTwoAddressesKeepEachOtherFromTheWildcard, Witnesses("owner.compared_per_overlap"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const Socket first = Tcp(Loopback4(1)).ReusePort().OwnedBy(Alice()).Bound(port());
  const Socket second = Tcp(Loopback4(2)).ReusePort().OwnedBy(Bob()).Bound(port());

  EXPECT_THAT(Tcp(Any4()).ReusePort().OwnedBy(Alice()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Any4()).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.not_compared_with_both_options",
       .says = "Two sockets that have both SO_REUSEADDR and SO_REUSEPORT share a port whoever owns them, as long as "
               "neither listens; for UDP that is always.",
       .kernels = "since 3.9",
       .sources = {Kernel("inet_csk_bind_conflict()"), Kernel("udp_lib_lport_inuse()")},
       .documents = {Truth("ES-17"), Truth("TH-03")}});

MATRIX(ForeignOwners, BindWhereBothHaveBothOptions, ProtocolRow, kProtocols,
       Witnesses("owner.not_compared_with_both_options"), Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReuseAddr().ReusePort().OwnedBy(Alice()).Bound(port());

  EXPECT_THAT(row.spec.ReuseAddr().ReusePort().OwnedBy(Bob()).Bind(port()), Succeeds());
}

CASE(ForeignOwners, WithBothOptionsDoNotBothListen, Witnesses("owner.not_compared_with_both_options"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const SocketSpec spec = Tcp(Loopback4()).ReuseAddr().ReusePort();
  Socket early = spec.OwnedBy(Alice()).Bound(port());
  Socket late = spec.OwnedBy(Bob()).Bound(port());

  EXPECT_THAT(early.Listen(), Succeeds());
  EXPECT_THAT(late.Listen(), FailsWith(EADDRINUSE));
  EXPECT_THAT(spec.OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.repair_binds_beside_anyone",
       .says = "A socket in TCP_REPAIR binds beside another user's SO_REUSEPORT listener and listens after it left "
               "repair; to enter repair needs CAP_NET_ADMIN.",
       .rows = {"UID-010"},
       .sources = {Kernel("tcp_can_repair_sock()"), Kernel("inet_csk_get_port()"), Kernel("sk_reuseport_match()")}});

CASE(ForeignOwners, BindInRepair, Witnesses("owner.repair_binds_beside_anyone"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kRepair), Labels("tcp")) {
  const Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  Socket newcomer = Tcp(Loopback4()).ReusePort().OwnedBy(Root()).Made();
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(newcomer.Set(so::kRepair, 1), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Set(so::kRepair, 0), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(ForeignOwners, DoNotEnterRepairWithoutTheCapability, Witnesses("owner.repair_binds_beside_anyone"),
     Needs(needs::kSecondOwner, needs::kRepair), Labels("tcp")) {
  Socket newcomer = Tcp(Loopback4()).OwnedBy(Alice()).Made();

  const As alice(Alice());
  EXPECT_THAT(newcomer.Set(so::kRepair, 1), FailsWith(EPERM));
}

}  // namespace
}  // namespace portshare
