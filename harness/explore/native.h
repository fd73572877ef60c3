// The model's words as system calls take them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string_view>

#include "model/socket.h"

namespace portshare {

// By model::Socket::device.
inline constexpr std::string_view kDevices[] = {"", "v0", "v1"};

// 0, or -1 and errno.
inline int BindToDevice(int descriptor, uint8_t device) {
  const std::string_view name = kDevices[device];
  return setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name.data(), static_cast<socklen_t>(name.size()));
}

// For bind(2) and connect(2).
struct Local {
  Local(const model::Address& address, uint16_t port) : v6{} {
    if (address.kind == model::Address::Kind::kIpv4) {
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      v4.sin_addr.s_addr = htonl(address.bits);
      length = sizeof v4;
      return;
    }
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (address.kind == model::Address::Kind::kMapped) v6.sin6_addr.s6_addr32[2] = htonl(0xffff);
    v6.sin6_addr.s6_addr32[3] = htonl(address.bits);
    length = sizeof v6;
  }

  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t length;
};

}  // namespace portshare
