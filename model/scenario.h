// A sequence of socket steps: what the scenario notation says, as values.
#pragma once

#include <cstdint>
#include <vector>

#include "model/socket.h"

namespace portshare::model {

enum class Op : uint8_t { kBind, kListen, kClose, kSet, kOwn, kTimeWait };
enum class Option : uint8_t { kReuseAddr, kReusePort };

struct Step {
  Op op = Op::kBind;
  uint16_t socket = 0;                 // its place in Scenario::sockets
  Option option = Option::kReuseAddr;  // of kSet
  bool on = true;                      // of kSet
  uint32_t owner = 0;                  // of kOwn

  constexpr bool operator==(const Step&) const = default;
};

struct Scenario {
  std::vector<Socket> sockets;  // as declared: all unbound
  std::vector<Step> steps;
  // UDP sockets of other ports in the same hash slot, bound before the first step.
  int unrelated = 0;

  bool operator==(const Scenario&) const = default;
};

}  // namespace portshare::model
