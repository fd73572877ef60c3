// What does a process get with a listening socket that another one passed or left to it?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using PassedDescriptors = Case;

CLAIM({.id = "passed.accepted_is_the_acceptors",
       .says = "An accepted socket belongs to the filesystem user who accepted it, not to the owner of the listener.",
       .rows = {"ACC-001"},
       .sources = {Kernel("sock_graft()"), Kernel("sock_alloc()")},
       .documents = {Truth("ES-16")}});

CASE(PassedDescriptors, AcceptForTheUserWhoAccepts, Witnesses("passed.accepted_is_the_acceptors"),
     Needs(needs::kSecondOwner), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).OwnedBy(Root()).Bound(port()).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());

  const As alice(Alice());
  EXPECT_THAT(listener.Accepted().OwnerUid(), Is(Alice().uid));
  EXPECT_THAT(listener.OwnerUid(), Is(Root().uid));
}

CASE(PassedDescriptors, AcceptForTheFilesystemUser, Witnesses("passed.accepted_is_the_acceptors"),
     Needs(needs::kSecondOwner), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).OwnedBy(Alice()).Bound(port()).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());

  const AsFileOwner bob(Bob());
  EXPECT_THAT(listener.Accepted().OwnerUid(), Is(Bob().uid));
}

CLAIM({.id = "passed.listener_serves_another_user",
       .says = "A listener that was passed to a process of another user accepts for it, and still that user may bind "
               "no listener of its own beside it.",
       .kernels = "since 3.9",
       .rows = {"ACC-001", "SCM-001"},
       .sources = {Man("unix(7), SCM_RIGHTS"), Kernel("sock_graft()"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Truth("ES-16")}});

CASE(PassedDescriptors, ServeAnotherUserWhoMayNotJoin, Witnesses("passed.listener_serves_another_user"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kReducedChild), Labels("tcp")) {
  const Socket listener = Tcp(Loopback4()).ReusePort().OwnedBy(Bob()).Bound(port()).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());

  const auto answers = InChild({.uid = Alice().uid, .gid = Alice().uid, .capabilities = {}}, [&] {
    Socket passed = listener.Passed();
    return std::vector{passed.OwnerUid(), passed.Accepted().OwnerUid(), Tcp(Loopback4()).ReusePort().Bind(port())};
  });
  EXPECT_THAT(answers.at(0), Is(Bob().uid));
  EXPECT_THAT(answers.at(1), Is(Alice().uid));
  EXPECT_THAT(answers.at(2), FailsWith(EADDRINUSE));
}

CLAIM({.id = "passed.listener_of_root_stays_roots",
       .says = "A listener that root opened for workers of another user stays root's: processes of root may join it, "
               "those of the workers' user may not, and only what a worker accepts belongs to that user.",
       .kernels = "since 3.9",
       .sources = {Kernel("sock_alloc()"), Kernel("sock_graft()"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Truth("EN-07")}});

CASE(PassedDescriptors, OfRootAreNotJoinedByTheWorkersUser, Witnesses("passed.listener_of_root_stays_roots"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kReducedChild), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).ReusePort().Bound(port()).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port());

  const auto worker = InChild({.uid = Alice().uid, .gid = Alice().uid, .capabilities = {}}, [&] {
    return std::vector{Tcp(Loopback4()).ReusePort().Bind(port()), listener.OwnerUid(), listener.Accepted().OwnerUid()};
  });
  EXPECT_THAT(worker.at(0), FailsWith(EADDRINUSE));
  EXPECT_THAT(worker.at(1), Is(Root().uid));
  EXPECT_THAT(worker.at(2), Is(Alice().uid));
  Socket joined = Tcp(Loopback4()).ReusePort().Made();
  EXPECT_THAT(joined.Bind(port()), Succeeds());
  EXPECT_THAT(joined.Listen(), Succeeds());
}

CLAIM({.id = "passed.served_until_the_last_reference",
       .says = "A port is served and held until the last descriptor of its listener is closed, be it a duplicate, one "
               "that fork(2) copied or one that was passed.",
       .rows = {"SCM-002"},
       .sources = {Man("close(2)"), Man("dup(2)"), Man("fork(2)"), Man("unix(7), SCM_RIGHTS")}});

struct Copy {
  std::string name;
  Socket (Socket::*copied)() const;
};
const std::vector<Copy> kCopies = {{"duplicate", &Socket::Duplicated}, {"passed", &Socket::Passed}};

MATRIX(PassedDescriptors, KeepThePortServed, Copy, kCopies, Witnesses("passed.served_until_the_last_reference"),
       Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  Socket other = (listener.*row.copied)();

  listener.Close();
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  other.Close();
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(ECONNREFUSED));
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
}

CASE(PassedDescriptors, OfAForkKeepThePortServed, Witnesses("passed.served_until_the_last_reference"),
     Needs(needs::kReducedChild), Labels("tcp")) {
  Socket listener = Tcp(Loopback4()).Bound(port()).Listening();

  const auto child = InChild({.uid = 0, .gid = 0, .capabilities = {}}, [&] {
    listener.Close();
    return std::vector{Tcp(Loopback4()).Made().Connect(Loopback4(), port())};
  });
  EXPECT_THAT(child.at(0), Succeeds());
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), Succeeds());
  listener.Close();
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(ECONNREFUSED));
}

}  // namespace
}  // namespace portshare
