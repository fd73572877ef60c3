#include "harness/explore/rules_page.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "harness/explore/notation.h"
#include "model/machine.h"
#include "netns/cannot_ask.h"
#include "netns/errno_name.h"

namespace portshare {
namespace {

using model::Address;
using model::Decision;
using model::Epoch;
using model::Op;
using model::Protocol;
using model::Rule;
using model::Scenario;
using model::Socket;
using model::Step;
using Kind = Address::Kind;

constexpr Address kAny4 = {Kind::kIpv4, 0};
constexpr Address kLoopback4 = {Kind::kIpv4, model::kLoopback};

// A rule's word in a table's cell.
struct Word {
  Rule rule;
  const char* text;
};
constexpr std::array kWords = {
    Word{Rule::kSharesByAddress, "address"},     Word{Rule::kSharesByPort, "port"},
    Word{Rule::kSharesOverTimeWait, "leftover"}, Word{Rule::kListenerEndsReuse, "listens"},
    Word{Rule::kOwnersDiffer, "owners"},         Word{Rule::kNothingShared, "nothing"},
};

std::string WordOf(Rule rule) {
  const auto* found = std::find_if(kWords.begin(), kWords.end(), [=](const Word& word) { return word.rule == rule; });
  return found == kWords.end() ? Text(rule).name : found->text;
}

struct Mix {
  const char* text;
  bool reuse_addr;
  bool reuse_port;
};
constexpr std::array kMixes = {Mix{"neither", false, false}, Mix{"`SO_REUSEADDR`", true, false},
                               Mix{"`SO_REUSEPORT`", false, true}, Mix{"both", true, true}};

struct Holding {
  const char* text;
  Address address;
  bool v6only = false;
};
constexpr std::array kHoldings = {
    Holding{"0.0.0.0", kAny4},
    Holding{"127.0.0.1", kLoopback4},
    Holding{"127.0.0.2", {Kind::kIpv4, model::kLoopback + 1}},
    Holding{"[::]", {Kind::kIpv6, 0}},
    Holding{"[::] v6only", {Kind::kIpv6, 0}, true},
    Holding{"[::1]", {Kind::kIpv6, 1}},
    Holding{"::ffff:0.0.0.0", {Kind::kMapped, 0}},
    Holding{"::ffff:127.0.0.1", {Kind::kMapped, model::kLoopback}},
};

// The shortest scenario of each cause that no kernel has mended yet.
struct Deviation {
  const char* cause;
  const char* text;
};
constexpr std::array kDeviations = {
    Deviation{"device_not_compared",
              "a: tcp 127.0.0.1 dev=v0; b: tcp 127.0.0.1 reuseport dev=v1; c: tcp 127.0.0.1 reuseport;"
              "bind a; bind b; bind c"},
    Deviation{"v6only_and_dual_confused",
              "a: tcp 127.0.0.1; b: tcp [::] v6only reuseport; c: tcp [::] reuseport; bind a; bind b; bind c"},
    Deviation{"family_confused",
              "a: tcp [::1]; b: tcp 0.0.0.0 reuseport; c: tcp [::] reuseport; bind a; bind b; bind c"},
    Deviation{"address_reuse_bridge",
              "a: tcp 127.0.0.1 reuseaddr; b: tcp 127.0.0.1 reuseaddr reuseport; c: tcp 127.0.0.1 reuseport;"
              "bind a; bind b; bind c"},
    Deviation{"hint_outlives_its_socket",
              "a: tcp 127.0.0.1 reuseport; b: tcp 127.0.0.1 reuseport; bind a; set a reuseport off; bind b"},
    Deviation{"udp_first_match",
              "a: udp 127.0.0.1; b: udp 127.0.0.2 reuseport; c: udp 0.0.0.0 reuseport; bind a; bind b; bind c"},
};

std::string OneLine(const Script& script) {
  std::string text = Print(script);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (size_t end = 0; (end = text.find('\n', end)) != std::string::npos;) text.replace(end, 1, "; ");
  return text;
}

// What the page says of a scenario is what the model says of a kernel of the day; on the way this kernel is asked too.
class Asker {
 public:
  Asker(const Epoch& here, const RunScenario& run) : here_(here), run_(run) {}

  std::vector<Decision> operator()(const Scenario& scenario) {
    Compare(scenario);
    return Decide(scenario, Epoch{});
  }

