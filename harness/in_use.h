// How many sockets the kernel keeps for a namespace, those that nobody has a descriptor of included.
#pragma once

#include "harness/outcome.h"

namespace portshare {

// Of the calling thread's namespace, all families.  /proc/net/sockstat, "sockets: used".  Throws CannotAsk.
int SocketsInUse();

// How many more than `before` there are once the kernel has freed what it can: 0 as soon as there are no more, and what
// is left at the step limit otherwise.
Outcome SocketsLeft(int before);

}  // namespace portshare
