// How many sockets do DNS servers open, and what do they do where the kernel has no SO_REUSEPORT?
#include "cases/servers.h"

namespace portshare {
namespace {

class ServerDns : public ServerCase {
 protected:
  Launch Unbound(const std::string& so_reuseport) {
    room().Write("unbound.conf", "server:\n interface: 127.0.0.1\n port: " + std::to_string(port()) +
                                     "\n num-threads: " + std::to_string(kServerWorkers) +
                                     "\n so-reuseport: " + so_reuseport +
                                     "\n do-daemonize: no\n use-syslog: no\n username: \"\"\n chroot: \"\"\n"
                                     " directory: \"/run\"\n pidfile: \"\"\n module-config: \"iterator\"\n"
                                     " local-zone: \"test.\" static\n local-data: \"a.test. A 192.0.2.1\"\n"
                                     "remote-control:\n control-enable: no\n");
    return {.name = "unbound", .words = {"unbound", "-d", "-c", "/run/unbound.conf"}};
  }

  // Two threads for TCP, so that they are told from those for UDP.
  Launch Knot(const std::string& tcp_reuseport) {
    room().Write("knot.conf", "server:\n  rundir: /run\n  listen: 127.0.0.1@" + std::to_string(port()) +
                                  "\n  udp-workers: " + std::to_string(kServerWorkers) +
                                  "\n  tcp-workers: 2\n  background-workers: 1\n  tcp-reuseport: " + tcp_reuseport +
                                  "\ndatabase:\n  storage: /run\nlog:\n  - target: stderr\n    any: info\n");
    return {.name = "knot", .words = {"knotd", "-c", "/run/knot.conf"}};
  }

  Launch Bind9(const std::string& reuseport) {
    room().Write("named.conf",
                 "options { directory \"/run\"; pid-file none; session-keyfile none; lock-file none; "
                 "listen-on port " +
                     std::to_string(port()) +
                     " { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; "
                     "empty-zones-enable no; managed-keys-directory \"/run\"; reuseport " +
                     reuseport + "; }; controls { };");
    return {.name = "bind9", .words = {"named", "-g", "-n", std::to_string(kServerWorkers), "-c", "/run/named.conf"}};
  }
};

CLAIM({.id = "server.dns.sockets",
       .says = "With SO_REUSEPORT unbound and BIND open one UDP socket and one TCP listener a thread, and Knot one UDP "
               "socket a thread, with tcp-reuseport one TCP listener a thread, too; without it all threads share one.",
       .kernels = "since 3.9",
       .sources = {Man("unbound.conf(5), so-reuseport"), Man("knot.conf(5), tcp-reuseport"), Man("named.conf(5)"),
                   Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("TH-01"), Stated("TH-02"), Stated("TH-19")}});

struct Sockets {
  std::string name;
  int udp;
  int tcp;
};

const std::vector<Sockets> kUnbound = {{"yes", kServerWorkers, kServerWorkers}, {"no", 1, 1}};

MATRIX(ServerDns, OfUnboundOpensASocketForEachThread, Sockets, kUnbound, Witnesses("server.dns.sockets"),
       Needs(needs::kReusePort, needs::kServerRoom, needs::kUnbound), Labels("servers", "tcp", "udp")) {
  Server unbound = Start(Unbound(row.name));
  EXPECT_THAT(unbound.ServesDns(port()), Succeeds());

  EXPECT_THAT(CountUdpReceivers(port()), Is(OfRoot(row.udp)));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(row.tcp)));
}

const std::vector<Sockets> kKnot = {{"on", kServerWorkers, 2}, {"off", kServerWorkers, 1}};

MATRIX(ServerDns, OfKnotOpensASocketForEachUdpThread, Sockets, kKnot, Witnesses("server.dns.sockets"),
       Needs(needs::kReusePort, needs::kServerRoom, needs::kKnot), Labels("servers", "tcp", "udp")) {
  Server knot = Start(Knot(row.name));
  EXPECT_THAT(knot.ServesDns(port()), Succeeds());

  EXPECT_THAT(CountUdpReceivers(port()), Is(OfRoot(row.udp)));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(row.tcp)));
}

const std::vector<Sockets> kBind9 = {{"yes", kServerWorkers, kServerWorkers}, {"no", 1, 1}};

MATRIX(ServerDns, OfBind9OpensASocketForEachThread, Sockets, kBind9, Witnesses("server.dns.sockets"),
       Needs(needs::kReusePort, needs::kServerRoom, needs::kBind9), Labels("servers", "tcp", "udp")) {
  Server bind9 = Start(Bind9(row.name));
  EXPECT_THAT(bind9.ServesDns(port()), Succeeds());

  EXPECT_THAT(CountUdpReceivers(port()), Is(OfRoot(row.udp)));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(row.tcp)));
}

CLAIM(
    {.id = "server.dns.on_linux_38",
     .says = "Where the kernel has no SO_REUSEPORT unbound starts with one socket although it is told to use it; Knot "
             "ends, and BIND aborts unless it is told not to.",
     .sources = {Man("setsockopt(2), ENOPROTOOPT"), Man("bind(2), EADDRINUSE")},
     .documents = {Stated("EN-01")}});

CASE(ServerDns, OfUnboundStartsOnLinux38WithOneSocket, Witnesses("server.dns.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kUnbound), Labels("servers", "tcp", "udp")) {
  Launch launch = Unbound("yes");
  launch.on_linux_38 = true;
  Server unbound = Start(launch);
  EXPECT_THAT(unbound.ServesDns(port()), Succeeds());

  EXPECT_THAT(CountUdpReceivers(port()), Is(OfRoot(1)));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CASE(ServerDns, OfKnotEndsOnLinux38, Witnesses("server.dns.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kKnot), Labels("servers", "udp")) {
  Launch launch = Knot("off");
  launch.on_linux_38 = true;
  Server knot = Start(launch);

  EXPECT_THAT(knot.Ended(), Is("exit code 1"));
  EXPECT_THAT(CountUdpReceivers(port()), Is("none"));
}

CASE(ServerDns, OfBind9AbortsOnLinux38, Witnesses("server.dns.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kBind9), Labels("servers", "udp")) {
  Launch launch = Bind9("yes");
  launch.on_linux_38 = true;
  Server bind9 = Start(launch);

  EXPECT_THAT(bind9.Ended(), Is("signal ABRT"));
}

CASE(ServerDns, OfBind9StartsOnLinux38WithReuseportNo, Witnesses("server.dns.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kBind9), Labels("servers", "tcp", "udp")) {
  Launch launch = Bind9("no");
  launch.on_linux_38 = true;
  Server bind9 = Start(launch);
  EXPECT_THAT(bind9.ServesDns(port()), Succeeds());

  EXPECT_THAT(CountUdpReceivers(port()), Is(OfRoot(1)));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

}  // namespace
}  // namespace portshare
