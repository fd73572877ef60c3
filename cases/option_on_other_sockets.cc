// Do SO_REUSEADDR and SO_REUSEPORT exist on sockets other than TCP and UDP?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using OptionOnOtherSockets = Case;

CLAIM({.id = "reuseport.refused_outside_inet",
       .says = "SO_REUSEPORT cannot be turned on for sockets of the families AF_UNIX, AF_VSOCK and AF_PACKET: "
               "EOPNOTSUPP.",
       .kernels = "since 6.13; 6.12.9 and 6.1.124 too; before, it was accepted without effect",
       .rows = {"OPT-005", "OPT-006", "OPT-007", "OPT-008", "PKT-001", "UNIX-002"},
       .sources = {Commit("net: restrict SO_REUSEPORT to inet sockets"), Kernel("sk_setsockopt()")},
       .documents = {Stated("EN-20")}});

CLAIM({.id = "reuseaddr.accepted_outside_inet",
       .says = "SO_REUSEADDR is stored for a socket of any family, and SO_REUSEPORT may be switched off on it.",
       .rows = {"OPT-005", "OPT-006", "OPT-007", "OPT-008", "PKT-001", "UNIX-002"},
       .sources = {Kernel("sk_setsockopt()")}});

struct Family {
  std::string name;
  SocketSpec spec;
  CaseFacts facts = {};
};

const std::vector<Family> kOutsideInet = {
    {"unix_stream", UnixStream()},
    {"unix_datagram", UnixDatagram()},
    {"vsock", Vsock(), Needs(needs::kVsock)},
    {"packet", Packet(), Needs(needs::kNetRaw)},
};

MATRIX(OptionOnOtherSockets, RefusesPortSharing, Family, kOutsideInet, Witnesses("reuseport.refused_outside_inet"),
       Needs(needs::kReusePort), Follows("reuseport_is_of_inet_sockets")) {
  Socket socket = row.spec.Made();

  EXPECT_THAT(socket.Set(so::kReusePort, 1), FailsWith(EOPNOTSUPP));
  EXPECT_THAT(socket.Get(so::kReusePort), Is(0));
}

MATRIX(OptionOnOtherSockets, AcceptsThatPortSharingIsOff, Family, kOutsideInet,
       Witnesses("reuseaddr.accepted_outside_inet"), Needs(needs::kReusePort)) {
  EXPECT_THAT(row.spec.Made().Set(so::kReusePort, 0), Succeeds());
}

MATRIX(OptionOnOtherSockets, StoresAddressReuse, Family, kOutsideInet, Witnesses("reuseaddr.accepted_outside_inet")) {
  Socket socket = row.spec.Made();

  EXPECT_THAT(socket.Set(so::kReuseAddr), Succeeds());
  EXPECT_THAT(socket.Get(so::kReuseAddr), Is(1));
}

CLAIM({.id = "unix.names_are_never_shared",
       .says = "SO_REUSEADDR does nothing for a Unix domain socket: a name is bound once.",
       .rows = {"OPT-005", "OPT-006"},
       .sources = {Man("unix(7)"), Kernel("unix_bind_abstract()")}});

const std::vector<Family> kUnix = {{"stream", UnixStream()}, {"datagram", UnixDatagram()}};

MATRIX(OptionOnOtherSockets, AUnixNameIsNotShared, Family, kUnix, Witnesses("unix.names_are_never_shared")) {
  Socket holder = row.spec.ReuseAddr().Made();
  Socket newcomer = row.spec.ReuseAddr().Made();

  EXPECT_THAT(holder.BindToName("portshare"), Succeeds());
  EXPECT_THAT(newcomer.BindToName("portshare"), FailsWith(EADDRINUSE));
}

CLAIM({.id = "raw.begins_with_reuseaddr",
       .says = "A raw socket begins with SO_REUSEADDR on.",
       .rows = {"OPT-009"},
       .sources = {Kernel("inet_create(), INET_PROTOSW_REUSE")}});

CASE(OptionOnOtherSockets, ARawSocketBeginsWithAddressReuse, Witnesses("raw.begins_with_reuseaddr"),
     Needs(needs::kNetRaw)) {
  EXPECT_THAT(Raw(Loopback4()).Made().Get(so::kReuseAddr), Is(1));
}

