// Did DCCP sockets share a port as TCP's do?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using DccpSharing = Case;

SocketSpec Dccp(const Address& address) {
  return {{"dccp", SOCK_DCCP, IPPROTO_DCCP}, address};
}

CLAIM({.id = "dccp.shares_as_tcp",
       .says = "DCCP listeners share a port with SO_REUSEPORT; with SO_REUSEADDR sockets bind one port and one of them "
               "listens; TCP's ports are others.",
       .kernels = "until 6.15",
       .rows = {"DCCP-001", "DCCP-002"},
       .sources = {Kernel("inet_csk_get_port()"), Rfc("RFC 4340"), Commit("net: Retire DCCP socket.")}});

CASE(DccpSharing, OfReuseportListens, Witnesses("dccp.shares_as_tcp"), Needs(needs::kDccp, needs::kReusePort)) {
  const SocketSpec sharer = Dccp(Loopback4()).ReusePort();
  const Socket first = sharer.Bound(port()).Listening();
  Socket second = sharer.Made();

  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(second.Listen(), Succeeds());
  EXPECT_THAT(Dccp(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
}

CASE(DccpSharing, OfReuseaddrEndsWithAListener, Witnesses("dccp.shares_as_tcp"), Needs(needs::kDccp)) {
  const SocketSpec sharer = Dccp(Loopback4()).ReuseAddr();
  Socket first = sharer.Bound(port());
  Socket second = sharer.Bound(port());

  EXPECT_THAT(first.Listen(), Succeeds());
  EXPECT_THAT(second.Listen(), FailsWith(EADDRINUSE));
}

CASE(DccpSharing, RefusesAnotherOwner, Witnesses("dccp.shares_as_tcp"),
     Needs(needs::kDccp, needs::kReusePort, needs::kSecondOwner)) {
  const Socket holder = Dccp(Loopback4()).ReusePort().OwnedBy(Alice()).Bound(port()).Listening();

  EXPECT_THAT(Dccp(Loopback4()).ReusePort().OwnedBy(Bob()).Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
