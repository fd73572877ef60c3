// What does a TCP socket hold whose connect(2) failed?
#include "cases/local_ports.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class FailedConnect : public LocalPorts {
 protected:
  static constexpr uint16_t kServer = 9000;
  static constexpr uint16_t kNobody = 9001;
};

// A family's wildcard, an address of it that is free, and one that has the server.
struct Family {
  std::string name;
  SocketSpec wildcard;
  Address server;
  Address other;
  CaseFacts facts = {};
};

const std::vector<Family> kFamilies = {
    {"ipv4", Tcp(Any4()), Loopback4(), Loopback4(2)},
    {"ipv6", Tcp(Any6()).V6Only(), Loopback6(), Any6(), Needs(needs::kIpv6)},
    {"dual_stack_to_ipv6", Tcp(Any6()).DualStack(), Loopback6(), Loopback4(2), Needs(needs::kIpv6)},
    {"dual_stack_to_ipv4", Tcp(Any6()).DualStack(), MappedLoopback(), Loopback4(2), Needs(needs::kIpv6)},
};

std::string NameOf(const Family& family, uint16_t port) {
  return (family.name == "ipv4" ? Any4() : Any6()).text(port);
}

CLAIM({.id = "tcp.failed_connect.wildcard_covers_every_address_again",
       .says = "A TCP socket that is bound to a wildcard and whose connect(2) fails has the wildcard as its address "
               "again: it keeps newcomers from every address, can listen there, and leaves nothing when it closes.",
       .kernels = "since 6.1, 6.0.12 and 5.10.158; before, it kept the address that connect(2) had chosen where such a "
                  "connection existed",
       .sources = {Commit("77934dc6db0d dccp/tcp: Reset saddr on failure after inet6?_hash_connect()"),
                   Commit("dccp/tcp: Fixup bhash2 bucket when connect() fails"), Man("connect(2)"),
                   Kernel("tcp_v4_connect(), tcp_v6_connect(), inet_bhash2_reset_saddr()")}});

// There is one connection of two ends: the second socket that asks for it is told so after an address was chosen.
MATRIX(FailedConnect, WhereTheConnectionExistsLeavesTheWildcard, Family, kFamilies,
       Witnesses("tcp.failed_connect.wildcard_covers_every_address_again"), Follows("failed_connects_leave_no_address"),
       Labels("tcp")) {
  const Socket server = Tcp(row.server).Bound(kServer).Listening();
  const SocketSpec sharer = row.wildcard.ReuseAddr();
  Socket connected = sharer.Bound(port()).ConnectedTo(row.server, kServer);
  Socket failed = sharer.Bound(port());

  EXPECT_THAT(failed.Connect(row.server, kServer), FailsWith(EADDRNOTAVAIL));

  EXPECT_THAT(failed.LocalName(), Is(NameOf(row, port())));
  EXPECT_THAT(Tcp(row.other).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(failed.Listen(), Succeeds());
  EXPECT_THAT(ConnectionsOver({&failed}, 1, row.server, port()), Gets(1));
  failed.Close();
  connected.Reset();
  AwaitDelivery();
  EXPECT_THAT(row.wildcard.Bind(port()), Succeeds());
}

MATRIX(FailedConnect, ThatIsRefusedLeavesTheWildcard, Family, kFamilies,
       Witnesses("tcp.failed_connect.wildcard_covers_every_address_again"), Labels("tcp")) {
  Socket failed = row.wildcard.Bound(port());

  EXPECT_THAT(failed.Connect(row.server, kNobody), FailsWith(ECONNREFUSED));

  EXPECT_THAT(failed.LocalName(), Is(NameOf(row, port())));
  EXPECT_THAT(Tcp(row.other).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(failed.Listen(), Succeeds());
  EXPECT_THAT(ConnectionsOver({&failed}, 1, row.server, port()), Gets(1));
  failed.Close();
  AwaitDelivery();
  EXPECT_THAT(row.wildcard.Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.failed_connect.named_address_stays",
       .says = "A TCP socket that is bound to an address and whose connect(2) fails keeps that address and no other.",
       .sources = {Man("connect(2)"), Kernel("inet_bhash2_reset_saddr(), SOCK_BINDADDR_LOCK")}});

CASE(FailedConnect, LeavesTheNamedAddress, Witnesses("tcp.failed_connect.named_address_stays"), Labels("tcp")) {
  const Socket server = Tcp(Loopback4()).Bound(kServer).Listening();
  const SocketSpec sharer = Tcp(Loopback4(3)).ReuseAddr();
  const Socket connected = sharer.Bound(port()).ConnectedTo(Loopback4(), kServer);
  Socket failed = sharer.Bound(port());

  EXPECT_THAT(failed.Connect(Loopback4(), kServer), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(failed.Connect(Loopback4(), kNobody), FailsWith(ECONNREFUSED));

  EXPECT_THAT(failed.LocalName(), Is("127.0.0.3:7777"));
  EXPECT_THAT(Tcp(Loopback4(3)).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4(2)).Bind(port()), Succeeds());
}

CLAIM({.id = "tcp.failed_connect.unbound_again",
       .says = "A TCP socket that is not bound and whose connect(2) finds no port has no address and no port "
               "afterwards, and can be bound to another.",
       .kernels = "since 6.1, 6.0.12 and 5.10.158; before, it kept the address that connect(2) had chosen",
       .sources = {Commit("77934dc6db0d dccp/tcp: Reset saddr on failure after inet6?_hash_connect()"),
                   Man("connect(2)"), Kernel("tcp_v4_connect(), inet_bhash2_reset_saddr()")}});

CASE(FailedConnect, WithoutAPortLeavesTheSocketUnbound, Witnesses("tcp.failed_connect.unbound_again"),
     Needs(needs::kSysctl), Follows("failed_connects_leave_no_address"), Labels("tcp", "automatic_port")) {
  Offer(1);
  const Socket server = Tcp(Loopback4()).Bound(kServer).Listening();
  const Socket connected = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kServer);
  Socket failed = Tcp(Loopback4()).Made();

  EXPECT_THAT(failed.Connect(Loopback4(), kServer), FailsWith(EADDRNOTAVAIL));

  EXPECT_THAT(failed.LocalName(), Is("0.0.0.0:0"));
  EXPECT_THAT(failed.BindTo(Any4(), port()), Succeeds());
  EXPECT_THAT(Tcp(Loopback4(2)).Bind(port()), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
