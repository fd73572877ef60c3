// What `ask` writes.
#include "harness/explore/ask.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "netns/private_network.h"

namespace portshare {
namespace {

constexpr const char* kBridge =
    "a: tcp 0.0.0.0 reuseaddr owner=1001\n"
    "b: tcp 0.0.0.0 reuseaddr reuseport owner=1002\n"
    "c: tcp 0.0.0.0 reuseport owner=1002\n"
    "bind a; bind b; bind c; listen a";

struct Told {
  int code;
  std::string text;
};

Told Tell(const std::string& text, const std::vector<int>& kernel, const model::Epoch& epoch = {}) {
  std::ostringstream out;
  const int code = TellBoth(Parse(text), epoch, kernel, out);
  return {code, out.str()};
}

TEST(Ask, TellsBothStepByStepWithTheReason) {
  const Told told = Tell(kBridge, {0, 0, 0, EADDRINUSE});
  EXPECT_EQ(told.code, 0);
  EXPECT_EQ(told.text, R"(a: tcp 0.0.0.0 reuseaddr owner=1001
b: tcp 0.0.0.0 reuseaddr reuseport owner=1002
c: tcp 0.0.0.0 reuseport owner=1002

step      kernel      model
bind a    ok          ok          nobody else holds the port [bind(2), listen(2)]
bind b    ok          ok          both asked for SO_REUSEADDR and the holder does not listen
                                  (beside a) [socket(7) SO_REUSEADDR; inet_bind_conflict(),
                                  udp_lib_lport_inuse()]
bind c    ok          ok (!)      the newcomer looks like the socket that wrote the port's hint, and
                                  the holders are not asked [sk_reuseport_match(),
                                  inet_csk_get_port()]
                                  the contract refuses: they overlap, and there is no option that
                                  both asked for (beside a) [bind(2) EADDRINUSE, socket(7);
                                  inet_bind_conflict(), udp_lib_lport_inuse()]
                                  known deviation: address_reuse_bridge
listen a  EADDRINUSE  EADDRINUSE  they overlap, and there is no option that both asked for
                                  (beside c) [bind(2) EADDRINUSE, socket(7); inet_bind_conflict(),
                                  udp_lib_lport_inuse()]

the kernel and the model agree on 4 of 4 answers; 1 is not what the contract says
(address_reuse_bridge)
)");
}

TEST(Ask, MarksWhereTheyDiffer) {
  const Told told = Tell("a: tcp 0.0.0.0; b: tcp 127.0.0.1; bind a; bind b", {0, 0});
  EXPECT_EQ(told.code, 1);
  EXPECT_EQ(told.text, R"(a: tcp 0.0.0.0
b: tcp 127.0.0.1

step    kernel      model
bind a  ok          ok          nobody else holds the port [bind(2), listen(2)]
bind b  ok          EADDRINUSE  <-- the kernel and the model differ
                                they overlap, and there is no option that both asked for (beside a)
                                [bind(2) EADDRINUSE, socket(7); inet_bind_conflict(),
                                udp_lib_lport_inuse()]

the kernel and the model agree on 1 of 2 answers
)");
}

TEST(Ask, ComparesWhatTheTextExpectsWithTheKernel) {
  const Told met = Tell("a: tcp 0.0.0.0; b: tcp 127.0.0.1; bind a => ok; bind b => EADDRINUSE", {0, EADDRINUSE});
  EXPECT_EQ(met.code, 0);
  EXPECT_EQ(met.text.find("expect"), std::string::npos) << met.text;

  const Told missed = Tell("a: tcp 0.0.0.0; b: tcp 127.0.0.1; bind a => ok; bind b => ok", {0, EADDRINUSE});
  EXPECT_EQ(missed.code, 1);
  EXPECT_NE(missed.text.find("<-- the text expects ok\n"), std::string::npos) << missed.text;
  EXPECT_NE(missed.text.find("agree on 2 of 2 answers; 1 of 2 expected answers did not come\n"), std::string::npos)
      << missed.text;
}

TEST(Ask, NamesTheEpochsOfAnotherKernel) {
  model::Epoch old;
  old.reuseport = false;
  old.reuseaddr_hint = true;
  const Told told = Tell("a: tcp 0.0.0.0; set a reuseport on", {ENOPROTOOPT}, old);
  EXPECT_EQ(told.code, 0);
  EXPECT_NE(told.text.find("\nepochs: reuseport=false, reuseaddr_hint=true\n"), std::string::npos) << told.text;
  EXPECT_EQ(Tell("a: tcp 0.0.0.0; bind a", {0}).text.find("epochs"), std::string::npos);
}

TEST(Ask, NamesTheBehaviourThatOnlySomeKernelsHave) {
  model::Epoch old;
  old.reuseaddr_hint = true;
  const Told told =
      Tell("a: tcp 0.0.0.0 reuseaddr; b: tcp 0.0.0.0 reuseaddr; bind a; set a reuseaddr off; bind b", {0, 0, 0}, old);
  EXPECT_EQ(told.code, 0);
  EXPECT_NE(told.text.find("only some kernels: reuseaddr_hint\n"), std::string::npos) << told.text;
  EXPECT_NE(told.text.find("; 1 is not what the contract says (reuseaddr_hint)\n"), std::string::npos) << told.text;
}

TEST(Ask, CountsTheCauses) {
  const Told told = Tell(
      "a: tcp 0.0.0.0 reuseaddr; b: tcp 0.0.0.0 reuseaddr reuseport; c: tcp 0.0.0.0 reuseport; d: tcp [::] reuseport;"
      "e: udp 127.0.0.1; f: udp 127.0.0.2 reuseport; g: udp 0.0.0.0 reuseport; h: tcp 0.0.0.0 reuseport dev=v0;"
      "bind a; bind b; bind c; bind d; bind h; bind e; bind f; bind g",
      std::vector<int>(8, 0));
  EXPECT_EQ(told.code, 0);
  EXPECT_NE(told.text.find("agree on 8 of 8 answers; 4 are not what the contract says\n"
                           "(1 address_reuse_bridge, 1 device_not_compared, 1 family_confused, 1 udp_first_match)\n"),
            std::string::npos)
      << told.text;
}

TEST(Ask, StaysWithinItsWidthForTenThousandSteps) {
  std::string text =
      "a: tcp 0.0.0.0 reuseaddr; b: tcp [::] reuseaddr reuseport; c: tcp [::] reuseport\nbind a\nbind b\n";
  std::vector<int> answers = {0, 0};
  while (answers.size() < kMostSteps) {
    text += answers.size() % 2 == 0 ? "bind c\n" : "set b reuseaddr off\n";
    answers.push_back(answers.size() % 2 == 1 || answers.size() == 2 ? 0 : EINVAL);
  }
  const Told told = Tell(text, answers);
  EXPECT_EQ(told.code, 0) << told.text.substr(0, 2'000);
  EXPECT_NE(told.text.find("agree on 10000 of 10000 answers"), std::string::npos);
  std::istringstream lines(told.text);
  size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  EXPECT_LE(longest, 100U);
}

TEST(Ask, AsksThisKernel) {
  if (BecomeNamespaceRoot() == Privilege::kNone) GTEST_SKIP() << PrivilegeTrouble();
  std::ostringstream out;
  EXPECT_EQ(Ask(Parse("a: tcp 0.0.0.0; b: tcp 127.0.0.1; bind a => ok; bind b => EADDRINUSE"), {}, out), 0)
      << out.str();
  EXPECT_EQ(Ask(Parse("a: tcp 0.0.0.0; b: tcp 127.0.0.1; bind a => ok; bind b => ok"), {}, out), 1) << out.str();
}

}  // namespace
}  // namespace portshare
