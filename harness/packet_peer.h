// A peer that is no socket: it writes and reads TCP packets at the far end of a cable, so that a handshake goes on when
// the case says so, and nothing resets what the case leaves undone.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "harness/address.h"
#include "harness/outcome.h"
#include "harness/socket.h"
#include "netns/descriptor.h"

namespace portshare {

// Some of a peer's connections, by the port of the peer's end.
struct Flows : std::set<uint16_t> {
  using std::set<uint16_t>::set;

  // "20000 20003", "none"
  std::string text() const;
  friend Flows operator|(const Flows& some, const Flows& others);
  friend Flows operator&(const Flows& some, const Flows& others);
  friend Flows operator-(const Flows& some, const Flows& others);
};

// The mark by which a listener's answers are told apart: a SYN/ACK has the time to live of the listener that gives it,
// whether or not it keeps a request.  ip(7), IP_TTL
inline constexpr Option kMark{IPPROTO_IP, IP_TTL, "ttl"};

class PacketPeer {
 public:
  // Lays the cable in the namespace of the case; Server() is the address at its near end.  Throws CannotAsk.
  PacketPeer();

  static Address Server() { return Address("10.55.0.1"); }

  // Sends a SYN from each of `count` ports that had none before.  Returns when each was answered by a SYN/ACK; one that
  // is not answered, or refused, fails the case and ends it.
  Flows Begin(int count, uint16_t server_port);
  // The same with a byte of data in the SYN, as a client of TCP Fast Open sends it.
  Flows BeginWithData(int count, uint16_t server_port);
  // Sends the ACK that ends the handshake.
  void Acknowledge(const Flows& flows);
  // Ends what has become of them by RST and sends a SYN from the same ports to the same port.
  void BeginAnew(const Flows& flows);

  // The flows whose last SYN/ACK bears this listener's mark.
  Flows AnsweredBy(const Socket& listener) const;
  // What was reset since it was begun, when everything sent before has been answered.
  Outcome Reset();
  // The connections that wait at the listener, accepted and kept open.
  Outcome AcceptedBy(const Socket& listener);
  // The flows that have a socket in this state on the server's side: "SYN_RECV", "ESTABLISHED".
  Flows InState(const std::string& state, uint16_t server_port) const;

 private:
  struct Flow {
    uint16_t server_port = 0;
    uint32_t next = 0;      // the number of the peer's next byte
    uint32_t expected = 0;  // of the server's
    int mark = 0;           // of the SYN/ACK; 0 before
    bool reset = false;
  };

  Flows New(int count, uint16_t server_port);
  void SendSyns(const Flows& flows, const std::string& data);
  void Send(uint16_t port, const Flow& flow, uint8_t flags, const std::string& data = "");
  // Reads what has come, and waits for more while the flow has no answer, up to the step limit; tells whether it has.
  bool AwaitAnswer(uint16_t port);
  void Take();
  void Fence();

  Descriptor cable_;
  int link_ = 0;
  std::map<uint16_t, Flow> flows_;
  std::vector<Descriptor> accepted_;
  uint16_t next_port_ = 20000;
  uint16_t next_fence_ = 60000;
};

}  // namespace portshare
