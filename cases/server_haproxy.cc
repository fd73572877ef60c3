// How many listeners does HAProxy open, and what does its reload lose?
#include "cases/servers.h"
#include "harness/plug_need.h"

namespace portshare {
namespace {

// So many clients wait while a process is frozen.
constexpr int kWaiting = 50;

class ServerHaproxy : public ServerCase {
 protected:
  // The instance by its name: what stands before `bind`'s parameters is the address or, "fd@3", a passed descriptor.
  struct Setting {
    std::string name = "haproxy";
    std::string bind = "";
    std::string global = "";
    std::string address = "127.0.0.1:" + std::to_string(port());
    int threads = 1;
    Owner owner = Root();
  };

  Launch Haproxy(const Setting& setting, const std::vector<std::string>& more_words = {}) {
    room().Write(setting.name + ".cfg",
                 "global\n  nbthread " + std::to_string(setting.threads) + "\n" + setting.global +
                     "\ndefaults\n  mode http\n  timeout client 9s\n  timeout server 9s\n  timeout connect 9s\n"
                     "listen page\n  bind " +
                     setting.address + " " + setting.bind + "\n" + Marker(setting.name) +
                     "  http-request return status 200 content-type text/plain string ok\n");
    Launch launch{.name = setting.name,
                  .words = {"haproxy", "-db", "-f", "/run/" + setting.name + ".cfg"},
                  .owner = setting.owner};
    launch.words.insert(launch.words.end(), more_words.begin(), more_words.end());
    return launch;
  }

  // Rules of the packet filter, for this namespace.
  Outcome Filter(const std::string& rules) {
    room().Write("rules", rules + "\n");
    return Server(room(), {.name = "nft " + rules, .words = {"nft", "-f", "/run/rules"}}).Ended();
  }

  // Where the second instance alone listens: it answers there when it is up.
  static constexpr uint16_t marker() { return port() + 1; }

  static std::vector<std::string> Replacing(const Server& old) { return {"-sf", std::to_string(old.number())}; }

