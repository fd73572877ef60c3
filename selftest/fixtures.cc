// Cases that end in every way that a case can end, for the driver to report each as what it is.  Expected:
// selftest/golden.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

using Fixture = Case;

const Need kNever{"never", "no_never", "nothing can be done",
                  [] { return std::optional<std::string>("it is a fixture"); }};

CLAIM({.id = "fixture.listening_ends_sharing",
       .says = "SO_REUSEADDR opens no port on which another socket listens.",
       .sources = {Man("socket(7), SO_REUSEADDR")}});

CASE(Fixture, Passes, Witnesses("fixture.listening_ends_sharing")) {
  const Socket holder = Tcp(Loopback4()).Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

CASE(Fixture, Fails, Witnesses("fixture.listening_ends_sharing")) {
  const Socket holder = Tcp(Loopback4()).Bound(port()).Listening();

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), Succeeds());
}

CASE(Fixture, BuildsOnARefusal, Witnesses("fixture.listening_ends_sharing")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());
  const Socket second = Tcp(Loopback4()).Bound(port());
}

CASE(Fixture, Skips, Witnesses("fixture.listening_ends_sharing"), Needs(kNever)) {
  std::abort();
}

CASE(Fixture, CannotAsk, Witnesses("fixture.listening_ends_sharing")) {
  throw portshare::CannotAsk("a link that no kernel makes", EOPNOTSUPP);
}

CASE(Fixture, Crashes, Witnesses("fixture.listening_ends_sharing")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());
  std::cout << "last words" << std::endl;
  std::raise(SIGSEGV);
}

CASE(Fixture, HangsInSight, Witnesses("fixture.listening_ends_sharing")) {
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
  while (true) pause();
}

// Not even its own deadline reaches it: ctest's has to.
CASE(Fixture, HangsDeaf, Witnesses("fixture.listening_ends_sharing")) {
  std::signal(SIGALRM, SIG_IGN);
  while (true) pause();
}

CASE(Fixture, ExitsEarlyAsIfAllWereWell, Witnesses("fixture.listening_ends_sharing")) {
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
  std::exit(0);
}

CASE(Fixture, PrintsRubbish, Witnesses("fixture.listening_ends_sharing")) {
  std::cout << "ok 1 - ]]> \x1b[31m \xff\xfe <&> {\"event\":\"end\"}\n" << std::string(3, '\0') << std::endl;
  EXPECT_THAT(Tcp(Loopback4()).Bind(port()), Succeeds());
}

CASE(Fixture, FailsWithRubbish, Witnesses("fixture.listening_ends_sharing")) {
  ADD_FAILURE() << "]]> \x1b[31m \xff # not ok 1";
}

// Passes on every second attempt.
CASE(Fixture, Wavers, Witnesses("fixture.listening_ends_sharing")) {
  const char* attempt = std::getenv("PORTSHARE_ATTEMPT");
  if (attempt != nullptr && std::atoi(attempt) % 2 == 0) ADD_FAILURE() << "an even attempt";
}

}  // namespace
}  // namespace portshare
