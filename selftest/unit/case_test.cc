// Cases, claims and their ids; what becomes of a case that cannot be asked.
#include "harness/case.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "harness/behaviour.h"
#include "harness/journal.h"
#include "harness/listing.h"
#include "harness/program.h"
#include "harness/socket.h"
#include "model/epoch.h"
#include "netns/cannot_ask.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using testing::HasSubstr;
using testing::Not;

using CaseUnit = Case;

CLAIM({.id = "unit.claim",
       .says = "A claim of the unit tests.",
       .rows = {"ROW-001"},
       .sources = {Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("ES-10"), Truth("ES-11")}});

CASE(CaseUnit, RunsInANetworkOfItsOwnA4TimesOver, Witnesses("unit.claim"), Labels("tcp")) {
  EXPECT_EQ(Tcp(Loopback4()).Bind(port()).Got(), "ok");
}

struct Row {
  std::string name;
  int answer;
  CaseFacts facts = {};
};

const std::vector<Row> kRows = {
    {.name = "first_row", .answer = 42},
    {.name = "second_row", .answer = 42, .facts = Labels("slow")},
};

MATRIX(CaseUnit, AsksEveryRow, Row, kRows, Witnesses("unit.claim")) {
  EXPECT_EQ(row.answer, 42);
}

const Need kPerhaps{"perhaps", "no_perhaps", "unset PORTSHARE_UNIT_LACKS", []() -> std::optional<std::string> {
                      const char* lacks = std::getenv("PORTSHARE_UNIT_LACKS");
                      if (lacks == nullptr) return std::nullopt;
                      if (std::string(lacks) == "probe") throw CannotAsk("the probe broke");
                      return "there is none";
                    }};

CASE(CaseUnit, RunsWithItsNeed, Witnesses("unit.claim"), Needs(kPerhaps)) {
  ASSERT_EQ(std::getenv("PORTSHARE_UNIT_LACKS"), nullptr) << "the body ran";
}

// What the case above prints in a process of its own, since its end would be this test's.
std::string SaidWithout(const char* lacks) {
  setenv("PORTSHARE_UNIT_LACKS", lacks, 1);
  Program itself("portshare_unit", {"/proc/self/exe", "--gtest_filter=CaseUnit.RunsWithItsNeed"});
  unsetenv("PORTSHARE_UNIT_LACKS");
  std::string said;
  while (said.find(" test, listed below") == std::string::npos && said.find("PASSED  ] 1") == std::string::npos) {
    said += itself.Answer().Got() + "\n";
  }
  return said;
}

TEST_F(InNetwork, IsSkippedWithoutItsNeed) {
  EXPECT_THAT(SaidWithout("need"), HasSubstr("no_perhaps: there is none; to run it: unset PORTSHARE_UNIT_LACKS"));
}

TEST_F(InNetwork, NeverRunsAfterABrokenSetUp) {
  const std::string said = SaidWithout("probe");
  EXPECT_THAT(said, HasSubstr("could not ask: the probe broke"));
  EXPECT_THAT(said, Not(HasSubstr("the body ran")));
}

CASE(CaseUnit, FollowsAnEpoch, Witnesses("unit.claim"), Follows("reuseport")) {
  EXPECT_EQ(Tcp(Loopback4()).Bind(port()).Got(), "ok");
}

TEST(CaseRecord, HasAnIdInSnakeCase) {
  const CaseRecord* record = FindCase("CaseUnit.RunsInANetworkOfItsOwnA4TimesOver");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->id(), "case_unit.runs_in_a_network_of_its_own_a4_times_over");
  EXPECT_EQ(record->file, "selftest/unit/case_test.cc");
  EXPECT_GT(record->line, 0);
  EXPECT_EQ(record->facts.claims, std::vector<std::string>{"unit.claim"});
  EXPECT_EQ(record->facts.labels, std::vector<std::string>{"tcp"});
}

