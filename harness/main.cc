// portshare_cases: a plain GoogleTest program, plus --claims, --facts and --emulate=3.8.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <string>

#include "harness/case.h"
#include "harness/deadline.h"
#include "harness/emulate.h"
#include "harness/event_log.h"
#include "harness/explore/epochs.h"
#include "harness/journal.h"
#include "harness/listing.h"
#include "netns/cannot_ask.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

enum ExitCode { kAsExpected = 0, kUnexpected = 1, kUsage = 2, kEventsLost = 3 };

std::string NameOf(const testing::TestInfo& test) {
  return std::string(test.test_suite_name()) + "." + test.name();
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

// Turns GoogleTest's progress into the journal and its events.
class Witness : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    const std::string name = NameOf(test);
    const CaseRecord* record = FindCase(name);
    Journal::Get().Begin(record != nullptr ? record->id() : name, CaseDeadline());
  }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    Journal::Get().Fail(result.file_name() != nullptr ? result.file_name() : "", result.line_number(),
                        result.message());
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    std::cout << Journal::Get().End();
    if (test.result()->Failed()) TellClaims(FindCase(NameOf(test)));
    std::cout << std::flush;
  }
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
    if (emulate_) EmulateLinux38();
  }

 private:
  bool emulate_;
};

int Tell(const std::string& text) {
  std::cout << text << std::endl;
  return std::cout ? kAsExpected : kUnexpected;
}

int Main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  bool emulate = false;
  std::string listing;
  for (int argument = 1; argument < argc; ++argument) {
    const std::string word = argv[argument];
    if (word == "--emulate=3.8") {
      emulate = true;
    } else if (word == "--claims" || word == "--facts") {
      listing = word;
    } else {
      std::cerr << "portshare_cases: unknown option " << word
                << "; known are --claims, --facts, --emulate=3.8, --help\n";
      return kUsage;
    }
  }
  if (listing == "--claims") return Tell(ClaimsAsJson());
  if (listing == "--facts") {
    if (BecomeNamespaceRoot() != Privilege::kNone && emulate) EmulateLinux38();
    return Tell(FactsAsJson(EpochFacts()));
  }
  testing::AddGlobalTestEnvironment(new Place(emulate));
  testing::UnitTest::GetInstance()->listeners().Append(new Witness);
  const int result = RUN_ALL_TESTS();
  if (const int lost = EventLog::Get().error()) {
    std::cerr << "portshare_cases: the event stream could not be written: " << std::strerror(lost) << "\n";
    return kEventsLost;
  }
  return result;
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
