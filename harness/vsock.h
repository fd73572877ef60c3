// vsock(7): its ports are the machine's, not those of a network namespace, so that no fixed one is taken.
#pragma once

#include <cstdint>

#include "harness/need.h"
#include "harness/outcome.h"
#include "harness/socket.h"

namespace portshare {

namespace needs {
// A transport to the machine itself, and none to a host or to guests: nothing leaves the machine.
extern const Need kVsockLoopback;
}  // namespace needs

// VMADDR_PORT_ANY, VMADDR_CID_LOCAL
inline constexpr uint32_t kAnyVsockPort = ~0U;
inline constexpr uint32_t kThisMachine = 1;
// Where no transport leads from a machine that has none but that to itself.
inline constexpr uint32_t kMachineElsewhere = 42;

// On VMADDR_CID_ANY.
Outcome BindVsock(Socket& socket, uint32_t port);
// connect(2) to a port of `machine`: kThisMachine, kMachineElsewhere.
Outcome ConnectVsock(Socket& socket, uint32_t machine, uint32_t port);
// The port that the socket is bound to.
uint32_t VsockPort(const Socket& socket);

}  // namespace portshare
