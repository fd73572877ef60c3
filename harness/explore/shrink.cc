#include "harness/explore/shrink.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace portshare {
namespace {

using model::Address;
using model::kLoopback;
using model::Op;
using model::Option;
using model::Protocol;
using model::Scenario;
using model::Socket;
using model::Step;
using Kind = Address::Kind;

constexpr uint32_t kFirstOwner = 1001;

// The plainest first.
constexpr std::array kAddresses = {
    Address{Kind::kIpv4, kLoopback}, Address{Kind::kIpv4, kLoopback + 1},
    Address{Kind::kIpv4, 0},         Address{Kind::kIpv6, 1},
    Address{Kind::kIpv6, 0},         Address{Kind::kMapped, kLoopback},
    Address{Kind::kMapped, 0},
};

bool IsLoopback4(const Address& address) {
  return address.kind != Kind::kIpv6 && address.bits >> 24 == 127;
}

uint64_t RankOf(const Address& address) {
  const auto found = std::find(kAddresses.begin(), kAddresses.end(), address);
  if (found != kAddresses.end()) return static_cast<uint64_t>(found - kAddresses.begin());
  return kAddresses.size() + (uint64_t{address.bits} << 8) + static_cast<uint64_t>(address.kind);
}

// Nobody's in particular, then the numbers that owners are given here.
uint64_t RankOf(uint32_t owner) {
  return owner == 0 || owner >= kFirstOwner ? owner : uint64_t{owner} << 32;
}

// What there is to read in a scenario, the weightiest first.  Of two scenarios the plainer has the lesser.
std::vector<uint64_t> Weight(const Scenario& scenario) {
  std::vector<uint64_t> weight = {scenario.steps.size(), scenario.sockets.size(),
                                  static_cast<uint64_t>(scenario.unrelated)};
  for (const Socket& socket : scenario.sockets) {
    weight.insert(weight.end(),
                  {static_cast<uint64_t>(socket.protocol), socket.port, socket.device, RankOf(socket.owner),
                   socket.reuse_addr, socket.reuse_port, socket.v6only, RankOf(socket.address)});
  }
  for (const Step& step : scenario.steps) weight.push_back(RankOf(step.owner));
  return weight;
}

// Numbers by the order in which they were asked for.
class Renumbered {
 public:
  uint32_t operator()(uint32_t old) {
    const auto found = std::find(met_.begin(), met_.end(), old);
    if (found != met_.end()) return static_cast<uint32_t>(found - met_.begin());
    met_.push_back(old);
    return static_cast<uint32_t>(met_.size() - 1);
  }

 private:
  std::vector<uint32_t> met_;
};

// The same scenario with owners 1001, 1002, devices 1, 2 and loopbacks 127.0.0.1, 127.0.0.2 in the order of first use.
Scenario InOrderOfUse(Scenario scenario) {
  Renumbered owners;
  Renumbered devices;
  Renumbered loopbacks;
  const auto owner = [&](uint32_t& old) {
    if (old != 0) old = kFirstOwner + owners(old);
  };
  for (Socket& socket : scenario.sockets) {
    owner(socket.owner);
    if (socket.device != 0) socket.device = static_cast<uint8_t>(1 + devices(socket.device));
    if (IsLoopback4(socket.address)) socket.address.bits = kLoopback + loopbacks(socket.address.bits);
  }
  for (Step& step : scenario.steps) {
    if (step.op == Op::kOwn) owner(step.owner);
  }
  return scenario;
}

// The sockets that have a step, in the order of their first.
Scenario WithSocketsInOrderOfUse(const Scenario& scenario) {
  Renumbered places;
  Scenario ordered = {.sockets = {}, .steps = scenario.steps, .unrelated = scenario.unrelated};
  for (Step& step : ordered.steps) {
    const Socket& socket = scenario.sockets[step.socket];
    step.socket = static_cast<uint16_t>(places(step.socket));
    if (step.socket == ordered.sockets.size()) ordered.sockets.push_back(socket);
  }
  return ordered;
}

// One thing that may become plainer of a socket.
using Change = std::function<void(Socket&)>;

std::vector<Change> PlainerSockets(const Scenario& scenario) {
  std::vector<Change> changes = {
      [](Socket& s) { s.protocol = model::IsStream(s.protocol) ? Protocol::kTcp : Protocol::kUdp; },
      [](Socket& s) { s.port = 0; },
      [](Socket& s) { s.device = 0; },
      [](Socket& s) { s.reuse_addr = false; },
      [](Socket& s) { s.reuse_port = false; },
      [](Socket& s) { s.v6only = false; },
      // Its IPv4 counterpart.
      [](Socket& s) {
        if (s.address.kind == Kind::kIpv6 && s.address.bits == 1) s.address.bits = kLoopback;
        s.address.kind = Kind::kIpv4;
        s.v6only = false;
      },
  };
  for (const Address& address : kAddresses) {
    changes.emplace_back([address](Socket& s) {
      s.address = address;
      if (address.kind == Kind::kIpv4) s.v6only = false;
    });
  }
  for (const Socket& like : scenario.sockets) {
    changes.emplace_back([owner = like.owner](Socket& s) { s.owner = owner; });
    changes.emplace_back([device = like.device](Socket& s) { s.device = device; });
  }
  return changes;
}

// Which sockets are changed at once: all first, each alone last; every subset where that is not too many.
std::vector<uint64_t> Subsets(size_t sockets) {
  constexpr size_t kFew = 4;
  std::vector<uint64_t> subsets;
  if (sockets <= kFew) {
    for (uint64_t subset = (uint64_t{1} << sockets) - 1; subset != 0; --subset) subsets.push_back(subset);
  } else {
    subsets.push_back(~uint64_t{0});
    for (size_t place = 0; place < std::min<size_t>(sockets, 64); ++place) subsets.push_back(uint64_t{1} << place);
  }
  return subsets;
}

class Shrinker {
 public:
  Shrinker(Scenario found, const std::function<bool(const Scenario&)>& still_differs)
      : best_(std::move(found)), still_differs_(still_differs) {}

