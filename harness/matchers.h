// Expectations about outcomes.  Each one that is met or missed becomes a row of the event stream.
#pragma once

#include <gmock/gmock.h>

#include <numeric>
#include <string>

#include "harness/journal.h"
#include "harness/outcome.h"
#include "harness/traffic.h"
#include "netns/errno_name.h"

namespace portshare {

// A wanted answer in words and the test for it.
template <typename Predicate>
class Wants {
 public:
  using is_gtest_matcher = void;

  Wants(std::string wanted, Predicate met) : wanted_(std::move(wanted)), met_(std::move(met)) {}

  template <typename T>
  bool MatchAndExplain(const T& outcome, std::ostream*) const {
    const bool ok = met_(outcome);
    Journal::Get().Checked(outcome, wanted_, ok);
    return ok;
  }
  void DescribeTo(std::ostream* out) const { *out << wanted_; }
  void DescribeNegationTo(std::ostream* out) const { *out << "not " << wanted_; }

 private:
  std::string wanted_;
  Predicate met_;
};

inline auto Succeeds() {
  return Wants("ok", [](const Outcome& outcome) { return outcome.ok(); });
}

inline auto FailsWith(int error) {
  return Wants(ErrnoName(error), [error](const Outcome& outcome) { return outcome.error == error; });
}

// 0 is success: AnswersWith(epoch ? 0 : EADDRINUSE).
inline auto AnswersWith(int error) {
  return Wants(error == 0 ? "ok" : ErrnoName(error),
               [error](const Outcome& outcome) { return outcome.error == error; });
}

// The call succeeded and this is what it told: Is("LISTEN"), Is(1), Is("0/20").
inline auto Is(const std::string& answer) {
  return Wants(answer, [answer](const Outcome& outcome) { return outcome.ok() && outcome.answer == answer; });
}
inline auto Is(long answer) {
  return Is(std::to_string(answer));
}

// Each socket got exactly this many: Gets(0, 20).
template <typename... Counts>
auto Gets(Counts... counts) {
  std::string wanted;
  ((wanted += (wanted.empty() ? "" : "/") + std::to_string(counts)), ...);
  return Is(wanted);
}

// Every socket got something and nothing was lost; with EnoughToReach() tries, luck fails this less than once in 1e9
// runs.
inline auto ReachesEach(int total) {
  return Wants("something at each, " + std::to_string(total) + " in all", [total](const Share& share) {
    int sum = 0;
    bool each = share.ok();
    for (const int count : share.counts) {
      sum += count;
      each = each && count > 0;
    }
    return each && sum == total;
  });
}

// One socket got all of them, whichever it is.
inline auto ReachesOne(int total) {
  return Wants("all " + std::to_string(total) + " at one socket", [total](const Share& share) {
    int receivers = 0;
    for (const int count : share.counts) receivers += count == total ? 1 : count > 0 ? 2 : 0;
    return share.ok() && receivers == 1;
  });
}

// Nothing was lost and the spread is one that equal chances give: luck fails this less than once in 1e10 runs.
inline auto SpreadsEvenly(int total) {
  return Wants("an even spread of " + std::to_string(total), [total](const Share& share) {
    const int sum = std::accumulate(share.counts.begin(), share.counts.end(), 0);
    return share.ok() && sum == total && ChanceOfSpread(share.counts) >= 1e-10;
  });
}

}  // namespace portshare
