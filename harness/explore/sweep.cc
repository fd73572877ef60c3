#include "harness/explore/sweep.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iomanip>
#include <memory>
#include <new>
#include <numeric>
#include <ostream>

#include "harness/explore/worker.h"
#include "harness/journal.h"
#include "harness/kernel_log.h"
#include "harness/need.h"
#include "model/mutant.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLimit{120};
constexpr std::chrono::seconds kDeepLimit{3600};
constexpr char kRulesCase[] = "explore.every_rule_decides";
constexpr char kMutantsCase[] = "explore.every_mutant_is_noticed";
constexpr char kExchangeCase[] = "explore.exchange";

// Memory that this process and its children have in common.
template <typename T>
class Shared {
 public:
  explicit Shared(size_t count) : count_(count) {
    memory_ = mmap(nullptr, sizeof(T) * count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw CannotAsk("mmap", errno);
    std::uninitialized_default_construct_n(begin(), count);
  }
  ~Shared() { munmap(memory_, sizeof(T) * count_); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T& operator[](size_t place) { return begin()[place]; }

 private:
  T* begin() { return static_cast<T*>(memory_); }

  size_t count_;
  void* memory_;
};

std::string Counted(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t place = text.size(); place > 3; place -= 3) text.insert(place - 3, ",");
  return text;
}

bool Selected(const SweepOptions& options, const std::string& id, bool deep = false) {
  return options.only.empty() ? !deep || options.deep : options.only.contains(id);
}

class Sweeper {
 public:
  Sweeper(const SweepOptions& options, const Letters& letters, const model::Epoch& epoch, std::ostream& out)
      : options_(options),
        epoch_(epoch),
        out_(out),
        tcp_(letters, model::Protocol::kTcp),
        udp_(letters, model::Protocol::kUdp),
        letters_(letters),
        // A part of the sweep cannot notice them all, and pays for each that is still alive.
        mutants_(options.shards > 1 ? std::vector<model::Mutant>() : model::AllMutants(epoch)),
        board_(1) {}

  bool Run() {
    const auto begun = Clock::now();
    out_ << "alphabet: " << tcp_.size() << " sockets a protocol; walks: --seed=" << options_.seed << "; "
         << options_.jobs << (options_.jobs == 1 ? " worker" : " workers");
    if (options_.shards > 1) out_ << "; part " << options_.shard + 1 << " of " << options_.shards;
    out_ << "\n\n"
         << std::left << std::setw(34) << "family" << std::right << std::setw(12) << "scenarios" << std::setw(12)
         << "answers" << std::setw(10) << "differ" << std::setw(9) << "seconds\n";
    for (const Family& family : Families()) {
      if (Selected(options_, "explore." + family.id, family.deep)) AskFamily(family);
    }
    Line("total", whole_, std::chrono::duration<double>(Clock::now() - begun).count());
    out_ << "digest " << std::hex << whole_.digest << std::dec << "\n";
    Invariants();
    Causes();
    if (!last_.empty()) TellComplaints(last_, log_.SinceAndSoon());
    if (Selected(options_, kExchangeCase)) Exchange();
    if (Selected(options_, kRulesCase)) EveryRuleDecides();
    if (Selected(options_, kMutantsCase)) EveryMutantIsNoticed();
    return good_;
  }

 private:
  void AskFamily(const Family& family) {
    const auto begun = Clock::now();
    Journal::Get().Begin("explore." + family.id, family.deep ? kDeepLimit : kLimit);
    Tally tally;
    try {
      if (const Need* lacking = Lacking(family)) {
        Journal::Get().Skip(lacking->code, *lacking->probe(), lacking->fix);
      } else {
        tally = Ask(family);
      }
    } catch (const CannotAsk& reason) {
      Trouble(tally, reason);
    }
    Judge(family, tally);
    last_ = "explore." + family.id;
    TellComplaints(last_, log_.Since());
    Journal::Get().End();
    Line(family.id, tally, std::chrono::duration<double>(Clock::now() - begun).count());
    whole_.Add(tally);
  }

  static void TellComplaints(const std::string& case_id, const std::vector<KernelComplaint>& complaints) {
    for (const KernelComplaint& complaint : complaints) TellComplaint(case_id, complaint);
  }

