// Scenarios as C programs: they compile without a warning, and their exit code is the answer.
#include "harness/explore/reproduce.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "harness/need.h"
#include "model/machine.h"
#include "netns/cannot_ask.h"
#include "netns/private_network.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kCannot = 2;
constexpr uid_t kNobody = 65534;

struct Ended {
  int exit = -1;
  std::string output;
};

// What a child does before it becomes the program; false where it cannot.
using Before = std::function<bool()>;

class ReproduceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (BecomeNamespaceRoot() == Privilege::kNone) GTEST_SKIP() << PrivilegeTrouble();
    std::string folder = testing::TempDir() + "portshare_reproduce.XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    std::filesystem::permissions(folder_, std::filesystem::perms(0755));
    if (Start({"cc", "--version"}).exit != 0) GTEST_SKIP() << "no cc in PATH";
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  Ended Start(const std::vector<std::string>& words, const Before& before = nullptr) const {
    constexpr int kNotStarted = 127;
    const pid_t child = fork();
    if (child == 0) {
      const int output = open(Path("output").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
      if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 || close(output) != 0) _exit(kNotStarted);
      if (before && !before()) _exit(kNotStarted);
      std::vector<char*> arguments;
      for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
      arguments.push_back(nullptr);
      execvp(arguments[0], arguments.data());
      _exit(kNotStarted);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadFile(Path("output"))};
  }

  // With every warning an error.
  void Compile(const std::string& program, const std::vector<std::string>& more = {}) const {
    std::ofstream(Path("scenario.c")) << program;
    std::vector<std::string> words = {"cc",      "-std=gnu11",       "-Wall", "-Wextra",       "-Wconversion",
                                      "-Werror", Path("scenario.c"), "-o",    Path("scenario")};
    words.insert(words.end(), more.begin(), more.end());
    const Ended compiled = Start(words);
    ASSERT_EQ(compiled.exit, 0) << compiled.output << program;
  }

  Ended Ask(const Before& before = nullptr) const { return Start({Path("scenario")}, before); }

 private:
  std::filesystem::path folder_;
};

std::vector<int> Expected(const Script& script) {
  std::vector<int> expected;
  for (const std::optional<int>& error : script.expected) expected.push_back(error.value_or(0));
  return expected;
}

// As the model explains itself.
std::string Program(const Script& script, const std::vector<int>& expected) {
  std::vector<std::string> reasons;
  model::Machine machine(model::Epoch{});
  machine.Begin(script.scenario);
  for (const model::Step& step : script.scenario.steps) reasons.push_back(Explain(machine.Do(step), script.names));
  return CProgram(script, expected, reasons);
}

std::string Program(const std::string& text) {
  const Script script = Parse(text);
  return Program(script, Expected(script));
}

struct Row {
  const char* name;
  const char* text;  // without "=>": ok
  const Need* need = nullptr;

  friend std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }
};

constexpr Row kRows[] = {
    {"two_sockets",
     "a: tcp 0.0.0.0 reuseaddr; b: tcp 127.0.0.1 reuseaddr; bind a; listen a; bind b => EADDRINUSE; close a; bind b"},
    {"options", R"(
        a: tcp 127.0.0.1; b: tcp 127.0.0.1 reuseaddr; c: tcp 127.0.0.1 reuseaddr reuseport
        bind a; bind b => EADDRINUSE
        set a reuseaddr on; bind b; listen a; listen b => EADDRINUSE; close a
        set c reuseaddr off; bind c => EADDRINUSE; set b reuseport on; bind c)"},
    {"ports_and_protocols", R"(
        a: tcp 127.0.0.1; b: tcp 127.0.0.1:7778; c: udp 127.0.0.1; d: tcp 127.0.0.1:7778
        bind a; bind b; bind c; bind d => EADDRINUSE; bind a => EINVAL; listen c => EOPNOTSUPP)"},
    {"ipv6", R"(
        a: tcp [::] v6only; b: tcp 0.0.0.0; c: tcp [::ffff:127.0.0.1]; d: tcp [::ffff:127.0.0.1] v6only
        e: udp [::1]; f: udp [::]
        bind a; bind b; bind c => EADDRINUSE; bind d => EINVAL; bind e; bind f => EADDRINUSE)",
     &needs::kIpv6},
    {"owners", R"(
        a: tcp 0.0.0.0 reuseport owner=1001; b: tcp 127.0.0.1 reuseport owner=1002
        bind a; bind b => EADDRINUSE; own b 1001; bind b; own a 0)",
     &needs::kSecondOwner},
    {"devices", R"(
        a: udp 0.0.0.0 dev=v0; b: udp 0.0.0.0 dev=v1; c: udp 127.0.0.1 dev=v1; d: udp 127.0.0.1
        bind a; bind b; bind c => EADDRINUSE; bind d => EADDRINUSE)",
     &needs::kVeth},
    {"ipv6_and_devices", "a: tcp [::1] dev=v0; b: tcp [::1] dev=v1; c: tcp [::1]; bind a; bind b; bind c => EADDRINUSE",
     &needs::kIpv6},
    {"time_wait", R"(
        a: tcp 0.0.0.0 reuseaddr; b: tcp 127.0.0.1; c: tcp 127.0.0.1 reuseaddr; d: tcp 127.0.0.2
        bind a; time_wait a; bind b => EADDRINUSE; bind c; bind d; listen d; time_wait d => EISCONN)"},
    {"time_wait_over_ipv6", R"(
        a: tcp [::] reuseport; b: tcp [::1]; c: tcp [::1] reuseport; d: tcp [::ffff:127.0.0.1]; e: tcp 127.0.0.1
        bind a; time_wait a; bind b => EADDRINUSE; bind c; bind d; time_wait d; bind e => EADDRINUSE)",
     &needs::kIpv6},
    {"mptcp", R"(
        a: mptcp 127.0.0.1 reuseport; b: tcp 127.0.0.1 reuseport; c: mptcp 127.0.0.2; d: tcp 127.0.0.2
        bind a; listen a; bind b; listen b; bind c; time_wait c; bind d => EADDRINUSE)",
     &needs::kMptcp},
    {"udplite", "a: udplite 127.0.0.1; b: udplite 0.0.0.0; c: udp 0.0.0.0; bind a; bind b => EADDRINUSE; bind c",
     &needs::kUdpLite},
    // In a shorter slot the search of a kernel that asks no further ends at b.
    {"unrelated", R"(
        a: udp 127.0.0.1 dev=v1; b: udp 0.0.0.0 reuseport dev=v0; c: udp 127.0.0.1 reuseport; unrelated 11
        bind a; bind b; bind c => EADDRINUSE)",
     &needs::kVeth},
    // What has no step leaves no trace: no unused function, no need of root.
    {"unused", "a: tcp [::1] reuseaddr owner=1001 dev=v0; b: udp 127.0.0.1; listen b => EOPNOTSUPP"},
};

