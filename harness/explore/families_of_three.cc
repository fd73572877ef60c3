#include "harness/explore/families_of_three.h"

#include <algorithm>
#include <array>
#include <random>

#include "harness/explore/proposer.h"
#include "model/intent.h"

namespace portshare::proposing {
namespace {

// All six orders of the triples that `picked` takes.
template <typename Take>
void Orders(const Range& range, const Visit& visit, Take take) {
  Proposer proposer(range, visit);
  const int size = range.alphabet.size();
  for (int a = 0; a < size; ++a) {
    for (int b = a; b < size; ++b) {
      for (int c = b; c < size; ++c) {
        if (!take(a, b, c)) continue;
        proposer.NextGroup();
        std::array<int, 3> order = {a, b, c};
        bool more = true;
        while (more) {
          const auto [first, second, third] = order;
          more = std::next_permutation(order.begin(), order.end());
          proposer.Propose({first, second, third}, {kBindA, kBindB, kBindC}, !more);
        }
      }
    }
  }
}

bool PickedTriple(int a, int b, int c, uint64_t out_of) {
  return Mixed(static_cast<uint64_t>(a) << 40 | static_cast<uint64_t>(b) << 20 | static_cast<uint64_t>(c)) % out_of ==
         0;
}

}  // namespace

void SomeTriples(const Range& range, const Visit& visit) {
  Orders(range, visit, [](int a, int b, int c) { return PickedTriple(a, b, c, 240); });
}

void AllTriples(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  const int size = range.alphabet.size();
  for (int a = 0; a < size; ++a) {
    if (range.alphabet[a].owner != range.alphabet[0].owner) continue;
    for (int b = 0; b < size; ++b) {
      // The number of a group is the same whatever the kernel answers.
      const bool agree = !range.conflict(a, b);
      for (int c = 0; c < size; ++c) {
        proposer.NextGroup();
        if (!agree) continue;
        proposer.Propose({a, b, c}, {kBindA, kBindB, kBindC});
      }
    }
  }
}

void LateTriples(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  const int size = range.alphabet.size();
  for (int a = 0; a < size; ++a) {
    for (int b = 0; b < size; ++b) {
      if (!range.alphabet[a].reuse_port || !Picked(a, b, 2)) continue;
      const int c = Third(range, a, b);
      proposer.NextGroup();
      proposer.Propose({a, b, c}, {kBindA, kBindB, Set(0, Option::kReusePort, false), kBindC});
    }
  }
}

void HintIsKept(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  const int size = range.alphabet.size();
  for (int a = 0; a < size; ++a) {
    if (!range.alphabet[a].reuse_port) continue;
    for (int b = 0; b < size; ++b) {
      if (!range.alphabet[b].reuse_port || range.alphabet[a].owner != range.alphabet[b].owner) continue;
      for (int c = 0; c < size; ++c) {
        if (!range.alphabet[c].reuse_port || !Picked(a * size + b, c, 40)) continue;
        proposer.NextGroup();
        proposer.Propose({a, b, c}, {kBindA, kBindB, Set(0, Option::kReusePort, false), kBindC});
      }
    }
  }
}

void LastListener(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  const int size = range.alphabet.size();
  for (int a = 0; a < size; ++a) {
    if (!range.alphabet[a].reuse_port) continue;
    for (int b = 0; b < size; ++b) {
      proposer.NextGroup();
      if (!range.alphabet[b].reuse_port || range.alphabet[a].owner != range.alphabet[b].owner) continue;
      const Step off = Set(1, Option::kReusePort, false);
      proposer.Propose({a, b, a}, {kBindA, kBindB, kCloseA, kListenB, off, kBindC});
    }
  }
}

void TornTriples(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  const int size = range.alphabet.size();
  const auto joins = [&](int newcomer, int holder) {
    const model::Socket& one = range.alphabet[newcomer];
    const model::Socket& other = range.alphabet[holder];
    return model::SharesByPort(one, other) && !model::AddressesApart(one, other) && !model::DevicesApart(one, other);
  };
  for (int c = 0; c < size; ++c) {
    for (int joined = 0; joined < size; ++joined) {
      if (!joins(c, joined)) continue;
      for (int other = 0; other < size; ++other) {
        proposer.NextGroup();
        if (!proposer.mine() || !Picked(joined * size + other, c, 10)) continue;
        if (!range.conflict(other, c) || range.conflict(joined, other)) continue;
        proposer.Propose({joined, other, c}, {kBindA, kBindB, kBindC}, false);
        proposer.Propose({other, joined, c}, {kBindA, kBindB, kBindC}, true);
      }
    }
  }
}

void Walks(const Range& range, const Visit& visit) {
  constexpr int kWalks = 10'000;
  constexpr size_t kDepth = 8;
  constexpr int kSockets = 4;
  Proposer proposer(range, visit);
  std::mt19937_64 random(range.seed);
  const auto below = [&random](int bound) { return static_cast<int>(random() % static_cast<uint64_t>(bound)); };
  const bool stream = model::IsStream(range.alphabet[0].protocol);
  for (int walk = 0; walk < kWalks; ++walk) {
    Scenario& scenario = proposer.scenario();
    scenario.sockets.clear();
    scenario.steps.clear();
    proposer.places().clear();
    for (int socket = 0; socket < kSockets; ++socket) {
      proposer.places().push_back(below(range.alphabet.size()));
      scenario.sockets.push_back(range.alphabet[proposer.places().back()]);
    }
    std::array<bool, kSockets> gone = {};
    while (scenario.steps.size() < kDepth) {
      const int socket = below(kSockets);
      if (gone[static_cast<size_t>(socket)]) break;
      const int dice = below(20);
      const Option option = below(2) == 0 ? Option::kReuseAddr : Option::kReusePort;
      if (dice < 10) {
        scenario.steps.push_back(Do(Op::kBind, socket));
      } else if (dice < 13) {
        scenario.steps.push_back(Do(Op::kListen, socket));
      } else if (dice < 16) {
        scenario.steps.push_back(Set(socket, option, below(2) == 0));
      } else if (dice < 17) {
        const uint32_t owner = range.alphabet[below(range.alphabet.size())].owner;
        scenario.steps.push_back({.op = Op::kOwn, .socket = static_cast<uint16_t>(socket), .owner = owner});
      } else {
        const bool leaves = stream && dice == 19 && scenario.sockets[static_cast<size_t>(socket)].device == 0;
        scenario.steps.push_back(Do(leaves ? Op::kTimeWait : Op::kClose, socket));
        gone[static_cast<size_t>(socket)] = true;
      }
    }
    proposer.NextGroup();
    proposer.Hand(true);
  }
}

}  // namespace portshare::proposing
