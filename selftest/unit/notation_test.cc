// The scenario notation: what it takes, what it prints, and what it says of a text that is none.
#include "harness/explore/notation.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <random>

#include "harness/owner.h"
#include "harness/socket.h"
#include "netns/errno_name.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using Kind = model::Address::Kind;
using model::Op;
using model::Protocol;

// What Parse() says of a text; "taken" of one that it takes.
std::string Trouble(std::string_view text) {
  try {
    Parse(text);
    return "taken";
  } catch (const NotationError& error) {
    const std::string what = error.what();
    EXPECT_TRUE(what.starts_with(std::to_string(error.line) + ":" + std::to_string(error.column) + ": expected "))
        << what;
    return what;
  }
}

// The declaration as it is printed, "a: " aside.
std::string Declared(const std::string& text) {
  const Script script = Parse("a: " + text + "; bind a");
  return SocketText("a", script.scenario.sockets[0]).substr(3);
}

std::string Printed(std::string_view text) {
  return Print(Parse(text));
}

TEST(Notation, ReadsEveryWord) {
  const Script script = Parse(
      "a: tcp 0.0.0.0 reuseport owner=1001   # the holder\n"
      "b: udp [::]:7778 v6only reuseaddr dev=v1\r\n"
      "\n"
      "unrelated 11\n"
      "bind a ; listen a => EADDRINUSE;\tset a reuseaddr off => ok\n"
      "set a reuseport on; own a 1002;time_wait a;bind b;close b");

  const model::Socket a{.protocol = Protocol::kTcp, .address = {Kind::kIpv4, 0}, .reuse_port = true, .owner = 1001};
  const model::Socket b{.protocol = Protocol::kUdp,
                        .address = {Kind::kIpv6, 0},
                        .v6only = true,
                        .reuse_addr = true,
                        .device = 2,
                        .port = 1};
  const std::vector<model::Step> steps = {
      {.op = Op::kBind},
      {.op = Op::kListen},
      {.op = Op::kSet, .option = model::Option::kReuseAddr, .on = false},
      {.op = Op::kSet, .option = model::Option::kReusePort, .on = true},
      {.op = Op::kOwn, .owner = 1002},
      {.op = Op::kTimeWait},
      {.op = Op::kBind, .socket = 1},
      {.op = Op::kClose, .socket = 1},
  };
  const model::Scenario scenario{.sockets = {a, b}, .steps = steps, .unrelated = 11};
  EXPECT_EQ(script.scenario, scenario);
  EXPECT_EQ(script.names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(script.expected, (std::vector<std::optional<int>>{{}, EADDRINUSE, 0, {}, {}, {}, {}, {}}));
}

TEST(Notation, PrintsALineForEach) {
  EXPECT_EQ(Printed("unrelated 3;one_2: mptcp ::1;bind one_2=>ok;b:udplite 127.0.0.1 device=v0 owner=7 # b\n"
                    "chown b 8 => errno 524;set b reuseport=1;set b reuseaddr 0;time_wait one_2;listen b;close b"),
            "one_2: mptcp [::1]\n"
            "b: udplite 127.0.0.1 owner=7 dev=v0\n"
            "unrelated 3\n"
            "bind one_2  => ok\n"
            "own b 8  => errno 524\n"
            "set b reuseport on\n"
            "set b reuseaddr off\n"
            "time_wait one_2\n"
            "listen b\n"
            "close b\n");
  Script script = Parse("a: tcp 0.0.0.0; bind a => ok");
  script.expected.clear();
  EXPECT_EQ(Print(script), "a: tcp 0.0.0.0\nbind a\n");
}

TEST(Notation, HasOneSpellingOfEachDeclaration) {
  struct Row {
    std::string text;
    std::string printed;
  };
  const std::vector<Row> rows = {
      {"tcp 0.0.0.0", "tcp 0.0.0.0"},
      {"tcp 127.255.0.9", "tcp 127.255.0.9"},
      {"tcp ::", "tcp [::]"},
      {"tcp [::1]", "tcp [::1]"},
      {"tcp ::ffff:0.0.0.0", "tcp [::ffff:0.0.0.0]"},
      {"tcp [::ffff:127.0.0.2]", "tcp [::ffff:127.0.0.2]"},
      {"tcp ::FFFF:7f00:2", "tcp [::ffff:127.0.0.2]"},
      {"tcp 127.0.0.1:7777", "tcp 127.0.0.1"},
      {"tcp 127.0.0.1:1", "tcp 127.0.0.1:1"},
      {"tcp [::1]:65535", "tcp [::1]:65535"},
      {"tcp [::ffff:127.0.0.1]:7778", "tcp [::ffff:127.0.0.1]:7778"},
      {"udp :: dev=v1 owner=4294967294 reuseport reuseaddr v6only",
       "udp [::] v6only reuseaddr reuseport owner=4294967294 dev=v1"},
      {"udp 0.0.0.0 device=v0 owner=0", "udp 0.0.0.0 dev=v0"},
      {"mptcp [::] reuseaddr=1 reuseport=0 v6only=0", "mptcp [::] reuseaddr"},
  };
  for (const Row& row : rows) EXPECT_EQ(Declared(row.text), row.printed) << row.text;
}

TEST(Notation, CountsPortsFromTheScenariosOwn) {
  const auto offset = [](const std::string& port) {
    return Parse("a: tcp 0.0.0.0:" + port + ";bind a").scenario.sockets[0].port;
  };
  EXPECT_EQ(offset("7777"), 0);
  EXPECT_EQ(offset("7780"), 3);
  EXPECT_EQ(offset("7776"), 65535);
}

TEST(Notation, TakesThePortOfTheFirstBind) {
  EXPECT_EQ(Printed("a: tcp 0.0.0.0; bind a 0.0.0.0:8000; bind a 0.0.0.0"), "a: tcp 0.0.0.0:8000\nbind a\nbind a\n");
  EXPECT_EQ(Trouble("a: tcp 0.0.0.0; bind a 0.0.0.0:8000; bind a 0.0.0.0:8001"),
            "1:45: expected port 8000 as before, found \"0.0.0.0:8001\"");
  EXPECT_EQ(Trouble("a: tcp 0.0.0.0; bind a; bind a 0.0.0.0:8000"),
            "1:32: expected port 7777 as before, found \"0.0.0.0:8000\"");
  EXPECT_EQ(Trouble("a: tcp 0.0.0.0:7777; bind a 0.0.0.0:8000"),
            "1:29: expected port 7777 as before, found \"0.0.0.0:8000\"");
}

TEST(Notation, TakesTheStepsOfAFailureBack) {
  EXPECT_EQ(Printed("        steps:\n"
                    "          a: tcp 127.0.0.1 reuseport owner=1001\n"
                    "          bind a 127.0.0.1:7777  => ok\n"
                    "          b: tcp 127.0.0.1 reuseport owner=1002\n"
                    "          bind b 127.0.0.1:7777  => EADDRINUSE   <-- wanted ok\n"),
            "a: tcp 127.0.0.1 reuseport owner=1001\n"
            "b: tcp 127.0.0.1 reuseport owner=1002\n"
            "bind a  => ok\n"
            "bind b  => EADDRINUSE\n");
}

// A story as the journal tells it.
class NotationInNetwork : public InNetwork {
 protected:
  static std::string Story() {
    std::string story;
    for (const std::string& line : Journal::Get().lines()) story += line + "\n";
    return story;
  }
};

TEST_F(NotationInNetwork, TakesTheJournalBack) {
  Socket a = Tcp(MappedLoopback()).ReusePort().Bound(kPort).Listening();
  a.Set(so::kReusePort, 0);
  a.Set(so::kReuseAddr, 1);
  a.ChangeOwner(Root());
  Socket b = Udp(Any6()).Set(so::kV6Only, 1).Made();
  b.Listen();
  b.Bind(kPort + 1);
  b.Close();
  EXPECT_EQ(Printed(Story()),
            "a: tcp [::ffff:127.0.0.1] reuseport\n"
            "b: udp [::]:7778 v6only\n"
            "bind a  => ok\n"
            "listen a  => ok\n"
            "set a reuseport off  => ok\n"
            "set a reuseaddr on  => ok\n"
            "own a 0  => ok\n"
            "listen b  => EOPNOTSUPP\n"
            "bind b  => ok\n"
            "close b\n")
      << Story();
}

TEST(Notation, DropsRemarksButNoStep) {
  EXPECT_EQ(Printed("a: tcp 0.0.0.0;bind a => ok (the first; #1 (of 2)) <-- wanted (; listen a => EINVAL () (x)  # (\n"
                    "close a => ok <-- wanted EBADF # (\n"),
            "a: tcp 0.0.0.0\nbind a  => ok\nlisten a  => EINVAL\nclose a  => ok\n");
}

TEST(Notation, SaysWhatIsWrongAndWhere) {
  struct Row {
    std::string text;
    std::string trouble;
  };
  const std::string address =
      "expected an address (0.0.0.0, 127.x.y.z, [::], [::1], [::ffff:0.0.0.0] or [::ffff:127.x.y.z])";
  const std::vector<Row> rows = {
      {"", "1:1: expected a step, found the end of the text"},
      {"a: tcp 0.0.0.0\n# bind a\n", "3:1: expected a step, found the end of the text"},
      {"steps:", "1:7: expected a step, found the end of the text"},
      {"a: tcp 0.0.0.0\nb: tcp 0.0.0.0\nbind zz", "3:6: expected a socket's name, found \"zz\"; declared are a, b"},
      {"bind a", "1:6: expected a socket's name, found \"a\"; none is declared yet"},
      {"a: tcp 0.0.0.0\nbind", "2:5: expected a socket's name, found the end of the text; declared are a"},
      {"a: tcp 0.0.0.0\nbind # a", "2:6: expected a socket's name, found the end of the line; declared are a"},
      {"a: tcp 0.0.0.0;bind ;", "1:21: expected a socket's name, found \";\"; declared are a"},
      {"\n  bnd a",
       "2:3: expected a declaration (NAME: PROTOCOL ADDRESS) or a step (bind, listen, close, set, own, time_wait; "
       "before the first, unrelated), found \"bnd\""},
      {"A: tcp 0.0.0.0", "1:1: expected a name of a-z, 0-9 and _ that starts with a letter, found \"A\""},
      {"1a: tcp 0.0.0.0", "1:1: expected a name of a-z, 0-9 and _ that starts with a letter, found \"1a\""},
      {": tcp 0.0.0.0", "1:1: expected a name of a-z, 0-9 and _ that starts with a letter, found \":\""},
      {"a: tcp 0.0.0.0\na: udp 0.0.0.0", "2:1: expected a new name, found \"a\""},
      {"a: sctp 0.0.0.0", "1:4: expected tcp, udp, mptcp or udplite, found \"sctp\""},
      {"a:\r\n", "1:4: expected tcp, udp, mptcp or udplite, found the end of the line"},
      {"a: tcp", "1:7: " + address + ", found the end of the text"},
      {"a: tcp 10.0.0.1", "1:8: " + address + ", found \"10.0.0.1\""},
      {"a: tcp 127.0.0.256", "1:8: " + address + ", found \"127.0.0.256\""},
      {"a: tcp [127.0.0.1]", "1:8: " + address + ", found \"[127.0.0.1]\""},
      {"a: tcp [::1", "1:8: " + address + ", found \"[::1\""},
      {"a: tcp [::1]80", "1:8: " + address + ", found \"[::1]80\""},
      {"a: tcp ::1:7777", "1:8: " + address + ", found \"::1:7777\""},
      {"a: tcp [::ffff:10.0.0.1]", "1:8: " + address + ", found \"[::ffff:10.0.0.1]\""},
      {"a: tcp [::2]", "1:8: " + address + ", found \"[::2]\""},
      {"a: tcp 0.0.0.0:0", "1:16: expected a port from 1 to 65535, found \"0\""},
      {"a: tcp 0.0.0.0:65536", "1:16: expected a port from 1 to 65535, found \"65536\""},
      {"a: tcp [::]:", "1:13: expected a port from 1 to 65535, found the end of the text"},
      {"a: tcp [::]:80:80", "1:13: expected a port from 1 to 65535, found \"80:80\""},
      {"a: tcp [::] reuse",
       "1:13: expected an option (v6only, reuseaddr, reuseport, owner=UID, dev=v0 or dev=v1), found \"reuse\""},
      {"a: tcp [::] reuseaddr v6only reuseaddr", "1:30: expected each option once, found \"reuseaddr\""},
      {"a: tcp [::] dev=v0 device=v0", "1:20: expected each option once, found \"device=v0\""},
      {"a: tcp [::] dev=v2", "1:17: expected v0 or v1, found \"v2\""},
      {"a: tcp [::] owner=bob", "1:19: expected a uid from 0 to 4294967294, found \"bob\""},
      {"a: tcp [::] owner=-1", "1:19: expected a uid from 0 to 4294967294, found \"-1\""},
      {"a: tcp [::] owner=4294967295", "1:19: expected a uid from 0 to 4294967294, found \"4294967295\""},
      {"a: tcp [::] owner", "1:18: expected a uid from 0 to 4294967294, found the end of the text"},
      {"a: tcp [::] reuseport=2", "1:23: expected on or off, found \"2\""},
      {"a: tcp 0.0.0.0 v6only", "1:16: expected an option that an IPv4 socket has, found \"v6only\""},
      {"a: tcp 0.0.0.0 => ok",
       "1:16: expected an option (v6only, reuseaddr, reuseport, owner=UID, dev=v0 or dev=v1), found \"=>\""},
      {"a: tcp 0.0.0.0; bind a 0.0.0.1", "1:24: " + address + ", found \"0.0.0.1\""},
      {"a: tcp 0.0.0.0; bind a 127.0.0.1:7777", "1:24: expected 0.0.0.0 as declared, found \"127.0.0.1:7777\""},
      {"a: tcp [::]; bind a 0.0.0.0", "1:21: expected [::] as declared, found \"0.0.0.0\""},
      {"a: tcp 0.0.0.0; listen a 5", "1:26: expected the end of the step, found \"5\""},
      {"a: tcp 0.0.0.0; set a v6only on", "1:23: expected reuseaddr or reuseport, found \"v6only\""},
      {"a: tcp 0.0.0.0; set a reuseport yes", "1:33: expected on or off, found \"yes\""},
      {"a: tcp 0.0.0.0; set a reuseport", "1:32: expected on or off, found the end of the text"},
      {"a: tcp 0.0.0.0; own a root", "1:23: expected a uid from 0 to 4294967294, found \"root\""},
      {"a: tcp 0.0.0.0\nclose a\nbind a", "3:6: expected a socket that is open, found \"a\", closed in line 2"},
      {"a: tcp 0.0.0.0\ntime_wait a\nclose a", "3:7: expected a socket that is open, found \"a\", closed in line 2"},
      {"a: udp 0.0.0.0; time_wait a", "1:27: expected a tcp or mptcp socket, found \"a\", which is udp"},
      {"a: udplite 0.0.0.0; time_wait a", "1:31: expected a tcp or mptcp socket, found \"a\", which is udplite"},
      {"a: tcp 0.0.0.0 dev=v0; time_wait a", "1:34: expected a socket without a device, found \"a\""},
      {"unrelated 1001", "1:11: expected a number from 0 to 1000, found \"1001\""},
      {"unrelated 0; unrelated 0", "1:14: expected \"unrelated\" once, found \"unrelated\""},
      {"a: tcp 0.0.0.0; bind a; unrelated 2",
       "1:25: expected \"unrelated\" before the first step, found \"unrelated\""},
      {"unrelated 1 => ok", "1:13: expected the end of the step, found \"=>\""},
      {"a: tcp 0.0.0.0; bind a =>", "1:26: expected ok or an errno's name, found the end of the text"},
      {"a: tcp 0.0.0.0; bind a => EPORT", "1:27: expected ok or an errno's name, found \"EPORT\""},
      {"a: tcp 0.0.0.0; bind a => errno 4096", "1:33: expected a number from 1 to 4095, found \"4096\""},
      {"a: tcp 0.0.0.0; bind a => ok => ok", "1:30: expected the end of the step, found \"=>\""},
      {"a: tcp 0.0.0.0; bind a => ok wanted", "1:30: expected the end of the step, found \"wanted\""},
      {"a: tcp 0.0.0.0; bind a => ok (so\n)", "1:33: expected ), found the end of the line"},
      {"# caf\xc3\xa9", "1:6: expected printable ASCII, found \"\\xc3\""},
      {std::string("a: tcp 0.0.0.0\nbind\0a", 21), "2:5: expected printable ASCII, found \"\\x00\""},
      {"\x1b[31m", "1:1: expected printable ASCII, found \"\\x1b\""},
  };
  for (const Row& row : rows) EXPECT_EQ(Trouble(row.text), row.trouble) << row.text;
}

TEST(Notation, KeepsMessagesShort) {
  EXPECT_EQ(Trouble("a: tcp 0.0.0.0; bind " + std::string(1000, 'z')),
            "1:22: expected a socket's name, found \"" + std::string(30, 'z') + "...\"; declared are a");
  std::string text;
  for (const std::string& name : DefaultNames(11)) text += name + ": tcp 0.0.0.0\n";
  EXPECT_EQ(Trouble(text + "bind z"),
            "12:6: expected a socket's name, found \"z\"; declared are a, b, c, d, e, f, g, h, i, j, ...");
}

TEST(Notation, TakesTenThousandSteps) {
  std::string text = "a: tcp 0.0.0.0\n";
  for (int step = 0; step < 10'000; ++step) text += "bind a 0.0.0.0:7777 => EADDRINUSE (again)\n";
  EXPECT_EQ(Parse(text).scenario.steps.size(), 10'000U);
  EXPECT_EQ(Trouble(text + "bind a"), "10002:1: expected at most 10000 steps, found \"bind\"");
}

TEST(Notation, TakesAThousandSockets) {
  std::string text;
  for (const std::string& name : DefaultNames(1'000)) text += name + ": tcp 0.0.0.0\n";
  EXPECT_EQ(Parse(text + "bind a").scenario.sockets.size(), 1'000U);
  EXPECT_EQ(Trouble(text + "one_more: tcp 0.0.0.0\n"), "1001:1: expected at most 1000 sockets, found \"one_more\"");
}

TEST(Notation, AnswersRubbishAtOnce) {
  constexpr size_t kMebibyte = 1U << 20U;
  std::mt19937 random(1);
  std::vector<std::string> texts(2, std::string(kMebibyte, ' '));
  for (char& byte : texts[0]) byte = static_cast<char>(random() & 0xffU);
  for (char& byte : texts[1]) byte = static_cast<char>(' ' + random() % 95);
  for (const char byte : std::string(" \n;#:[(=>a1.")) texts.emplace_back(kMebibyte, byte);
  const std::string step = "a: tcp 0.0.0.0; bind a";
  for (const std::string more : {" => ok ()", " => ok <--", " ", "=", ";;", "\n#"}) {
    texts.push_back(step);
    while (texts.back().size() < kMebibyte) texts.back() += more;
  }
  texts.push_back(step + " => ok " + std::string(kMebibyte, '('));
  texts.push_back(step + "; bind " + std::string(kMebibyte, 'b'));
  texts.push_back("a: tcp " + std::string(kMebibyte, ':'));
  texts.push_back("a: tcp [::] owner=" + std::string(kMebibyte, '9'));

  const std::clock_t began = std::clock();
  for (const std::string& text : texts) EXPECT_LT(Trouble(text).size(), 300U);
  // Processor time: whoever else is busy here does not count.
  EXPECT_LT((std::clock() - began) / CLOCKS_PER_SEC, 5);
}

// Any script that the notation can write.
class RandomScript {
 public:
  explicit RandomScript(unsigned seed) : random_(seed) {}

  Script Made() {
    Script script;
    const uint32_t sockets = 1 + Below(5);
    script.names = DefaultNames(sockets);
    for (uint32_t place = 0; place < sockets; ++place) script.scenario.sockets.push_back(Declaration());
    if (Below(3) == 0) script.scenario.unrelated = static_cast<int>(1 + Below(kMostUnrelated));
    std::vector<bool> closed(sockets);
    const uint32_t steps = 1 + Below(12);
    for (uint32_t step = 0; step < steps; ++step) {
      const uint32_t place = Below(sockets);
      if (closed[place]) continue;
      script.scenario.steps.push_back(Step(script.scenario.sockets[place], place));
      const Op op = script.scenario.steps.back().op;
      closed[place] = op == Op::kClose || op == Op::kTimeWait;
      script.expected.push_back(Answer());
    }
    return script;
  }

  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }

 private:
  bool Coin() { return Below(2) == 1; }
  uint32_t Owner() { return Coin() ? 1000 + Below(3) : Below(UINT32_MAX); }

  model::Socket Declaration() {
    model::Socket socket{.protocol = static_cast<Protocol>(Below(4)), .address = {static_cast<Kind>(Below(3)), 0}};
    socket.reuse_addr = Coin();
    socket.reuse_port = Coin();
    socket.device = static_cast<uint8_t>(Below(3));
    socket.owner = Owner();
    if (Coin()) socket.address.bits = socket.address.kind == Kind::kIpv6 ? 1 : 0x7f000000 + Below(1U << 24U);
    if (socket.address.kind != Kind::kIpv4) socket.v6only = Coin();
    if (Coin()) socket.port = static_cast<uint16_t>(1 + Below(UINT16_MAX) - kScenarioPort);
    return socket;
  }

  model::Step Step(const model::Socket& socket, uint32_t place) {
    model::Step step{.op = static_cast<Op>(Below(6)), .socket = static_cast<uint16_t>(place)};
    if (step.op == Op::kTimeWait && (!IsStream(socket.protocol) || socket.device != 0)) step.op = Op::kListen;
    if (step.op == Op::kSet) {
      step.option = static_cast<model::Option>(Below(2));
      step.on = Coin();
    }
    if (step.op == Op::kOwn) step.owner = Owner();
    return step;
  }

  std::optional<int> Answer() {
    if (Coin()) return {};
    return Coin() ? 0 : static_cast<int>(1 + Below(kMostErrno));
  }

  std::mt19937 random_;
};

TEST(Notation, TakesBackWhatItPrints) {
  for (unsigned seed = 1; seed <= 3'000; ++seed) {
    const Script script = RandomScript(seed).Made();
    const std::string printed = Print(script);
    ASSERT_EQ(Trouble(printed), "taken") << "seed " << seed << "\n" << printed;
    ASSERT_EQ(Parse(printed), script) << "seed " << seed << "\n" << printed;
    ASSERT_EQ(Print(Parse(printed)), printed) << "seed " << seed;
  }
}

TEST(Notation, SurvivesATypo) {
  for (unsigned seed = 1; seed <= 3'000; ++seed) {
    RandomScript random(seed);
    std::string text = Print(random.Made());
    text[random.Below(static_cast<uint32_t>(text.size()))] = static_cast<char>(random.Below(256));
    if (const std::string trouble = Trouble(text); trouble != "taken") {
      EXPECT_LT(trouble.size(), 300U) << "seed " << seed << "\n" << text;
      continue;
    }
    const std::string printed = Printed(text);
    ASSERT_EQ(Printed(printed), printed) << "seed " << seed << "\n" << text;
  }
}

TEST(Notation, NamesSocketsAsTheJournalDoes) {
  const std::vector<std::string> names = DefaultNames(53);
  Journal::Get().Begin("unit", std::chrono::seconds(30));
  for (const std::string& name : names) EXPECT_EQ(name, Journal::Get().NextName());
  Journal::Get().End();
}

TEST(ErrnoNumber, IsTheInverseOfTheName) {
  for (int error = 1; error <= kMostErrno; ++error) {
    const std::string name = ErrnoName(error);
    if (name.starts_with("errno ")) continue;
    EXPECT_EQ(ErrnoNumber(name), error) << name;
  }
  EXPECT_EQ(ErrnoNumber("EADDRINUSE"), EADDRINUSE);
  EXPECT_EQ(ErrnoNumber("0"), std::nullopt);
  EXPECT_EQ(ErrnoNumber("EADDRINUS"), std::nullopt);
}

}  // namespace
}  // namespace portshare
