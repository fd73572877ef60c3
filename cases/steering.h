// Groups whose members are chosen on purpose: what the cases about it have in common.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "harness/case.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {

enum class Over { kTcp, kUdp };

// What comes to the port, and where.
struct Traffic {
  std::string name;
  Over over;
  Address address;
  CaseFacts facts;
};

inline const std::vector<Traffic> kTraffic = {
    {"tcp_ipv4", Over::kTcp, Loopback4(), Labels("tcp")},
    {"tcp_ipv6", Over::kTcp, Loopback6(), Merged({Needs(needs::kIpv6), Labels("tcp", "ipv6")})},
    {"udp_ipv4", Over::kUdp, Loopback4(), Labels("udp")},
    {"udp_ipv6", Over::kUdp, Loopback6(), Merged({Needs(needs::kIpv6), Labels("udp", "ipv6")})},
};

// The same for rows in which the family says nothing new.
inline const std::vector<Traffic> kTransports = {kTraffic[0], kTraffic[2]};

class Steering : public Case {
 protected:
  // Enough to tell one member's share from all: a share of all by luck is 2^-40.
  static constexpr int kMany = 40;

  static SocketSpec Plain(const Traffic& row, const Address& address) {
    return row.over == Over::kTcp ? Tcp(address) : Udp(address);
  }
  static SocketSpec Sharing(const Traffic& row) { return Plain(row, row.address).ReusePort(); }

  // A bound socket, listening where that is what it takes to receive.
  static Socket Receiving(const Traffic& row, Socket bound) {
    if (row.over == Over::kUdp) return bound;
    return std::move(bound).Listening();
  }
  static Socket Ready(const Traffic& row, const SocketSpec& spec) { return Receiving(row, spec.Bound(port())); }
  static Socket Member(const Traffic& row) { return Ready(row, Sharing(row)); }

  // `count` of them, each from a port of its own.
  static Share Arrivals(const Traffic& row, std::initializer_list<Socket*> sockets, int count, const Address& to) {
    return row.over == Over::kTcp ? ConnectionsOver(sockets, count, to, port())
                                  : DatagramsOver(sockets, count, to, port());
  }
  static Share Arrivals(const Traffic& row, std::initializer_list<Socket*> sockets, int count) {
    return Arrivals(row, sockets, count, row.address);
  }

  // The answer to a client whom no socket takes: over UDP, ICMP brings it after the datagram.
  static Outcome Asked(const Traffic& row, uint16_t at) {
    Socket client = Plain(row, row.address).Made();
    const Outcome connected = client.Connect(row.address, at);
    if (row.over == Over::kTcp) return connected;
    client.Send("x");
    return client.Receive();
  }
};

}  // namespace portshare
