#include "cases/servers.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "harness/deadline.h"

namespace portshare {

std::vector<Socket> AskingClients(int count, uint16_t port) {
  constexpr std::string_view kRequest = "GET / HTTP/1.0\r\n\r\n";
  std::vector<Socket> clients;
  for (int client = 0; client < count; ++client) {
    clients.push_back(Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port));
    send(clients.back().descriptor(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
  }
  AwaitDelivery();
  return clients;
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
