// portshare_cases: a plain GoogleTest program, plus --claims, --facts, --emulate=3.8, --apart=SECONDS and
// --complaints-since=SEQUENCE,TAINT.
#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>

#include "harness/apart.h"
#include "harness/behaviour.h"
#include "harness/case.h"
#include "harness/deadline.h"
#include "harness/emulate.h"
#include "harness/event_log.h"
#include "harness/explore/epochs.h"
#include "harness/journal.h"
#include "harness/kernel_log.h"
#include "harness/listing.h"
#include "harness/signal_scope.h"
#include "netns/cannot_ask.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

enum ExitCode { kAsExpected = 0, kUnexpected = 1, kUsage = 2, kEventsLost = 3 };

std::string NameOf(const testing::TestInfo& test) {
  return std::string(test.test_suite_name()) + "." + test.name();
}

std::string IdOf(const testing::TestInfo& test) {
  const CaseRecord* record = FindCase(NameOf(test));
  return record != nullptr ? record->id() : NameOf(test);
}

void TellComplaints(const std::string& case_id, KernelLog& log) {
  for (const KernelComplaint& complaint : log.Since()) TellComplaint(case_id, complaint);
}

void TellClaims(const CaseRecord* record) {
  if (record == nullptr) return;
  for (const Claim& claim : Claims()) {
    const auto& ids = record->facts.claims;
    if (std::find(ids.begin(), ids.end(), claim.id) == ids.end()) continue;
    std::cout << "claim " << claim.id << " (kernels: " << claim.kernels << "): " << claim.says << "\n";
    for (const Source& source : claim.sources) std::cout << "  " << source.kind << ": " << source.where << "\n";
  }
}

// The exit code, once all is said that there is to say.
int CodeAfter(int result) {
  if (const int lost = EventLog::Get().error()) {
    std::cerr << "portshare_cases: the event stream could not be written: " << std::strerror(lost) << "\n";
    return kEventsLost;
  }
  return result;
}

// Turns GoogleTest's progress into the journal and its events.
class Witness : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    const std::string id = IdOf(test);
    if (Apart::Get().watches()) Apart::Get().Enter(id);
    if (Apart::Get().watches()) return;
    // Whoever forked this process watches the kernel, too.
    if (!Apart::Get().watched()) log_.emplace();
    Journal::Get().Begin(id, CaseDeadline());
  }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    Journal::Get().Fail(result.file_name() != nullptr ? result.file_name() : "", result.line_number(),
                        result.message());
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    if (Apart::Get().watches()) return;
    if (log_) TellComplaints(IdOf(test), *log_);
    std::cout << Journal::Get().End();
    if (test.result()->Failed()) TellClaims(FindCase(NameOf(test)));
    std::cout << std::flush;
    if (Apart::Get().watched()) _exit(CodeAfter(test.result()->Failed() ? kUnexpected : kAsExpected));
  }

  void OnTestProgramEnd(const testing::UnitTest&) override { Apart::Get().End(); }

  // While a case runs in this process.
  std::optional<KernelLog> log_;
};

// Before the first test, and only if tests run at all: a listing must not need a namespace.
class Place : public testing::Environment {
 public:
  explicit Place(bool emulate) : emulate_(emulate) {}
  void SetUp() override {
    try {
      if (BecomeNamespaceRoot() == Privilege::kNone) return;
    } catch (const CannotAsk&) {
      return;  // each case meets it again and tells it as its error
    }
    KeepSignalsInside();
    if (emulate_) EmulateLinux38();
  }

 private:
  bool emulate_;
};

int Tell(const std::string& text) {
  std::cout << text << std::endl;
  return std::cout ? kAsExpected : kUnexpected;
}

int RunTests(bool emulate) {
  testing::AddGlobalTestEnvironment(new Place(emulate));
  testing::UnitTest::GetInstance()->listeners().Append(new Witness);
  return CodeAfter(RUN_ALL_TESTS());
}

// What the kernel has complained of since --facts told the two, either of which may be empty: also of what no case
// lived to tell, and after the last of them.
int TellComplaintsSince(const std::string& told) {
  KernelMark mark;
  if (uint64_t sequence; std::sscanf(told.c_str(), "%" SCNu64, &sequence) == 1) mark.sequence = sequence;
  const size_t comma = told.find(',');
  if (uint64_t taint; comma != std::string::npos && std::sscanf(told.c_str() + comma, ",%" SCNu64, &taint) == 1) {
    mark.taint = taint;
  }
  for (const KernelComplaint& complaint : KernelLog(mark).SinceAndSoon()) TellComplaint("the_run", complaint);
  return CodeAfter(kAsExpected);
}

int Main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  bool emulate = false;
  std::string listing;
  const std::string apart = "--apart=", since = "--complaints-since=";
  for (int argument = 1; argument < argc; ++argument) {
    const std::string word = argv[argument];
    if (word == "--emulate=3.8") {
      emulate = true;
    } else if (word == "--claims" || word == "--facts") {
      listing = word;
    } else if (word.starts_with(apart)) {
      Apart::Get().Begin(std::atof(word.c_str() + apart.size()));
    } else if (word.starts_with(since)) {
      return TellComplaintsSince(word.substr(since.size()));
    } else {
      std::cerr << "portshare_cases: unknown option " << word
                << "; known are --claims, --facts, --emulate=3.8, --apart=SECONDS, --complaints-since=SEQUENCE,TAINT, "
                   "--help\n";
      return kUsage;
    }
  }
  if (listing == "--claims") return Tell(ClaimsAsJson());
  if (listing == "--facts") {
    if (BecomeNamespaceRoot() != Privilege::kNone && emulate) EmulateLinux38();
    std::vector<EpochFact> facts = EpochFacts();
    for (EpochFact& fact : BehaviourFacts()) facts.push_back(std::move(fact));
    return Tell(FactsAsJson(facts));
  }
  return RunTests(emulate);
}

}  // namespace
}  // namespace portshare

int main(int argc, char** argv) {
  try {
    return portshare::Main(argc, argv);
  } catch (const std::exception& failure) {
    std::cerr << "portshare_cases: " << failure.what() << "\n";
    return 2;
  }
}
