// vsock(7): its ports are the machine's, not those of a network namespace, so that no fixed one is taken.
#pragma once

#include <linux/vm_sockets.h>

#include <cstdint>

#include "harness/need.h"
#include "harness/outcome.h"
#include "harness/socket.h"

namespace portshare {

namespace needs {
// A transport to the machine itself, and none to a host: nothing leaves the machine, and its host cannot be reached.
extern const Need kVsockLoopback;
}  // namespace needs

// Of the machine itself where it has an address, VMADDR_CID_ANY.
Outcome BindVsock(Socket& socket, uint32_t port);
// connect(2) to a port of `machine`: VMADDR_CID_LOCAL, VMADDR_CID_HOST.
Outcome ConnectVsock(Socket& socket, uint32_t machine, uint32_t port);
// The port that the socket is bound to.
uint32_t VsockPort(const Socket& socket);

}  // namespace portshare
