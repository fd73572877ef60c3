// What the families are put together with.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "harness/explore/families.h"
#include "model/scenario.h"

namespace portshare::proposing {

using model::Op;
using model::Option;
using model::Protocol;
using model::Scenario;
using model::Step;

constexpr Step Do(Op op, int socket) {
  return {.op = op, .socket = static_cast<uint16_t>(socket)};
}
constexpr Step Set(int socket, Option option, bool on) {
  return {.op = Op::kSet, .socket = static_cast<uint16_t>(socket), .option = option, .on = on};
}

inline constexpr Step kBindA = Do(Op::kBind, 0), kBindB = Do(Op::kBind, 1), kBindC = Do(Op::kBind, 2);
inline constexpr Step kListenA = Do(Op::kListen, 0), kListenB = Do(Op::kListen, 1);
inline constexpr Step kCloseA = Do(Op::kClose, 0), kCloseB = Do(Op::kClose, 1), kCloseC = Do(Op::kClose, 2);

// splitmix64: spreads neighbouring numbers over all of them.
constexpr uint64_t Mixed(uint64_t number) {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

// Builds scenarios without an allocation each, and hands them on.
class Proposer {
 public:
  Proposer(const Range& range, const Visit& visit) : range_(range), visit_(visit) {
    scenario_.unrelated = range.unrelated;
  }

  void NextGroup() { ++group_; }
  bool mine() const { return range_.mine(group_); }

  void Propose(std::initializer_list<int> places, std::initializer_list<Step> steps, bool last_of_group = true) {
    Stage(places);
    scenario_.steps.assign(steps);
    Hand(last_of_group);
  }

  // The sockets of a scenario that is then put together by hand, and handed on.
  void Stage(std::initializer_list<int> places) {
    places_.assign(places);
    scenario_.sockets.clear();
    for (const int place : places) scenario_.sockets.push_back(range_.alphabet[place]);
  }
  void Hand(bool last_of_group) { visit_({scenario_, group_, places_, last_of_group}); }

  Scenario& scenario() { return scenario_; }
  std::vector<int>& places() { return places_; }

 private:
  const Range& range_;
  const Visit& visit_;
  Scenario scenario_;
  std::vector<int> places_;
  uint64_t group_ = 0;
};

template <typename Each>
void EachPair(const Range& range, const Visit& visit, Each each) {
  Proposer proposer(range, visit);
  for (int a = 0; a < range.alphabet.size(); ++a) {
    for (int b = 0; b < range.alphabet.size(); ++b) {
      proposer.NextGroup();
      each(proposer, a, b);
    }
  }
}

// Another socket for a pair, the same one every time; over all pairs each comes up about equally often.
inline int Third(const Range& range, int a, int b) {
  const uint64_t pair = Mixed(static_cast<uint64_t>(a) * 1000 + static_cast<uint64_t>(b));
  return static_cast<int>(pair % static_cast<uint64_t>(range.alphabet.size()));
}

// One pair in `out_of`, the same ones every time.
inline bool Picked(int a, int b, uint64_t out_of) {
  return Mixed(static_cast<uint64_t>(a) << 20 | static_cast<uint64_t>(b)) % out_of == 0;
}

}  // namespace portshare::proposing
