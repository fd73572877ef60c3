// TIME_WAIT on a socket's own port, without a wait.
#pragma once

#include "model/socket.h"

namespace portshare {

// Connects the TCP or MPTCP socket to a listener of this function's own and closes its end first: TIME_WAIT with the
// socket's options and device is what is left of it.  Returns 0 and has closed `descriptor`, or EISCONN and has not:
// a listener does not connect.  Throws CannotAsk.
int LeaveTimeWait(int& descriptor, const model::Socket& socket);

}  // namespace portshare