  void Report(std::ostream& notes) const {
    for (const auto& [why, scenarios] : not_asked_) {
      notes << scenarios << " of " << scenarios_ << " scenarios are the model's word alone: " << why << "\n";
    }
    if (!disagreements_.empty()) throw KernelDisagrees(disagreements_);
  }

 private:
  static std::vector<Decision> Decide(const Scenario& scenario, const Epoch& epoch) {
    model::Machine machine(epoch);
    machine.Begin(scenario);
    std::vector<Decision> decisions;
    for (const Step& step : scenario.steps) decisions.push_back(machine.Do(step));
    return decisions;
  }

  void Compare(const Scenario& scenario) {
    ++scenarios_;
    std::vector<int> answers;
    try {
      run_(scenario, answers);
    } catch (const CannotAsk& trouble) {
      ++not_asked_[trouble.what()];
      return;
    }
    const std::vector<Decision> decisions = Decide(scenario, here_);
    for (size_t place = 0; place < decisions.size(); ++place) {
      if (answers[place] == decisions[place].error) continue;
      const std::vector<std::string> names = DefaultNames(scenario.sockets.size());
      disagreements_ += (disagreements_.empty() ? "" : "\n") + OneLine({scenario, names, {}}) + ": `" +
                        StepText(scenario.steps[place], names) + "` is " + Answer(answers[place]) + ", and " +
                        Answer(decisions[place].error) + " in the model";
      return;
    }
  }

  static std::string Answer(int error) { return error == 0 ? "ok" : ErrnoName(error); }

