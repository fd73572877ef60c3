#include "harness/explore/epochs.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <future>
#include <optional>
#include <string>

#include "harness/explore/kernel.h"
#include "harness/explore/notation.h"
#include "harness/need.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

using model::Epoch;

// A pair takes as long to make as all else of a namespace.
constexpr bool kWithoutDevices = false;

std::optional<bool> Told(const EpochProbe& probe, const std::vector<int>& answers) {
  const bool reached = std::all_of(answers.begin(), answers.end() - 1, [](int answer) { return answer == 0; });
  if (reached && answers.back() == probe.when_true) return true;
  if (reached && answers.back() == probe.when_false) return false;
  return std::nullopt;
}

// Is there all that the scenario uses?  `known` is what the probes before this one told.
bool MayAsk(const model::Scenario& scenario, const Kernel& kernel, const Epoch& known) {
  return std::all_of(scenario.sockets.begin(), scenario.sockets.end(), [&](const model::Socket& socket) {
    return (!socket.reuse_port || known.reuseport) && (socket.device == 0 || kernel.has_devices()) &&
           (socket.address.kind == model::Address::Kind::kIpv4 || !needs::kIpv6.probe());
  });
}

std::vector<EpochFact> Ask() {
  std::vector<EpochFact> facts(model::kEpochs.size());
  for (size_t place = 0; place < facts.size(); ++place) facts[place].name = model::kEpochs[place].name;
  if (BecomeNamespaceRoot() == Privilege::kNone) return facts;
  Kernel kernel;
  Epoch known;
  for (size_t place = 0; place < facts.size(); ++place) {
    const EpochProbe& probe = EpochProbes()[place];
    const model::Scenario scenario = Parse(probe.scenario).scenario;
    if (!MayAsk(scenario, kernel, known)) continue;
    for (int turn = 0; turn < probe.turns && facts[place].holds != true; ++turn) {
      std::vector<int> answers;
      if (turn == 0) {
        kernel.Run(scenario, answers);
      } else {
        Kernel(kWithoutDevices).Run(scenario, answers);
      }
      facts[place].holds = Told(probe, answers);
    }
    known.*probe.field = facts[place].holds.value_or(known.*probe.field);
  }
  return facts;
}

}  // namespace

const std::vector<EpochProbe>& EpochProbes() {
  static const std::vector<EpochProbe> probes = {
      {&Epoch::reuseport, "a: tcp 127.0.0.1; set a reuseport on", 0, ENOPROTOOPT},
      {&Epoch::reuseaddr_hint,
       "a: tcp 127.0.0.1 reuseaddr; b: tcp 127.0.0.1 reuseaddr; bind a; set a reuseaddr off; bind b", 0, EADDRINUSE},
      {&Epoch::mapped_wildcard_missed, "a: tcp ::ffff:0.0.0.0; b: tcp ::ffff:127.0.0.1; bind a; bind b", 0, EADDRINUSE},
      // Of one port, since where there is memory for it no two ports have one slot.
      {&Epoch::udp_wildcard_missed_in_long_slots,
       "a: udp 127.0.0.1; b: udp 127.0.0.2; c: udp 127.0.0.3; d: udp 127.0.0.4; e: udp 127.0.0.5; f: udp 127.0.0.6;"
       "g: udp 127.0.0.7; h: udp 127.0.0.8; i: udp 127.0.0.9; j: udp 127.0.0.10; k: udp 127.0.0.11; l: udp 0.0.0.0;"
       "bind a; bind b; bind c; bind d; bind e; bind f; bind g; bind h; bind i; bind j; bind k; bind l",
       0, EADDRINUSE, 10},
      {&Epoch::hint_compares_devices,
       "a: tcp 0.0.0.0 dev=v0; b: tcp 0.0.0.0 reuseport dev=v1; c: tcp 127.0.0.1 reuseport; bind a; bind b; bind c",
       EADDRINUSE, 0},
      {&Epoch::hint_compares_v6only,
       "a: tcp 0.0.0.0; b: tcp [::] v6only reuseport; c: tcp [::] reuseport; bind a; bind b; bind c", EADDRINUSE, 0},
      {&Epoch::hint_compares_families,
       "a: tcp [::] v6only; b: tcp 0.0.0.0 reuseport; c: tcp [::] reuseport; bind a; bind b; bind c", EADDRINUSE, 0},
      {&Epoch::hint_needs_agreement,
       "a: tcp 0.0.0.0 reuseaddr; b: tcp 0.0.0.0 reuseaddr reuseport; c: tcp 0.0.0.0 reuseport; bind a; bind b; bind c",
       EADDRINUSE, 0},
      {&Epoch::hint_ends_with_its_socket,
       "a: tcp 127.0.0.1 reuseport; b: tcp 127.0.0.1 reuseport; bind a; set a reuseport off; bind b", EADDRINUSE, 0},
      {&Epoch::udp_asks_every_holder,
       "a: udp 127.0.0.1; b: udp 127.0.0.2 reuseport; c: udp 0.0.0.0 reuseport; bind a; bind b; bind c", EADDRINUSE, 0},
  };
  return probes;
}

const std::vector<EpochFact>& EpochFacts() {
  static const std::vector<EpochFact> facts = [] {
    BecomeNamespaceRoot();  // before there is a thread
    return std::async(std::launch::async, Ask).get();
  }();
  return facts;
}

const Epoch& CurrentEpoch() {
  static const Epoch current = [] {
    Epoch epoch;
    for (size_t place = 0; place < EpochProbes().size(); ++place) {
      bool& value = epoch.*EpochProbes()[place].field;
      value = EpochFacts()[place].holds.value_or(value);
    }
    return epoch;
  }();
  return current;
}

}  // namespace portshare