  Scenario Shrunk() {
    std::vector<uint64_t> before;
    do {
      before = Weight(best_);
      DropSteps();
      DropSockets();
      const Scenario ordered = WithSocketsInOrderOfUse(best_);
      if (ordered != best_ && Differs(ordered)) best_ = ordered;
      DeclareAtOnce();
      LessUnrelated();
      OneOwner();
      PlainSockets();
      PlainOwners();
    } while (Weight(best_) < before);
    return best_;
  }

 private:
  bool Differs(const Scenario& candidate) { return probes_-- > 0 && still_differs_(candidate); }

  // Goes on with the candidate if it is plainer and still differs.  The notation has no scenario without a step.
  bool Try(const Scenario& candidate) {
    if (probes_ <= 0 || candidate.steps.empty() || !(Weight(candidate) < Weight(best_)) || !Differs(candidate))
      return false;
    best_ = candidate;
    return true;
  }
  // The same in the order of use, or else as it is: TIME_WAIT can tell 127.0.0.1 from 127.0.0.2.
  bool TryInOrderOfUse(const Scenario& candidate) {
    const Scenario ordered = InOrderOfUse(candidate);
    return Try(ordered) || (ordered != candidate && Try(candidate));
  }

  void DropSockets() {
    for (size_t place = best_.sockets.size(); place-- > 0;) {
      Scenario candidate = best_;
      std::erase_if(candidate.steps, [&](const Step& step) { return step.socket == place; });
      if (candidate.steps.size() < best_.steps.size()) Try(candidate);
    }
  }

  // Runs of steps, half of them at first and single ones in the end.  Zeller and Hildebrandt, "Simplifying and
  // Isolating Failure-Inducing Input", 2002.
  void DropSteps() {
    for (size_t run = std::max<size_t>(best_.steps.size() / 2, 1); run > 0; run /= 2) {
      for (size_t end = best_.steps.size(); end > 0;) {
        const size_t begin = end - std::min(end, run);
        Scenario candidate = best_;
        candidate.steps.erase(candidate.steps.begin() + static_cast<ptrdiff_t>(begin),
                              candidate.steps.begin() + static_cast<ptrdiff_t>(end));
        Try(candidate);
        end = std::min(begin, best_.steps.size());
      }
    }
  }

  // An option or an owner that is changed before anything else is one that the socket is declared with.
  void DeclareAtOnce() {
    for (size_t place = best_.steps.size(); place-- > 0;) {
      const Step step = best_.steps[place];
      if (step.op != Op::kSet && step.op != Op::kOwn) continue;
      Scenario candidate = best_;
      candidate.steps.erase(candidate.steps.begin() + static_cast<ptrdiff_t>(place));
      Socket& socket = candidate.sockets[step.socket];
      if (step.op == Op::kOwn) {
        socket.owner = step.owner;
      } else {
        (step.option == Option::kReuseAddr ? socket.reuse_addr : socket.reuse_port) = step.on;
      }
      Try(candidate);
    }
  }

  void LessUnrelated() {
    bool less = true;
    while (less) {
      less = false;
      for (const int unrelated : {0, best_.unrelated / 2, best_.unrelated - 1}) {
        Scenario candidate = best_;
        candidate.unrelated = std::max(unrelated, 0);
        if (Try(candidate)) {
          less = true;
          break;
        }
      }
    }
  }

  // Nobody's uid matters: then every user can ask.
  void OneOwner() {
    Scenario candidate = best_;
    for (Socket& socket : candidate.sockets) socket.owner = 0;
    for (Step& step : candidate.steps) step.owner = 0;
    Try(candidate);
  }

  void PlainSockets() {
    TryInOrderOfUse(best_);
    for (const uint64_t subset : Subsets(best_.sockets.size())) {
      for (const Change& change : PlainerSockets(best_)) {
        Scenario candidate = best_;
        for (size_t place = 0; place < candidate.sockets.size(); ++place) {
          if ((subset >> std::min<size_t>(place, 63) & 1U) != 0) change(candidate.sockets[place]);
        }
        TryInOrderOfUse(candidate);
      }
    }
  }

  // The steps that change an owner, each to one that is there already.
  void PlainOwners() {
    for (size_t place = 0; place < best_.steps.size(); ++place) {
      if (best_.steps[place].op != Op::kOwn) continue;
      for (const Socket& like : std::vector(best_.sockets)) {
        Scenario candidate = best_;
        candidate.steps[place].owner = like.owner;
        TryInOrderOfUse(candidate);
      }
    }
  }

  Scenario best_;
  const std::function<bool(const Scenario&)>& still_differs_;
  int probes_ = kMostProbes;
};

}  // namespace

Scenario Shrink(const Scenario& found, const std::function<bool(const Scenario&)>& still_differs) {
  return Shrinker(found, still_differs).Shrunk();
}

}  // namespace portshare
