// What the rules know of a socket: the words of the scenario notation as values.
#pragma once

#include <cstdint>

namespace portshare::model {

enum class Protocol : uint8_t { kTcp, kUdp, kMptcp, kUdpLite };

// TCP and MPTCP: what listens, and what leaves TIME_WAIT behind.
constexpr bool IsStream(Protocol protocol) {
  return protocol == Protocol::kTcp || protocol == Protocol::kMptcp;
}

// A local address.  An IPv4 address in IPv6 clothes (::ffff:127.0.0.1) is a kind of its own: an IPv6 socket holds it.
struct Address {
  enum class Kind : uint8_t { kIpv4, kMapped, kIpv6 };

  Kind kind = Kind::kIpv4;
  // The IPv4 address in host order, 0 for the wildcard; of kIpv6 the last 32 bits: 0 is [::], 1 is [::1].
  uint32_t bits = 0;

  constexpr bool wildcard() const { return bits == 0; }
  constexpr bool operator==(const Address&) const = default;
};

// 127.0.0.1 in host order.
inline constexpr uint32_t kLoopback = 0x7f000001;

// Where a socket stands on its way, and whether it holds its port there.
enum class State : uint8_t { kUnbound, kBound, kListen, kTimeWait, kClosed };

// One socket as it is now.  `device` is 0 for none, else its number; `owner` is the uid that the kernel keeps for it.
struct Socket {
  Protocol protocol = Protocol::kTcp;
  Address address;
  bool v6only = false;
  bool reuse_addr = false;
  bool reuse_port = false;
  uint8_t device = 0;
  uint16_t port = 0;
  uint32_t owner = 0;
  State state = State::kUnbound;
  // A dual-stack socket that connected over IPv6.  The kernel writes 127.0.0.6 where its IPv4 address would be.
  bool placeholder = false;
  // A TCP wildcard in the bucket that a socket on ::ffff:0.0.0.0 was the first of.  One on 0.0.0.0 joins that, and the
  // other way round.
  bool filed_as_mapped = false;
  // It listened without being bound: the port that it holds is one that the kernel picked.
  bool elsewhere = false;

  constexpr bool operator==(const Socket&) const = default;
  constexpr bool holds_port() const {
    return state == State::kBound || state == State::kListen || state == State::kTimeWait;
  }
};

}  // namespace portshare::model