class ReproducesTest : public ReproduceTest, public testing::WithParamInterface<Row> {
 protected:
  void SetUp() override {
    ReproduceTest::SetUp();
    if (IsSkipped()) return;
    const Need* need = GetParam().need;
    if (const auto missing = need != nullptr ? Missing(*need) : std::nullopt) GTEST_SKIP() << *missing;
  }

 private:
  static std::optional<std::string> Missing(const Need& need) {
    const PrivateNetwork network;
    return need.probe();
  }
};

TEST_P(ReproducesTest, ExitsWith0AsExpected) {
  const std::string sanitizers = "-fsanitize=address,undefined";
  std::ofstream(Path("empty.c")) << "int main(void) { return 0; }\n";
  if (Start({"cc", sanitizers, "-o", Path("empty"), Path("empty.c")}).exit != 0) GTEST_SKIP() << "cc has no sanitizers";
  const Script script = Parse(GetParam().text);
  Compile(Program(GetParam().text), {sanitizers, "-fno-sanitize-recover=all"});

  const Ended run = Ask();
  if (run.output.find("udp_hash_entries") != std::string::npos) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.exit, 0) << run.output;
  EXPECT_EQ(std::ranges::count(run.output, '\n'), std::ssize(script.expected)) << run.output;
}

TEST_P(ReproducesTest, HasNoWarningOfClang) {
  if (Start({"clang", "--version"}).exit != 0) GTEST_SKIP() << "no clang in PATH";
  std::ofstream(Path("scenario.c")) << Program(GetParam().text);
  const Ended read = Start(
      {"clang", "-fsyntax-only", "-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror", Path("scenario.c")});
  EXPECT_EQ(read.exit, 0) << read.output;
}

TEST_P(ReproducesTest, ExitsWith1WhenOneAnswerDiffers) {
  const Script script = Parse(GetParam().text);
  std::vector<int> expected = Expected(script);
  expected.back() = expected.back() == 0 ? EADDRINUSE : 0;
  Compile(Program(script, expected));

  const Ended run = Ask();
  if (run.output.find("udp_hash_entries") != std::string::npos) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.exit, 1) << run.output;
}

