// Cases about the ports that the kernel chooses: a narrow choice, and who holds what of it.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "harness/case.h"
#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {

class LocalPorts : public Case {
 protected:
  static constexpr uint16_t kFirst = 40000;
  // Of a second server, beside port().
  static constexpr uint16_t kOther = 7778;

  // Leaves the kernel these ports to choose from.  net.ipv4.ip_local_port_range
  static void Offer(uint16_t first, uint16_t last) {
    Demand("ipv4/ip_local_port_range", std::to_string(first) + " " + std::to_string(last));
  }
  // Leaves it kFirst and what follows, so many ports in all.
  static void Offer(int ports) { Offer(kFirst, static_cast<uint16_t>(kFirst + ports - 1)); }

  // A sysctl that the case builds on: a refusal ends it.
  static void Demand(const std::string& name, const std::string& value) { Journal::Get().Needs(Sysctl(name, value)); }

  static std::vector<Socket> BoundByChoice(const SocketSpec& spec, int count) {
    std::vector<Socket> sockets;
    for (int socket = 0; socket < count; ++socket) sockets.push_back(spec.Bound(0));
    return sockets;
  }

  static std::vector<Socket> Clients(const SocketSpec& spec, int count, const Address& to, uint16_t port) {
    std::vector<Socket> clients;
    for (int client = 0; client < count; ++client) clients.push_back(spec.Made().ConnectedTo(to, port));
    return clients;
  }

  // The ports of all, lowest first: "40001/40003".
  static Outcome PortsOf(const std::vector<Socket>& sockets) {
    std::vector<uint16_t> ports;
    std::string names, answer;
    for (const Socket& socket : sockets) {
      ports.push_back(socket.Port());
      names += " " + socket.name();
    }
    std::sort(ports.begin(), ports.end());
    for (const uint16_t port : ports) answer += (answer.empty() ? "" : "/") + std::to_string(port);
    return Journal::Get().Answered(Outcome{"ports of" + names, 0, answer});
  }
};

}  // namespace portshare
