// Shrinking: a model with one rule broken stands for a kernel that differs.
#include "harness/explore/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "harness/explore/notation.h"
#include "model/machine.h"

namespace portshare {
namespace {

using model::Address;
using model::Machine;
using model::Mutant;
using model::Op;
using model::Option;
using model::Rule;
using model::Scenario;
using model::Step;

bool Differs(const Scenario& scenario, const Mutant& mutant) {
  Machine right(model::Epoch{});
  Machine broken(model::Epoch{}, mutant);
  right.Begin(scenario);
  broken.Begin(scenario);
  bool differs = false;
  for (const Step& step : scenario.steps) differs |= right.Do(step).error != broken.Do(step).error;
  return differs;
}

bool OwnersDiffer(const Scenario& scenario) {
  Machine machine(model::Epoch{});
  machine.Begin(scenario);
  bool seen = false;
  for (const Step& step : scenario.steps) seen |= machine.Do(step).rule == Rule::kOwnersDiffer;
  return seen;
}

std::string Text(const Scenario& scenario) {
  return Print({scenario, DefaultNames(scenario.sockets.size()), {}});
}

std::string Shrunk(const Scenario& scenario, const Mutant& mutant) {
  return Text(Shrink(scenario, [&](const Scenario& candidate) { return Differs(candidate, mutant); }));
}

std::string Shrunk(const std::string& text, const Mutant& mutant) {
  const Scenario scenario = Parse(text).scenario;
  EXPECT_TRUE(Differs(scenario, mutant)) << text;
  return Shrunk(scenario, mutant);
}

// The same scenario as the notation writes it.
std::string Normal(const std::string& text) {
  return Text(Parse(text).scenario);
}

constexpr Mutant kOwnersNotCompared = {.change = Mutant::Change::kAlways, .rule = Rule::kSharesByPort};
constexpr Mutant kAllShare = {.change = Mutant::Change::kAlways, .rule = Rule::kSharesByAddress};

TEST(Shrink, KeepsTheFewestStepsAndThePlainestSockets) {
  EXPECT_EQ(Shrunk("a: tcp [::1]:80 reuseaddr owner=7; b: mptcp [::]:80 v6only reuseport reuseaddr owner=1003 dev=v1;"
                   "c: tcp [::ffff:127.0.0.1]:80 reuseport owner=7; d: tcp [::]:80 reuseaddr owner=1003 dev=v1;"
                   "bind a; listen a; bind c; set b reuseaddr off; bind b; close a; bind d; close d",
                   kAllShare),
            Normal("a: tcp 127.0.0.1; b: tcp 127.0.0.1; bind a; bind b"));
}

TEST(Shrink, KeepsTwoOwnersWhereTheyMatter) {
  const Scenario found =
      Parse(
          "x: tcp [::1] owner=5; a: tcp [::] reuseaddr reuseport owner=1002 dev=v1; b: tcp [::1] reuseport owner=1001;"
          "bind a; bind b; bind x")
          .scenario;
  EXPECT_EQ(Text(Shrink(found, OwnersDiffer)),
            Normal("a: tcp 127.0.0.1 reuseport owner=1001; b: tcp 127.0.0.1 reuseport owner=1002; bind a; bind b"));
}

// The hint admits who looks like its writer: a wildcard is what it takes to be asked.
TEST(Shrink, DeclaresWhatIsSetBeforeItMatters) {
  EXPECT_EQ(Shrunk("a: tcp 127.0.0.1; b: tcp 0.0.0.0 owner=9; set a reuseport on; bind a; own b 0; set b reuseport on;"
                   "bind b",
                   {.change = Mutant::Change::kNever, .rule = Rule::kSharesByPort}),
            Normal("a: tcp 127.0.0.1 reuseport; b: tcp 0.0.0.0 reuseport; bind a; bind b"));
}

TEST(Shrink, KeepsTheStepThatMattersTwice) {
  EXPECT_EQ(Shrunk("a: tcp 127.0.0.2 reuseaddr owner=3; b: tcp 0.0.0.0 reuseaddr reuseport owner=4;"
                   "c: tcp 127.0.0.2 dev=v1; bind a; bind a; bind c; bind b; listen b",
                   {.change = Mutant::Change::kNever, .rule = Rule::kBoundAlready}),
            Normal("a: tcp 127.0.0.1; bind a; bind a"));
}

TEST(Shrink, KeepsAsManyUnrelatedSocketsAsItTakes) {
  constexpr uint8_t kWildcardMissed = 3;
  ASSERT_EQ(model::kEpochs[kWildcardMissed].field, &model::Epoch::udp_wildcard_missed_in_long_slots);
  EXPECT_EQ(Shrunk("a: udp 127.0.0.2 owner=1002; b: udp [::1] reuseport; c: udp [::] reuseport; unrelated 400;"
                   "bind b; bind a; bind c",
                   {.change = Mutant::Change::kEpoch, .tweak = kWildcardMissed}),
            Normal("a: udp 127.0.0.1; b: udp 0.0.0.0; unrelated 10; bind a; bind b"));
}

TEST(Shrink, DropsASocketWhoseStepsNeedEachOther) {
  const auto differs = [](const Scenario& scenario) {
    const auto count = [&](Op op) {
      return std::count_if(scenario.steps.begin(), scenario.steps.end(),
                           [=](const Step& step) { return step.op == op; });
    };
    return Differs(scenario, kAllShare) && count(Op::kClose) == count(Op::kListen);
  };
  const Scenario found =
      Parse("a: tcp 0.0.0.0; b: tcp 0.0.0.0; c: tcp [::1]; bind c; listen c; bind a; bind b; close c").scenario;
  EXPECT_EQ(Text(Shrink(found, differs)), Normal("a: tcp 127.0.0.1; b: tcp 127.0.0.1; bind a; bind b"));
}

TEST(Shrink, ChangesAnOwnerToOneThatIsThere) {
  const auto owned = [](const Scenario& scenario) {
    return std::any_of(scenario.steps.begin(), scenario.steps.end(), [](const Step& s) { return s.op == Op::kOwn; });
  };
  const Scenario found = Parse("a: tcp 0.0.0.0 owner=7; b: tcp [::] owner=5; own a 3; bind b; bind a").scenario;
  EXPECT_EQ(Text(Shrink(found, owned)), Normal("a: tcp 127.0.0.1; own a 0"));

  // A step that changes nothing: socket and step can only change together.
  const auto owned_by_itself = [&](const Scenario& scenario) {
    return owned(scenario) && scenario.sockets[0].owner == scenario.steps[0].owner;
  };
  EXPECT_EQ(Text(Shrink(Parse("a: tcp 0.0.0.0 owner=7; own a 7").scenario, owned_by_itself)),
            Normal("a: tcp 127.0.0.1; own a 0"));

  const auto owned_beside_another = [&](const Scenario& scenario) { return owned(scenario) && OwnersDiffer(scenario); };
  const Scenario beside = Parse(
                              "a: tcp 0.0.0.0 reuseport owner=7; b: tcp 0.0.0.0 reuseport owner=5; bind a; own a 3;"
                              "bind b")
                              .scenario;
  EXPECT_EQ(Text(Shrink(beside, owned_beside_another)),
            Normal("a: tcp 127.0.0.1 reuseport owner=1001; b: tcp 127.0.0.1 reuseport owner=1002; bind a; own a 1001;"
                   "bind b"));
}

// What is asked about on the way can be written, too.
TEST(Shrink, LeavesAScenarioThatTheNotationHas) {
  const Scenario found = Parse("a: tcp [::] v6only; b: udp [::1] v6only; bind a; bind b").scenario;
  for (const bool v6only : {false, true}) {
    const Scenario shrunk = Shrink(found, [=](const Scenario& scenario) {
      EXPECT_EQ(Parse(Text(scenario)).scenario, scenario);
      return !v6only || scenario.sockets[0].v6only;
    });
    EXPECT_EQ(Text(shrunk), Normal(v6only ? "a: tcp [::1] v6only; bind a" : "a: tcp 127.0.0.1; bind a"));
  }
}

// Sockets of every kind, and steps on those that are open.
Scenario Walk(std::mt19937& random) {
  const auto below = [&random](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  constexpr Address kAddresses[] = {{Address::Kind::kIpv4, 0},           {Address::Kind::kIpv4, 0x7f000001},
                                    {Address::Kind::kIpv4, 0x7f000002},  {Address::Kind::kIpv6, 0},
                                    {Address::Kind::kIpv6, 1},           {Address::Kind::kMapped, 0},
                                    {Address::Kind::kMapped, 0x7f000001}};
  Scenario scenario;
  const model::Protocol protocol = below(2) == 0 ? model::Protocol::kTcp : model::Protocol::kUdp;
  for (int socket = 0; socket < 4; ++socket) {
    const Address address = kAddresses[below(7)];
    scenario.sockets.push_back({.protocol = protocol,
                                .address = address,
                                .v6only = address.kind == Address::Kind::kIpv6 && below(2) == 0,
                                .reuse_addr = below(2) == 0,
                                .reuse_port = below(2) == 0,
                                .device = static_cast<uint8_t>(below(3)),
                                .owner = 1001 + below(2)});
  }
  std::set<uint16_t> gone;
  for (int step = 0; step < 12; ++step) {
    const auto socket = static_cast<uint16_t>(below(4));
    if (gone.contains(socket)) continue;
    const unsigned dice = below(10);
    const Op op = dice < 5    ? Op::kBind
                  : dice < 7  ? Op::kListen
                  : dice == 7 ? Op::kSet
                  : dice == 8 ? Op::kOwn
                              : Op::kClose;
    Step made = {.op = op, .socket = socket};
    if (op == Op::kSet) made.option = below(2) == 0 ? Option::kReuseAddr : Option::kReusePort;
    if (op == Op::kSet) made.on = below(2) == 0;
    if (op == Op::kOwn) made.owner = 1001 + below(2);
    if (op == Op::kClose) gone.insert(socket);
    scenario.steps.push_back(made);
  }
  return scenario;
}

using Predicate = std::function<bool(const Scenario&)>;

// Those of many walks of which it is true.
std::vector<Scenario> Found(const Predicate& differs) {
  std::mt19937 random(1);
  std::vector<Scenario> found;
  for (int walk = 0; walk < 5'000; ++walk) {
    const Scenario scenario = Walk(random);
    if (differs(scenario)) found.push_back(scenario);
  }
  return found;
}

TEST(Shrink, EndsWhereNoStepCanBeSparedInATextThatIsReadBack) {
  const Predicate differs = [](const Scenario& scenario) { return Differs(scenario, kOwnersNotCompared); };
  const std::vector<Scenario> found = Found(differs);
  EXPECT_GT(found.size(), 500U);
  for (const Scenario& scenario : found) {
    const Scenario shrunk = Shrink(scenario, differs);
    EXPECT_TRUE(differs(shrunk));
    EXPECT_EQ(Parse(Text(shrunk)).scenario, shrunk) << Text(shrunk);
    for (size_t step = 0; step < shrunk.steps.size(); ++step) {
      Scenario shorter = shrunk;
      shorter.steps.erase(shorter.steps.begin() + static_cast<std::ptrdiff_t>(step));
      EXPECT_FALSE(differs(shorter)) << Text(shrunk) << "without step " << step;
    }
  }
}

TEST(Shrink, EndsFindsOfOneKindInOneText) {
  const Predicate differs = [](const Scenario& scenario) { return Differs(scenario, kAllShare); };
  const std::vector<Scenario> found = Found(differs);
  EXPECT_GT(found.size(), 500U);
  std::set<std::string> texts;
  for (const Scenario& scenario : found) texts.insert(Text(Shrink(scenario, differs)));
  for (const std::string protocol : {"tcp", "udp"}) {
    EXPECT_EQ(texts.count(Normal("a: " + protocol + " 127.0.0.1; b: " + protocol + " 127.0.0.1; bind a; bind b")), 1U);
  }
  EXPECT_EQ(texts.size(), 2U);
}

// The same with other names for everything: owners, devices and loopbacks exchanged, sockets the other way round.
Scenario Renamed(Scenario scenario) {
  for (model::Socket& socket : scenario.sockets) {
    socket.owner = 2003 - socket.owner;
    if (socket.device != 0) socket.device = static_cast<uint8_t>(3 - socket.device);
    if (socket.address.kind != Address::Kind::kIpv6 && !socket.address.wildcard()) socket.address.bits ^= 3;
  }
  std::reverse(scenario.sockets.begin(), scenario.sockets.end());
  for (Step& step : scenario.steps) {
    step.socket = static_cast<uint16_t>(scenario.sockets.size() - 1 - step.socket);
    if (step.op == Op::kOwn) step.owner = 2003 - step.owner;
  }
  return scenario;
}

TEST(Shrink, DoesNotDependOnNames) {
  const Predicate remembered = [](const Scenario& scenario) {
    Machine machine(model::Epoch{});
    machine.Begin(scenario);
    return std::any_of(scenario.steps.begin(), scenario.steps.end(),
                       [&](const Step& step) { return machine.Do(step).remembered(); });
  };
  const std::vector<Scenario> found = Found(remembered);
  EXPECT_GT(found.size(), 20U);
  for (const Scenario& scenario : found) {
    EXPECT_EQ(Text(Shrink(Renamed(scenario), remembered)), Text(Shrink(scenario, remembered))) << Text(scenario);
  }
}

TEST(Shrink, AsksAtMostSoOften) {
  Scenario scenario = Parse("a: tcp 0.0.0.0 owner=1001; b: tcp [::] owner=1001; bind b").scenario;
  for (int step = 0; step < 1'000; ++step) {
    scenario.steps.push_back({.op = Op::kSet, .socket = 0});
    scenario.steps.push_back({.op = Op::kListen, .socket = 1});
  }
  int probes = 0;
  const auto never = [&](const Scenario&) {
    ++probes;
    return false;
  };
  EXPECT_EQ(Shrink(scenario, never), scenario);
  EXPECT_EQ(probes, kMostProbes);

  scenario.steps[1'400] = {.op = Op::kBind, .socket = 0};
  probes = 0;
  const auto differs = [&](const Scenario& candidate) {
    ++probes;
    return Differs(candidate, kAllShare);
  };
  EXPECT_EQ(Text(Shrink(scenario, differs)), Normal("a: tcp 127.0.0.1; b: tcp 127.0.0.1; bind a; bind b"));
  EXPECT_LT(probes, kMostProbes);
}

}  // namespace
}  // namespace portshare
