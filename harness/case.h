// A case: a GoogleTest test in a network namespace of its own that witnesses claims.  How to write one: README.md.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/claim.h"
#include "harness/need.h"
#include "harness/outcome.h"
#include "netns/private_network.h"

namespace portshare {

// What is declared at a case, beside its body.
struct CaseFacts {
  std::vector<std::string> claims = {};
  std::vector<const Need*> needs = {};
  std::vector<std::string> labels = {};
  std::vector<std::string> epochs = {};
};

// The claims, by id.
template <typename... Ids>
CaseFacts Witnesses(const Ids&... ids) {
  return {.claims = {ids...}};
}

template <typename... Wanted>
CaseFacts Needs(const Wanted&... wanted) {
  return {.needs = {&wanted...}};
}

template <typename... Words>
CaseFacts Labels(const Words&... words) {
  return {.labels = {words...}};
}

// The case's answer follows these epochs of the kernel, by name (model/epoch.h): their probe and the case agree, or one
// of them is wrong.
template <typename... Names>
CaseFacts Follows(const Names&... names) {
  return {.epochs = {names...}};
}

struct CaseRecord {
  std::string test;  // "TcpReuseaddr.RefusesWhileTheHolderListens"
  std::string file;  // "cases/tcp_reuseaddr.cc"
  int line = 0;
  CaseFacts facts;

  // "tcp_reuseaddr.refuses_while_the_holder_listens"
  std::string id() const;
};

const std::vector<CaseRecord>& Cases();
bool AddCase(const char* file, int line, const std::string& suite, const std::string& name, CaseFacts facts);
// All that several declarations say.
CaseFacts Merged(const std::vector<CaseFacts>& facts);
// The case that GoogleTest knows under `test` ("Suite.Name"); null for a test that is no case.
const CaseRecord* FindCase(const std::string& test);

// The fixture of every case: meets the declared needs or skips with a code, then enters a private network with lo up.
class Case : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // The port that the case is about; its namespace is its own, so that any number serves.
  static constexpr uint16_t port() { return 7777; }

  // Runs the case's set-up or body; a step that was refused ends it as `fail`, one that could not be asked as `error`.
  // Either failure is fatal: a body never runs without its private network.
  static void Guarded(const std::function<void()>& body);

  // Sets a sysctl of the case's namespace: "ipv4/ip_unprivileged_port_start".
  static Outcome Sysctl(const std::string& name, const std::string& value);

 private:
  std::optional<PrivateNetwork> network_;
};

// Makes GoogleTest know a case.
template <typename Test>
bool RegisterCase(const char* file, int line, const std::string& suite, const std::string& name,
                  const std::vector<CaseFacts>& facts) {
  testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, file, line, []() -> Case* { return new Test; });
  return AddCase(file, line, suite, name, Merged(facts));
}

// The same for each row of a matrix.  A row is a struct with a `name` in snake case; it may have `facts` of its own.
template <typename Test, typename Row>
bool RegisterRows(const char* file, int line, const std::string& suite, const std::string& name,
                  const std::vector<Row>& rows, const std::vector<CaseFacts>& facts) {
  const CaseFacts common = Merged(facts);
  for (const Row& row : rows) {
    const std::string full_name = name + "/" + row.name;
    testing::RegisterTest(suite.c_str(), full_name.c_str(), nullptr, nullptr, file, line,
                          [&row]() -> Case* { return new Test(row); });
    if constexpr (requires { row.facts; }) {
      AddCase(file, line, suite, full_name, Merged({common, row.facts}));
    } else {
      AddCase(file, line, suite, full_name, common);
    }
  }
  return true;
}

}  // namespace portshare

// CASE(Suite, RuleInWords, Witnesses("claim.id"), Needs(needs::kSecondOwner)) { ... }
// Suite is an alias of Case, or a fixture derived from it: using TcpReuseaddr = Case;
#define CASE(suite, rule, ...)                                                                     \
  class suite##_##rule : public suite {                                                            \
    void TestBody() override {                                                                     \
      Guarded([this] { Ask(); });                                                                  \
    }                                                                                              \
    void Ask();                                                                                    \
  };                                                                                               \
  [[maybe_unused]] static const bool suite##_##rule##_added =                                      \
      ::portshare::RegisterCase<suite##_##rule>(__FILE__, __LINE__, #suite, #rule, {__VA_ARGS__}); \
  void suite##_##rule::Ask()

// MATRIX(Suite, RuleInWords, Row, kRows, Witnesses("claim.id")) { ... row.field ... }
// Every row of `rows`, a std::vector<Row> that lives as long as the program, is a case of its own.
#define MATRIX(suite, rule, Row, rows, ...)                                                                   \
  class suite##_##rule : public suite {                                                                       \
   public:                                                                                                    \
    explicit suite##_##rule(const Row& given) : row(given) {}                                                 \
                                                                                                              \
   private:                                                                                                   \
    void TestBody() override {                                                                                \
      Guarded([this] { Ask(); });                                                                             \
    }                                                                                                         \
    void Ask();                                                                                               \
    const Row& row;                                                                                           \
  };                                                                                                          \
  [[maybe_unused]] static const bool suite##_##rule##_added =                                                 \
      ::portshare::RegisterRows<suite##_##rule, Row>(__FILE__, __LINE__, #suite, #rule, rows, {__VA_ARGS__}); \
  void suite##_##rule::Ask()