INSTANTIATE_TEST_SUITE_P(Scenario, ReproducesTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

constexpr char kPair[] = "a: tcp 127.0.0.1; b: tcp 0.0.0.0; bind a; bind b => EADDRINUSE";

TEST_F(ReproduceTest, PrintsALineAStep) {
  Compile(Program("a: tcp 127.0.0.1; b: tcp 0.0.0.0; bind a; bind b => errno 524"));
  const Ended run = Ask();
  EXPECT_EQ(run.exit, 1);
  EXPECT_EQ(run.output,
            "bind a               ok            (expected ok)\n"
            "bind b               EADDRINUSE    (expected Unknown error 524)\n");
}

TEST_F(ReproduceTest, ExitsWith2WhenNoSocketCanBeMade) {
  Compile(Program(kPair));
  const Ended run = Ask([] {
    // What libc needs to start is closed again by then.
    const rlimit standard_and_one = {4, 4};
    return setrlimit(RLIMIT_NOFILE, &standard_and_one) == 0;
  });
  EXPECT_EQ(run.exit, kCannot);
  EXPECT_EQ(run.output,
            "bind a               ok            (expected ok)\ncannot ask: b: socket: Too many open files\n");
}

TEST_F(ReproduceTest, ExitsWith2WhenTimeIsUp) {
  std::string program = Program(kPair);
  const std::string in_time = "alarm(10)";
  ASSERT_NE(program.find(in_time), std::string::npos);
  Compile(program.replace(program.find(in_time), in_time.size(), "raise(SIGALRM)"));
  const Ended run = Ask();
  EXPECT_EQ(run.exit, kCannot);
  EXPECT_EQ(run.output, "cannot ask: no answer within 10 s\n");
}

bool BecomeNobody() {
  return setgroups(0, nullptr) == 0 && setgid(kNobody) == 0 && setuid(kNobody) == 0;
}

TEST_F(ReproduceTest, AsksOrdinaryUsersTooButNotForOtherOwners) {
  if (BecomeNamespaceRoot() == Privilege::kOneUid) GTEST_SKIP() << "no second uid here";
  Compile(Program("a: tcp 127.0.0.1 owner=1001; bind a"));
  const Ended owners = Ask(BecomeNobody);
  EXPECT_EQ(owners.exit, kCannot);
  EXPECT_THAT(owners.output, HasSubstr("cannot ask: its sockets have owners, which takes root"));

  if (Start({"true"}, [] { return BecomeNobody() && unshare(CLONE_NEWUSER) == 0; }).exit != 0) {
    GTEST_SKIP() << "ordinary users make no user namespaces here";
  }
  Compile(Program(kPair));
  const Ended run = Ask(BecomeNobody);
  EXPECT_EQ(run.exit, 0) << run.output;
}

TEST_F(ReproduceTest, ExitsWith2WhenTheUserNamespaceLacksTheOwner) {
  Compile(Program("a: tcp 127.0.0.1; bind a; own a 1001"));
  const Ended run = Ask([] {
    if (unshare(CLONE_NEWUSER) != 0) return false;
    std::ofstream map("/proc/self/uid_map");
    map << "0 0 1" << std::flush;
    return map.good();
  });
  if (run.exit == 127) GTEST_SKIP() << "no user namespace here";
  EXPECT_EQ(run.exit, kCannot);
  EXPECT_EQ(run.output, "cannot ask: fchown: Invalid argument\n");
}

TEST(CProgram, TellsTheScenarioAsItIsAsked) {
  const std::string text =
      "a: udp [::]:7778 v6only reuseaddr dev=v0; b: udp [::1]; unrelated 3; bind a; set b reuseport on; bind b => "
      "EPERM";
  Script script = Parse(text);
  std::istringstream lines(Program(text));
  std::string told;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(" *   ") && line.find("cc -Wall") == std::string::npos) told += line.substr(5) + "\n";
  }
  for (std::optional<int>& error : script.expected) error = error.value_or(0);
  EXPECT_EQ(Parse(told).scenario, script.scenario) << told;
  EXPECT_EQ(Parse(told).expected, script.expected) << told;
}

TEST(CProgram, ReasonsStandBelowTheirStepsAndFit80Columns) {
  std::istringstream lines(Program(kPair));
  std::vector<std::string> story;
  for (std::string line; std::getline(lines, line) && line != " */";) story.push_back(line);
  EXPECT_TRUE(std::ranges::all_of(story, [](const std::string& line) { return line.size() <= 80; }));
  const auto bind_b = std::ranges::find(story, " *   bind b  => EADDRINUSE");
  ASSERT_NE(bind_b, story.end());
  EXPECT_THAT(*(bind_b + 1), HasSubstr(" *     # they overlap"));
  EXPECT_THAT(*(bind_b + 2), HasSubstr("bind(2) EADDRINUSE"));
}

TEST(CProgram, HasOnlyWhatItsStepsUse) {
  const std::string pair = Program(kPair);
  EXPECT_LT(std::ranges::count(pair, '\n'), 160);
  for (const char* word : {"set_option", "fchown", "rtnetlink", "SO_LINGER", "AF_INET6", "MPTCP", "unrelated"}) {
    EXPECT_THAT(pair, Not(HasSubstr(word)));
  }
}

TEST(CProgram, NamesTheProtocols) {
  EXPECT_THAT(Program("a: mptcp 127.0.0.1; bind a"), HasSubstr("socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)"));
  EXPECT_THAT(Program("a: udplite [::]; bind a"), HasSubstr("socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE)"));
}

TEST_F(ReproduceTest, NoTextBreaksOutOfItsComment) {
  const Script script = Parse(kPair);
  const std::string nasty = "*/ int x; /*/ */*/ ?\?/ ?\?) \" ' \\ // \n #error \x80 \x01";
  const std::string program = CProgram(script, {0, EADDRINUSE}, {nasty, nasty + " \\"});
  Compile(program, {"-Wcomment", "-Wtrigraphs"});
  EXPECT_EQ(Ask().exit, 0);
}

TEST(CProgram, Port32768HasNoOtherInItsSlot) {
  EXPECT_THROW(Program("a: udp 127.0.0.1:32768; unrelated 1; bind a"), CannotAsk);
}

}  // namespace
}  // namespace portshare
