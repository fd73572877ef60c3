// Groups of more members than a case has names for.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {

inline std::vector<Socket> ManyMade(const SocketSpec& spec, int count) {
  std::vector<Socket> sockets;
  while (static_cast<int>(sockets.size()) < count) sockets.push_back(spec.Made());
  return sockets;
}

inline std::vector<Socket> ManyBound(const SocketSpec& spec, uint16_t port, int count) {
  std::vector<Socket> sockets;
  while (static_cast<int>(sockets.size()) < count) sockets.push_back(spec.Bound(port));
  return sockets;
}

// How many datagrams wait at a socket, which are taken: those that AwaitDelivery() waited for are there.
inline int TakenNow(const Socket& socket) {
  int taken = 0;
  for (char byte = 0; recv(socket.descriptor(), &byte, 1, MSG_DONTWAIT) >= 0;) ++taken;
  return taken;
}
// In all, after everything that the caller sent has been delivered.
inline int TakenFrom(const Socket& socket) {
  AwaitDelivery();
  return TakenNow(socket);
}
inline int TakenFrom(const std::vector<Socket>& sockets) {
  AwaitDelivery();
  int taken = 0;
  for (const Socket& socket : sockets) taken += TakenNow(socket);
  return taken;
}

}  // namespace portshare
