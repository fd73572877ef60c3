// What scenarios are made of: every socket that two options, eight addresses, two owners and two devices allow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/scenario.h"

namespace portshare {

// What this kernel and this user can be asked with; what is missing makes the alphabet smaller, and is said.
struct Letters {
  std::vector<uint32_t> owners = {1001, 1002};
  int devices = 2;
  bool reuse_port = true;
};

// 0.0.0.0, 127.0.0.1, 127.0.0.2, [::], [::] v6only, [::1], ::ffff:127.0.0.1 and ::ffff:0.0.0.0, each with every mix of
// SO_REUSEADDR, SO_REUSEPORT, owner and device: 192 sockets when nothing is missing.
class Alphabet {
 public:
  Alphabet(const Letters& letters, model::Protocol protocol);

  const std::vector<model::Socket>& sockets() const { return sockets_; }
  int size() const { return static_cast<int>(sockets_.size()); }
  const model::Socket& operator[](int place) const { return sockets_[static_cast<size_t>(place)]; }

  // The place of the same socket with the two owners exchanged, the two devices, or 127.0.0.1 with 127.0.0.2.  -1 where
  // the alphabet has no such socket: it has only one mapped loopback.
  int OwnersExchanged(int place) const;
  int DevicesExchanged(int place) const;
  int LoopbacksExchanged(int place) const;

 private:
  int Find(const model::Socket& socket) const;

  Letters letters_;
  std::vector<model::Socket> sockets_;
};

}  // namespace portshare
