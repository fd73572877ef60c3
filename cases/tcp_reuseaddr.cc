// When does SO_REUSEADDR let two TCP sockets hold one port?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using TcpReuseaddr = Case;

CLAIM({.id = "tcp.reuseaddr.shared_before_listen",
       .says = "Two TCP sockets that both ask for SO_REUSEADDR share an address and port while neither listens.",
       .rows = {"TCP-RA-001"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

CASE(TcpReuseaddr, SharesAPortBeforeAnyoneListens, Witnesses("tcp.reuseaddr.shared_before_listen")) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.reuseaddr.refused_while_listening",
       .says = "SO_REUSEADDR opens no port on which an overlapping socket listens.",
       .rows = {"TCP-RA-004"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("ES-10")}});

CASE(TcpReuseaddr, RefusesWhileTheHolderListens, Witnesses("tcp.reuseaddr.refused_while_listening")) {
  const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
