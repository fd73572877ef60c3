#include "cases/servers.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "harness/deadline.h"

namespace portshare {

namespace {

constexpr std::string_view kRequest = "GET / HTTP/1.0\r\n\r\n";

void Ask(const Socket& client) {
  send(client.descriptor(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
}

}  // namespace

std::vector<Socket> AskingClients(int count, uint16_t port) {
  std::vector<Socket> clients;
  for (int client = 0; client < count; ++client) {
    clients.push_back(Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port));
    Ask(clients.back());
  }
  AwaitDelivery();
  return clients;
}

std::vector<Socket> BeginningClients(int count, uint16_t port) {
  std::vector<Socket> clients;
  for (int client = 0; client < count; ++client) {
    clients.push_back(Tcp(Loopback4()).Made());
    EXPECT_THAT(clients.back().BeginConnect(Loopback4(), port), FailsWith(EINPROGRESS));
  }
  return clients;
}

void AwaitConnections(const std::vector<Socket>& clients) {
  // A SYN is sent again after 1 s and after 3 s.
  const auto limit = static_cast<int>((2 * kStepLimit).count());
  for (const Socket& client : clients) {
    pollfd entry{client.descriptor(), POLLOUT, 0};
    poll(&entry, 1, limit);
  }
}

void AskOnceConnected(const std::vector<Socket>& clients) {
  AwaitConnections(clients);
  for (const Socket& client : clients) Ask(client);
}

Share AnsweredAndLost(const std::vector<Socket>& clients) {
  const std::string step = "clients answered/lost";
  Journal::Get().Asking(step);
  using Clock = std::chrono::steady_clock;
  const auto limit = Clock::now() + kStepLimit;
  int answered = 0, lost = 0, error = 0;
  for (const Socket& client : clients) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now());
    pollfd entry{client.descriptor(), POLLIN, 0};
    char answer[16] = "";
    if (poll(&entry, 1, static_cast<int>(std::max<long>(left.count(), 0))) != 1) {
      error = ETIMEDOUT;
    } else if (recv(client.descriptor(), answer, sizeof answer, 0) > 0 &&
               std::string_view(answer, 12).ends_with(" 200")) {
      ++answered;
    } else {
      ++lost;
    }
  }
  return Counted(step, {answered, lost}, error);
}

}  // namespace portshare
