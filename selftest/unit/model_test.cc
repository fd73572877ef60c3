// The model: does it say what the documents say, and does it know all of what the kernel remembers?
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "harness/explore/alphabet.h"
#include "model/machine.h"
#include "model/mutant.h"

namespace portshare::model {
namespace {

constexpr Address kAny4{Address::Kind::kIpv4, 0};
constexpr Address kLoopback4{Address::Kind::kIpv4, 0x7f000001};
constexpr Address kAny6{Address::Kind::kIpv6, 0};

constexpr Step Bind(uint16_t socket) {
  return {.op = Op::kBind, .socket = socket};
}
constexpr Step Listen(uint16_t socket) {
  return {.op = Op::kListen, .socket = socket};
}

// The answers of a scenario, step by step.
std::vector<Decision> Answers(const Scenario& scenario, const Epoch& epoch = {}) {
  Machine machine(epoch);
  machine.Begin(scenario);
  std::vector<Decision> answers;
  for (const Step& step : scenario.steps) answers.push_back(machine.Do(step));
  return answers;
}

Epoch Repaired() {
  Epoch epoch;
  for (const EpochText& text : kEpochs) {
    if (text.cause != nullptr) epoch.*text.field = true;
  }
  return epoch;
}

TEST(Model, AListenerEndsAddressReuse) {
  const Socket socket = {.address = kAny4, .reuse_addr = true};
  const auto answers = Answers({{socket, socket}, {Bind(0), Listen(0), Bind(1)}});
  EXPECT_EQ(answers[2].error, EADDRINUSE);
  EXPECT_EQ(answers[2].rule, Rule::kListenerEndsReuse);
}

TEST(Model, ListenAsksAgain) {
  const Socket socket = {.address = kAny4, .reuse_addr = true};
  const auto answers = Answers({{socket, socket}, {Bind(0), Bind(1), Listen(0), Listen(1)}});
  EXPECT_EQ(answers[1].error, 0);
  EXPECT_EQ(answers[3].error, EADDRINUSE);
}

TEST(Model, AnotherOwnerIsRefused) {
  const Socket holder = {.address = kLoopback4, .reuse_port = true, .owner = 1};
  const Socket stranger = {.address = kLoopback4, .reuse_port = true, .owner = 2};
  const auto answers = Answers({{holder, stranger}, {Bind(0), Bind(1)}});
  EXPECT_EQ(answers[1].error, EADDRINUSE);
  EXPECT_EQ(answers[1].rule, Rule::kOwnersDiffer);
}

TEST(Model, TimeWaitHasNoOwner) {
  const Socket holder = {.address = kLoopback4, .reuse_port = true, .owner = 1};
  const Socket stranger = {.address = kLoopback4, .reuse_port = true, .owner = 2};
  const auto answers = Answers({{holder, stranger}, {Bind(0), {.op = Op::kTimeWait, .socket = 0}, Bind(1)}});
  EXPECT_EQ(answers[2].error, 0);
  EXPECT_EQ(answers[2].rule, Rule::kSharesOverTimeWait);
}

TEST(Model, TellsWhatOnlyMemoryAdmits) {
  const Socket holder = {.address = kAny4};
  const Socket helper = {.address = kAny6, .v6only = true, .reuse_port = true};
  const Socket newcomer = {.address = kAny6, .reuse_port = true};
  const auto answers = Answers({{holder, helper, newcomer}, {Bind(0), Bind(1), Bind(2)}});
  EXPECT_EQ(answers[2].error, 0);
  EXPECT_EQ(answers[2].intent_error, EADDRINUSE);
  EXPECT_STREQ(answers[2].cause->cause, "v6only_and_dual_confused");
  const std::string told = Explain(answers[2], {"a", "b", "c"});
  EXPECT_NE(told.find("the contract refuses"), std::string::npos) << told;
  EXPECT_NE(told.find("(beside a)"), std::string::npos) << told;
}

// All triples of which the first two agree, with the first owner first, as the kernel was once asked by another
// program.
class Triples : public testing::TestWithParam<std::pair<Protocol, int>> {
 protected:
  struct Count {
    int triples = 0;
    int loose = 0;
    int without_cause = 0;
  };

