// Cases about handshakes that a peer of packets holds back: their listeners, told apart by mark, and how one leaves.
#pragma once

#include <string>
#include <vector>

#include "harness/case.h"
#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/packet_peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {

// How a listener leaves its group.
struct Leave {
  std::string name;
  void (*leave)(Socket&);
};

inline const std::vector<Leave> kLeaves = {
    {"closed", [](Socket& listener) { listener.Close(); }},
    {"shut_down", [](Socket& listener) { Journal::Get().Needs(listener.Shutdown(SHUT_RDWR)); }},
};

class Held : public Case {
 protected:
  // Enough for each of two listeners to answer some.
  static int Enough() { return EnoughToReach(2); }

  static SocketSpec Member(int mark) { return Tcp(PacketPeer::Server()).ReusePort().Set(kMark, mark); }
  // Its answers bear `mark`.
  static Socket Listener(int mark) { return Member(mark).Bound(port()).Listening(); }
  // A sysctl that the case builds on: a refusal ends it.
  static void Demand(const std::string& name, const std::string& value) { Journal::Get().Needs(Sysctl(name, value)); }

  // What a case found out itself, as the answer to `step`.
  static Outcome Listed(const std::string& step, const Flows& flows) {
    return Journal::Get().Answered(Outcome{step, 0, flows.text()});
  }
  static auto Are(const Flows& flows) { return Is(flows.text()); }
  static auto AreNone() { return Are({}); }
};

}  // namespace portshare
