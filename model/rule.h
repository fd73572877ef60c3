// The rules by name: what each says, where that stands, and the function that tells whether it holds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "model/epoch.h"
#include "model/history.h"
#include "model/intent.h"
#include "model/socket.h"

namespace portshare::model {

enum class Rule : uint8_t {
  // bind(2) and listen(2) beside one holder, in the order in which they are asked: the first that holds decides.
  kDevicesApart,
  kAddressesApart,
  kSharesByAddress,
  kSharesByPort,
  kSharesOverTimeWait,
  kListenerEndsReuse,
  kOwnersDiffer,
  kNothingShared,
  // A call that the holders have no part in.
  kAlone,
  kBoundAlready,
  kMappedNeedsDual,
  kDatagramsDoNotListen,
  kListensAlready,
  kListensUnbound,
  kListenerDoesNotConnect,
  kOptionUnknown,
  kOptionAnyTime,
  kOwnerAnyTime,
  kClosed,
  kLeavesTimeWait,
  // What the kernel also remembers.
  kHintMatches,
  kReuseAddrHint,
  kMappedWildcardMissed,
  kFirstMatch,
  kFirstMatchInLongSlot,
  kWildcardMissedInLongSlot,
  // What shapes that memory.
  kWritesHint,
  kStandsLast,
  kLooksUpByAddress,
  kSamePlace,
};

enum class Layer : uint8_t { kIntent, kHistory };

// All that a rule may look at.
struct Situation {
  Socket newcomer = {};
  Socket holder = {};
  Hint hint = {};
  Epoch epoch = {};
  int in_slot = 0;
};

enum class Effect : uint8_t { kApart, kAdmits, kRefuses, kAnswers, kRemembers, kShapes };

struct RuleText {
  Rule rule;
  const char* name;
  Layer layer;
  Effect effect;
  const char* says;  // a sentence that ends without a full stop
  const char* source;
  // nullptr where it takes more than one look to tell: machine.cc
  bool (*holds)(const Situation&) = nullptr;
  // Only on a kernel of which the one is true, or the other false; nullptr for every kernel.
  bool Epoch::*only = nullptr;
  bool Epoch::*unless = nullptr;

  constexpr bool Applies(const Epoch& epoch) const {
    return (only == nullptr || epoch.*only) && (unless == nullptr || !(epoch.*unless));
  }
};

// One entry a rule, in the order of the enumeration.
const RuleText& Text(Rule rule);
inline constexpr size_t kRules = static_cast<size_t>(Rule::kSamePlace) + 1;
const std::array<RuleText, kRules>& AllRules();

}  // namespace portshare::model
