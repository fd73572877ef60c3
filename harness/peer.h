// TCP connections brought to a state on purpose.
#pragma once

#include "harness/socket.h"

namespace portshare {

// The two ends of one connection; `server` is the accepted one.
struct Connection {
  Socket client;
  Socket server;
};

// A client of its own connects to `to` and `listener` accepts it.
Connection Established(Socket& listener, const Address& to, uint16_t port);

// Waits until some socket with this local port is in `state` ("TIME_WAIT", "FIN_WAIT2", ...), orphans included.  A
// state that does not come within the step limit fails the case and ends it.
void AwaitState(uint16_t local_port, const std::string& state);

// The server's end closes first and leaves TIME_WAIT on the port.  Both ends are gone afterwards.
void LeaveTimeWait(Connection connection);

// The server's end is closed while the client stays open: an orphan in FIN_WAIT2 holds the port.  Returns the client.
Socket LeaveFinWait2(Connection connection);

// The client's end is closed: the server's end, returned, is in CLOSE_WAIT.
Socket LeaveCloseWait(Connection connection);

}  // namespace portshare