  const Epoch here_;
  const RunScenario& run_;
  int scenarios_ = 0;
  std::map<std::string, int> not_asked_;
  std::string disagreements_;
};

constexpr Step Do(Op op, uint16_t socket) {
  return {.op = op, .socket = socket};
}

// A table of two sockets: rows are the options of the first, columns those of the second and whose it is.  `cell` gets
// the decisions of `steps`.
template <typename Cell>
std::string OptionTable(Asker& ask, const std::string& corner, const Socket& like, const std::vector<Step>& steps,
                        Cell cell) {
  // Where one owner will do, it is the one that every user has.
  struct Owners {
    const char* text;
    uint32_t first;
    uint32_t second;
  };
  constexpr std::array kOwners = {Owners{"same owner", 0, 0}, Owners{"other owner", 1001, 1002}};
  std::string header = "| " + corner + " |";
  std::string line = "|---|";
  for (const Owners& owners : kOwners) {
    for (const Mix& second : kMixes) {
      header += std::string(" ") + second.text + "<br>" + owners.text + " |";
      line += "---|";
    }
  }
  std::string rows;
  for (const Mix& first : kMixes) {
    rows += std::string("| ") + first.text + " |";
    for (const Owners& owners : kOwners) {
      for (const Mix& second : kMixes) {
        Scenario scenario = {.sockets = {like, like}, .steps = steps};
        scenario.sockets[0].reuse_addr = first.reuse_addr;
        scenario.sockets[0].reuse_port = first.reuse_port;
        scenario.sockets[0].owner = owners.first;
        scenario.sockets[1].reuse_addr = second.reuse_addr;
        scenario.sockets[1].reuse_port = second.reuse_port;
        scenario.sockets[1].owner = owners.second;
        rows += " " + cell(ask(scenario)) + " |";
      }
    }
    rows += "\n";
  }
  return header + "\n" + line + "\n" + rows + "\n";
}

// "**yes**: port", "no: owners"
std::string LastAnswer(const std::vector<Decision>& decisions) {
  const Decision& last = decisions.back();
  return (last.error == 0 ? "**yes**: " : "no: ") + WordOf(last.rule);
}

std::string WhoBesideWhom(Asker& ask) {
  const Socket tcp = {.address = kAny4};
  const Socket udp = {.protocol = Protocol::kUdp, .address = kAny4};
  const Step bind_a = Do(Op::kBind, 0);
  const Step bind_b = Do(Op::kBind, 1);
  const Step listen_a = Do(Op::kListen, 0);
  std::string page =
      "## Who may bind beside whom\n\n"
      "A row is the socket that holds the port, a column the newcomer, both on one address, and a cell says whether "
      "the\n"
      "newcomer's `bind()` succeeds, with the word of the rule that decides. What counts is the flag at the moment "
      "when\n"
      "the newcomer binds, and the owner that the kernel keeps for each socket: the fsuid at `socket()`, or what\n"
      "`fchown()` made of it.\n\n"
      "| word | rule |\n|---|---|\n";
  for (const Word& word : kWords) page += std::string("| ") + word.text + " | " + Text(word.rule).says + " |\n";
  page += "\n### TCP, the holder is bound\n\n" + OptionTable(ask, "holder", tcp, {bind_a, bind_b}, LastAnswer);
  page += "### TCP, the holder listens\n\n" + OptionTable(ask, "holder", tcp, {bind_a, listen_a, bind_b}, LastAnswer);
  page += "### UDP\n\n" + OptionTable(ask, "holder", udp, {bind_a, bind_b}, LastAnswer);
  return page;
}

std::string Overlaps(Asker& ask) {
  std::string page =
      "## Which addresses overlap\n\n"
      "Only sockets that overlap can be in each other's way. `yes`: they do, and without options the second of the "
      "two\n"
      "does not bind, over TCP and over UDP, whichever comes first.\n\n|  |";
  std::string line = "|---|";
  for (const Holding& place : kHoldings) {
    page += " `" + std::string(place.text) + "` |";
    line += "---|";
  }
  page += "\n" + line + "\n";
  for (const Holding& first : kHoldings) {
    page += "| `" + std::string(first.text) + "` |";
    for (const Holding& second : kHoldings) {
      bool overlap = false;
      for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
        const Socket holder = {.protocol = protocol, .address = first.address, .v6only = first.v6only};
        const Socket newcomer = {.protocol = protocol, .address = second.address, .v6only = second.v6only};
        overlap = ask({.sockets = {holder, newcomer}, .steps = {Do(Op::kBind, 0), Do(Op::kBind, 1)}})[1].error != 0;
      }
      page += overlap ? " yes |" : " |";
    }
    page += "\n";
  }
  for (const uint8_t first : {uint8_t{0}, uint8_t{1}}) {
    for (const uint8_t second : {uint8_t{0}, uint8_t{1}, uint8_t{2}}) {
      const Socket holder = {.address = kAny4, .device = first};
      const Socket newcomer = {.address = kAny4, .device = second};
      ask({.sockets = {holder, newcomer}, .steps = {Do(Op::kBind, 0), Do(Op::kBind, 1)}});
    }
  }
  return page +
         "\n`::ffff:127.0.0.1` is 127.0.0.1, held by an IPv6 socket. `[::]` holds every IPv6 address, and without "
         "`IPV6_V6ONLY`\nevery IPv4 address as well.\n\n"
         "Devices (`SO_BINDTODEVICE`): two sockets that are bound to different devices do not overlap, whatever their\n"
         "addresses. A socket that is bound to none overlaps those on every device.\n\n";
}

std::string ListenAsksAgain(Asker& ask) {
  const auto both_listen = [](const std::vector<Decision>& decisions) -> std::string {
    if (decisions[1].error != 0) return "-";
    return (decisions[3].error == 0 ? "**both**: " : "one: ") + WordOf(decisions[3].rule);
  };
  return "## listen() asks again\n\n"
         "Two TCP sockets are bound beside each other, a row the first and a column the second; then the first "
         "listens,\n"
         "then the second. `listen()` asks what `bind()` asked, of a socket that listens: with `SO_REUSEADDR` alone,\n"
         "who listens first is the only one. The other stays bound, and may listen once the first is closed. A dash: "
         "the\n"
         "two cannot both be bound; `one`: the first listens, and the second is refused.\n\n" +
         OptionTable(ask, "first", {.address = kAny4},
                     {Do(Op::kBind, 0), Do(Op::kBind, 1), Do(Op::kListen, 0), Do(Op::kListen, 1)}, both_listen);
}

std::string TimeWait(Asker& ask) {
  return "## TIME_WAIT\n\n"
         "The holder, a row, connected and closed first: for a minute its TIME_WAIT holds the port, with the flags and "
         "the\nowner that it had. A column is the newcomer that binds then.\n\n" +
         OptionTable(ask, "left behind by", {.address = kLoopback4},
                     {Do(Op::kBind, 0), Do(Op::kTimeWait, 0), Do(Op::kBind, 1)}, LastAnswer);
}

std::string RuleRows(model::Layer layer) {
  std::string rows = "| rule | says | source |\n|---|---|---|\n";
  for (const model::RuleText& text : model::kAllRules) {
    if (text.layer != layer) continue;
    const std::string only = text.only == nullptr ? "" : " (only some kernels)";
    rows += std::string("| `") + text.name + "` | " + text.says + only + " | " + text.source + " |\n";
  }
  return rows + "\n";
}

std::string Rules() {
  return "## The rules: the contract\n\n"
         "For two sockets that want one port and keep their options and owners, this is all (but for the epoch\n"
         "`mapped_wildcard_missed`). Of the rules down to `nothing_shared`, the first that holds decides.\n\n" +
         RuleRows(model::Layer::kIntent) +
         "## The rules: what the kernel also remembers\n\n"
         "A third socket, or a change after `bind()`, shows that the answer also depends on what happened before. "
         "This\n"
         "memory only ever admits more than the contract does; it never refuses what the contract admits.\n\n"
         "* TCP keeps a hint beside each port: the owner, address and family of the socket with `SO_REUSEPORT` that "
         "was\n"
         "  last let in after the holders had been asked. A newcomer with `SO_REUSEPORT` that looks like it, or asks "
         "for\n"
         "  an address below the hint's wildcard, is let in and nobody is asked. The hint goes when a socket without\n"
         "  `SO_REUSEPORT` is bound to the port or listens on it, and when the port's last socket closes.\n"
         "* UDP keeps its sockets in a list and asks them in turn. The first that shares by `SO_REUSEPORT` ends the\n"
         "  search; those behind it are not asked. The newest stands first, but an IPv6 socket with `SO_REUSEPORT` "
         "last.\n"
         "* With more than ten sockets in the port's hash slot, of whatever port, UDP looks a specific address up by\n"
         "  address: first among those of that address, then among the wildcards, and each search may end early. A\n"
         "  wildcard still asks all.\n\n" +
         RuleRows(model::Layer::kHistory);
}

std::string Epochs() {
  std::string page =
      "## The epochs\n\n"
      "What differs between kernels. Each is found out by a probe, never by a version.\n\n"
      "| epoch | a kernel of which it is true | source |\n|---|---|---|\n";
  for (const model::EpochText& text : model::kEpochs) {
    page += std::string("| `") + text.name + "` | " + text.says + " | " + text.source + " |\n";
  }
  return page + "\n";
}

std::string Deviations(Asker& ask) {
  std::string page =
      "## Known deviations\n\n"
      "What the kernel's memory lets in and the contract refuses, by cause, each with its shortest scenario\n"
      "(`./run_all.sh ask` takes it). `results/known_deviations.toml` says on which kernels each is expected.\n\n";
  for (const Deviation& deviation : kDeviations) {
    Script script = Parse(deviation.text);
    const Decision last = ask(script.scenario).back();
    if (last.cause == nullptr || last.cause->cause == nullptr ||
        std::string_view(last.cause->cause) != deviation.cause) {
      throw std::logic_error(std::string(deviation.cause) + ": its scenario does not show it");
    }
    script.expected.back() = last.error;
    const std::string newcomer = StepText(script.scenario.steps.back(), script.names);
    page += "### " + std::string(deviation.cause) + "\n\n```\n" + Print(script) + "```\n\nToday's kernels let `" +
            newcomer + "` succeed: " + Text(last.rule).says + ". The contract refuses it beside `" +
            script.names[static_cast<size_t>(last.intent_holder)] + "`: " + Text(last.intent_rule).says +
            ". It would take `" + last.cause->name + "`: a kernel that " + last.cause->says + ".\n\n";
  }
  return page;
}

}  // namespace

std::string RulesPage(const Epoch& here, const RunScenario& run, std::ostream& notes) {
  Asker ask(here, run);
  std::string page =
      "# Who may share a port\n\n"
      "`./run_all.sh rules` writes this page from the model (`model/`) and asks the kernel about every cell while it\n"
      "does. Change the model, not the page.\n\n";
  page +=
      WhoBesideWhom(ask) + Overlaps(ask) + ListenAsksAgain(ask) + TimeWait(ask) + Rules() + Epochs() + Deviations(ask);
  page.pop_back();
  ask.Report(notes);
  return page;
}

}  // namespace portshare