  static const Need* Lacking(const Family& family) {
    const Need* need = family.id == "tcp.mptcp"     ? &needs::kMptcp
                       : family.id == "udp.udplite" ? &needs::kUdpLite
                                                    : nullptr;
    return need != nullptr && need->probe() ? need : nullptr;
  }

  Tally Ask(const Family& family) {
    const auto jobs = static_cast<size_t>(options_.jobs);
    Shared<Tally> tallies(jobs);
    std::vector<pid_t> workers;
    for (size_t job = 0; job < jobs; ++job) {
      out_.flush();
      const pid_t worker = fork();
      if (worker < 0) Trouble(tallies[job], CannotAsk("fork", errno));
      if (worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(AskAsWorker(family, tallies[job], job));
      }
      workers.push_back(worker);
    }
    Tally tally;
    for (size_t job = 0; job < jobs; ++job) {
      int status = 0;
      while (workers[job] > 0 && waitpid(workers[job], &status, 0) < 0 && errno == EINTR) continue;
      if (status != 0 && tallies[job].trouble[0] == '\0') {
        std::snprintf(tallies[job].trouble.data(), tallies[job].trouble.size(), "a worker ended with %s %d",
                      WIFSIGNALED(status) ? "signal" : "exit code",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
      }
      tally.Add(tallies[job]);
    }
    return tally;
  }

  int AskAsWorker(const Family& family, Tally& tally, size_t job) {
    try {
      const Alphabet& alphabet = family.protocol == model::Protocol::kUdp ? udp_ : tcp_;
      const Part part = {.shards = static_cast<uint64_t>(options_.shards),
                         .shard = static_cast<uint64_t>(options_.shard),
                         .jobs = static_cast<uint64_t>(options_.jobs),
                         .job = job};
      Worker(alphabet, epoch_, mutants_, board_[0], tally).Ask(family, options_.seed, part);
      return 0;
    } catch (const std::exception& failure) {
      Trouble(tally, failure);
      return 2;
    }
  }

  static void Trouble(Tally& tally, const std::exception& reason) {
    std::snprintf(tally.trouble.data(), tally.trouble.size(), "%s", reason.what());
  }

  void Judge(const Family& family, const Tally& tally) {
    std::map<std::string, uint64_t> deviations;
    for (size_t cause = 0; cause < tally.causes.size(); ++cause) {
      const char* name = model::kEpochs[cause].cause;
      if (name != nullptr && tally.causes[cause] > 0) deviations[name] = tally.causes[cause];
    }
    Journal::Get().Compared(static_cast<int>(tally.steps), deviations);
    bool found = false;
    for (const Finding& finding : tally.findings) {
      if (finding.count == 0) continue;
      found = true;
      const std::string times = finding.count == 1 ? "once" : Counted(finding.count) + " times";
      Fail(family.says + "; " + times + ":\n" + finding.text.data());
    }
    if (tally.trouble[0] == '\0') return;
    if (!found) Journal::Get().Error(tally.trouble.data());  // it would hide what was found before
    out_ << tally.trouble.data() << "\n";
    good_ = false;
    all_asked_ = false;
    pairs_asked_ = pairs_asked_ && !family.id.ends_with(".pairs");
  }

  void Fail(const std::string& message) {
    Journal::Get().Fail("harness/explore/families.cc", 1, message);
    out_ << message << "\n";
    good_ = false;
  }

  void Line(const std::string& name, const Tally& tally, double seconds) {
    out_ << std::left << std::setw(34) << name << std::right << std::setw(12) << Counted(tally.scenarios)
         << std::setw(12) << Counted(tally.steps) << std::setw(10) << Counted(tally.mismatches) << std::setw(8)
         << std::fixed << std::setprecision(2) << seconds << "\n"
         << std::flush;
  }

  void Invariants() {
    out_ << "\ninvariants, of the kernel's answers alone" << std::setw(53) << "checked" << std::setw(11) << "violated"
         << std::setw(13) << "unexplained\n";
    for (size_t place = 1; place < kInvariants; ++place) {
      const Tally::Count& count = whole_.invariants[place];
      if (count.checked == 0) continue;
      out_ << "  " << std::left << std::setw(80) << Says(static_cast<Invariant>(place)) << std::right << std::setw(11)
           << Counted(count.checked) << std::setw(11) << Counted(count.violated) << std::setw(12)
           << Counted(count.unexplained) << "\n";
    }
    out_ << "  I12 to I15 ask who receives, or for states that the alphabet lacks: named cases, see `explain I12`\n";
  }

  void Causes() {
    out_ << "\nloose: admitted, although the contract refuses\n";
    for (size_t cause = 0; cause < model::kEpochs.size(); ++cause) {
      const model::EpochText& text = model::kEpochs[cause];
      if (text.cause == nullptr && whole_.causes[cause] == 0) continue;
      out_ << "  " << std::left << std::setw(36) << (text.cause != nullptr ? text.cause : text.name) << std::right
           << std::setw(12) << Counted(whole_.causes[cause]) << "\n";
    }
    out_ << "  " << std::left << std::setw(36) << "unexplained" << std::right << std::setw(12)
         << Counted(whole_.unexplained) << "\n";
  }

  // Does a memory of this kernel decide of the second of the two?
  bool Remembered(const Alphabet& alphabet, int a, int b) const {
    model::Machine machine(epoch_);
    machine.Begin({.sockets = {alphabet[a], alphabet[b]}, .steps = {}});
    machine.Do({.op = model::Op::kBind, .socket = 0});
    return machine.Do({.op = model::Op::kBind, .socket = 1}).remembered();
  }

  // I1 and I9, over what the pairs' families left on the board.
  void Exchange() {
    Journal::Get().Begin(kExchangeCase, kLimit);
    Tally::Count count;
    for (const Alphabet* alphabet : {&tcp_, &udp_}) {
      const Board::Answers& known = board_[0].pairs[alphabet == &udp_ ? 1 : 0];
      const auto answer = [&](int a, int b) {
        const bool asked = a >= 0 && b >= 0;
        return asked ? known[static_cast<size_t>(a) * Board::kMostSockets + static_cast<size_t>(b)].load() : uint8_t{0};
      };
      for (int a = 0; a < alphabet->size(); ++a) {
        for (int b = 0; b < alphabet->size(); ++b) {
          const std::array<uint8_t, 4> others = {
              answer(b, a), answer(alphabet->OwnersExchanged(a), alphabet->OwnersExchanged(b)),
              answer(alphabet->DevicesExchanged(a), alphabet->DevicesExchanged(b)),
              answer(alphabet->LoopbacksExchanged(a), alphabet->LoopbacksExchanged(b))};
          for (const uint8_t other : others) {
            if (answer(a, b) == 0 || other == 0) continue;
            ++count.checked;
            if (answer(a, b) == other) continue;
            ++count.violated;
            count.unexplained += Remembered(*alphabet, a, b) || Remembered(*alphabet, b, a) ? 0 : 1;
          }
        }
      }
    }
    out_ << "\n  " << Says(Invariant::kSymmetry) << ": " << Counted(count.checked) << " compared, "
         << Counted(count.violated) << " violated, " << Counted(count.unexplained) << " unexplained\n";
    Journal::Get().Compared(static_cast<int>(count.checked), {});
    if (count.unexplained != 0) {
      Fail(Counted(count.unexplained) + " pairs answer otherwise when exchanged");
    } else if (!pairs_asked_) {
      Journal::Get().Error("not all pairs could be asked");
    }
    if (count.checked == 0)
      Journal::Get().Skip("no_pairs", "no pair was asked in this run", "select explore.*.pairs too");
    Journal::Get().End();
  }

  // Only the whole sweep, with the whole alphabet, can say that something never happens.
  bool Whole() {
    if (options_.shards > 1 || SomeFamilyLeftOut()) {
      Journal::Get().Skip("part_of_the_sweep", "only a whole sweep can say that a rule decides nothing",
                          "run all of explore.*");
    } else if (letters_.owners.size() < 2) {
      Journal::Get().Skip(needs::kSecondOwner.code, "the rules about owners need two", needs::kSecondOwner.fix);
    } else if (letters_.devices < 2) {
      const Need& lacks = needs::kSysctl.probe() ? needs::kSysctl : needs::kVeth;
      Journal::Get().Skip(lacks.code, "the rules about devices need two", lacks.fix);
    } else if (!letters_.reuse_port) {
      Journal::Get().Skip(needs::kReusePort.code, "most rules are about SO_REUSEPORT", needs::kReusePort.fix);
    } else if (!all_asked_) {
      Journal::Get().Error("a family of scenarios could not be asked");
    } else {
      return true;
    }
    return false;
  }

  bool SomeFamilyLeftOut() const {
    for (const Family& family : Families()) {
      if (!family.deep && !Selected(options_, "explore." + family.id)) return true;
    }
    return false;
  }

  void EveryRuleDecides() {
    Journal::Get().Begin(kRulesCase, kLimit);
    const bool whole = Whole();
    out_ << "\nrule" << std::setw(56) << "scenarios in which it decides\n";
    size_t deciding = 0;
    size_t applying = 0;
    for (const model::RuleText& text : model::kAllRules) {
      const uint64_t count = whole_.rules[static_cast<size_t>(text.rule)];
      const bool applies = text.Applies(epoch_);
      out_ << "  " << std::left << std::setw(40) << text.name << std::right << std::setw(16)
           << (applies ? Counted(count) : "not here") << "\n";
      applying += applies ? 1 : 0;
      deciding += applies && count > 0 ? 1 : 0;
      if (whole && applies && count == 0) Fail(std::string("the rule ") + text.name + " decides no scenario");
      if (!applies && count > 0) Fail(std::string("the rule ") + text.name + " decides, but is not of this kernel");
    }
    out_ << "rules: " << deciding << " of " << applying << " decide\n";
    Journal::Get().Compared(static_cast<int>(deciding), {});
    Journal::Get().End();
  }

  void EveryMutantIsNoticed() {
    Journal::Get().Begin(kMutantsCase, kLimit);
    const bool whole = Whole();
    size_t killed = 0;
    std::string alive;
    for (size_t number = 0; number < mutants_.size(); ++number) {
      if (board_[0].killed[number] != 0) {
        ++killed;
      } else {
        alive += "  " + mutants_[number].Text() + "\n";
      }
    }
    out_ << "model mutants: " << killed << " of " << mutants_.size() << " noticed\n" << alive;
    if (whole && !alive.empty()) Fail("broken rules that no scenario notices:\n" + alive);
    Journal::Get().Compared(static_cast<int>(killed), {});
    Journal::Get().End();
  }

  const SweepOptions& options_;
  const model::Epoch& epoch_;
  std::ostream& out_;
  const Alphabet tcp_;
  const Alphabet udp_;
  const Letters& letters_;
  const std::vector<model::Mutant> mutants_;
  Shared<Board> board_;
  Tally whole_;
  KernelLog log_;
  std::string last_;  // the case that asked the kernel last
  bool good_ = true;
  bool all_asked_ = true;  // of the families chosen
  bool pairs_asked_ = true;
};

}  // namespace

std::vector<SweepCase> SweepCases() {
  std::vector<SweepCase> cases;
  for (const Family& family : Families()) cases.push_back({"explore." + family.id, family.says, family.deep});
  cases.push_back({kExchangeCase, "pairs with owners, devices, loopbacks or places exchanged"});
  cases.push_back({kRulesCase, "every rule of the model decides some scenario"});
  cases.push_back({kMutantsCase, "every rule of the model, broken, would be noticed"});
  return cases;
}

void SkipSweep(const SweepOptions& options, const std::string& why) {
  for (const SweepCase& left : SweepCases()) {
    if (!Selected(options, left.id, left.deep)) continue;
    Journal::Get().Begin(left.id, kLimit);
    Journal::Get().Skip(needs::kNamespace.code, why, needs::kNamespace.fix);
    Journal::Get().End();
  }
}

bool Sweep(const SweepOptions& options, const Letters& letters, const model::Epoch& epoch, std::ostream& out) {
  return Sweeper(options, letters, epoch, out).Run();
}

}  // namespace portshare
