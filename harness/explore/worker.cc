#include "harness/explore/worker.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <sstream>

#include "harness/explore/notation.h"
#include "harness/explore/shrink.h"
#include "netns/cannot_ask.h"
#include "netns/errno_name.h"

namespace portshare {
namespace {

using model::Protocol;

// FNV-1a over what makes the scenario.
uint64_t Digest(const model::Scenario& scenario) {
  uint64_t digest = 0xcbf29ce484222325;
  const auto add = [&digest](uint64_t value) { digest = (digest ^ value) * 0x100000001b3; };
  for (const model::Socket& socket : scenario.sockets) {
    add(static_cast<uint64_t>(socket.protocol) << 56 | static_cast<uint64_t>(socket.address.kind) << 48 |
        static_cast<uint64_t>(socket.address.bits) << 8 | static_cast<uint64_t>(socket.device) << 4 |
        static_cast<uint64_t>(socket.v6only) << 2 | static_cast<uint64_t>(socket.reuse_addr) << 1 |
        static_cast<uint64_t>(socket.reuse_port));
    add(static_cast<uint64_t>(socket.owner) << 16 | socket.port);
  }
  for (const model::Step& step : scenario.steps) {
    add(static_cast<uint64_t>(step.op) << 32 | static_cast<uint64_t>(step.socket) << 8 |
        static_cast<uint64_t>(step.option) << 1 | static_cast<uint64_t>(step.on));
    add(step.owner);
  }
  add(static_cast<uint64_t>(scenario.unrelated));
  return digest;
}

// A pair's answer that others are compared with: the first binds, the second does or meets the first.
void DemandAnswer(const std::vector<int>& answers) {
  const bool sound = answers.front() == 0 && (answers.back() == 0 || answers.back() == EADDRINUSE);
  if (!sound) throw CannotAsk("a pair's answers are " + ErrnoName(answers.front()) + ", " + ErrnoName(answers.back()));
}

// Groups in an order that has nothing to do with how they were built, so that parts are alike.  The groups of a shard
// do not depend on how many workers share it.
bool IsOf(const Part& part, uint64_t group) {
  const uint64_t mixed = group * 0x9e3779b97f4a7c15 >> 32;
  return mixed % part.shards == part.shard && mixed / part.shards % part.jobs == part.job;
}

}  // namespace

void Tally::Add(const Tally& other) {
  scenarios += other.scenarios;
  steps += other.steps;
  digest += other.digest;
  mismatches += other.mismatches;
  unexplained += other.unexplained;
  for (size_t cause = 0; cause < causes.size(); ++cause) causes[cause] += other.causes[cause];
  for (size_t rule = 0; rule < rules.size(); ++rule) rules[rule] += other.rules[rule];
  for (size_t place = 0; place < invariants.size(); ++place) {
    invariants[place].checked += other.invariants[place].checked;
    invariants[place].violated += other.invariants[place].violated;
    invariants[place].unexplained += other.invariants[place].unexplained;
  }
  for (const Finding& finding : other.findings) {
    if (finding.count == 0) continue;
    for (Finding& mine : findings) {
      if (mine.count != 0 && mine.text != finding.text) continue;
      mine.text = finding.text;
      mine.count += finding.count;
      break;
    }
  }
  if (trouble[0] == '\0') trouble = other.trouble;
}

Worker::Worker(const Alphabet& alphabet, const model::Epoch& epoch, const std::vector<model::Mutant>& mutants,
               Board& board, Tally& tally)
    : alphabet_(alphabet), epoch_(epoch), board_(board), tally_(tally), machine_(epoch) {
  if (mutants.size() > Board::kMostMutants || alphabet.sockets().size() > Board::kMostSockets) {
    throw CannotAsk("the board is too small: harness/explore/tally.h");
  }
  for (size_t number = 0; number < mutants.size(); ++number) {
    if (board.killed[number] != 0) continue;
    const model::Mutant& mutant = mutants[number];
    const bool of_epoch = mutant.change == model::Mutant::Change::kEpoch;
    alive_.push_back({.number = number,
                      .machine = model::Machine(epoch, mutant),
                      .rule = of_epoch ? ~uint64_t{0} : uint64_t{1} << static_cast<unsigned>(mutant.rule)});
  }
}

void Worker::Ask(const Family& family, uint64_t seed, const Part& part) {
  const Range range = {alphabet_, seed, [this](int holder, int newcomer) { return Conflict(holder, newcomer); },
                       [&part](uint64_t group) { return IsOf(part, group); }, family.unrelated};
  family.propose(range, [&](const Proposal& proposal) {
    if (IsOf(part, proposal.group)) Examine(proposal, family.invariant);
  });
}

void Worker::Examine(const Proposal& proposal, Invariant invariant) {
  const model::Scenario& scenario = proposal.scenario;
  ++tally_.scenarios;
  tally_.steps += scenario.steps.size();
  const uint64_t digest = Digest(scenario);
  tally_.digest += digest;
  decisions_.clear();
  if (invariant == Invariant::kNamespacesApart) {
    kernel_.RunApart(scenario, answers_);
  } else {
    kernel_.Run(scenario, answers_);
    Compare(scenario);
    // Two sockets tell most mutants apart soon, and the others hardly ever.
    if (scenario.sockets.size() > 2 || digest % 8 == 0) TryMutants(scenario);
  }
  if (invariant != Invariant::kNone) Watch(proposal, invariant);
}

void Worker::Compare(const model::Scenario& scenario) {
  machine_.Begin(scenario);
  for (size_t step = 0; step < scenario.steps.size(); ++step) {
    const model::Decision& decision = decisions_.emplace_back(machine_.Do(scenario.steps[step]));
    if (decision.error != answers_[step]) {
      Mismatch(scenario, step);
      break;  // from here on the two speak of different sockets
    }
    if (!decision.remembered()) continue;
    if (decision.cause == nullptr) {
      ++tally_.unexplained;
      Find("unexplained", [&] { return "admitted for no known cause:\n" + Story(scenario, answers_, epoch_); });
    } else {
      ++tally_.causes[static_cast<size_t>(decision.cause - model::kEpochs.data())];
    }
  }
  for (uint64_t decided = machine_.decided(); decided != 0; decided &= decided - 1) {
    ++tally_.rules[static_cast<size_t>(__builtin_ctzll(decided))];
  }
}

bool Worker::Conflict(int holder, int newcomer) {
  const bool udp = alphabet_[0].protocol == Protocol::kUdp;
  const auto place = static_cast<size_t>(holder) * Board::kMostSockets + static_cast<size_t>(newcomer);
  std::atomic<uint8_t>& known = board_.pairs[udp ? 1 : 0][place];
  if (known == 0) {
    const model::Scenario pair = {
        .sockets = {alphabet_[holder], alphabet_[newcomer]},
        .steps = {{.op = model::Op::kBind, .socket = 0}, {.op = model::Op::kBind, .socket = 1}}};
    std::vector<int> answers;
    kernel_.Run(pair, answers);
    DemandAnswer(answers);
    known = answers.back() != 0 ? 2 : 1;
  }
  return known == 2;
}

void Worker::Watch(const Proposal& proposal, Invariant invariant) {
  const std::vector<int>& at = proposal.places;
  const bool went_well = std::all_of(answers_.begin(), answers_.end(), [](int answer) { return answer == 0; });
  const bool remembered = decisions_.size() == answers_.size() && decisions_.back().remembered();
  const bool refused = answers_.back() != 0;
  group_.same_last_answer = group_.scenarios == 0 || (group_.same_last_answer && group_.last_answer == answers_.back());
  group_.last_answer = answers_.back();
  if (group_.scenarios == 0)
    group_.first_accepted = answers_[0] == 0 && answers_[1] == 0 && answers_[2 % answers_.size()] == 0;
  ++group_.scenarios;
  group_.accepted += went_well ? 1 : 0;
  group_.remembered |= remembered;

  switch (invariant) {
    case Invariant::kSymmetry: {
      DemandAnswer(answers_);
      const bool udp = alphabet_[0].protocol == Protocol::kUdp;
      const auto place = static_cast<size_t>(at[0]) * Board::kMostSockets + static_cast<size_t>(at[1]);
      board_.pairs[udp ? 1 : 0][place] = refused ? 2 : 1;
      break;
    }
    case Invariant::kDecomposition: {
      const bool wanted = Conflict(at[0], at[2]) || (answers_[1] == 0 && Conflict(at[1], at[2]));
      // The kernel may admit more, where it remembers; it never refuses more.
      Saw(proposal, invariant, refused == wanted, wanted && remembered);
      const auto foreign = [&](int holder) {
        return alphabet_[holder].owner != alphabet_[at[2]].owner && Conflict(holder, at[2]);
      };
      const bool intrudes = !refused && (foreign(at[0]) || (answers_[1] == 0 && foreign(at[1])));
      Saw(proposal, Invariant::kOwnersApart, !intrudes, remembered);
      if (proposal.last_of_group && group_.scenarios > 1) {
        const bool same = group_.accepted == 0 || group_.accepted == group_.scenarios;
        Saw(proposal, Invariant::kOrders, same, group_.remembered);
      }
      break;
    }
    case Invariant::kCloseForgets: {
      const bool first_closed = proposal.scenario.steps[2].socket == 0;
      const bool held = !first_closed || answers_[1] == 0;
      const bool wanted = held && Conflict(first_closed ? at[1] : at[0], at[2]);
      Saw(proposal, invariant, refused == wanted, wanted && remembered);
      break;
    }
    case Invariant::kFailureForgets:
      Saw(proposal, invariant, (answers_[2] != 0) == Conflict(at[0], at[2]) && !refused, false);
      break;
    case Invariant::kListenOrders: {
      if (!proposal.last_of_group) break;
      Saw(proposal, invariant, group_.accepted == 0 || group_.accepted == group_.scenarios, group_.remembered);
      // Of the last scenario the first three steps are: a binds, a listens, b binds.
      const bool late = answers_[0] == 0 && answers_[1] == 0 && answers_[2] == 0;
      const bool by_address = alphabet_[at[0]].reuse_addr && alphabet_[at[1]].reuse_addr;
      Saw(proposal, Invariant::kListenLate, late == group_.first_accepted || (!late && by_address), group_.remembered);
      break;
    }
    case Invariant::kUnrelated:
    case Invariant::kRoundTrip:
      Saw(proposal, invariant, refused == Conflict(at[0], at[1]), remembered);
      break;
    case Invariant::kPortsApart:
    case Invariant::kNamespacesApart:
      Saw(proposal, invariant, went_well, false);
      break;
    case Invariant::kSameProtocol:
      if (proposal.last_of_group) Saw(proposal, invariant, group_.same_last_answer, false);
      break;
    case Invariant::kNone:
    case Invariant::kOwnersApart:
    case Invariant::kOrders:
    case Invariant::kListenLate:
      break;
  }
  if (proposal.last_of_group) group_ = {};
}

void Worker::Saw(const Proposal& proposal, Invariant invariant, bool holds, bool explained) {
  Tally::Count& count = tally_.invariants[static_cast<size_t>(invariant)];
  ++count.checked;
  if (holds) return;
  ++count.violated;
  if (explained) return;
  ++count.unexplained;
  Find(Says(invariant), [&] {
    if (invariant == Invariant::kNamespacesApart) return Print({proposal.scenario, DefaultNames(2), {}});
    return std::string("violated, and the model does not say why: ") + Says(invariant) + "\n" +
           Story(proposal.scenario, answers_, epoch_);
  });
}

void Worker::Mismatch(const model::Scenario& scenario, size_t step) {
  ++tally_.mismatches;
  const model::Decision& decision = decisions_.back();
  // What looks alike from outside is one finding; only the first is shrunk.
  std::ostringstream key;
  key << static_cast<int>(scenario.steps[step].op) << " " << answers_[step] << " " << decision.error << " "
      << static_cast<int>(decision.rule) << " " << (decision.cause != nullptr ? decision.cause->name : "");
  Find(key.str(), [&] {
    std::vector<int> answers;
    const auto differs = [&](const model::Scenario& tried) {
      kernel_.Run(tried, answers);
      model::Machine machine(epoch_);
      machine.Begin(tried);
      return !std::equal(answers.begin(), answers.end(), tried.steps.begin(),
                         [&](int answer, const model::Step& asked) { return machine.Do(asked).error == answer; });
    };
    if (!differs(scenario)) {
      return "the kernel wavers: asked again, it answers as the model does\n" + Story(scenario, answers_, epoch_);
    }
    const model::Scenario shrunk = Shrink(scenario, differs);
    kernel_.Run(shrunk, answers);
    return Story(shrunk, answers, epoch_);
  });
}

void Worker::Find(const std::string& key, const std::function<std::string()>& text) {
  const auto [found, is_new] = findings_.try_emplace(key, findings_.size());
  if (found->second >= tally_.findings.size()) return;
  Finding& finding = tally_.findings[found->second];
  ++finding.count;
  if (is_new) std::snprintf(finding.text.data(), finding.text.size(), "%s", text().c_str());
}

void Worker::TryMutants(const model::Scenario& scenario) {
  const uint64_t consulted = machine_.consulted();
  std::erase_if(alive_, [&](Suspect& suspect) {
    if ((suspect.rule & consulted) == 0) return false;
    suspect.machine.Begin(scenario);
    for (size_t step = 0; step < scenario.steps.size(); ++step) {
      if (suspect.machine.Do(scenario.steps[step]).error == answers_[step]) continue;
      board_.killed[suspect.number] = 1;
      return true;
    }
    return false;
  });
}

std::string Story(const model::Scenario& scenario, const std::vector<int>& answers, const model::Epoch& epoch) {
  Script script = {.scenario = scenario, .names = DefaultNames(scenario.sockets.size()), .expected = {}};
  model::Machine machine(epoch);
  machine.Begin(scenario);
  std::string wrong;
  for (size_t step = 0; step < scenario.steps.size(); ++step) {
    const model::Decision decision = machine.Do(scenario.steps[step]);
    script.expected.emplace_back(decision.error);
    if (!wrong.empty() || decision.error == answers[step]) continue;
    const auto name = [](int error) { return error == 0 ? std::string("ok") : ErrnoName(error); };
    wrong = StepText(scenario.steps[step], script.names) + "\n  the kernel says " + name(answers[step]) +
            "\n  the model says " + name(decision.error) + ": " + Explain(decision, script.names) + "\n";
  }
  if (wrong.empty()) return Print(script);
  wrong += "  the kernel's epochs:";
  for (const model::EpochText& text : model::kEpochs) {
    if (epoch.*text.field) wrong += std::string(" ") + text.name;
  }
  return Print(script) + wrong + "\n";
}

}  // namespace portshare
