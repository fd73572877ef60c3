// What shares a port, an identifier or a name outside of TCP and UDP?
#include "harness/case.h"
#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "harness/vsock.h"

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
     Witnesses("ping.identifier_is_exclusive_without_reuseaddr"), Needs(needs::kSysctl)) {
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

CLAIM({.id = "vsock.ports_are_never_shared",
       .says = "A port of vsock is bound once, whatever SO_REUSEADDR says.",
       .rows = {"VSOCK-001", "VSOCK-002"},
       .sources = {Man("vsock(7), bind()"), Kernel("__vsock_bind_connectible()")}});

CASE(PortsOfOtherProtocols, AVsockPortIsBoundOnce, Witnesses("vsock.ports_are_never_shared"), Needs(needs::kVsock)) {
  Socket holder = Vsock().ReuseAddr().Made();
  Socket newcomer = Vsock().ReuseAddr().Made();

  EXPECT_THAT(BindVsock(holder, kAnyVsockPort), Succeeds());
  EXPECT_THAT(BindVsock(newcomer, VsockPort(holder)), FailsWith(EADDRINUSE));
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

CLAIM({.id = "vsock.stays_bound_when_a_connect_fails",
       .says = "A vsock socket whose connect(2) fails, to the machine itself or where no transport leads, keeps its "
               "port until it is closed: nobody else may bind it.",
       .kernels = "since 6.14, 6.12.16 and 6.6.79, and in 5.10.y and 6.1.y since 2025; before, a connect(2) that "
                  "changed the transport gave the "
                  "port away (CVE-2025-21756)",
       .rows = {"VSOCK-001"},
       .sources = {Commit("fcdd2242c023 vsock: Keep the binding until socket destruction"), Man("vsock(7), connect()"),
                   Kernel("vsock_assign_transport(), vsock_remove_sock()")}});

// A port of vsock is free where nobody was ever bound: the kernel's own choice, given back.
uint32_t PortOfNobody() {
  Socket nobody = Vsock().Made();
  Journal::Get().Needs(BindVsock(nobody, kAnyVsockPort));
  return VsockPort(nobody);
}

CASE(PortsOfOtherProtocols, AVsockSocketStaysBoundWhenAConnectFails,
     Witnesses("vsock.stays_bound_when_a_connect_fails"), Needs(needs::kVsockLoopback), Follows("vsock_stays_bound")) {
  const uint32_t nobody = PortOfNobody();
  Socket holder = Vsock().Made();
  Socket newcomer = Vsock().Made();
  EXPECT_THAT(BindVsock(holder, kAnyVsockPort), Succeeds());
  const uint32_t held = VsockPort(holder);

  EXPECT_THAT(ConnectVsock(holder, kThisMachine, nobody), FailsWith(ECONNRESET));
  EXPECT_THAT(BindVsock(newcomer, held), FailsWith(EADDRINUSE));
  EXPECT_THAT(ConnectVsock(holder, kMachineElsewhere, nobody), FailsWith(ENODEV));
  EXPECT_THAT(BindVsock(newcomer, held), FailsWith(EADDRINUSE));

  holder.Close();
  EXPECT_THAT(BindVsock(newcomer, held), Succeeds());
}

}  // namespace
}  // namespace portshare
