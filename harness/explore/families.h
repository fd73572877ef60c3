// Which scenarios are asked: families of one shape each, over the whole alphabet or a fixed part of it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/explore/alphabet.h"
#include "model/scenario.h"

namespace portshare {

// A scenario on its way to the kernel.  Those of one group are asked by one worker, one after the other.
struct Proposal {
  const model::Scenario& scenario;
  uint64_t group;
  // The places in the alphabet of its sockets, in their order.
  const std::vector<int>& places;
  bool last_of_group;
};

using Visit = std::function<void(const Proposal&)>;

// What is known beforehand: two sockets' answer, asked of the kernel when nobody did before.
using Pairwise = std::function<bool(int holder, int newcomer)>;  // true: refused

struct Range {
  const Alphabet& alphabet;
  uint64_t seed;
  Pairwise conflict;
  // Is the group of this number asked in this part?  Whoever needs not know need not ask the kernel for it.
  std::function<bool(uint64_t group)> mine;
  int unrelated = 0;  // of every scenario
};

// What can be said of a family's answers without any model.
enum class Invariant : uint8_t {
  kNone,
  kSymmetry,         // I1
  kDecomposition,    // I3
  kOrders,           // I4, over the six orders of a group that is asked for kDecomposition
  kOwnersApart,      // of what is asked for kDecomposition
  kCloseForgets,     // I5
  kFailureForgets,   // I6
  kListenOrders,     // I7, over a group
  kListenLate,       // I8, over the same
  kUnrelated,        // I10
  kRoundTrip,        // I11
  kPortsApart,       // I9
  kSameProtocol,     // I16, over a group
  kNamespacesApart,  // the second socket in a namespace of its own: no model is asked
};

// "I3 pairwise decomposition: ..."
const char* Says(Invariant invariant);
inline constexpr size_t kInvariants = static_cast<size_t>(Invariant::kNamespacesApart) + 1;

struct Family {
  std::string id;  // "tcp.pairs"
  std::string says;
  model::Protocol protocol;
  void (*propose)(const Range&, const Visit&);
  Invariant invariant = Invariant::kNone;
  int unrelated = 0;
  bool deep = false;  // only in the deep sweep
};

// In the order in which they are asked: the pairs first, because others compare with them.
const std::vector<Family>& Families();

}  // namespace portshare
