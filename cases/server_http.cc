// How many listeners do Apache, Gunicorn and a Python socketserver open, and may a second one start beside the first?
#include <unistd.h>

#include <algorithm>

#include "cases/servers.h"

namespace portshare {
namespace {

class ServerHttp : public ServerCase {
 protected:
  // Apache counts the cores of the machine, which the ratio makes two buckets of, or one on a single core.
  static int Ratio() { return std::max(1, Cores() / 2); }
  static int Buckets() { return Cores() / Ratio(); }

  Launch Apache(const std::string& more) {
    room().Write("apache.conf", "LoadModule mpm_event_module " + Modules() +
                                    "/mod_mpm_event.so\nLoadModule authz_core_module " + Modules() +
                                    "/mod_authz_core.so\nServerRoot /run\nDefaultRuntimeDir /run\nDocumentRoot /run\n"
                                    "Mutex sem\nServerName localhost\nPidFile /run/apache.pid\nErrorLog /dev/stderr\n"
                                    "User nobody\nGroup " +
                                    GroupOf("nobody") + "\nListen 127.0.0.1:" + std::to_string(port()) + "\n" + more);
    return {.name = "apache",
            .words = {FindServer("apache2").empty() ? "httpd" : "apache2", "-DFOREGROUND", "-f", "/run/apache.conf"}};
  }

  Launch Gunicorn(const std::string& name, const std::vector<std::string>& more_words) {
    room().Write("page.py", "def page(environment, start):\n    start('200 OK', [])\n    return [b'ok']\n");
    Launch launch{.name = name,
                  .words = {"gunicorn", "--bind", "127.0.0.1:" + std::to_string(port()), "--worker-tmp-dir", "/run",
                            "--workers", std::to_string(kServerWorkers), "page:page"}};
    launch.words.insert(launch.words.end(), more_words.begin(), more_words.end());
    return launch;
  }

 private:
  static int Cores() { return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)); }
  static std::string Modules() {
    const std::string folder = "/usr/lib/apache2/modules";
    return access(folder.c_str(), X_OK) == 0 ? folder : "/usr/lib64/httpd/modules";
  }
};

CLAIM(
    {.id = "server.apache.listeners",
     .says = "Apache has one listener for all its processes, and with ListenCoresBucketsRatio as many as the machine's "
             "cores divided by the ratio.",
     .kernels = "since 3.9",
     .rows = {"EX-APA"},
     .sources = {Man("apache2(8)"), Man("socket(7), SO_REUSEPORT")},
     .documents = {Stated("EN-25"), Stated("EN-14")}});

