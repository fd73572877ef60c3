// Who holds a port, by sock_diag(7): asked of the kernel, whichever process holds it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harness/outcome.h"

namespace portshare {

// One socket that holds a port: a TCP listener, or a UDP socket that is not connected.
struct Holder {
  uid_t owner = 0;
  uint64_t inode = 0;  // tells it from any other
  int waiting = 0;     // connections that nobody accepted yet, or bytes that nobody read
};

// Of the calling thread's namespace, IPv4 and IPv6, by inode.  Throws CannotAsk.
std::vector<Holder> TcpListeners(uint16_t port);
std::vector<Holder> UdpReceivers(uint16_t port);

// How many there are and whose: "3 of uid 0", "1 of uid 0, 2 of uid 1001", "none".
Outcome CountTcpListeners(uint16_t port);
Outcome CountUdpReceivers(uint16_t port);

// The same once it is `wanted`; after a while whatever it is then.
Outcome AwaitTcpListeners(uint16_t port, const std::string& wanted);

// How many connections wait at each listener, by inode: "17/13/20".
std::vector<int> WaitingAtListeners(uint16_t port);

}  // namespace portshare
