// How many listeners does nginx open, whose are they, and what does a reload with fewer workers lose?
#include "cases/servers.h"

namespace portshare {
namespace {

class ServerNginx : public ServerCase {
 protected:
  // What follows the address in `listen`, and the instance's own name: two instances share no file.
  Launch Nginx(const std::string& listen, const std::string& name = "nginx", const std::string& events = "",
               const std::string& user = "root") {
    Configure(listen, name, kServerWorkers, events, user);
    return {.name = name, .words = {"nginx", "-e", "stderr", "-c", "/run/" + name + ".conf"}};
  }

  void Configure(const std::string& listen, const std::string& name, int workers, const std::string& events = "",
                 const std::string& user = "root") {
    room().Write(name + ".conf", "daemon off; worker_processes " + std::to_string(workers) + "; user " + user +
                                     "; pid /run/" + name + ".pid; error_log stderr; events { " + events +
                                     " } http { access_log off; " + Folders(name) + "server { listen 127.0.0.1:" +
                                     std::to_string(port()) + " " + listen + "; location / { return 200; } } }");
  }

 private:
  static std::string Folders(const std::string& name) {
    std::string text;
    for (const std::string kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      text += kind + "_temp_path /run/" + name + "_" + kind + "; ";
    }
    return text;
  }
};

CLAIM(
    {.id = "server.nginx.one_listener_for_all_workers",
     .says = "Without the parameter reuseport nginx has a single listener, from which all of its workers accept, with "
             "accept_mutex and without.",
     .rows = {"EX-NGX"},
     .sources = {Man("nginx(8)"), Man("fork(2)")},
     .documents = {Stated("EN-13"), Stated("EN-25")}});

struct Mutex {
  std::string name;
  std::string events;
};
const std::vector<Mutex> kMutexes = {
    {"as_it_comes", ""}, {"accept_mutex", "accept_mutex on;"}, {"no_accept_mutex", "accept_mutex off;"}};

MATRIX(ServerNginx, HasOneListenerForAllWorkers, Mutex, kMutexes,
       Witnesses("server.nginx.one_listener_for_all_workers"), Needs(needs::kServerRoom, needs::kNginx),
       Labels("servers", "tcp")) {
  Server nginx = Start(Nginx("", "nginx", row.events));
  EXPECT_THAT(nginx.ServesHttp(port()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CLAIM({.id = "server.nginx.one_listener_each",
       .says = "With `listen ... reuseport` nginx opens one listener for each worker process.",
       .kernels = "since 3.9",
       .rows = {"EX-NGX"},
       .sources = {Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("EN-05"), Stated("EN-14"), Stated("EN-24"), Stated("TH-05")}});

CASE(ServerNginx, HasOneListenerForEachWorkerWithReuseport, Witnesses("server.nginx.one_listener_each"),
     Needs(needs::kReusePort, needs::kServerRoom, needs::kNginx), Labels("servers", "tcp")) {
  Server nginx = Start(Nginx("reuseport"));
  EXPECT_THAT(nginx.ServesHttp(port()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(kServerWorkers)));
}

CLAIM(
    {.id = "server.nginx.listeners_are_roots",
     .says = "The listeners of an nginx that root started belong to uid 0, also where its workers run as another user: "
             "a process of that user does not join them, and one of root does.",
     .kernels = "since 3.9",
     .rows = {"EX-NGX"},
     .sources = {Kernel("sk_uid()"), Kernel("inet_csk_bind_conflict()")},
     .documents = {Truth("EN-07")}});

CASE(ServerNginx, OpensItsListenersAsRootForWorkersOfAnotherUser, Witnesses("server.nginx.listeners_are_roots"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kServerRoom, needs::kNginx), Labels("servers", "tcp")) {
  Server nginx = Start(Nginx("reuseport", "nginx", "", "nobody " + GroupOf("nobody")));
  EXPECT_THAT(nginx.ServesHttp(port()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(kServerWorkers)));
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().OwnedBy(Named("nobody")).Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(Tcp(Loopback4()).ReusePort().Bind(port()), Succeeds());
}

CLAIM({.id = "server.nginx.second_instance",
       .says = "A second nginx with reuseport listens beside a first one with it if both have one owner; without the "
               "parameter, or with another owner, it is refused.",
       .kernels = "since 3.9",
       .rows = {"EX-NGX"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Man("bind(2), EADDRINUSE"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("EN-04"), Stated("EN-06"), Stated("TH-03")}});

CASE(ServerNginx, ListensBesideAnotherOfItsOwner, Witnesses("server.nginx.second_instance"),
     Needs(needs::kReusePort, needs::kServerRoom, needs::kNginx), Labels("servers", "tcp")) {
  Server first = Start(Nginx("reuseport"));
  EXPECT_THAT(first.ServesHttp(port()), Succeeds());
  Server second = Start(Nginx("reuseport", "second"));

  EXPECT_THAT(AwaitTcpListeners(port(), OfRoot(2 * kServerWorkers)), Is(OfRoot(2 * kServerWorkers)));
}

struct Newcomer {
  std::string name;
  std::string listen;
  Owner owner;
  CaseFacts facts = {};
};
const std::vector<Newcomer> kNewcomers = {
    {"without_the_parameter", "", Root()},
    {"of_another_owner", "reuseport", Alice(), Needs(needs::kReusePort, needs::kSecondOwner)},
};

// nginx tries for some seconds before it gives up, so the first refusal is the answer.
MATRIX(ServerNginx, RefusesASecondInstance, Newcomer, kNewcomers, Witnesses("server.nginx.second_instance"),
       Needs(needs::kServerRoom, needs::kNginx), Labels("servers", "tcp")) {
  Server first = Start(Nginx(row.listen));
  EXPECT_THAT(first.ServesHttp(port()), Succeeds());
  const std::string before = CountTcpListeners(port()).answer;

  Launch launch = Nginx(row.listen, "second");
  launch.owner = row.owner;
  Server second = Start(launch);

  EXPECT_THAT(second.Prints("(98: Address already in use)"), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(before));
}

CLAIM({.id = "server.nginx.on_linux_38",
       .says = "Where the kernel has no SO_REUSEPORT nginx starts as ever with one listener, and with the parameter "
               "reuseport it ends without any.",
       .rows = {"EX-NGX"},
       .sources = {Man("setsockopt(2), ENOPROTOOPT")},
       .documents = {Stated("EN-01")}});

CASE(ServerNginx, StartsOnLinux38WithOneListener, Witnesses("server.nginx.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kNginx), Labels("servers", "tcp")) {
  Launch launch = Nginx("");
  launch.on_linux_38 = true;
  Server nginx = Start(launch);

  EXPECT_THAT(nginx.ServesHttp(port()), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CASE(ServerNginx, RefusesToStartOnLinux38WithReuseport, Witnesses("server.nginx.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kNginx), Labels("servers", "tcp")) {
  Launch launch = Nginx("reuseport");
  launch.on_linux_38 = true;
  Server nginx = Start(launch);

  EXPECT_THAT(nginx.Ended(), Is("exit code 1"));
  EXPECT_THAT(CountTcpListeners(port()), Is("none"));
}

CLAIM({.id = "server.nginx.fewer_workers",
       .says = "An nginx with reuseport that is reloaded with fewer workers closes listeners, and what waits there is "
               "lost; with net.ipv4.tcp_migrate_req nothing is.",
       .kernels = "since 5.14",
       .rows = {"EX-NGX"},
       .sources = {Kernel("inet_csk_listen_stop()"), Kernel("reuseport_migrate_sock()"),
                   KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req")},
       .documents = {Stated("EN-18"), Truth("EN-18"), Stated("TH-11"), Truth("TH-11")}});

struct Migration {
  std::string name;
  std::string value;
  bool loses;
};
const std::vector<Migration> kMigrations = {{"without_migration", "0", true}, {"with_migration", "1", false}};

MATRIX(ServerNginx, KeepsWhatWaitsForFewerWorkersOnlyIfItMigrates, Migration, kMigrations,
       Witnesses("server.nginx.fewer_workers"),
       Needs(needs::kReusePort, needs::kMigration, needs::kServerRoom, needs::kNginx), Labels("servers", "tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", row.value), Succeeds());
  Server nginx = Start(Nginx("reuseport"));
  EXPECT_THAT(nginx.ServesHttp(port()), Succeeds());
  // The first of them answers while others are yet to start.
  EXPECT_THAT(nginx.AwaitWorkers(kServerWorkers), Is(kServerWorkers));
  const std::vector<pid_t> old = nginx.Workers();
  FreezeAll(old);
  const int count = EnoughToReach(kServerWorkers);
  const std::vector<Socket> clients = AskingClients(count, port());
  const Share waiting = Counted("waiting at the listeners", WaitingAtListeners(port()));
  EXPECT_THAT(waiting, ReachesEach(count));
  const std::vector<Holder> before = TcpListeners(port());

  // The old workers hold the listeners that the new configuration has no worker for until they end.
  Configure("reuseport", "nginx", 1);
  nginx.Signal(SIGHUP);
  EXPECT_THAT(nginx.AwaitWorkers(kServerWorkers + 1), Is(kServerWorkers + 1));
  KillAll(old);
  EXPECT_THAT(AwaitTcpListeners(port(), OfRoot(1)), Is(OfRoot(1)));

  int kept = 0;
  for (size_t listener = 0; listener < before.size(); ++listener) {
    if (before[listener].inode == TcpListeners(port()).at(0).inode) kept = waiting.counts.at(listener);
  }
  const int lost = row.loses ? count - kept : 0;
  EXPECT_THAT(AnsweredAndLost(clients), Gets(count - lost, lost));
}

}  // namespace
}  // namespace portshare
