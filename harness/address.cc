#include "harness/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include "netns/cannot_ask.h"

namespace portshare {
namespace {

std::string WithoutScope(const std::string& text) {
  return text.substr(0, text.find('%'));
}

}  // namespace

Address::Address(const std::string& text)
    : family_(text.find(':') == std::string::npos ? AF_INET : AF_INET6), text_(text) {
  in6_addr parsed;
  if (inet_pton(family_, WithoutScope(text).c_str(), &parsed) != 1) throw CannotAsk("not an address: " + text);
}

std::string Address::text() const {
  return family_ == AF_INET ? text_ : "[" + text_ + "]";
}

SocketAddress::SocketAddress(const Address& address, uint16_t port) {
  std::string text = address.text();
  if (address.family() == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    inet_pton(AF_INET, text.c_str(), &v4.sin_addr);
    length = sizeof v4;
    return;
  }
  text = text.substr(1, text.size() - 2);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  inet_pton(AF_INET6, WithoutScope(text).c_str(), &v6.sin6_addr);
  if (const size_t scope = text.find('%'); scope != std::string::npos) {
    v6.sin6_scope_id = if_nametoindex(text.c_str() + scope + 1);
  }
  length = sizeof v6;
}

uint16_t SocketAddress::port() const {
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  return 0;
}

std::string SocketAddress::text() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, text, sizeof text);
    return Address(text).text(port());
  }
  if (storage.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, text, sizeof text);
    return Address(text).text(port());
  }
  return "family " + std::to_string(storage.ss_family);
}

Address Any4() {
  return Address("0.0.0.0");
}
Address Any6() {
  return Address("::");
}
Address Loopback4(int last) {
  return Address("127.0.0." + std::to_string(last));
}
Address Loopback6() {
  return Address("::1");
}
Address MappedAny() {
  return Address("::ffff:0.0.0.0");
}
Address MappedLoopback(int last) {
  return Address("::ffff:127.0.0." + std::to_string(last));
}

}  // namespace portshare
