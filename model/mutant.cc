#include "model/mutant.h"

#include <array>

namespace portshare::model {
namespace {

using Change = Mutant::Change;

struct Tweak {
  const char* says;
  void (*apply)(Situation&);
};

using S = Situation&;

constexpr std::array kTweaks = {
    Tweak{"the newcomer's SO_REUSEADDR is taken for set", [](S s) { s.newcomer.reuse_addr = true; }},
    Tweak{"the newcomer's SO_REUSEADDR is ignored", [](S s) { s.newcomer.reuse_addr = false; }},
    Tweak{"the newcomer's SO_REUSEPORT is taken for set", [](S s) { s.newcomer.reuse_port = true; }},
    Tweak{"the newcomer's SO_REUSEPORT is ignored", [](S s) { s.newcomer.reuse_port = false; }},
    Tweak{"the holder's SO_REUSEADDR is taken for set", [](S s) { s.holder.reuse_addr = true; }},
    Tweak{"the holder's SO_REUSEADDR is ignored", [](S s) { s.holder.reuse_addr = false; }},
    Tweak{"the holder's SO_REUSEPORT is taken for set", [](S s) { s.holder.reuse_port = true; }},
    Tweak{"the holder's SO_REUSEPORT is ignored", [](S s) { s.holder.reuse_port = false; }},
    Tweak{"owners are not compared", [](S s) { s.holder.owner = s.newcomer.owner; }},
    Tweak{"owners always differ", [](S s) { s.holder.owner = s.newcomer.owner + 1; }},
    Tweak{"devices are not compared", [](S s) { s.holder.device = s.newcomer.device; }},
    Tweak{"the newcomer's device is ignored", [](S s) { s.newcomer.device = 0; }},
    Tweak{"the holder's device is ignored", [](S s) { s.holder.device = 0; }},
    Tweak{"the newcomer's IPV6_V6ONLY is taken for set", [](S s) { s.newcomer.v6only = true; }},
    Tweak{"the newcomer's IPV6_V6ONLY is ignored", [](S s) { s.newcomer.v6only = false; }},
    Tweak{"the holder's IPV6_V6ONLY is taken for set", [](S s) { s.holder.v6only = true; }},
    Tweak{"the holder's IPV6_V6ONLY is ignored", [](S s) { s.holder.v6only = false; }},
    Tweak{"addresses are not compared", [](S s) { s.holder.address = s.newcomer.address; }},
    Tweak{"the newcomer's address is taken for the wildcard", [](S s) { s.newcomer.address.bits = 0; }},
    Tweak{"the holder's address is taken for the wildcard", [](S s) { s.holder.address.bits = 0; }},
    Tweak{"the newcomer's wildcard is taken for one address",
          [](S s) {
            if (s.newcomer.address.wildcard()) s.newcomer.address.bits = 2;
          }},
    Tweak{"the holder's wildcard is taken for one address",
          [](S s) {
            if (s.holder.address.wildcard()) s.holder.address.bits = 2;
          }},
    Tweak{"an IPv4-mapped newcomer is taken for IPv6",
          [](S s) {
            if (s.newcomer.address.kind == Address::Kind::kMapped) s.newcomer.address.kind = Address::Kind::kIpv6;
          }},
    Tweak{"an IPv4-mapped holder is taken for IPv6",
          [](S s) {
            if (s.holder.address.kind == Address::Kind::kMapped) s.holder.address.kind = Address::Kind::kIpv6;
          }},
    Tweak{"a listening holder is not noticed",
          [](S s) {
            if (s.holder.state == State::kListen) s.holder.state = State::kBound;
          }},
    Tweak{"a bound holder is taken for a listener",
          [](S s) {
            if (s.holder.state == State::kBound) s.holder.state = State::kListen;
          }},
    Tweak{"a holder in TIME_WAIT is not noticed",
          [](S s) {
            if (s.holder.state == State::kTimeWait) s.holder.state = State::kBound;
          }},
    Tweak{"a bound holder is taken for one in TIME_WAIT",
          [](S s) {
            if (s.holder.state == State::kBound) s.holder.state = State::kTimeWait;
          }},
    Tweak{"the hint is taken for written", [](S s) { s.hint.set = true; }},
    Tweak{"the owner of the hint is not compared", [](S s) { s.hint.writer.owner = s.newcomer.owner; }},
    Tweak{"the address of the hint is not compared", [](S s) { s.hint.for_any = true; }},
    Tweak{"the wildcard of the hint is taken for one address",
          [](S s) {
            if (s.hint.writer.address.wildcard()) s.hint.writer.address.bits = 2;
          }},
    Tweak{"the IPV6_V6ONLY of the hint is taken for set", [](S s) { s.hint.writer.v6only = true; }},
    Tweak{"the IPV6_V6ONLY of the hint is ignored", [](S s) { s.hint.writer.v6only = false; }},
    Tweak{"an IPv4-mapped hint is taken for IPv4",
          [](S s) {
            if (s.hint.writer.address.kind == Address::Kind::kMapped) s.hint.writer.address.kind = Address::Kind::kIpv4;
          }},
    Tweak{"an IPv4 hint is taken for IPv4-mapped",
          [](S s) {
            if (s.hint.writer.address.kind == Address::Kind::kIpv4) s.hint.writer.address.kind = Address::Kind::kMapped;
          }},
    Tweak{"the slot is taken for one longer", [](S s) { ++s.in_slot; }},
    Tweak{"the slot is taken for one shorter", [](S s) { --s.in_slot; }},
    Tweak{"a listener among the newcomers is not noticed",
          [](S s) {
            if (s.newcomer.state == State::kListen) s.newcomer.state = State::kBound;
          }},
    Tweak{"an unbound newcomer is taken for bound",
          [](S s) {
            if (s.newcomer.state == State::kUnbound) s.newcomer.state = State::kBound;
          }},
    Tweak{"the protocol is not looked at", [](S s) { s.newcomer.protocol = Protocol::kTcp; }},
};

// The sockets of a small alphabet, each unbound, bound, listening and in TIME_WAIT.
std::vector<Socket> SmallAlphabet() {
  constexpr auto k4 = Address::Kind::kIpv4;
  constexpr auto kM = Address::Kind::kMapped;
  constexpr auto k6 = Address::Kind::kIpv6;
  std::vector<Socket> sockets;
  for (const Address address : {Address{k4, 0}, Address{k4, kLoopback}, Address{k4, kLoopback + 1}, Address{k6, 0},
                                Address{k6, 1}, Address{kM, 0}, Address{kM, kLoopback}}) {
    for (unsigned bits = 0; bits < 128; ++bits) {
      const auto has = [bits](unsigned place) { return (bits >> place & 1U) != 0; };
      if (has(0) && address.kind == k4) continue;
      sockets.push_back({.address = address,
                         .v6only = has(0),
                         .reuse_addr = has(1),
                         .reuse_port = has(2),
                         .device = static_cast<uint8_t>(has(3) ? 1 + bits / 16 % 2 : 0),
                         .owner = has(4) ? 1U : 0U,
                         .state = static_cast<State>(bits >> 5)});
    }
  }
  return sockets;
}

// Is there any situation in which the mutant answers otherwise?
bool Differs(const Mutant& mutant, const std::vector<Socket>& alphabet, const Epoch& epoch) {
  const auto holds = Text(mutant.rule).holds;
  // A stride that divides no period of the alphabet meets every combination of two features without meeting every pair.
  constexpr size_t kStride = 53;
  for (size_t one = 0; one < alphabet.size(); ++one) {
    for (size_t other = one % kStride; other < alphabet.size(); other += kStride) {
      Situation asked{.newcomer = alphabet[one], .holder = alphabet[other], .epoch = epoch};
      asked.hint = {.set = asked.holder.reuse_port, .reuse_addr = asked.holder.reuse_addr, .writer = asked.holder};
      asked.newcomer.protocol = one % 3 == 0 ? Protocol::kUdp : Protocol::kTcp;
      asked.in_slot = kLongSlot + static_cast<int>(other % 2);
      if (mutant.Holds(asked) != holds(asked)) return true;
    }
  }
  return false;
}

}  // namespace

bool Mutant::Holds(const Situation& asked) const {
  const auto holds = model::Text(rule).holds;
  switch (change) {
    case Change::kNegated:
      return !holds(asked);
    case Change::kAlways:
      return true;
    case Change::kNever:
      return false;
    case Change::kTweaked: {
      Situation tweaked = asked;
      kTweaks[tweak].apply(tweaked);
      return holds(tweaked);
    }
    case Change::kNone:
    case Change::kEpoch:
      break;
  }
  return holds(asked);
}

Epoch Mutant::Believes(Epoch epoch) const {
  if (change == Change::kEpoch) epoch.*kEpochs[tweak].field = !(epoch.*kEpochs[tweak].field);
  return epoch;
}

std::string Mutant::Text() const {
  if (change == Change::kEpoch) return std::string(kEpochs[tweak].name) + ": the other way round";
  const std::string name = model::Text(rule).name;
  switch (change) {
    case Change::kNegated:
      return name + ": negated";
    case Change::kAlways:
      return name + ": always";
    case Change::kNever:
      return name + ": never";
    default:
      return name + ": " + kTweaks[tweak].says;
  }
}

std::vector<Mutant> AllMutants(const Epoch& epoch) {
  const std::vector<Socket> alphabet = SmallAlphabet();
  std::vector<Mutant> mutants;
  for (const RuleText& text : kAllRules) {
    // A rule that only says why a newcomer is refused changes no answer.
    if (!text.Applies(epoch) || text.holds == nullptr || text.effect == Effect::kRefuses) continue;
    const auto add = [&](const Mutant& mutant) {
      if (Differs(mutant, alphabet, epoch)) mutants.push_back(mutant);
    };
    for (const Change change : {Change::kNegated, Change::kAlways, Change::kNever}) {
      add({.change = change, .rule = text.rule});
    }
    for (size_t tweak = 0; tweak < kTweaks.size(); ++tweak) {
      add({.change = Change::kTweaked, .rule = text.rule, .tweak = static_cast<uint8_t>(tweak)});
    }
  }
  for (size_t place = 0; place < kEpochs.size(); ++place)
    mutants.push_back({.change = Change::kEpoch, .tweak = static_cast<uint8_t>(place)});
  return mutants;
}

}  // namespace portshare::model
