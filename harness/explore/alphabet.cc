#include "harness/explore/alphabet.h"

#include <algorithm>
#include <array>

namespace portshare {
namespace {

using model::Address;
using model::kLoopback;
using Kind = Address::Kind;

struct Place {
  Address address;
  bool v6only = false;
};

constexpr std::array kPlaces = {
    Place{{Kind::kIpv4, 0}},           Place{{Kind::kIpv4, kLoopback}}, Place{{Kind::kIpv4, kLoopback + 1}},
    Place{{Kind::kIpv6, 0}},           Place{{Kind::kIpv6, 0}, true},   Place{{Kind::kIpv6, 1}},
    Place{{Kind::kMapped, kLoopback}}, Place{{Kind::kMapped, 0}},
};

}  // namespace

Alphabet::Alphabet(const Letters& letters, model::Protocol protocol) : letters_(letters) {
  for (const Place& place : kPlaces) {
    for (const bool reuse_addr : {false, true}) {
      for (const bool reuse_port : {false, true}) {
        if (reuse_port && !letters.reuse_port) continue;
        for (const uint32_t owner : letters.owners) {
          for (int device = 0; device <= letters.devices; ++device) {
            sockets_.push_back({.protocol = protocol,
                                .address = place.address,
                                .v6only = place.v6only,
                                .reuse_addr = reuse_addr,
                                .reuse_port = reuse_port,
                                .device = static_cast<uint8_t>(device),
                                .owner = owner});
          }
        }
      }
    }
  }
}

int Alphabet::Find(const model::Socket& socket) const {
  const auto found = std::find(sockets_.begin(), sockets_.end(), socket);
  return found == sockets_.end() ? -1 : static_cast<int>(found - sockets_.begin());
}

int Alphabet::OwnersExchanged(int place) const {
  model::Socket socket = (*this)[place];
  socket.owner = socket.owner == letters_.owners.front() ? letters_.owners.back() : letters_.owners.front();
  return Find(socket);
}

int Alphabet::DevicesExchanged(int place) const {
  model::Socket socket = (*this)[place];
  if (socket.device != 0) socket.device = static_cast<uint8_t>(3 - socket.device);
  return Find(socket);
}

int Alphabet::LoopbacksExchanged(int place) const {
  model::Socket socket = (*this)[place];
  if (socket.address.kind != Kind::kIpv6 && !socket.address.wildcard()) socket.address.bits ^= 3;
  return Find(socket);
}

}  // namespace portshare
