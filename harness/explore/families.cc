#include "harness/explore/families.h"

#include <algorithm>
#include <random>

#include "model/intent.h"

namespace portshare {
namespace {

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

constexpr Step kBindA = Do(Op::kBind, 0), kBindB = Do(Op::kBind, 1), kBindC = Do(Op::kBind, 2);
constexpr Step kListenA = Do(Op::kListen, 0), kListenB = Do(Op::kListen, 1);
constexpr Step kCloseA = Do(Op::kClose, 0), kCloseB = Do(Op::kClose, 1), kCloseC = Do(Op::kClose, 2);

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
  Proposer(const Range& range, const Visit& visit) : range_(range), visit_(visit) {}

  void NextGroup() { ++group_; }

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
int Third(const Range& range, int a, int b) {
  const uint64_t pair = Mixed(static_cast<uint64_t>(a) * 1000 + static_cast<uint64_t>(b));
  return static_cast<int>(pair % static_cast<uint64_t>(range.alphabet.size()));
}

// One pair in `out_of`, the same ones every time.
bool Picked(int a, int b, uint64_t out_of) {
  return Mixed(static_cast<uint64_t>(a) << 20 | static_cast<uint64_t>(b)) % out_of == 0;
}

void Calls(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  for (int a = 0; a < range.alphabet.size(); ++a) {
    proposer.NextGroup();
    proposer.Propose({a}, {kListenA, kListenA});
    proposer.NextGroup();
    proposer.Propose({a}, {kBindA, kBindA, kListenA, kListenA, kBindA, kCloseA});
    proposer.NextGroup();
    proposer.Propose({a}, {Set(0, Option::kReuseAddr, true), Set(0, Option::kReusePort, true), kBindA});
    // An IPv6 address with IPV6_V6ONLY, where the alphabet has it without.
    if (range.alphabet[a].address.kind == model::Address::Kind::kIpv4) continue;
    proposer.NextGroup();
    proposer.Stage({a});
    proposer.scenario().sockets[0].v6only = true;
    proposer.scenario().steps = {kBindA, kBindA};
    proposer.Hand(true);
  }
}

void Pairs(const Range& range, const Visit& visit) {
  EachPair(range, visit, [](Proposer& proposer, int a, int b) { proposer.Propose({a, b}, {kBindA, kBindB}); });
}

void Listens(const Range& range, const Visit& visit) {
  EachPair(range, visit, [](Proposer& proposer, int a, int b) {
    proposer.Propose({a, b}, {kBindA, kBindB, kListenA, kListenB}, false);
    proposer.Propose({a, b}, {kBindA, kBindB, kListenB, kListenA}, false);
    proposer.Propose({a, b}, {kBindA, kListenA, kBindB, kListenB}, true);
  });
}

void CloseThenRebind(const Range& range, const Visit& visit) {
  EachPair(range, visit, [&](Proposer& proposer, int a, int b) {
    proposer.Propose({a, b, Third(range, a, b)}, {kBindA, kBindB, (a + b) % 2 == 0 ? kCloseA : kCloseB, kBindC});
  });
}

void FailedBindThenBind(const Range& range, const Visit& visit) {
  EachPair(range, visit, [&](Proposer& proposer, int a, int b) {
    if (!range.conflict(a, b)) return;
    // The one that failed may still be bound once nobody is in its way.
    proposer.Propose({a, b, Third(range, b, a)}, {kBindA, kBindB, kBindC, kCloseA, kCloseC, kBindB});
  });
}

void LateOptions(const Range& range, const Visit& visit) {
  EachPair(range, visit, [&](Proposer& proposer, int a, int b) {
    if (!Picked(a, b, 6)) return;
    for (const Option option : {Option::kReuseAddr, Option::kReusePort}) {
      const model::Socket& holder = range.alphabet[a];
      const bool is_on = option == Option::kReuseAddr ? holder.reuse_addr : holder.reuse_port;
      proposer.NextGroup();
      proposer.Propose({a, b}, {kBindA, Set(0, option, !is_on), kBindB, kListenB, kListenA});
    }
  });
}

void LateOwner(const Range& range, const Visit& visit) {
  EachPair(range, visit, [&](Proposer& proposer, int a, int b) {
    if (!Picked(b, a, 4)) return;
    const int exchanged = range.alphabet.OwnersExchanged(a);
    const Step own = {.op = Op::kOwn, .socket = 0, .owner = range.alphabet[exchanged].owner};
    proposer.Propose({a, b, Third(range, a, b)}, {kBindA, own, kBindB, kBindC});
  });
}

void OptionRoundTrip(const Range& range, const Visit& visit) {
  EachPair(range, visit, [&](Proposer& proposer, int a, int b) {
    if (!Picked(a, b, 8)) return;
    const Option option = (a + b) % 2 == 0 ? Option::kReuseAddr : Option::kReusePort;
    const model::Socket& holder = range.alphabet[a];
    const bool is_on = option == Option::kReuseAddr ? holder.reuse_addr : holder.reuse_port;
    proposer.Propose({a, b}, {Set(0, option, !is_on), Set(0, option, is_on), kBindA, kBindB});
  });
}

// All six orders of the triples that `picked` takes.
template <typename Take>
void Orders(const Range& range, const Visit& visit, int unrelated, Take take) {
  Proposer proposer(range, visit);
  proposer.scenario().unrelated = unrelated;
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

template <uint64_t kOutOf>
bool PickedTriple(int a, int b, int c) {
  return Mixed(static_cast<uint64_t>(a) << 40 | static_cast<uint64_t>(b) << 20 | static_cast<uint64_t>(c)) % kOutOf ==
         0;
}

void SomeTriples(const Range& range, const Visit& visit) {
  Orders(range, visit, 0, PickedTriple<240>);
}

// The triples of which the first two agree, with the first owner first: exchanging the owners gives the others.
void AllTriples(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  const int size = range.alphabet.size();
  for (int a = 0; a < size; ++a) {
    if (range.alphabet[a].owner != range.alphabet[0].owner) continue;
    for (int b = 0; b < size; ++b) {
      if (range.conflict(a, b)) continue;
      for (int c = 0; c < size; ++c) {
        proposer.NextGroup();
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

// Four sockets with the same options, owner and device on addresses that often overlap, and one that changes.
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

template <int kUnrelated>
void UnrelatedPairs(const Range& range, const Visit& visit) {
  EachPair(range, visit, [](Proposer& proposer, int a, int b) {
    if (!Picked(a, b, 6)) return;
    proposer.scenario().unrelated = kUnrelated;
    proposer.Propose({a, b}, {kBindA, kBindB});
  });
}

// Two holders of which the newcomer could join one by SO_REUSEPORT and must not the other: what is asked first decides.
template <int kUnrelated>
void TornTriples(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  proposer.scenario().unrelated = kUnrelated;
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
        if (!range.conflict(other, c) || range.conflict(joined, other) || !Picked(joined * size + other, c, 10))
          continue;
        proposer.NextGroup();
        proposer.Propose({joined, other, c}, {kBindA, kBindB, kBindC}, false);
        proposer.Propose({other, joined, c}, {kBindA, kBindB, kBindC}, true);
      }
    }
  }
}

void TimeWait(const Range& range, const Visit& visit) {
  EachPair(range, visit, [&](Proposer& proposer, int a, int b) {
    if (range.alphabet[a].device != 0) return;  // a connection over loopback
    const Step leave = Do(Op::kTimeWait, 0);
    proposer.Propose({a, b}, {kBindA, leave, kBindB, kListenB});
  });
}

void TimeWaitOfListener(const Range& range, const Visit& visit) {
  Proposer proposer(range, visit);
  for (int a = 0; a < range.alphabet.size(); ++a) {
    if (range.alphabet[a].device != 0) continue;
    proposer.NextGroup();
    proposer.Propose({a}, {kBindA, kListenA, Do(Op::kTimeWait, 0)});
  }
}

// Pairs over one protocol and over the one that should answer alike, and one of each where they share their ports.  One
// owner and no device: MPTCP's inner socket takes neither from its outer one on every kernel.
template <Protocol kTwin>
void Twins(const Range& range, const Visit& visit) {
  EachPair(range, visit, [&](Proposer& proposer, int a, int b) {
    const model::Socket& first = range.alphabet[0];
    const auto plain = [&](int place) {
      return range.alphabet[place].owner == first.owner && range.alphabet[place].device == 0;
    };
    if (!plain(a) || !plain(b)) return;
    const auto propose = [&](Protocol one, Protocol other, bool last) {
      proposer.Stage({a, b});
      Scenario& scenario = proposer.scenario();
      for (model::Socket& socket : scenario.sockets) socket.owner = 0;
      scenario.sockets[0].protocol = one;
      scenario.sockets[1].protocol = other;
      scenario.steps = {kBindA, kBindB};
      proposer.Hand(last);
    };
    propose(first.protocol, first.protocol, false);
    if (kTwin == Protocol::kMptcp) propose(first.protocol, kTwin, false);
    propose(kTwin, kTwin, true);
  });
}

void OtherPort(const Range& range, const Visit& visit) {
  EachPair(range, visit, [](Proposer& proposer, int a, int b) {
    if (!Picked(a, b, 16)) return;
    proposer.Stage({a, b});
    proposer.scenario().sockets[1].port = 1;
    proposer.scenario().steps = {kBindA, kBindB};
    proposer.Hand(true);
  });
}

void TwoNamespaces(const Range& range, const Visit& visit) {
  EachPair(range, visit, [](Proposer& proposer, int a, int b) {
    if (Picked(b, a, 16)) proposer.Propose({a, b}, {kBindA, kBindB});
  });
}

// Walks of up to eight steps over four sockets: what no family thinks of.
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

std::vector<Family> Make() {
  std::vector<Family> families;
  const auto add = [&](Protocol protocol, const std::string& name, const char* says, auto propose,
                       Invariant invariant = Invariant::kNone, bool deep = false) {
    const char* prefix = model::IsStream(protocol) ? "tcp." : "udp.";
    families.push_back({prefix + name, says, protocol, propose, invariant, deep});
  };
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    add(protocol, "pairs", "every socket beside every other", Pairs, Invariant::kSymmetry);
    add(protocol, "calls", "one socket and every call, twice", Calls);
    add(protocol, "close_then_rebind", "a pair, one of them closed, and a third", CloseThenRebind,
        Invariant::kCloseForgets);
    add(protocol, "failed_bind_then_bind", "a pair that does not agree, and a third", FailedBindThenBind,
        Invariant::kFailureForgets);
    add(protocol, "late_options", "an option set or cleared on a holder", LateOptions);
    add(protocol, "late_owner", "a holder that changes its owner", LateOwner);
    add(protocol, "option_round_trip", "an option set and cleared again before bind", OptionRoundTrip,
        Invariant::kRoundTrip);
    add(protocol, "other_port", "a pair on two ports", OtherPort, Invariant::kPortsApart);
    add(protocol, "two_namespaces", "a pair in two namespaces", TwoNamespaces, Invariant::kNamespacesApart);
    add(protocol, "triples", "a fixed part of all triples, in all six orders", SomeTriples, Invariant::kDecomposition);
    add(protocol, "late_triples", "three, of which the first clears SO_REUSEPORT before the last binds", LateTriples);
    add(protocol, "walks", "random walks of up to eight steps", Walks);
    add(protocol, "all_triples", "every triple of which the first two agree", AllTriples, Invariant::kDecomposition,
        true);
  }
  add(Protocol::kTcp, "listens", "every pair, listening in three orders", Listens, Invariant::kListenOrders);
  add(Protocol::kTcp, "hint_is_kept", "sockets of one owner that all look alike to the hint", HintIsKept);
  add(Protocol::kTcp, "time_wait", "a pair of which the first is in TIME_WAIT", TimeWait);
  add(Protocol::kTcp, "connecting_listener", "a listener that connects", TimeWaitOfListener);
  add(Protocol::kTcp, "mptcp", "pairs over TCP, over MPTCP, and one of each", Twins<Protocol::kMptcp>,
      Invariant::kSameProtocol);
  add(Protocol::kUdp, "udplite", "pairs over UDP and over UDP-Lite", Twins<Protocol::kUdpLite>,
      Invariant::kSameProtocol);
  add(Protocol::kUdp, "beside_9_unrelated", "pairs beside 9 unrelated sockets", UnrelatedPairs<9>,
      Invariant::kUnrelated);
  add(Protocol::kUdp, "beside_10_unrelated", "pairs beside 10 unrelated sockets", UnrelatedPairs<10>,
      Invariant::kUnrelated);
  add(Protocol::kUdp, "beside_11_unrelated", "pairs beside 11 unrelated sockets", UnrelatedPairs<11>,
      Invariant::kUnrelated);
  add(Protocol::kUdp, "beside_20_unrelated", "pairs beside 20 unrelated sockets", UnrelatedPairs<20>,
      Invariant::kUnrelated);
  // The third of a triple is the one that makes the slot too long: eight and two are ten, nine and two are more.
  add(Protocol::kUdp, "triples_beside_8", "torn triples beside 8 unrelated sockets", TornTriples<8>,
      Invariant::kDecomposition);
  add(Protocol::kUdp, "triples_beside_9", "torn triples beside 9 unrelated sockets", TornTriples<9>,
      Invariant::kDecomposition);
  add(Protocol::kUdp, "triples_beside_20", "torn triples beside 20 unrelated sockets", TornTriples<20>,
      Invariant::kDecomposition);
  return families;
}

}  // namespace

const char* Says(Invariant invariant) {
  switch (invariant) {
    case Invariant::kNone:
      return "";
    case Invariant::kSymmetry:
      return "I1, I9  whoever is first: a pair gets the same answer, also with owners, devices or loopbacks exchanged";
    case Invariant::kDecomposition:
      return "I3      three share a port exactly when each two of them do";
    case Invariant::kOrders:
      return "I4      three that share in one order share in all";
    case Invariant::kCloseForgets:
      return "I5      a closed socket leaves nothing behind";
    case Invariant::kFailureForgets:
      return "I6      a bind that failed changes nothing";
    case Invariant::kListenOrders:
      return "I7      two may listen, whatever the order of bind and listen";
    case Invariant::kListenLate:
      return "I8      only SO_REUSEADDR asks that all bind before one listens";
    case Invariant::kUnrelated:
      return "I10     sockets of other ports change nothing";
    case Invariant::kRoundTrip:
      return "I11     an option set and cleared again was never set";
    case Invariant::kPortsApart:
      return "I9      two ports have nothing to do with each other";
    case Invariant::kSameProtocol:
      return "I16     MPTCP answers as TCP does, UDP-Lite as UDP";
    case Invariant::kNamespacesApart:
      return "        two network namespaces never meet";
  }
  return "";
}

const std::vector<Family>& Families() {
  static const std::vector<Family> kFamilies = Make();
  return kFamilies;
}

}  // namespace portshare
