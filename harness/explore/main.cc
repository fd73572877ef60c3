// portshare_explore: the model and the kernel, compared.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include "harness/emulate.h"
#include "harness/event_log.h"
#include "harness/explore/ask.h"
#include "harness/explore/bench.h"
#include "harness/explore/epochs.h"
#include "harness/explore/explore.h"
#include "harness/explore/kernel.h"
#include "harness/explore/notation.h"
#include "harness/explore/reproduce.h"
#include "harness/explore/rules_page.h"
#include "harness/explore/sweep.h"
#include "harness/explore/worker.h"
#include "harness/listing.h"
#include "harness/need.h"
#include "harness/owner.h"
#include "model/machine.h"
#include "netns/cannot_ask.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

enum ExitCode { kAsExpected = 0, kUnexpected = 1, kCannotAsk = 2 };

constexpr char kUsage[] =
    "portshare_explore --list [--deep]\n"
    "portshare_explore sweep [--jobs=N] [--deep] [--seed=N] [--only=ID:ID...] [--emulate=3.8]\n"
    "portshare_explore ask FILE|-\n"
    "portshare_explore reproduce FILE|-\n"
    "portshare_explore rules\n"
    "portshare_explore bench\n"
    "The whole of it is behind ./run_all.sh.  Shards: GTEST_TOTAL_SHARDS, GTEST_SHARD_INDEX.\n";

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename Number>
Number Whole(const std::string& what, const std::string& text, Number lowest) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < lowest) {
    throw UsageError(what + ": '" + text + "' is not a whole number from " + std::to_string(lowest) + " up");
  }
  return number;
}

void BecomeRoot(bool emulate) {
  if (BecomeNamespaceRoot() == Privilege::kNone) throw CannotAsk(PrivilegeTrouble() + "; " + needs::kNamespace.fix);
  if (emulate) EmulateLinux38();
}

// What is missing here makes the alphabet smaller.
Letters LettersHere(const model::Epoch& epoch) {
  Letters letters = {.owners = {Alice().uid, Bob().uid}, .devices = 2, .reuse_port = epoch.reuseport};
  if (needs::kSecondOwner.probe()) letters.owners = {Root().uid};
  if (FirstUnmet({&needs::kVeth, &needs::kSysctl})) letters.devices = 0;  // as Kernel::Place makes them
  return letters;
}

int DoSweep(const std::vector<std::string>& words) {
  SweepOptions options;
  options.jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool emulate = false;
  for (const std::string& word : words) {
    const size_t sign = word.find('=');
    const std::string name = word.substr(0, sign);
    const std::string value = sign == std::string::npos ? "" : word.substr(sign + 1);
    if (name == "--jobs") {
      options.jobs = Whole(name, value, 1);
    } else if (name == "--seed") {
      options.seed = Whole<uint64_t>(name, value, 0);
    } else if (word == "--deep") {
      options.deep = true;
    } else if (word == "--emulate=3.8") {
      emulate = true;
    } else if (name == "--only") {
      std::istringstream ids(value);
      for (std::string id; std::getline(ids, id, ':');) options.only.insert(id);
      if (options.only.empty()) throw UsageError("--only wants ids");
    } else {
      throw UsageError("unknown option " + word);
    }
  }
  for (const std::string& id : options.only) {
    const auto cases = SweepCases();
    if (std::none_of(cases.begin(), cases.end(), [&](const SweepCase& known) { return known.id == id; })) {
      throw UsageError("there is no case " + id);
    }
  }
  if (const char* total = std::getenv("GTEST_TOTAL_SHARDS")) options.shards = Whole("GTEST_TOTAL_SHARDS", total, 1);
  if (const char* index = std::getenv("GTEST_SHARD_INDEX")) options.shard = Whole("GTEST_SHARD_INDEX", index, 0);
  if (options.shard >= options.shards) throw UsageError("GTEST_SHARD_INDEX is not below GTEST_TOTAL_SHARDS");

  if (BecomeNamespaceRoot() == Privilege::kNone) {
    SkipSweep(options, PrivilegeTrouble());
    return kAsExpected;
  }
  BecomeRoot(emulate);
  const model::Epoch epoch = CurrentEpoch();
  const bool good = Sweep(options, LettersHere(epoch), epoch, std::cout);
  if (const int lost = EventLog::Get().error()) throw CannotAsk("the event stream could not be written", lost);
  return good ? kAsExpected : kUnexpected;
}

