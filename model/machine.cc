#include "model/machine.h"

#include <algorithm>
#include <cerrno>

namespace portshare::model {
namespace {

constexpr uint64_t Bit(Rule rule) {
  return uint64_t{1} << static_cast<unsigned>(rule);
}

// TCP and MPTCP have one table of ports; UDP and UDP-Lite have one each.
constexpr bool SamePort(const Socket& one, const Socket& other) {
  const bool table = IsStream(one.protocol) ? IsStream(other.protocol) : one.protocol == other.protocol;
  return table && one.port == other.port;
}

const EpochText* TextOf(bool Epoch::*field) {
  return std::find_if(kEpochs.begin(), kEpochs.end(), [=](const EpochText& text) { return text.field == field; });
}

// The comparison that would have kept a newcomer out whom the hint lets in; nullptr when there is none.
const EpochText* MissingComparison(const Socket& newcomer, const Hint& hint) {
  if (OtherDevice(newcomer, hint)) return TextOf(&Epoch::hint_compares_devices);
  if (DualBesideV6only(newcomer, hint)) return TextOf(&Epoch::hint_compares_v6only);
  if (DualBesideIpv4(newcomer, hint)) return TextOf(&Epoch::hint_compares_families);
  if (hint.bridged) return TextOf(&Epoch::hint_needs_agreement);
  if (hint.outdated) return TextOf(&Epoch::hint_ends_with_its_socket);
  return nullptr;
}

// A kernel that compares what others do not.
bool Repaired(const Socket& newcomer, const Hint& hint, const Epoch& epoch) {
  return (epoch.hint_compares_devices && OtherDevice(newcomer, hint)) ||
         (epoch.hint_compares_v6only && DualBesideV6only(newcomer, hint)) ||
         (epoch.hint_compares_families && DualBesideIpv4(newcomer, hint)) ||
         (epoch.hint_needs_agreement && hint.bridged) || (epoch.hint_ends_with_its_socket && hint.outdated);
}

}  // namespace

// Visits the holders of the newcomer's port in the order of the kernel's list, as long as `visit` returns true.
template <typename Visit>
void Machine::EachOther(Situation& asked, int newcomer, Visit visit) const {
  for (const int other : order_) {
    const Socket& holder = sockets_[static_cast<size_t>(other)];
    if (other == newcomer || !SamePort(asked.newcomer, holder)) continue;
    asked.holder = holder;
    if (!visit(other)) return;
  }
}

template <Rule kRule>
bool Machine::Holds(const Situation& asked) {
  consulted_ |= Bit(kRule);
  const bool broken = mutant_.change != Mutant::Change::kNone && mutant_.rule == kRule;
  const bool holds = broken ? mutant_.Holds(asked) : Text(kRule).holds(asked);
  if (holds && Text(kRule).effect == Effect::kShapes) decided_ |= Bit(kRule);
  return holds;
}

void Machine::Begin(int unrelated) {
  sockets_.clear();
  order_.clear();
  hints_.clear();
  unrelated_ = unrelated;
  decided_ = 0;
  consulted_ = 0;
}

void Machine::Begin(const Scenario& scenario) {
  Begin(scenario.unrelated);
  sockets_.assign(scenario.sockets.begin(), scenario.sockets.end());
}

Decision Machine::Do(const Step& step) {
  Socket& socket = sockets_[step.socket];
  const Decision decision = [&] {
    switch (step.op) {
      case Op::kBind:
        return Bind(step.socket);
      case Op::kListen:
        return Listen(step.socket);
      case Op::kClose:
        return Close(step.socket);
      case Op::kTimeWait:
        return LeaveTimeWait(step.socket);
      case Op::kSet:
        if (step.option == Option::kReusePort && !epoch_.reuseport) return Answer(ENOPROTOOPT, Rule::kOptionUnknown);
        (step.option == Option::kReuseAddr ? socket.reuse_addr : socket.reuse_port) = step.on;
        Outdate(socket);
        return Answer(0, Rule::kOptionAnyTime);
      case Op::kOwn:
        socket.owner = step.owner;
        Outdate(socket);
        return Answer(0, Rule::kOwnerAnyTime);
    }
    return Decision{};
  }();
  decided_ |= Bit(decision.rule) | Bit(decision.intent_rule);
  return decision;
}

Decision Machine::Bind(int newcomer) {
  Socket& socket = sockets_[static_cast<size_t>(newcomer)];
  Situation asked{.newcomer = socket, .epoch = epoch_};
  if (Holds<Rule::kBoundAlready>(asked)) return Answer(EINVAL, Rule::kBoundAlready);
  if (Holds<Rule::kMappedNeedsDual>(asked)) return Answer(EINVAL, Rule::kMappedNeedsDual);

  const Decision decision = Ask(asked, newcomer);
  if (decision.error != 0) return decision;
  socket.state = State::kBound;
  if (IsStream(socket.protocol)) {
    WriteHint(asked, newcomer);
    socket.filed_as_mapped = FiledAsMapped(asked, newcomer);
    order_.push_back(newcomer);
  } else {
    order_.insert(Holds<Rule::kStandsLast>(asked) ? order_.end() : order_.begin(), newcomer);
  }
  return decision;
}

bool Machine::FiledAsMapped(Situation& asked, int newcomer) const {
  const auto covers_ipv4_alone = [](const Socket& socket) {
    return socket.address.wildcard() && socket.address.kind != Address::Kind::kIpv6;
  };
  if (!covers_ipv4_alone(asked.newcomer)) return false;
  bool filed = asked.newcomer.address.kind == Address::Kind::kMapped;
  EachOther(asked, newcomer, [&](int) {
    if (!covers_ipv4_alone(asked.holder)) return true;
    filed = asked.holder.filed_as_mapped;
    return false;
  });
  return filed;
}

Decision Machine::Listen(int newcomer) {
  Socket& socket = sockets_[static_cast<size_t>(newcomer)];
  Situation asked{.newcomer = socket, .epoch = epoch_};
  if (Holds<Rule::kDatagramsDoNotListen>(asked)) return Answer(EOPNOTSUPP, Rule::kDatagramsDoNotListen);
  if (Holds<Rule::kListensAlready>(asked)) return Answer(0, Rule::kListensAlready);
  if (Holds<Rule::kListensUnbound>(asked)) {
    socket.state = State::kListen;
    socket.elsewhere = true;
    return Answer(0, Rule::kListensUnbound);
  }

  // The kernel asks again, of a socket that listens already.  inet_csk_listen_start()
  asked.newcomer.state = State::kListen;
  const Decision decision = Ask(asked, newcomer);
  if (decision.error != 0) return decision;
  socket.state = State::kListen;
  WriteHint(asked, newcomer);
  return decision;
}

Decision Machine::Close(int closed) {
  Socket& socket = sockets_[static_cast<size_t>(closed)];
  if (socket.holds_port() && !socket.elsewhere) {
    Outdate(socket);
    std::erase(order_, closed);
    const auto shares = [&](int other) { return SamePort(sockets_[static_cast<size_t>(other)], socket); };
    if (std::none_of(order_.begin(), order_.end(), shares)) HintOf(socket) = {};
  }
  socket.state = State::kClosed;
  return Answer(0, Rule::kClosed);
}

Decision Machine::LeaveTimeWait(int leaver) {
  Socket& socket = sockets_[static_cast<size_t>(leaver)];
  if (Holds<Rule::kListenerDoesNotConnect>({.newcomer = socket})) return Answer(EISCONN, Rule::kListenerDoesNotConnect);
  if (!socket.holds_port()) {
    socket.state = State::kClosed;
    return Answer(0, Rule::kLeavesTimeWait);
  }
  // A wildcard becomes the one address that the connection has: for [::] that is [::1].
  socket.placeholder = socket.address == Address{Address::Kind::kIpv6, 0} && !socket.v6only;
  if (socket.address.wildcard()) socket.address.bits = socket.address.kind == Address::Kind::kIpv6 ? 1 : kLoopback;
  socket.state = State::kTimeWait;
  return Answer(0, Rule::kLeavesTimeWait);
}

Decision Machine::Ask(Situation& asked, int newcomer) {
  Decision decision = Contract(asked, newcomer);
  if (decision.error == 0) return decision;
  if (IsStream(asked.newcomer.protocol)) {
    RememberStream(asked, newcomer, decision);
  } else {
    RememberDatagram(asked, newcomer, decision);
  }
  return decision;
}

Decision Machine::Contract(Situation& asked, int newcomer) {
  Decision decision = Answer(0, Rule::kAlone);
  EachOther(asked, newcomer, [&](int other) {
    const Rule rule = Beside(asked);
    const Effect effect = Text(rule).effect;
    const bool tells_more =
        decision.rule == Rule::kAlone || (effect == Effect::kAdmits && Text(decision.rule).effect == Effect::kApart);
    if (effect != Effect::kRefuses && !tells_more) return true;
    const int error = effect == Effect::kRefuses ? EADDRINUSE : 0;
    decision = {.error = error,
                .rule = rule,
                .holder = other,
                .intent_error = error,
                .intent_rule = rule,
                .intent_holder = other};
    return error == 0;
  });
  return decision;
}

void Machine::RememberStream(Situation& asked, int newcomer, Decision& decision) {
  asked.hint = HintOf(asked.newcomer);
  const auto admit = [&](Rule rule, const EpochText* cause) {
    decision.error = 0;
    decision.rule = rule;
    decision.cause = cause;
  };
  if (epoch_.reuseaddr_hint && Holds<Rule::kReuseAddrHint>(asked)) {
    return admit(Rule::kReuseAddrHint, TextOf(&Epoch::reuseaddr_hint));
  }
  if (Holds<Rule::kHintMatches>(asked) && !Repaired(asked.newcomer, asked.hint, epoch_)) {
    return admit(Rule::kHintMatches, MissingComparison(asked.newcomer, asked.hint));
  }
  if (!epoch_.mapped_wildcard_missed) return;
  bool refused = false;
  EachOther(asked, newcomer, [&](int) {
    refused = Text(Beside(asked)).effect == Effect::kRefuses && !Holds<Rule::kMappedWildcardMissed>(asked);
    return !refused;
  });
  if (!refused) admit(Rule::kMappedWildcardMissed, TextOf(&Epoch::mapped_wildcard_missed));
}

void Machine::RememberDatagram(Situation& asked, int newcomer, Decision& decision) {
  asked.in_slot = unrelated_;
  EachOther(asked, newcomer, [&](int) { return ++asked.in_slot > 0; });

  const bool by_address = Holds<Rule::kLooksUpByAddress>(asked);
  const auto searched = [&](auto filter) { return Taken(asked, newcomer, filter); };
  bool taken = false;
  if (by_address) {
    taken = searched([this](const Situation& beside) { return Holds<Rule::kSamePlace>(beside); }) ||
            searched([](const Situation& beside) { return beside.holder.address.wildcard(); });
  } else {
    taken = searched([](const Situation&) { return true; });
  }
  if (taken) return;
  const bool missed = by_address && asked.newcomer.address.wildcard();
  if (epoch_.udp_asks_every_holder && !missed) return;
  decision.error = 0;
  decision.rule = missed       ? Rule::kWildcardMissedInLongSlot
                  : by_address ? Rule::kFirstMatchInLongSlot
                               : Rule::kFirstMatch;
  decision.cause = TextOf(missed ? &Epoch::udp_wildcard_missed_in_long_slots : &Epoch::udp_asks_every_holder);
}

template <typename Filter>
bool Machine::Taken(Situation& asked, int newcomer, Filter filter) {
  bool taken = false;
  EachOther(asked, newcomer, [&](int) {
    if (!filter(asked)) return true;
    const Rule rule = Beside(asked);
    taken = Text(rule).effect == Effect::kRefuses;
    return !taken && rule != Rule::kSharesByPort;
  });
  return taken;
}

// The order in which the first that holds decides.
Rule Machine::Beside(const Situation& asked) {
  if (Holds<Rule::kDevicesApart>(asked)) return Rule::kDevicesApart;
  if (Holds<Rule::kAddressesApart>(asked)) return Rule::kAddressesApart;
  if (Holds<Rule::kSharesByAddress>(asked)) return Rule::kSharesByAddress;
  if (Holds<Rule::kSharesByPort>(asked)) return Rule::kSharesByPort;
  if (Holds<Rule::kSharesOverTimeWait>(asked)) return Rule::kSharesOverTimeWait;
  if (Holds<Rule::kListenerEndsReuse>(asked)) return Rule::kListenerEndsReuse;
  if (Holds<Rule::kOwnersDiffer>(asked)) return Rule::kOwnersDiffer;
  return Rule::kNothingShared;
}

Decision Machine::Answer(int error, Rule rule) {
  return {.error = error, .rule = rule, .intent_error = error, .intent_rule = rule};
}

// inet_csk_update_fastreuse()
void Machine::WriteHint(Situation& asked, int newcomer) {
  Hint& hint = HintOf(asked.newcomer);
  const bool listens = asked.newcomer.state == State::kListen;
  // Who listens is in the bucket already.
  bool first = !listens;
  EachOther(asked, newcomer, [&](int) { return first = false; });
  hint.reuse_addr = epoch_.reuseaddr_hint && asked.newcomer.reuse_addr && !listens && (first || hint.reuse_addr);
  asked.hint = hint;
  if (!Holds<Rule::kWritesHint>(asked)) {
    hint.set = false;
  } else if (!Holds<Rule::kHintMatches>(asked)) {
    hint = {.set = true,
            .for_any = first && epoch_.reuseaddr_hint,
            .reuse_addr = hint.reuse_addr,
            .writer = asked.newcomer,
            .bridged = !Agrees(asked, newcomer)};
  }
}

// Do all holders that the newcomer meets agree to more than SO_REUSEADDR?
bool Machine::Agrees(Situation& asked, int newcomer) {
  bool agrees = true;
  EachOther(asked, newcomer, [&](int) {
    const Rule rule = Beside(asked);
    const bool by_address_alone = rule == Rule::kSharesByAddress && !SharesByPort(asked.newcomer, asked.holder);
    agrees = Text(rule).effect != Effect::kRefuses && !by_address_alone;
    return agrees;
  });
  return agrees;
}

void Machine::Outdate(const Socket& socket) {
  if (socket.holds_port() && !socket.elsewhere && IsStream(socket.protocol)) HintOf(socket).outdated = true;
}

Hint& Machine::HintOf(const Socket& socket) {
  for (Keyed& keyed : hints_) {
    if (SamePort(keyed.key, socket)) return keyed.hint;
  }
  return hints_.emplace_back(Keyed{.key = socket, .hint = {}}).hint;
}

std::string Explain(const Decision& decision, const std::vector<std::string>& names) {
  const auto beside = [&](int holder) {
    return holder < 0 ? "" : " (beside " + names[static_cast<size_t>(holder)] + ")";
  };
  const auto told = [&](Rule rule, int holder) {
    return std::string(Text(rule).says) + beside(holder) + " [" + Text(rule).source + "]";
  };
  if (!decision.remembered()) return told(decision.rule, decision.holder);
  return std::string(Text(decision.rule).says) + " [" + Text(decision.rule).source +
         "]; the contract refuses: " + told(decision.intent_rule, decision.intent_holder);
}

}  // namespace portshare::model
