#include "harness/explore/families.h"

#include "harness/explore/families_of_three.h"
#include "harness/explore/proposer.h"

namespace portshare {
namespace {

using namespace proposing;

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
    if (!proposer.mine() || !range.conflict(a, b)) return;
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

void SomePairs(const Range& range, const Visit& visit) {
  EachPair(range, visit, [](Proposer& proposer, int a, int b) {
    if (!Picked(a, b, 6)) return;
    proposer.Propose({a, b}, {kBindA, kBindB});
  });
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

std::vector<Family> Make() {
  std::vector<Family> families;
  const auto add = [&](Protocol protocol, const std::string& name, const std::string& says, auto propose,
                       Invariant invariant = Invariant::kNone, int unrelated = 0) {
    const char* prefix = model::IsStream(protocol) ? "tcp." : "udp.";
    families.push_back({prefix + name, says, protocol, propose, invariant, unrelated});
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
    add(protocol, "all_triples", "every triple of which the first two agree", AllTriples, Invariant::kDecomposition);
    families.back().deep = true;
  }
  add(Protocol::kTcp, "listens", "every pair, listening in three orders", Listens, Invariant::kListenOrders);
  add(Protocol::kTcp, "hint_is_kept", "sockets of one owner that all look alike to the hint", HintIsKept);
  add(Protocol::kTcp, "last_listener", "a listener that is the last on its port, and a newcomer", LastListener);
  add(Protocol::kTcp, "time_wait", "a pair of which the first is in TIME_WAIT", TimeWait);
  add(Protocol::kTcp, "connecting_listener", "a listener that connects", TimeWaitOfListener);
  add(Protocol::kTcp, "mptcp", "pairs over TCP, over MPTCP, and one of each", Twins<Protocol::kMptcp>,
      Invariant::kSameProtocol);
  add(Protocol::kUdp, "udplite", "pairs over UDP and over UDP-Lite", Twins<Protocol::kUdpLite>,
      Invariant::kSameProtocol);
  for (const int count : {9, 10, 11, 20}) {
    const std::string beside = std::to_string(count);
    add(Protocol::kUdp, "beside_" + beside + "_unrelated", "pairs beside " + beside + " unrelated sockets", SomePairs,
        Invariant::kUnrelated, count);
  }
  // The third of a triple is the one that makes the slot too long: eight and two are ten, nine and two are more.
  for (const int count : {8, 9, 20}) {
    const std::string beside = std::to_string(count);
    add(Protocol::kUdp, "triples_beside_" + beside, "torn triples beside " + beside + " unrelated sockets", TornTriples,
        Invariant::kDecomposition, count);
  }
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
    case Invariant::kOwnersApart:
      return "        nobody joins another owner's socket that does not agree";
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
