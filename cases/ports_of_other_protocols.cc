// What shares a port, an identifier or a name outside of TCP and UDP?
#include <linux/vm_sockets.h>

#include "harness/case.h"
#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

using PortsOfOtherProtocols = Case;

CLAIM({.id = "udplite.shares_as_udp",
       .says = "UDP-Lite sockets share a port with SO_REUSEPORT or SO_REUSEADDR and not without; with SO_REUSEADDR the "
               "newest receives.",
       .kernels = "until 7.0",
       .rows = {"UDPL-001", "UDPL-002"},
       .sources = {Man("udplite(7)"), Kernel("udp_lib_get_port()"), Rfc("RFC 3828")}});

CASE(PortsOfOtherProtocols, UdpliteSharesByReuseport, Witnesses("udplite.shares_as_udp"),
     Needs(needs::kReusePort, needs::kUdpLite), Labels("udp")) {
  const SocketSpec sharer = UdpLite(Loopback4()).ReusePort();
  Socket first = sharer.Bound(port());
  Socket second = sharer.Made();

  EXPECT_THAT(second.Bind(port()), Succeeds());
  EXPECT_THAT(UdpLite(Loopback4()).Bind(port()), FailsWith(EADDRINUSE));
}

CASE(PortsOfOtherProtocols, UdpliteReachesTheNewestOfReuseaddr, Witnesses("udplite.shares_as_udp"),
     Needs(needs::kUdpLite), Labels("udp")) {
  const SocketSpec sharer = UdpLite(Loopback4()).ReuseAddr();
  Socket first = sharer.Bound(port());
  Socket second = sharer.Bound(port());

  EXPECT_THAT(UdpLite(Loopback4()).Made().SendTo(Loopback4(), port()), Is(1));

  EXPECT_THAT(QueuedDatagrams({&first, &second}), Is("0/1"));
}

CLAIM({.id = "ping.identifier_is_exclusive_without_reuseaddr",
       .says = "Two ICMP echo sockets that switched SO_REUSEADDR off cannot have one identifier.",
       .rows = {"PING-002"},
       .sources = {Man("icmp(7), ping_group_range"), Kernel("ping_get_port()")}});

CASE(PortsOfOtherProtocols, AnIdentifierIsExclusiveWithoutReuseaddr,
     Witnesses("ping.identifier_is_exclusive_without_reuseaddr")) {
  EXPECT_THAT(Sysctl("ipv4/ping_group_range", "0 0"), Succeeds());
  const SocketSpec alone = Ping(Loopback4()).Set(so::kReuseAddr, 0);
  const Socket holder = alone.Bound(port());

  EXPECT_THAT(alone.Bind(port()), FailsWith(EADDRINUSE));
}

CLAIM({.id = "unix.name_is_free_after_close",
       .says = "A name in the abstract namespace is taken for every newcomer until its holder closes, and free then.",
       .rows = {"UNIX-001", "UNIX-003"},
       .sources = {Man("unix(7), Abstract sockets"), Kernel("unix_bind_abstract()")}});

struct Unix {
  std::string name;
  SocketSpec spec;
};

const std::vector<Unix> kUnix = {{"stream", UnixStream()}, {"datagram", UnixDatagram()}};

MATRIX(PortsOfOtherProtocols, AUnixNameIsFreeAfterClose, Unix, kUnix, Witnesses("unix.name_is_free_after_close")) {
  Socket holder = row.spec.Made();
  EXPECT_THAT(holder.BindToName("portshare"), Succeeds());
  Socket plain = row.spec.Made();
  Socket sharer = row.spec.ReuseAddr().Made();
  EXPECT_THAT(plain.BindToName("portshare"), FailsWith(EADDRINUSE));
  EXPECT_THAT(sharer.BindToName("portshare"), FailsWith(EADDRINUSE));

  holder.Close();

  EXPECT_THAT(plain.BindToName("portshare"), Succeeds());
}

// The ports of vsock(7) are the machine's, not those of a network namespace: no fixed one is taken.
Outcome BindVsock(Socket& socket, uint32_t port) {
  sockaddr_vm local{};
  local.svm_family = AF_VSOCK;
  local.svm_cid = VMADDR_CID_ANY;
  local.svm_port = port;
  Outcome outcome;
  outcome.step = "bind " + socket.name() + " any:" + (port == VMADDR_PORT_ANY ? "any" : std::to_string(port));
  const int result = bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&local), sizeof local);
  outcome.error = result == 0 ? 0 : errno;
  return Journal::Get().Answered(outcome);
}

uint32_t PortOf(const Socket& socket) {
  sockaddr_vm local{};
  socklen_t length = sizeof local;
  getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&local), &length);
  return local.svm_port;
}

CLAIM({.id = "vsock.ports_are_never_shared",
       .says = "A port of vsock is bound once, whatever SO_REUSEADDR says.",
       .rows = {"VSOCK-001", "VSOCK-002"},
       .sources = {Man("vsock(7), bind()"), Kernel("__vsock_bind_connectible()")}});

CASE(PortsOfOtherProtocols, AVsockPortIsBoundOnce, Witnesses("vsock.ports_are_never_shared"), Needs(needs::kVsock)) {
  Socket holder = Vsock().ReuseAddr().Made();
  Socket newcomer = Vsock().ReuseAddr().Made();

  EXPECT_THAT(BindVsock(holder, VMADDR_PORT_ANY), Succeeds());
  EXPECT_THAT(BindVsock(newcomer, PortOf(holder)), FailsWith(EADDRINUSE));
}

CLAIM({.id = "vsock.low_ports_need_a_capability",
       .says = "A vsock port below 1024 is refused without CAP_NET_BIND_SERVICE: EACCES.",
       .rows = {"VSOCK-001"},
       .sources = {Man("vsock(7), EACCES"), Kernel("__vsock_bind_connectible()")}});

CASE(PortsOfOtherProtocols, ALowVsockPortNeedsACapability, Witnesses("vsock.low_ports_need_a_capability"),
     Needs(needs::kVsock, needs::kSecondOwner)) {
  const As alice(Alice());
  Socket socket = Vsock().Made();

  EXPECT_THAT(BindVsock(socket, 1023), FailsWith(EACCES));
}

}  // namespace
}  // namespace portshare
