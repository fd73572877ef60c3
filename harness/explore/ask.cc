#include "harness/explore/ask.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "harness/explore/kernel.h"
#include "model/machine.h"
#include "netns/errno_name.h"

namespace portshare {
namespace {

using model::Decision;
using model::Epoch;
using model::Rule;

constexpr size_t kWidth = 100;
constexpr size_t kNarrowest = 40;
constexpr size_t kAnswer = 12;  // "EADDRINUSE" and a gap

std::string AnswerText(int error) {
  return error == 0 ? "ok" : ErrnoName(error);
}

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

// The text in lines that end before kWidth where that leaves room, each but the first below column `column`.  What
// stands in parentheses is not torn apart.
std::string Wrapped(const std::string& text, size_t column) {
  const size_t room = std::max(kNarrowest, kWidth - std::min(column, kWidth));
  std::istringstream words(text);
  std::string lines;
  std::string word;
  std::string next;
  size_t used = 0;
  while (words >> word) {
    while (word.starts_with('(') && !word.ends_with(')') && words >> next) word += " " + next;
    if (used > 0 && used + 1 + word.size() > room) {
      lines += "\n" + std::string(column, ' ');
      used = 0;
    }
    if (used > 0) lines += " ";
    lines += word;
    used += (used > 0 ? 1 : 0) + word.size();
  }
  return lines;
}

// What the kernel's memory did, in one word: the known deviation, or else the behaviour that only some kernels have.
std::string CauseOf(const Decision& decision) {
  if (decision.cause == nullptr) return "no known cause";
  return decision.cause->cause != nullptr ? decision.cause->cause : decision.cause->name;
}

// One rule's word, as if there were no other.
std::string Reason(Rule rule, int holder, const std::vector<std::string>& names) {
  return model::Explain({.rule = rule, .holder = holder, .intent_rule = rule, .intent_holder = holder}, names);
}

std::string CauseLine(const Decision& decision) {
  if (decision.cause == nullptr) return "no known cause";
  return (decision.cause->cause != nullptr ? "known deviation: " : "only some kernels: ") + CauseOf(decision);
}

// "epochs: reuseport=false", or nothing for a kernel of the day.
std::string EpochsText(const Epoch& epoch) {
  std::string text;
  for (const model::EpochText& one : model::kEpochs) {
    if (epoch.*one.field == Epoch{}.*one.field) continue;
    text += (text.empty() ? "epochs: " : ", ") + std::string(one.name) + "=" + (epoch.*one.field ? "true" : "false");
  }
  return text;
}

std::string Counted(size_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + (count == 1 ? one : many);
}

// What the last line sums up.
struct Sum {
  size_t steps = 0;
  size_t agreed = 0;
  size_t expected = 0;
  size_t missed = 0;
  std::map<std::string, size_t> causes;

  std::string Text() const {
    std::string text =
        "the kernel and the model agree on " + std::to_string(agreed) + " of " + Counted(steps, " answer", " answers");
    size_t remembered = 0;
    std::string list;
    for (const auto& [cause, count] : causes) {
      remembered += count;
      list += (list.empty() ? "" : ", ") + (causes.size() > 1 ? std::to_string(count) + " " : "") + cause;
    }
    if (remembered > 0)
      text += "; " + Counted(remembered, " is", " are") + " not what the contract says (" + list + ")";
    if (missed > 0)
      text += "; " + std::to_string(missed) + " of " + std::to_string(expected) + " expected answers did not come";
    return text;
  }
};

}  // namespace

int TellBoth(const Script& script, const Epoch& epoch, const std::vector<int>& kernel, std::ostream& out) {
  const auto& [scenario, names, expected] = script;
  for (size_t place = 0; place < scenario.sockets.size(); ++place) {
    out << SocketText(names[place], scenario.sockets[place]) << "\n";
  }
  if (scenario.unrelated > 0) out << "unrelated " << scenario.unrelated << "\n";
  const std::string epochs = EpochsText(epoch);
  if (!epochs.empty()) out << Wrapped(epochs, 8) << "\n";

  std::vector<std::string> steps;
  size_t longest = std::string("step").size();
  for (const model::Step& step : scenario.steps) {
    steps.push_back(StepText(step, names));
    longest = std::max(longest, steps.back().size());
  }
  const size_t first = longest + 2;
  const size_t reasons = first + 2 * kAnswer;
  out << "\n" << Padded("step", first) << Padded("kernel", kAnswer) << "model\n";

  model::Machine machine(epoch);
  machine.Begin(scenario);
  Sum sum;
  for (size_t place = 0; place < steps.size(); ++place) {
    const Decision decision = machine.Do(scenario.steps[place]);
    const bool agree = decision.error == kernel[place];
    // Of a scenario that was put together, not parsed, nothing is expected.
    const std::optional<int> wanted = place < expected.size() ? expected[place] : std::nullopt;
    const bool missed = wanted && *wanted != kernel[place];
    std::vector<std::string> lines;
    if (!agree) lines.emplace_back("<-- the kernel and the model differ");
    if (missed) lines.push_back("<-- the text expects " + AnswerText(*wanted));
    lines.push_back(Reason(decision.rule, decision.remembered() ? -1 : decision.holder, names));
    if (decision.remembered()) {
      lines.push_back("the contract refuses: " + Reason(decision.intent_rule, decision.intent_holder, names));
      lines.push_back(CauseLine(decision));
    }

    out << Padded(steps[place], first) << Padded(AnswerText(kernel[place]), kAnswer)
        << Padded(AnswerText(decision.error) + (decision.remembered() ? " (!)" : ""), kAnswer);
    for (size_t line = 0; line < lines.size(); ++line) {
      out << (line == 0 ? "" : std::string(reasons, ' ')) << Wrapped(lines[line], reasons) << "\n";
    }
    ++sum.steps;
    sum.agreed += agree ? 1 : 0;
    sum.expected += wanted ? 1 : 0;
    sum.missed += missed ? 1 : 0;
    if (decision.remembered()) ++sum.causes[CauseOf(decision)];
  }
  out << "\n" << Wrapped(sum.Text(), 0) << "\n";
  return sum.agreed == sum.steps && sum.missed == 0 ? 0 : 1;
}

int Ask(const Script& script, const Epoch& epoch, std::ostream& out) {
  std::vector<int> answers;
  Kernel().Run(script.scenario, answers);
  return TellBoth(script, epoch, answers, out);
}

}  // namespace portshare