Script ReadScript(const std::vector<std::string>& words) {
  if (words.size() != 1) throw UsageError("one FILE is wanted, or - for standard input");
  const Descriptor file(words[0] == "-" ? dup(STDIN_FILENO) : open(words[0].c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) throw CannotAsk(words[0], errno);
  std::string text;
  std::array<char, 65536> chunk;
  for (ssize_t got = 1; got > 0;) {
    got = read(file.number(), chunk.data(), chunk.size());
    if (got < 0) throw CannotAsk(words[0], errno);
    text.append(chunk.data(), static_cast<size_t>(got));
  }
  return Parse(text);
}

int DoAsk(const std::vector<std::string>& words) {
  const Script script = ReadScript(words);
  BecomeRoot(false);
  return Ask(script, CurrentEpoch(), std::cout);
}

int DoReproduce(const std::vector<std::string>& words) {
  const Script script = ReadScript(words);
  // What the contract says, so that the program also shows where a kernel's memory answers for it.
  model::Machine machine{model::Epoch{}};
  machine.Begin(script.scenario);
  std::vector<int> expected;
  std::vector<std::string> reasons;
  for (size_t step = 0; step < script.scenario.steps.size(); ++step) {
    const model::Decision decision = machine.Do(script.scenario.steps[step]);
    const bool told = step < script.expected.size() && script.expected[step].has_value();
    expected.push_back(told ? *script.expected[step] : decision.intent_error);
    reasons.push_back(Explain(decision, script.names));
  }
  std::cout << CProgram(script, expected, reasons);
  return kAsExpected;
}

int DoRules(const std::vector<std::string>& words) {
  if (!words.empty()) throw UsageError("rules takes no words");
  BecomeRoot(false);
  Kernel kernel;
  const auto run = [&kernel](const model::Scenario& asked, std::vector<int>& answers) { kernel.Run(asked, answers); };
  std::cout << RulesPage(CurrentEpoch(), run, std::cerr);
  return kAsExpected;
}

// Pairs with all that the sweep does beside asking: model, counts, and the mutants that are still alive.
Chunk AsTheSweepDoes(const Alphabet& alphabet, const model::Epoch& epoch) {
  struct State {
    State(const Alphabet& of, const model::Epoch& here)
        : mutants(model::AllMutants(here)), worker(of, here, mutants, *board, *tally) {}
    std::unique_ptr<Board> board = std::make_unique<Board>();
    std::unique_ptr<Tally> tally = std::make_unique<Tally>();
    std::vector<model::Mutant> mutants;
    Worker worker;
    model::Scenario pair = {.sockets = {}, .steps = {{.socket = 0}, {.socket = 1}}};
    std::vector<int> places = {0, 0};
  };
  const auto state = std::make_shared<State>(alphabet, epoch);
  return [&alphabet, state](size_t first, size_t count) {
    for (size_t number = first; number < first + count; ++number) {
      const auto size = static_cast<size_t>(alphabet.size());
      state->places = {static_cast<int>(number / size), static_cast<int>(number % size)};
      state->pair.sockets = {alphabet[state->places[0]], alphabet[state->places[1]]};
      state->worker.Examine({state->pair, number, state->places, true}, Invariant::kSymmetry);
    }
    if (state->tally->mismatches != 0) throw CannotAsk("the model is not this kernel's: the sweep tells more");
    return uint64_t{2} * count;
  };
}

int DoBench(const std::vector<std::string>& words) {
  if (!words.empty()) throw UsageError("bench takes no words");
  BecomeRoot(false);
  const model::Epoch epoch = CurrentEpoch();
  const Letters letters = LettersHere(epoch);
  for (const model::Protocol protocol : {model::Protocol::kTcp, model::Protocol::kUdp}) {
    const Alphabet alphabet(letters, protocol);
    std::cout << (protocol == model::Protocol::kTcp ? "TCP: " : "\nUDP: ");
    Bench(
        alphabet.sockets(), [&] { return AsTheSweepDoes(alphabet, epoch); }, std::cout);
  }
  return kAsExpected;
}

int DoList(const std::vector<std::string>& words) {
  const bool deep = words == std::vector<std::string>{"--deep"};
  if (!deep && !words.empty()) throw UsageError("--list takes --deep and nothing else");
  AddSweepCases(deep);
  std::cout << ClaimsAsJson() << "\n";
  return kAsExpected;
}

int Main(const std::vector<std::string>& words) {
  const std::map<std::string, int (*)(const std::vector<std::string>&)> commands = {
      {"--list", DoList},         {"sweep", DoSweep}, {"ask", DoAsk},
      {"reproduce", DoReproduce}, {"rules", DoRules}, {"bench", DoBench}};
  const auto command = words.empty() ? commands.end() : commands.find(words.front());
  if (command == commands.end()) {
    std::cerr << kUsage;
    return kCannotAsk;
  }
  const int code = command->second({words.begin() + 1, words.end()});
  std::cout.flush();
  return std::cout ? code : kCannotAsk;
}

}  // namespace
}  // namespace portshare

int main(int argc, char** argv) {
  try {
    return portshare::Main({argv + 1, argv + argc});
  } catch (const portshare::NotationError& wrong) {
    std::cerr << wrong.what() << "\n";
  } catch (const std::exception& failure) {
    std::cerr << "portshare_explore: " << failure.what() << "\n";
  }
  return 2;
}