 private:
  static std::string Marker(const std::string& name) {
    return name == "second" ? "  bind 127.0.0.1:" + std::to_string(marker()) + "\n" : "";
  }
};

CLAIM({.id = "server.haproxy.listeners",
       .says = "HAProxy has one listener for all its threads, with SO_REUSEPORT and without, and one for each of them "
               "with `shards by-thread`.",
       .kernels = "since 3.9",
       .rows = {"EX-HAP"},
       .sources = {Man("haproxy(1)"), Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("EN-13"), Stated("EN-14"), Stated("TH-05")}});

struct Kind {
  std::string name;
  std::string bind;
  std::string global;
  bool one_each;
  CaseFacts facts = {};
};
const std::vector<Kind> kKinds = {
    {"as_it_comes", "", "", false},
    {"noreuseport", "", "  noreuseport", false},
    {"shards_by_thread", "shards by-thread", "", true, Needs(needs::kReusePort)},
};

MATRIX(ServerHaproxy, HasOneListenerUnlessShardsSayOtherwise, Kind, kKinds, Witnesses("server.haproxy.listeners"),
       Needs(needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  Server haproxy = Start(Haproxy({.bind = row.bind, .global = row.global, .threads = kServerWorkers}));
  EXPECT_THAT(haproxy.ServesHttp(port()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(row.one_each ? kServerWorkers : 1)));
}

CLAIM({.id = "server.haproxy.second_instance",
       .says = "A second HAProxy listens beside a first one of its owner without being told to; with noreuseport, or "
               "with another owner, it ends instead.",
       .kernels = "since 3.9",
       .rows = {"EX-HAP"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Man("bind(2), EADDRINUSE"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("EN-04"), Stated("EN-06"), Stated("TH-03")}});

CASE(ServerHaproxy, ListensBesideAnotherOfItsOwner, Witnesses("server.haproxy.second_instance"),
     Needs(needs::kReusePort, needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  Server first = Start(Haproxy({}));
  EXPECT_THAT(first.ServesHttp(port()), Succeeds());
  Server second = Start(Haproxy({.name = "second"}));
  EXPECT_THAT(second.ServesHttp(marker()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(2)));
}

struct Newcomer {
  std::string name;
  std::string global;
  Owner owner;
  CaseFacts facts = {};
};
const std::vector<Newcomer> kNewcomers = {
    {"with_noreuseport", "  noreuseport", Root()},
    {"of_another_owner", "", Alice(), Needs(needs::kReusePort, needs::kSecondOwner)},
};

MATRIX(ServerHaproxy, EndsBesideAnotherThatItCannotJoin, Newcomer, kNewcomers,
       Witnesses("server.haproxy.second_instance"), Needs(needs::kServerRoom, needs::kHaproxy),
       Labels("servers", "tcp")) {
  Server first = Start(Haproxy({.global = row.global}));
  EXPECT_THAT(first.ServesHttp(port()), Succeeds());
  Server second = Start(Haproxy({.name = "second", .global = row.global, .owner = row.owner}));

  EXPECT_THAT(second.Ended(), Is("exit code 1"));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CLAIM({.id = "server.haproxy.on_linux_38",
       .says = "Where the kernel has no SO_REUSEPORT HAProxy starts with one listener, and with shards it ends.",
       .rows = {"EX-HAP"},
       .sources = {Man("setsockopt(2), ENOPROTOOPT"), Man("bind(2), EADDRINUSE")},
       .documents = {Stated("EN-01")}});

CASE(ServerHaproxy, StartsOnLinux38WithOneListener, Witnesses("server.haproxy.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  Launch launch = Haproxy({.threads = kServerWorkers});
  launch.on_linux_38 = true;
  Server haproxy = Start(launch);

  EXPECT_THAT(haproxy.ServesHttp(port()), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CASE(ServerHaproxy, EndsOnLinux38WithShards, Witnesses("server.haproxy.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  Launch launch = Haproxy({.bind = "shards by-thread", .threads = kServerWorkers});
  launch.on_linux_38 = true;
  Server haproxy = Start(launch);

  EXPECT_THAT(haproxy.Ended(), Is("exit code 1"));
  EXPECT_THAT(CountTcpListeners(port()), Is("none"));
}

CLAIM(
    {.id = "server.haproxy.reload_overlaps",
     .says = "While HAProxy reloads (-sf), the listener of the new process stands beside that of the old one; the old "
             "process then closes its own and ends.",
     .kernels = "since 3.9",
     .rows = {"EX-HAP"},
     .sources = {Man("haproxy(1), -sf"), Kernel("inet_csk_get_port()")},
     .documents = {Stated("EN-16"), Stated("EN-17")}});

CASE(ServerHaproxy, ListensBesideTheProcessThatItReplaces, Witnesses("server.haproxy.reload_overlaps"),
     Needs(needs::kReusePort, needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  Server old = Start(Haproxy({}));
  EXPECT_THAT(old.ServesHttp(port()), Succeeds());
  const uint64_t old_listener = TcpListeners(port()).at(0).inode;
  old.Freeze();
  Server next = Start(Haproxy({.name = "second"}, Replacing(old)));
  EXPECT_THAT(next.ServesHttp(marker()), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(2)));

  old.Thaw();

  EXPECT_THAT(old.Ended(), Is("exit code 0"));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
  EXPECT_NE(TcpListeners(port()).at(0).inode, old_listener);
}

CLAIM({.id = "server.haproxy.killed_while_clients_wait",
       .says = "When an HAProxy is killed while another one listens beside it, all the connections that wait at its "
               "listener are reset; with net.ipv4.tcp_migrate_req the other one answers them all.",
       .kernels = "since 5.14",
       .rows = {"EX-HAP"},
       .sources = {Kernel("inet_csk_listen_stop()"), Kernel("reuseport_migrate_sock()"),
                   KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req")},
       .documents = {Stated("EN-18"), Truth("EN-18")}});

struct Migration {
  std::string name;
  std::string value;
  int answered;
};
const std::vector<Migration> kMigrations = {{"without_migration", "0", 0}, {"with_migration", "1", kWaiting}};

MATRIX(ServerHaproxy, LeavesWaitingClientsToTheNextOnlyIfTheyMigrate, Migration, kMigrations,
       Witnesses("server.haproxy.killed_while_clients_wait"),
       Needs(needs::kReusePort, needs::kMigration, needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", row.value), Succeeds());
  Server old = Start(Haproxy({}));
  EXPECT_THAT(old.ServesHttp(port()), Succeeds());
  old.Freeze();
  const std::vector<Socket> clients = AskingClients(kWaiting, port());
  EXPECT_THAT(Counted("waiting at the listener", WaitingAtListeners(port())), Gets(kWaiting));
  Server next = Start(Haproxy({.name = "second"}));
  EXPECT_THAT(next.ServesHttp(marker()), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(2)));

  old.Kill();

  EXPECT_THAT(AnsweredAndLost(clients), Gets(row.answered, kWaiting - row.answered));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CLAIM({.id = "server.haproxy.reload_loses_nothing_with_migration",
       .says = "With net.ipv4.tcp_migrate_req a reload of HAProxy (-sf) answers every client that waited at the old "
               "process.",
       .kernels = "since 5.14",
       .rows = {"EX-HAP"},
       .sources = {Man("haproxy(1), -sf"), KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req")},
       .documents = {Truth("EN-18")}});

CASE(ServerHaproxy, ReloadsWithoutLossWithMigration, Witnesses("server.haproxy.reload_loses_nothing_with_migration"),
     Needs(needs::kReusePort, needs::kMigration, needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  Server old = Start(Haproxy({}));
  EXPECT_THAT(old.ServesHttp(port()), Succeeds());
  old.Freeze();
  const std::vector<Socket> clients = AskingClients(kWaiting, port());
  Server next = Start(Haproxy({.name = "second"}, Replacing(old)));
  EXPECT_THAT(next.ServesHttp(marker()), Succeeds());

  old.Thaw();

  EXPECT_THAT(AnsweredAndLost(clients), Gets(kWaiting, 0));
  EXPECT_THAT(old.Ended(), Is("exit code 0"));
}

CLAIM({.id = "server.haproxy.expose_fd",
       .says = "An HAProxy that takes the listeners of the one before over its socket (expose-fd, -x) holds the same "
               "listener: whoever waits there is answered although the old process is killed.",
       .rows = {"EX-HAP"},
       .sources = {Man("unix(7), SCM_RIGHTS"), Man("haproxy(1), -x")},
       .documents = {Truth("EN-18"), Truth("EN-21")}});

CASE(ServerHaproxy, TakesOverTheListenerItself, Witnesses("server.haproxy.expose_fd"),
     Needs(needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  Server old = Start(Haproxy({.global = "  stats socket /run/old.sock mode 600 level admin expose-fd listeners"}));
  EXPECT_THAT(old.ServesHttp(port()), Succeeds());
  const uint64_t listener = TcpListeners(port()).at(0).inode;
  Server next = Start(Haproxy({.name = "second"}, {"-x", "/run/old.sock"}));
  EXPECT_THAT(next.ServesHttp(marker()), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
  EXPECT_EQ(TcpListeners(port()).at(0).inode, listener);

  old.Freeze();
  next.Freeze();
  const std::vector<Socket> clients = AskingClients(kWaiting, port());
  EXPECT_THAT(Counted("waiting at the listener", WaitingAtListeners(port())), Gets(kWaiting));
  old.Kill();
  next.Thaw();

  EXPECT_THAT(AnsweredAndLost(clients), Gets(kWaiting, 0));
}

CLAIM({.id = "server.haproxy.multibinder",
       .says = "A program that opens the listener and passes it to each HAProxy in turn, as multibinder does, loses no "
               "client when one of them is killed and the next one starts after it.",
       .rows = {"EX-HAP", "ZD-005"},
       .sources = {Man("unix(7), SCM_RIGHTS")},
       .documents = {Stated("EN-21"), Truth("EN-21")}});

// The case is that program.
CASE(ServerHaproxy, LosesNothingThatWaitsAtAPassedListener, Witnesses("server.haproxy.multibinder"),
     Needs(needs::kServerRoom, needs::kHaproxy), Labels("servers", "tcp")) {
  const Socket listener = Tcp(Loopback4()).Bound(port()).Listening();
  const Socket passed = listener.Passed(), passed_on = listener.Passed();
  Launch launch = Haproxy({.address = "fd@3"});
  launch.passed_descriptor = passed.descriptor();
  Server old = Start(launch);
  EXPECT_THAT(old.ServesHttp(port()), Succeeds());
  old.Freeze();
  const std::vector<Socket> clients = AskingClients(kWaiting, port());
  EXPECT_THAT(Counted("waiting at the listener", WaitingAtListeners(port())), Gets(kWaiting));

  old.Kill();
  launch = Haproxy({.name = "second", .address = "fd@3"});
  launch.passed_descriptor = passed_on.descriptor();
  Server next = Start(launch);

  EXPECT_THAT(AnsweredAndLost(clients), Gets(kWaiting, 0));
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CLAIM({.id = "server.haproxy.restart_behind_a_filter",
       .says = "While a packet filter drops the SYNs of new clients, HAProxy can even be ended and started anew: they "
               "ask again, and none of them is refused.",
       .rows = {"EX-HAP"},
       .sources = {Man("nft(8)"), Kernel("tcp_retransmit_timer()"), Rfc("6298, 2.1")},
       .documents = {Stated("EN-19")}});

// Yelp's first way.  The clients ask again after a second.
CASE(ServerHaproxy, RestartsUnnoticedWhileSynsAreDropped, Witnesses("server.haproxy.restart_behind_a_filter"),
     Needs(needs::kServerRoom, needs::kHaproxy, needs::kNftables), Labels("servers", "tcp")) {
  Server old = Start(Haproxy({.global = "  noreuseport"}));
  EXPECT_THAT(old.ServesHttp(port()), Succeeds());
  EXPECT_THAT(Filter("add table ip reload; add chain ip reload in { type filter hook input priority 0; };"
                     "add rule ip reload in tcp dport " +
                     std::to_string(port()) + " tcp flags & (syn | ack) == syn counter drop"),
              Is("exit code 0"));
  std::vector<Socket> clients = BeginningClients(kWaiting, port());

  old.Kill();
  EXPECT_THAT(CountTcpListeners(port()), Is("none"));
  Server next = Start(Haproxy({.name = "second", .global = "  noreuseport"}));
  EXPECT_THAT(next.ServesHttp(marker()), Succeeds());
  EXPECT_THAT(Filter("flush ruleset"), Is("exit code 0"));

  AskOnceConnected(clients);
  EXPECT_THAT(AnsweredAndLost(clients), Gets(kWaiting, 0));
}

}  // namespace
}  // namespace portshare
