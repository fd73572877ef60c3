// Datagrams that were lost on the way into a socket, which are no answer to who receives.
#pragma once

#include "harness/need.h"
#include "harness/socket.h"

namespace portshare {

namespace needs {
extern const Need kMemoryInfo;  // SO_MEMINFO
}  // namespace needs

// How many datagrams found the socket's queue full.  Throws CannotAsk.
int OverrunsOf(const Socket& socket);

}  // namespace portshare