CLAIM({.id = "ping.begins_with_reuseaddr",
       .says = "An ICMP echo socket begins with SO_REUSEADDR on, so that two of them share an identifier.",
       .rows = {"OPT-010", "PING-001"},
       .sources = {Man("icmp(7), ping_group_range"), Kernel("inet_create(), INET_PROTOSW_REUSE"),
                   Kernel("ping_get_port()")}});

CASE(OptionOnOtherSockets, APingSocketBeginsWithAddressReuse, Witnesses("ping.begins_with_reuseaddr"),
     Needs(needs::kSysctl)) {
  EXPECT_THAT(Sysctl("ipv4/ping_group_range", "0 0"), Succeeds());

  EXPECT_THAT(Ping(Loopback4()).Made().Get(so::kReuseAddr), Is(1));
}

CASE(OptionOnOtherSockets, PingSocketsShareAnIdentifier, Witnesses("ping.begins_with_reuseaddr"),
     Needs(needs::kSysctl)) {
  EXPECT_THAT(Sysctl("ipv4/ping_group_range", "0 0"), Succeeds());
  Socket holder = Ping(Loopback4()).Bound(port());

  EXPECT_THAT(Ping(Loopback4()).Bind(port()), Succeeds());
  EXPECT_THAT(holder.LocalName(), Is("127.0.0.1:7777"));
}

CLAIM({.id = "reuseport.accepted_on_other_inet_sockets",
       .says = "SO_REUSEPORT can be turned on for raw and for ICMP echo sockets.",
       .kernels = "since 3.9",
       .rows = {"OPT-009", "OPT-010", "PING-001"},
       .sources = {Kernel("sk_setsockopt()")}});

CASE(OptionOnOtherSockets, ARawSocketTakesPortSharing, Witnesses("reuseport.accepted_on_other_inet_sockets"),
     Needs(needs::kReusePort, needs::kNetRaw)) {
  Socket socket = Raw(Loopback4()).Made();

  EXPECT_THAT(socket.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(socket.Get(so::kReusePort), Is(1));
}

CASE(OptionOnOtherSockets, APingSocketTakesPortSharing, Witnesses("reuseport.accepted_on_other_inet_sockets"),
     Needs(needs::kReusePort, needs::kSysctl)) {
  EXPECT_THAT(Sysctl("ipv4/ping_group_range", "0 0"), Succeeds());
  Socket socket = Ping(Loopback4()).Bound(port());

  EXPECT_THAT(socket.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(socket.Get(so::kReusePort), Is(1));
}

CLAIM({.id = "mptcp.stores_both_options",
       .says = "An MPTCP socket stores both options and gives them back.",
       .kernels = "since 6.1; no older one was asked",
       .rows = {"OPT-012"},
       .sources = {Kernel("mptcp_setsockopt_sol_socket()")}});

CLAIM({.id = "sctp.stores_both_options",
       .says = "An SCTP socket stores both options and gives them back.",
       .rows = {"OPT-013"},
       .sources = {Kernel("sk_setsockopt()")}});

struct Stored {
  std::string name;
  SocketSpec spec;
  Option option;
  CaseFacts facts = {};
};

const std::vector<Stored> kMptcp = {
    {"reuseaddr", Mptcp(Loopback4()), so::kReuseAddr},
    {"reuseport", Mptcp(Loopback4()), so::kReusePort, Needs(needs::kReusePort)},
};

MATRIX(OptionOnOtherSockets, MptcpStoresIt, Stored, kMptcp, Witnesses("mptcp.stores_both_options"),
       Needs(needs::kMptcp)) {
  Socket socket = row.spec.Made();

  EXPECT_THAT(socket.Set(row.option), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(1));
}

const std::vector<Stored> kSctp = {
    {"reuseaddr", Sctp(Loopback4()), so::kReuseAddr},
    {"reuseport", Sctp(Loopback4()), so::kReusePort, Needs(needs::kReusePort)},
};

MATRIX(OptionOnOtherSockets, SctpStoresIt, Stored, kSctp, Witnesses("sctp.stores_both_options"), Needs(needs::kSctp)) {
  Socket socket = row.spec.Made();

  EXPECT_THAT(socket.Set(row.option), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(1));
}

}  // namespace
}  // namespace portshare