TEST(CaseRecord, IsOneForEachRow) {
  const CaseRecord* record = FindCase("CaseUnit.AsksEveryRow/second_row");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->id(), "case_unit.asks_every_row.second_row");
  EXPECT_EQ(record->facts.labels, std::vector<std::string>{"slow"});
  EXPECT_EQ(record->facts.claims, std::vector<std::string>{"unit.claim"});
}

TEST(CaseRecord, IsNoneForAPlainTest) {
  EXPECT_EQ(FindCase("CaseRecord.IsNoneForAPlainTest"), nullptr);
}

TEST(Listing, TellsTheClaimWithItsCases) {
  const auto listing = nlohmann::json::parse(ClaimsAsJson());
  const auto& claims = listing["claims"];
  const auto claim =
      std::find_if(claims.begin(), claims.end(), [](const auto& entry) { return entry["id"] == "unit.claim"; });
  ASSERT_NE(claim, claims.end());
  EXPECT_EQ((*claim)["kernels"], "all");
  EXPECT_EQ((*claim)["rows"], nlohmann::json({"ROW-001"}));
  EXPECT_EQ((*claim)["sources"][0]["kind"], "man");
  EXPECT_EQ((*claim)["documents"][1]["how"], "truth");
  EXPECT_EQ((*claim)["cases"].size(), 5U);
}

TEST(Listing, TellsWhatACaseNeeds) {
  const auto listing = nlohmann::json::parse(ClaimsAsJson());
  for (const auto& record : listing["cases"]) {
    EXPECT_EQ(record["topic"], "case_test");
    if (record["test"] == "CaseUnit.RunsWithItsNeed") {
      EXPECT_EQ(record["needs"], nlohmann::json({"perhaps"}));
    }
  }
}

TEST(Listing, TellsEveryNeed) {
  const auto facts = nlohmann::json::parse(FactsAsJson({}));
  EXPECT_EQ(facts["needs"].size(), AllNeeds().size());
  EXPECT_EQ(facts["privilege"], PrivilegeName(BecomeNamespaceRoot()));
}

TEST(Listing, TellsWhatIsKnownOfAnEpoch) {
  const auto facts = nlohmann::json::parse(FactsAsJson({{"one", true}, {"two", false}, {"three", std::nullopt}}));
  EXPECT_EQ(facts["epochs"], nlohmann::json::parse(R"({"one": true, "two": false, "three": null})"));
}

TEST(Listing, TellsWhichEpochsACaseFollows) {
  const auto listing = nlohmann::json::parse(ClaimsAsJson());
  EXPECT_EQ(listing["epochs"].size(), model::kEpochs.size() + Behaviours().size());
  EXPECT_EQ(listing["epochs"][0]["name"], "reuseport");
  for (const auto& record : listing["cases"]) {
    const bool follows = record["test"] == "CaseUnit.FollowsAnEpoch";
    EXPECT_EQ(record["epochs"], follows ? nlohmann::json({"reuseport"}) : nlohmann::json::array());
  }
}

class GuardedCase : public Case {
 protected:
  void TearDown() override {
    Journal::Get().End();
    Case::TearDown();
  }
};

TEST_F(GuardedCase, FailsWhenAStepWasRefused) {
  EXPECT_FATAL_FAILURE(Guarded([] { throw UnexpectedAnswer(); }), "was refused");
}

TEST_F(GuardedCase, CannotAskWhenAStepFailed) {
  EXPECT_FATAL_FAILURE(Guarded([] { throw CannotAsk("socket", EMFILE); }), "could not ask: socket: EMFILE");
}

TEST_F(GuardedCase, CannotAskWithoutAThread) {
  EXPECT_FATAL_FAILURE(Guarded([] { throw std::system_error(EAGAIN, std::generic_category()); }),
                       "could not ask: Resource temporarily unavailable");
}

TEST_F(GuardedCase, SetsSysctlsAsSteps) {
  EXPECT_EQ(Sysctl("ipv4/ip_unprivileged_port_start", "0").Got(), "ok");
  EXPECT_EQ(Sysctl("ipv4/no_such_thing", "0").Got(), "ENOENT");
}

}  // namespace
}  // namespace portshare
