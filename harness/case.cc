#include "harness/case.h"

#include <cctype>

#include "harness/apart.h"
#include "harness/journal.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/cannot_ask.h"
#include "netns/sysctl.h"

namespace portshare {
namespace {

// Both live until the process ends, as they are: a thousand short processes would pay for taking them apart.
std::vector<Claim>& MutableClaims() {
  static auto* const claims = new std::vector<Claim>;
  return *claims;
}

std::vector<CaseRecord>& MutableCases() {
  static auto* const cases = new std::vector<CaseRecord>;
  return *cases;
}

void Append(auto& to, const auto& from) {
  to.insert(to.end(), from.begin(), from.end());
}

const CaseRecord* RunningCase() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  return FindCase(std::string(test->test_suite_name()) + "." + test->name());
}

}  // namespace

bool AddClaim(Claim claim) {
  MutableClaims().push_back(std::move(claim));
  return true;
}

const std::vector<Claim>& Claims() {
  return MutableClaims();
}

CaseFacts Merged(const std::vector<CaseFacts>& facts) {
  CaseFacts all;
  for (const CaseFacts& some : facts) {
    Append(all.claims, some.claims);
    Append(all.needs, some.needs);
    Append(all.labels, some.labels);
    Append(all.epochs, some.epochs);
  }
  return all;
}

bool AddCase(const char* file, int line, const std::string& suite, const std::string& name, CaseFacts facts) {
  MutableCases().push_back({suite + "." + name, file, line, std::move(facts)});
  return true;
}

// Words in camel case become snake case, and a row's name, which is in snake case already, the last part.
std::string CaseRecord::id() const {
  std::string id;
  for (const char letter : test) {
    if (std::isupper(letter) && !id.empty() && id.back() != '.') id += '_';
    id += letter == '/' ? '.' : static_cast<char>(std::tolower(letter));
  }
  return id;
}

const std::vector<CaseRecord>& Cases() {
  return MutableCases();
}

const CaseRecord* FindCase(const std::string& test) {
  for (const CaseRecord& record : Cases()) {
    if (record.test == test) return &record;
  }
  return nullptr;
}

void Case::SetUp() {
  if (Apart::Get().watches()) GTEST_SKIP();
  Guarded([this] {
    std::optional<Unmet> unmet = FirstUnmet({&needs::kNamespace});
    if (!unmet) {
      network_.emplace();
      StayOnThisProcessor();
      const CaseRecord* record = RunningCase();
      if (record != nullptr) unmet = FirstUnmet(record->facts.needs);
    }
    if (!unmet) return;
    const auto& [need, why] = *unmet;
    Journal::Get().Skip(need->code, why, need->fix);
    GTEST_SKIP() << need->code << ": " << why << "; to run it: " << need->fix;
  });
}

void Case::TearDown() {
  network_.reset();
}

void Case::Guarded(const std::function<void()>& body) {
  const CaseRecord* record = RunningCase();
  const char* file = record != nullptr ? record->file.c_str() : __FILE__;
  const int line = record != nullptr ? record->line : __LINE__;
  const auto not_asked = [&](const std::exception& reason) {
    Journal::Get().Error(reason.what());
    GTEST_FAIL_AT(file, line) << "could not ask: " << reason.what();
  };
  try {
    body();
  } catch (const UnexpectedAnswer&) {
    GTEST_FAIL_AT(file, line) << "a step that the case builds on was refused: see the steps";
  } catch (const CannotAsk& reason) {
    not_asked(reason);
  } catch (const std::system_error& reason) {  // no thread
    not_asked(reason);
  } catch (const std::bad_alloc& reason) {
    not_asked(reason);
  }
}

Outcome Case::Sysctl(const std::string& name, const std::string& value) {
  const CaseRecord* record = RunningCase();
  // Where /proc/sys is read-only the case would fail.
  if (record != nullptr && !Includes(record->facts.needs, needs::kSysctl)) {
    throw CannotAsk("a case that sets a sysctl declares Needs(needs::kSysctl)");
  }
  return Journal::Get().Answered(Outcome{"sysctl net/" + name + "=" + value, WriteSysctl(name, value), ""});
}

}  // namespace portshare