CASE(ServerHttp, OfApacheHasOneListener, Witnesses("server.apache.listeners"),
     Needs(needs::kSecondOwner, needs::kServerRoom, needs::kApache), Labels("servers", "tcp")) {
  Server apache = Start(Apache(""));
  EXPECT_THAT(apache.ServesHttp(port()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CASE(ServerHttp, OfApacheHasAListenerForEachBucket, Witnesses("server.apache.listeners"),
     Needs(needs::kReusePort, needs::kSecondOwner, needs::kServerRoom, needs::kApache), Labels("servers", "tcp")) {
  Server apache = Start(Apache("ListenCoresBucketsRatio " + std::to_string(Ratio())));
  EXPECT_THAT(apache.ServesHttp(port()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(Buckets())));
}

CLAIM({.id = "server.apache.on_linux_38",
       .says = "Where the kernel has no SO_REUSEPORT Apache warns that it ignores ListenCoresBucketsRatio, and has one "
               "listener.",
       .rows = {"EX-APA"},
       .sources = {Man("setsockopt(2), ENOPROTOOPT")},
       .documents = {Stated("EN-01")}});

CASE(ServerHttp, OfApacheWarnsOnLinux38AndHasOneListener, Witnesses("server.apache.on_linux_38"),
     Needs(needs::kSeccomp, needs::kSecondOwner, needs::kServerRoom, needs::kApache), Labels("servers", "tcp")) {
  Launch launch = Apache("ListenCoresBucketsRatio " + std::to_string(Ratio()));
  launch.on_linux_38 = true;
  Server apache = Start(launch);
  EXPECT_THAT(apache.ServesHttp(port()), Succeeds());

  EXPECT_THAT(apache.Prints("ListenCoresBucketsRatio ignored without SO_REUSEPORT"), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CLAIM({.id = "server.gunicorn.one_listener_a_master",
       .says = "A Gunicorn has one listener for all its workers, with --reuse-port, too; with it a second master "
               "listens beside the first.",
       .kernels = "since 3.9",
       .rows = {"EX-GUN"},
       .sources = {Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("EN-25"), Stated("EN-13"), Stated("EN-04")}});

CASE(ServerHttp, OfGunicornListensBesideAnotherWithReusePort, Witnesses("server.gunicorn.one_listener_a_master"),
     Needs(needs::kReusePort, needs::kServerRoom, needs::kGunicorn), Labels("servers", "tcp")) {
  Server first = Start(Gunicorn("gunicorn", {"--reuse-port"}));
  EXPECT_THAT(first.ServesHttp(port()), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));

  Server second = Start(Gunicorn("second", {"--reuse-port"}));
  EXPECT_THAT(AwaitTcpListeners(port(), OfRoot(2)), Is(OfRoot(2)));
}

CLAIM({.id = "server.gunicorn.refused_without_the_option",
       .says = "Without --reuse-port a Gunicorn finds the address in use at which another server listens.",
       .rows = {"EX-GUN"},
       .sources = {Man("bind(2), EADDRINUSE")}});

// It tries for some seconds before it gives up, so the first refusal is the answer.
CASE(ServerHttp, OfGunicornIsRefusedBesideAnotherWithoutReusePort,
     Witnesses("server.gunicorn.refused_without_the_option"), Needs(needs::kServerRoom, needs::kGunicorn),
     Labels("servers", "tcp")) {
  const Socket first = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();

  Server second = Start(Gunicorn("second", {}));
  EXPECT_THAT(second.Prints("Connection in use"), Succeeds());
  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CLAIM({.id = "server.gunicorn.on_linux_38",
       .says = "Where the kernel has no SO_REUSEPORT a Gunicorn with --reuse-port starts all the same.",
       .rows = {"EX-GUN"},
       .sources = {Man("setsockopt(2), ENOPROTOOPT")},
       .documents = {Stated("EN-01")}});

CASE(ServerHttp, OfGunicornStartsOnLinux38, Witnesses("server.gunicorn.on_linux_38"),
     Needs(needs::kSeccomp, needs::kServerRoom, needs::kGunicorn), Labels("servers", "tcp")) {
  Launch launch = Gunicorn("gunicorn", {"--reuse-port"});
  launch.on_linux_38 = true;
  Server gunicorn = Start(launch);
  EXPECT_THAT(gunicorn.ServesHttp(port()), Succeeds());

  EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
}

CLAIM({.id = "server.python.reuse_port",
       .says = "A Python socketserver or asyncio server shares its port with a second one if it asks for "
               "reuse_port, and is refused with EADDRINUSE if it does not.",
       .kernels = "since 3.9",
       .rows = {"EX-PY"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Man("bind(2), EADDRINUSE")},
       .documents = {Stated("EN-23"), Stated("EN-04")}});

// allow_reuse_port came with Python 3.11; an older one ignores it.
constexpr char kSocketServer[] = R"(
import socketserver
class Page(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(99)
        self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer.allow_reuse_port = SHARES
socketserver.TCPServer(("127.0.0.1", PORT), Page).serve_forever()
)";
constexpr char kAsyncio[] = R"(
import asyncio
async def page(reader, writer):
    await reader.readline()
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
    writer.close()
async def main():
    await (await asyncio.start_server(page, "127.0.0.1", PORT, reuse_port=SHARES)).serve_forever()
asyncio.run(main())
)";

struct Module {
  std::string name;
  std::string program;
  std::string shares;
};
const std::vector<Module> kModules = {
    {"socketserver", kSocketServer, "True"},
    {"socketserver_unasked", kSocketServer, "False"},
    {"asyncio", kAsyncio, "True"},
    {"asyncio_unasked", kAsyncio, "False"},
};

MATRIX(ServerHttp, OfPythonSharesItsPortIfAsked, Module, kModules, Witnesses("server.python.reuse_port"),
       Needs(needs::kReusePort, needs::kServerRoom, needs::kPython), Labels("servers", "tcp")) {
  std::string program = row.program;
  program.replace(program.find("PORT"), 4, std::to_string(port()));
  program.replace(program.find("SHARES"), 6, row.shares);
  const std::vector<std::string> words = {"python3", "-I", "-S", "-c", program};
  Server first = Start({.name = "first", .words = words});
  EXPECT_THAT(first.ServesHttp(port()), Succeeds());

  Server second = Start({.name = "second", .words = words});
  if (row.shares == "True") {
    EXPECT_THAT(AwaitTcpListeners(port(), OfRoot(2)), Is(OfRoot(2)));
  } else {
    EXPECT_THAT(second.Ended(), Is("exit code 1"));
    EXPECT_THAT(CountTcpListeners(port()), Is(OfRoot(1)));
  }
}

}  // namespace
}  // namespace portshare
