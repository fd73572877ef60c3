// The addresses that a port can be bound on, by name.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace portshare {

// An IPv4 or IPv6 address; a link-local one with the device that scopes it.
class Address {
 public:
  // "127.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::99%v0".  Throws CannotAsk for anything else.
  explicit Address(const std::string& text);

  int family() const { return family_; }
  // As the scenario notation writes it: "127.0.0.1", "[::1]", "[fe80::99%v0]".
  std::string text() const;
  // "127.0.0.1:7777"
  std::string text(uint16_t port) const { return text() + ":" + std::to_string(port); }

 private:
  int family_;
  std::string text_;
};

// A filled-in socket address and its length.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  SocketAddress() = default;
  // The scope's device is looked up now; an unknown one gives scope 0.
  SocketAddress(const Address& address, uint16_t port);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  uint16_t port() const;
  // "127.0.0.1:7777", "[::1]:7777"
  std::string text() const;
};

Address Any4();
Address Any6();
// 127.0.0.`last`
Address Loopback4(int last = 1);
Address Loopback6();
// ::ffff:0.0.0.0 and ::ffff:127.0.0.`last`: IPv4 addresses in IPv6 clothes.  ipv6(7)
Address MappedAny();
Address MappedLoopback(int last = 1);

}  // namespace portshare
