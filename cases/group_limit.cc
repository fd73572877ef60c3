// How many sockets may share one port?
#include "harness/case.h"
#include "harness/crowd.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using GroupLimit = Case;

constexpr int kLimit = 32768;

CLAIM({.id = "group.has_no_small_limit",
       .says = "Hundreds of sockets share one address and port, for TCP and for UDP.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("reuseport_grow()")},
       .documents = {Stated("ES-13")}});

CASE(GroupLimit, HundredsOfListenersShareAPort, Witnesses("group.has_no_small_limit"), Needs(needs::kReusePort),
     Labels("tcp")) {
  const SocketSpec sharing = Tcp(Loopback4()).ReusePort();
  const Crowd group = Crowd::Listening(sharing, port(), 600);
  Socket next = sharing.Made();

  EXPECT_THAT(next.Bind(port()), Succeeds());
  EXPECT_THAT(next.Listen(), Succeeds());
}

CASE(GroupLimit, HundredsOfReceiversShareAPort, Witnesses("group.has_no_small_limit"), Needs(needs::kReusePort),
     Labels("udp")) {
  const SocketSpec sharing = Udp(Loopback4()).ReusePort();
  const Crowd group = Crowd::Bound(sharing, port(), 600);

  EXPECT_THAT(sharing.Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.group.ends_at_32768",
       .says = "32768 TCP sockets listen on one address and port; the next one is bound, and its listen() fails with "
               "ENOMEM until another one leaves.",
       .kernels = "since 4.6",
       .rows = {"GRP-001"},
       .sources = {Kernel("reuseport_grow()"), Commit("c125e80b8868 soreuseport: fast reuseport TCP socket selection")},
       .documents = {Truth("ES-13")}});

CASE(GroupLimit, TheNextListenerFindsNoRoom, Witnesses("tcp.group.ends_at_32768"),
     Needs(needs::kReusePort, needs::kManySockets), Labels("tcp", "large")) {
  const SocketSpec sharing = Tcp(Loopback4()).ReusePort();
  const Crowd group = Crowd::Listening(sharing, port(), kLimit - 1);
  Socket last = sharing.Bound(port()).Listening();
  Socket surplus = sharing.Bound(port());

  EXPECT_THAT(surplus.Listen(), FailsWith(ENOMEM));
  last.Close();
  EXPECT_THAT(surplus.Listen(), Succeeds());
}

CLAIM({.id = "udp.group.ends_at_32768",
       .says = "32768 UDP sockets share one address and port; bind() of the next one fails with EADDRINUSE until "
               "another one leaves.",
       .kernels = "since 4.5",
       .rows = {"GRP-002"},
       .sources = {Kernel("reuseport_grow()"), Kernel("udp_reuseport_add_sock()")},
       .documents = {Truth("ES-13")}});

CASE(GroupLimit, TheNextReceiverFindsNoRoom, Witnesses("udp.group.ends_at_32768"),
     Needs(needs::kReusePort, needs::kManySockets), Labels("udp", "large")) {
  const SocketSpec sharing = Udp(Loopback4()).ReusePort();
  const Crowd group = Crowd::Bound(sharing, port(), kLimit - 1);
  Socket last = sharing.Bound(port());

  EXPECT_THAT(sharing.Bind(port()), FailsWith(EADDRINUSE));
  last.Close();
  EXPECT_THAT(sharing.Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
