#include "harness/peer.h"

#include <poll.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "harness/deadline.h"
#include "harness/describe.h"
#include "harness/journal.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

// Looks in a row that find no connection of a port: none is on its way any more, or the kernel shows only sockets that
// somebody has open (gVisor).  A look takes a millisecond and more.
constexpr int kLooksInVain = 100;

// What one look finds of a port's sockets.
struct Found {
  bool state = false;
  bool connection = false;
};

// One socket a line after the heading: index, local address:port in hex, remote, state in hex.  proc(5)
void Look(const char* file, uint16_t local_port, const std::string& state, Found& found) {
  std::ifstream lines(file);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string index, local, remote, number;
    fields >> index >> local >> remote >> number;
    const auto port = std::stoul(local.substr(local.rfind(':') + 1), nullptr, 16);
    if (port != local_port) continue;
    const std::string name = TcpStateName(std::stoi(number, nullptr, 16));
    found.state = found.state || name == state;
    found.connection = found.connection || name != "LISTEN";
  }
}

}  // namespace

Connection Established(Socket& listener, const Address& to, uint16_t port) {
  Socket client = Tcp(to).Made().ConnectedTo(to, port);
  return {std::move(client), listener.Accepted()};
}

void AwaitState(uint16_t local_port, const std::string& state) {
  const std::string step = "await " + state + " on port " + std::to_string(local_port);
  Journal::Get().Asking(step);
  const auto deadline = std::chrono::steady_clock::now() + kStepLimit;
  for (int in_vain = 0;;) {
    Found found;
    for (const char* file : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
      Look(file, local_port, state, found);
    }
    if (found.state) break;
    in_vain = found.connection ? 0 : in_vain + 1;
    if (in_vain == kLooksInVain || std::chrono::steady_clock::now() > deadline) {
      Journal::Get().Needs(Journal::Get().Answered(Outcome{step, ETIMEDOUT, ""}));
    }
    poll(nullptr, 0, 1);
  }
  Journal::Get().Note(step);
}

void LeaveTimeWait(Connection connection) {
  const uint16_t port = connection.server.Port();
  connection.server.Close();
  AwaitState(port, "FIN_WAIT2");
  connection.client.Close();
  AwaitState(port, "TIME_WAIT");
}

Socket LeaveFinWait2(Connection connection) {
  const uint16_t port = connection.server.Port();
  // In this order: where the answer to the FIN meets a close(2) that has not returned, a full socket stays where a
  // small one is usual.  tcp_rcv_state_process(), "Bad case"
  Journal::Get().Needs(connection.server.Shutdown(SHUT_WR));
  AwaitState(port, "FIN_WAIT2");
  connection.server.Close();
  return std::move(connection.client);
}

Socket LeaveCloseWait(Connection connection) {
  const uint16_t port = connection.server.Port();
  connection.client.Close();
  AwaitState(port, "CLOSE_WAIT");
  return std::move(connection.server);
}

}  // namespace portshare