  static Count CountWith(const Epoch& epoch) {
    const Alphabet alphabet({}, GetParam().first);
    Count count;
    Machine machine(epoch);
    Scenario scenario;
    scenario.sockets.resize(3);
    for (int a = 0; a < alphabet.size(); ++a) {
      scenario.sockets[0] = alphabet[a];
      if (alphabet[a].owner != alphabet[0].owner) continue;
      for (int b = 0; b < alphabet.size(); ++b) {
        scenario.sockets[1] = alphabet[b];
        for (int c = 0; c < alphabet.size(); ++c) {
          scenario.sockets[2] = alphabet[c];
          machine.Begin(scenario);
          machine.Do(Bind(0));
          if (machine.Do(Bind(1)).error != 0) break;
          ++count.triples;
          const Decision decision = machine.Do(Bind(2));
          count.loose += decision.remembered() ? 1 : 0;
          count.without_cause += decision.remembered() && decision.cause == nullptr ? 1 : 0;
        }
      }
    }
    return count;
  }
};

TEST_P(Triples, AreLooseAsOftenAsTheKernelWasSeenToBe) {
  const Count count = CountWith({});
  EXPECT_EQ(count.triples, 2'409'984);
  EXPECT_EQ(count.loose, GetParam().second);
  EXPECT_EQ(count.without_cause, 0);
}

TEST_P(Triples, AreAsTheContractSaysWhereEverythingIsRepaired) {
  EXPECT_EQ(CountWith(Repaired()).loose, 0);
}

INSTANTIATE_TEST_SUITE_P(Both, Triples,
                         testing::Values(std::pair{Protocol::kTcp, 19'128}, std::pair{Protocol::kUdp, 13'620}),
                         [](const auto& values) { return values.param.first == Protocol::kTcp ? "Tcp" : "Udp"; });

TEST(Mutants, EachAnswersOtherwiseSomewhereAndSaysWhat) {
  std::set<std::string> texts;
  for (const Mutant& mutant : AllMutants({})) EXPECT_TRUE(texts.insert(mutant.Text()).second) << mutant.Text();
  EXPECT_GT(texts.size(), 100U);
  EXPECT_TRUE(texts.contains("shares_by_port: owners are not compared"));
  EXPECT_TRUE(texts.contains("shares_by_address: a listening holder is not noticed"));
}

TEST(Mutants, AreNotMadeOfRulesThatThisKernelLacks) {
  for (const Mutant& mutant : AllMutants({})) {
    if (mutant.change == Mutant::Change::kEpoch) continue;
    EXPECT_NE(mutant.rule, Rule::kReuseAddrHint);
  }
}

TEST(Rules, HaveASentenceASourceAndANameOfTheirOwn) {
  std::set<std::string> names;
  for (const RuleText& text : kAllRules) {
    EXPECT_TRUE(names.insert(text.name).second) << text.name;
    EXPECT_NE(std::string(text.says).back(), '.') << text.name;
    EXPECT_FALSE(std::string(text.source).empty()) << text.name;
  }
}

}  // namespace
}  // namespace portshare::model

namespace portshare {
namespace {

TEST(Alphabet, Has192SocketsAndEachIsExchangedBack) {
  const Alphabet alphabet({}, model::Protocol::kTcp);
  ASSERT_EQ(alphabet.size(), 192);
  for (int place = 0; place < alphabet.size(); ++place) {
    EXPECT_NE(alphabet.OwnersExchanged(place), place);
    EXPECT_EQ(alphabet.OwnersExchanged(alphabet.OwnersExchanged(place)), place);
    EXPECT_EQ(alphabet.DevicesExchanged(alphabet.DevicesExchanged(place)), place);
    const int exchanged = alphabet.LoopbacksExchanged(place);
    if (exchanged < 0) continue;
    EXPECT_EQ(alphabet.LoopbacksExchanged(exchanged), place);
  }
}

TEST(Alphabet, IsSmallerWhereSomethingIsMissing) {
  EXPECT_EQ(Alphabet({.owners = {0}, .devices = 2, .reuse_port = true}, model::Protocol::kUdp).size(), 96);
  EXPECT_EQ(Alphabet({.owners = {0}, .devices = 0, .reuse_port = false}, model::Protocol::kUdp).size(), 16);
}

}  // namespace
}  // namespace portshare
