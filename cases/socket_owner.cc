// Whose is a socket, and how does that change?
#include "cases/rows.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using SocketOwner = Case;

CLAIM({.id = "owner.set_at_socket",
       .says = "A socket belongs to the user who called socket(2); who calls bind(2) or listen(2) does not matter.",
       .kernels = "since 3.9",
       .rows = {"UID-001"},
       .sources = {Kernel("sock_alloc()"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Truth("ES-16")}});

CASE(SocketOwner, IsSetAtSocketWhoeverBinds, Witnesses("owner.set_at_socket"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  Socket newcomer = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  {
    const As bob(Bob());
    EXPECT_THAT(holder.Bind(port()), Succeeds());
    EXPECT_THAT(holder.Listen(), Succeeds());
  }

  const As carol(Carol());
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
  EXPECT_THAT(newcomer.Listen(), Succeeds());
}

CASE(SocketOwner, DoesNotBecomeTheUserWhoBinds, Witnesses("owner.set_at_socket"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();

  const As bob(Bob());
  EXPECT_THAT(holder.Bind(port()), Succeeds());
  EXPECT_THAT(holder.OwnerUid(), Is(Alice().uid));
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.mptcp_set_at_socket",
       .says = "An MPTCP socket, too, belongs to the user who called socket(2) for it.",
       .rows = {"MPTCP-005"},
       .sources = {Kernel("mptcp_subflow_create_socket()"), Kernel("inet_csk_bind_conflict()")}});

CASE(SocketOwner, OfMptcpIsSetAtSocketWhoeverBinds, Witnesses("owner.mptcp_set_at_socket"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kMptcp), Labels("mptcp")) {
  Socket holder = Mptcp(Loopback4()).ReusePort().OwnedBy(Alice()).Made();
  {
    const As bob(Bob());
    EXPECT_THAT(holder.Bind(port()), Succeeds());
    EXPECT_THAT(holder.Listen(), Succeeds());
  }

  EXPECT_THAT(Mptcp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Mptcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bind(port()), Succeeds());
}

CLAIM({.id = "owner.is_the_filesystem_user",
       .says = "The owner of a socket is the filesystem user id of the thread, not its effective user id.",
       .kernels = "since 3.9",
       .rows = {"UID-005"},
       .sources = {Kernel("sock_alloc()"), Man("setfsuid(2)"), Man("credentials(7), User and group identifiers")},
       .documents = {Truth("ES-16")}});

CASE(SocketOwner, IsTheFilesystemUserNotTheEffectiveUser, Witnesses("owner.is_the_filesystem_user"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const auto holder = [] {
    const AsFileOwner alice(Alice());
    return Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  };
  Socket listener = holder();

  EXPECT_THAT(listener.OwnerUid(), Is(Alice().uid));
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Root()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bind(port()), Succeeds());
}

CLAIM({.id = "owner.fchown_admits",
       .says = "fchown(2) changes the owner that port sharing compares: a socket given to the holder's owner may join.",
       .kernels = "since 3.9",
       .rows = {"UID-002", "UID-007"},
       .sources = {Kernel("sockfs_setattr()"), Man("chown(2)")},
       .documents = {Truth("ES-16")}});

MATRIX(SocketOwner, ChangedToTheHoldersAdmits, ProtocolRow, kProtocols, Witnesses("owner.fchown_admits"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReusePort().OwnedBy(Alice()).Bound(port());
  Socket newcomer = row.spec.ReusePort().OwnedBy(Bob()).Made();
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(newcomer.ChangeOwner(Alice()), Succeeds());
  EXPECT_THAT(newcomer.OwnerUid(), Is(Alice().uid));
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
}

MATRIX(SocketOwner, ChangedToRootAdmitsBesideRoot, ProtocolRow, kProtocols, Witnesses("owner.fchown_admits"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = row.spec.ReusePort().Bound(port());
  Socket newcomer = row.spec.ReusePort().OwnedBy(Alice()).Made();
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(newcomer.ChangeOwner(Root()), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), Succeeds());
}

CASE(SocketOwner, ChangedToTheHoldersSharesItsTraffic, Witnesses("owner.fchown_admits"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket first = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  Socket second = Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Made();
  EXPECT_THAT(second.ChangeOwner(Alice()), Succeeds());
  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(second.Listen(), Succeeds());

  const int enough = EnoughToReach(2);
  EXPECT_THAT(ConnectionsOver({&first, &second}, enough, Loopback4(), port()), ReachesEach(enough));
}

CLAIM(
    {.id = "owner.fchown_hands_the_port_over",
     .says = "fchown(2) of the socket that holds a port hands the port to the new owner and locks the former one out.",
     .kernels = "since 3.9",
     .rows = {"UID-003"},
     .sources = {Kernel("sockfs_setattr()"), Kernel("inet_csk_bind_conflict()")},
     .documents = {Truth("ES-16")}});

CASE(SocketOwner, ChangedOnTheHolderHandsThePortOver, Witnesses("owner.fchown_hands_the_port_over"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  EXPECT_THAT(holder.ChangeOwner(Bob()), Succeeds());

  Socket joined = Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Made();
  EXPECT_THAT(joined.Bind(port()), Succeeds());
  EXPECT_THAT(joined.Listen(), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "owner.fchown_needs_cap_chown",
       .says = "Only CAP_CHOWN gives a socket to another user; to change its owner into itself needs nothing.",
       .rows = {"UID-004"},
       .sources = {Man("chown(2), ERRORS"), Man("capabilities(7), CAP_CHOWN"), Kernel("setattr_prepare()")}});

CASE(SocketOwner, GivesNothingAwayWithoutTheCapability, Witnesses("owner.fchown_needs_cap_chown"),
     Needs(needs::kSecondOwner), Labels("tcp")) {
  Socket socket = Tcp(Loopback4()).OwnedBy(Alice()).Made();

  const As alice(Alice());
  EXPECT_THAT(socket.ChangeOwner(Bob()), FailsWith(EPERM));
  EXPECT_THAT(socket.ChangeOwner(Alice()), Succeeds());
  EXPECT_THAT(socket.OwnerUid(), Is(Alice().uid));
}

CASE(SocketOwner, TakesNothingWithoutTheCapability, Witnesses("owner.fchown_needs_cap_chown"),
     Needs(needs::kSecondOwner), Labels("tcp")) {
  Socket socket = Tcp(Loopback4()).OwnedBy(Alice()).Made();

  const As bob(Bob());
  EXPECT_THAT(socket.ChangeOwner(Bob()), FailsWith(EPERM));
  EXPECT_THAT(socket.OwnerUid(), Is(Alice().uid));
}

CLAIM({.id = "owner.fchown_keeps_the_group",
       .says = "fchown(2) after listen(2) takes no socket out of its group.",
       .kernels = "since 3.9",
       .rows = {"UID-006"},
       .sources = {Kernel("sockfs_setattr()"), Kernel("reuseport_select_sock()")}});

// Both sockets change hands, so that the traffic has one owner all the time.
CASE(SocketOwner, ChangedLaterKeepsTheGroup, Witnesses("owner.fchown_keeps_the_group"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  Socket first = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Socket second = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  EXPECT_THAT(first.ChangeOwner(Alice()), Succeeds());
  EXPECT_THAT(second.ChangeOwner(Alice()), Succeeds());

  const int enough = EnoughToReach(2);
  EXPECT_THAT(ConnectionsOver({&first, &second}, enough, Loopback4(), port()), ReachesEach(enough));
}

CLAIM({.id = "owner.fchown_of_one_member_admits_its_former_owner",
       .says = "After fchown(2) of one listener of a TCP group its former owner, who still holds the others, may add "
               "listeners on the same address: the port remembers whose bind(2) succeeded last.",
       .kernels = "since 3.9",
       .rows = {"UID-006"},
       .sources = {Kernel("sk_reuseport_match()"), Kernel("inet_csk_update_fastreuse()")}});

CASE(SocketOwner, ChangedOnOneMemberStillAdmitsTheOwnerOfTheOthers,
     Witnesses("owner.fchown_of_one_member_admits_its_former_owner"), Needs(needs::kReusePort, needs::kSecondOwner),
     Labels("tcp")) {
  const Socket first = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  Socket second = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  EXPECT_THAT(second.ChangeOwner(Alice()), Succeeds());

  EXPECT_THAT(Tcp(Loopback4()).ReusePort().Bind(port()), Succeeds());
}

CLAIM({.id = "owner.mptcp_fchown_admits_nobody",
       .says = "fchown(2) of an MPTCP socket does not reach the TCP socket inside it, whose owner is compared.",
       .kernels = "since 6.17; before, the new owner counts",
       .rows = {"MPTCP-006"},
       .sources = {Kernel("sockfs_setattr()"), Kernel("inet_csk_bind_conflict()")}});

CASE(SocketOwner, OfMptcpChangedAdmitsNobody, Witnesses("owner.mptcp_fchown_admits_nobody"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kMptcp), Follows("sockets_keep_their_maker"),
     Labels("mptcp")) {
  const Socket holder = Tcp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();
  Socket newcomer = Mptcp(Loopback4()).ReusePort().OwnedBy(Bob()).Made();
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));

  EXPECT_THAT(newcomer.ChangeOwner(Alice()), Succeeds());
  EXPECT_THAT(newcomer.OwnerUid(), Is(Alice().uid));
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
