// docs/rules.md, with a model in the place of the kernel.
#include "harness/explore/rules_page.h"

#include <gtest/gtest.h>

#include <sstream>

#include "harness/explore/notation.h"
#include "harness/explore/shrink.h"
#include "model/machine.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

using model::Epoch;
using model::Machine;
using model::Mutant;
using model::Scenario;
using model::Step;

RunScenario Kernel(const Epoch& epoch = {}, const Mutant& mutant = {}) {
  return [=](const Scenario& scenario, std::vector<int>& answers) {
    Machine machine(epoch, mutant);
    machine.Begin(scenario);
    answers.clear();
    for (const Step& step : scenario.steps) answers.push_back(machine.Do(step).error);
  };
}

std::string Page() {
  std::ostringstream notes;
  std::string page = RulesPage({}, Kernel(), notes);
  EXPECT_EQ(notes.str(), "");
  return page;
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(RulesPage, NamesEveryRuleEpochAndCause) {
  const std::string page = Page();
  for (const model::RuleText& text : model::kAllRules) {
    EXPECT_TRUE(Contains(page, "\n| `" + std::string(text.name) + "` | " + text.says)) << text.name;
    EXPECT_TRUE(Contains(page, text.source)) << text.name;
  }
  for (const model::EpochText& text : model::kEpochs) {
    EXPECT_TRUE(Contains(page, "\n| `" + std::string(text.name) + "` | " + text.says)) << text.name;
    if (text.cause == nullptr) continue;
    EXPECT_TRUE(Contains(page, "\n### " + std::string(text.cause) + "\n")) << text.cause;
  }
  EXPECT_TRUE(Contains(page, "./run_all.sh rules"));
}

TEST(RulesPage, IsTheSameOnAKernelThatDiffers) {
  Epoch other;
  other.mapped_wildcard_missed = true;
  other.hint_compares_devices = true;
  std::ostringstream notes;
  EXPECT_EQ(RulesPage(other, Kernel(other), notes), Page());
}

TEST(RulesPage, IsTheSameForAUserWhoCannotAskAll) {
  const RunScenario one_owner = [](const Scenario& scenario, std::vector<int>& answers) {
    for (const model::Socket& socket : scenario.sockets) {
      if (socket.owner != 0) throw CannotAsk("no second owner");
    }
    Kernel()(scenario, answers);
  };
  std::ostringstream notes;
  EXPECT_EQ(RulesPage({}, one_owner, notes), Page());
  EXPECT_TRUE(Contains(notes.str(), "scenarios are the model's word alone: no second owner\n")) << notes.str();
}

TEST(RulesPage, ReportsACellOnWhichTheKernelDisagrees) {
  std::ostringstream notes;
  try {
    RulesPage({}, Kernel({}, {.change = Mutant::Change::kNever, .rule = model::Rule::kSharesOverTimeWait}), notes);
    FAIL() << "nothing was reported";
  } catch (const KernelDisagrees& trouble) {
    EXPECT_TRUE(Contains(trouble.what(), "time_wait a; bind b: `bind b` is EADDRINUSE, and ok in the model"))
        << trouble.what();
  }
}

TEST(RulesPage, HasATableForEachQuestion) {
  const std::string page = Page();
  const auto below = [&](const std::string& heading) {
    const size_t begin = page.find("\n" + heading + "\n");
    return begin == std::string::npos ? "" : page.substr(begin, page.find("\n#", begin + 1) - begin);
  };
  const std::string none = "| neither | no: nothing | no: nothing |";
  EXPECT_TRUE(Contains(below("### TCP, the holder is bound"), none));
  EXPECT_TRUE(Contains(below("### TCP, the holder is bound"), "| both | no: nothing | **yes**: address |"));
  EXPECT_TRUE(Contains(below("### TCP, the holder listens"), "| both | no: nothing | no: listens | **yes**: port |"));
  EXPECT_TRUE(Contains(below("### UDP"), "| both | no: nothing | **yes**: address | **yes**: port |"));
  EXPECT_TRUE(Contains(below("## listen() asks again"), "| both | - | one: listens | **both**: port |"));
  EXPECT_TRUE(Contains(below("## TIME_WAIT"), "**yes**: port | no: nothing | no: nothing | **yes**: leftover |"));
  EXPECT_TRUE(Contains(below("## Which addresses overlap"), "| `[::] v6only` | | | | yes | yes | yes | | |"));
}

// A kernel with any of the rules broken that decide beside one holder is found out by some cell.
TEST(RulesPage, AsksAboutTheWholeContract) {
  int reported = 0;
  for (const Mutant& mutant : model::AllMutants({})) {
    if (mutant.change == Mutant::Change::kEpoch || mutant.rule > model::Rule::kNothingShared) continue;
    const RunScenario pairs = [kernel = Kernel({}, mutant)](const Scenario& scenario, std::vector<int>& answers) {
      if (scenario.sockets.size() > 2) throw CannotAsk("no third socket");
      kernel(scenario, answers);
    };
    std::ostringstream notes;
    EXPECT_THROW(RulesPage({}, pairs, notes), KernelDisagrees) << mutant.Text();
    ++reported;
  }
  EXPECT_GT(reported, 40);
}

TEST(RulesPage, ShowsEachDeviationAtItsShortest) {
  const std::string page = Page();
  int shown = 0;
  for (size_t begin = 0; (begin = page.find("\n```\n", begin)) != std::string::npos; ++shown) {
    begin += 5;
    const size_t end = page.find("```\n", begin);
    const Scenario scenario = Parse(page.substr(begin, end - begin)).scenario;
    const auto cause = [](const Scenario& candidate) -> const model::EpochText* {
      Machine machine(Epoch{});
      machine.Begin(candidate);
      const model::EpochText* last = nullptr;
      for (const Step& step : candidate.steps) last = machine.Do(step).cause;
      return last;
    };
    const auto same = [&](const Scenario& candidate) { return cause(candidate) == cause(scenario); };
    EXPECT_EQ(Shrink(scenario, same), scenario) << page.substr(begin, end - begin);
    begin = end + 1;
  }
  EXPECT_EQ(shown, 6);
}

}  // namespace
}  // namespace portshare
