// Can a simple Python program share its port?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/program.h"
#include "harness/socket.h"

namespace portshare {
namespace {

constexpr char kServer[] = R"(
import socket, sys
server = socket.socket()
try:
    if sys.argv[2] == "reuseport":
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen()
    print("listening", flush=True)
except OSError as refusal:
    print("errno", refusal.errno, flush=True)
sys.stdin.read()
)";

// Each case starts two interpreters, some 20 ms each.
class PythonServer : public Case {
 protected:
  // -I and -S leave out what the user's environment and the site add to Python.
  static Program Server(const std::string& sharing) {
    return {"python " + sharing, {"/usr/bin/python3", "-I", "-S", "-c", kServer, std::to_string(port()), sharing}};
  }
};

CLAIM(
    {.id = "tcp.python.shares_its_port",
     .says = "A Python program that sets SO_REUSEPORT before bind() listens, and a second such program listens beside "
             "it.",
     .kernels = "since 3.9",
     .rows = {"EX-PY"},
     .sources = {Man("socket(7), SO_REUSEPORT")},
     .documents = {Stated("EN-23")}});

CASE(PythonServer, ListensBesideAnotherWithTheOption, Witnesses("tcp.python.shares_its_port"),
     Needs(needs::kReusePort, needs::kPython), Labels("tcp")) {
  Program first = Server("reuseport");
  EXPECT_THAT(first.Answer(), Is("listening"));

  Program second = Server("reuseport");
  EXPECT_THAT(second.Answer(), Is("listening"));

  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), Succeeds());
}

CLAIM({.id = "tcp.python.refused_without_the_option",
       .says = "Without SO_REUSEPORT the second Python program is refused with EADDRINUSE.",
       .rows = {"EX-PY"},
       .sources = {Man("bind(2), EADDRINUSE")}});

CASE(PythonServer, IsRefusedBesideAnotherWithoutTheOption, Witnesses("tcp.python.refused_without_the_option"),
     Needs(needs::kPython), Labels("tcp")) {
  Program first = Server("plain");
  EXPECT_THAT(first.Answer(), Is("listening"));

  Program second = Server("plain");
  EXPECT_THAT(second.Answer(), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
