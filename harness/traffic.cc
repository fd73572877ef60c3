#include "harness/traffic.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

using Queue = std::function<bool(int)>;

bool TakeDatagram(int socket) {
  char byte = 0;
  return recv(socket, &byte, 1, MSG_DONTWAIT) >= 0;
}

bool TakeConnection(int listener) {
  pollfd entry{listener, POLLIN, 0};
  if (poll(&entry, 1, 0) != 1 || (entry.revents & POLLIN) == 0) return false;
  return Descriptor(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)).open();
}

std::string Joined(const std::vector<int>& counts) {
  std::string text;
  for (const int count : counts) text += (text.empty() ? "" : "/") + std::to_string(count);
  return text;
}

// Counts until `expected` arrived or the step limit passed; with 0 expected, once.  `count` tells all so far.
std::vector<int> Await(const std::function<std::vector<int>()>& count, int expected) {
  AwaitDelivery();
  const auto deadline = std::chrono::steady_clock::now() + kStepLimit;
  std::vector<int> counts = count();
  while (std::accumulate(counts.begin(), counts.end(), 0) < expected && std::chrono::steady_clock::now() < deadline) {
    poll(nullptr, 0, 1);
    counts = count();
  }
  return counts;
}

// Empties the queues; `counts` is what they gave before, and counts as arrived.
std::vector<int> Collect(std::initializer_list<Socket*> sockets, const Queue& take, int expected,
                         std::vector<int> counts = {}) {
  counts.resize(sockets.size());
  return Await(
      [&] {
        size_t index = 0;
        for (const Socket* socket : sockets) {
          while (take(socket->descriptor())) ++counts[index];
          ++index;
        }
        return counts;
      },
      expected);
}

std::string Names(std::initializer_list<Socket*> sockets) {
  std::string names;
  for (const Socket* socket : sockets) names += (names.empty() ? "" : " ") + socket->name();
  return names;
}

Share Spread(const std::string& over, const std::string& what, const std::vector<int>& counts, int error) {
  return Counted(what + " over " + over, counts, error);
}

// More would overrun the accept queue of a listener alone (net.core.somaxconn, 128 before Linux 5.4).
constexpr int kConnectionsAtOnce = 100;

// A client socket with a deadline on connect(2).  It resets its connection, so that no TIME_WAIT stays on the port.
Descriptor Client(const Address& to, int type) {
  Descriptor client(socket(to.family(), type | SOCK_CLOEXEC, 0));
  if (!client.open()) throw CannotAsk("socket for a client", errno);
  LimitSends(client.number());
  const linger at_once{1, 0};
  setsockopt(client.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return client;
}

// `collect` waits until so many connections were accepted in all, and says who accepted how many.
Share Connections(const std::string& over, int count, const Address& to, uint16_t port,
                  const std::function<std::vector<int>(int)>& collect) {
  const std::string step = std::to_string(count) + " connections to " + to.text(port);
  Journal::Get().Asking(step);
  const SocketAddress peer(to, port);
  std::vector<int> counts;
  int error = 0;
  int begun = 0;
  do {
    std::vector<Descriptor> clients;
    for (int client = 0; client < kConnectionsAtOnce && begun < count && error == 0; ++client, ++begun) {
      clients.push_back(Client(to, SOCK_STREAM));
      if (connect(clients.back().number(), peer.get(), peer.length) != 0)
        error = errno == EINPROGRESS ? ETIMEDOUT : errno;
    }
    counts = collect(error == 0 ? begun : 0);
  } while (begun < count && error == 0);
  return Spread(over, step, counts, error);
}

}  // namespace

void StayOnThisProcessor() {
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(static_cast<size_t>(sched_getcpu()), &own);
  if (sched_setaffinity(0, sizeof own, &own) != 0) throw CannotAsk("sched_setaffinity", errno);
}

void AwaitDelivery() {
  const SocketAddress anywhere(Loopback4(), 0);
  const Descriptor marker(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress own;
  if (bind(marker.number(), anywhere.get(), anywhere.length) != 0 ||
      getsockname(marker.number(), own.get(), &own.length) != 0 ||
      sendto(marker.number(), "x", 1, 0, own.get(), own.length) != 1) {
    throw CannotAsk("send a marker over loopback", errno);
  }
  pollfd entry{marker.number(), POLLIN, 0};
  if (poll(&entry, 1, static_cast<int>(kStepLimit.count())) != 1) throw CannotAsk("a marker over loopback was lost");
}

int EnoughToReach(int members) {
  if (members < 2) return 1;
  const double miss = 1.0 - 1.0 / members;
  return static_cast<int>(std::ceil(std::log(1e-10 / members) / std::log(miss)));
}

Share ConnectionsOver(std::initializer_list<Socket*> listeners, int count, const Address& to, uint16_t port) {
  std::vector<int> counts;
  return Connections(Names(listeners), count, to, port, [&](int expected) {
    counts = Collect(listeners, TakeConnection, expected, counts);
    return counts;
  });
}

Share ConnectionsOver(Crowd& crowd, int count, const Address& to, uint16_t port) {
  return Connections(std::to_string(crowd.processes()) + " processes", count, to, port,
                     [&](int expected) { return Await([&] { return crowd.Accepted(); }, expected); });
}

Share DatagramsOver(std::initializer_list<Socket*> receivers, int count, const Address& to, uint16_t port) {
  const std::string step = std::to_string(count) + " datagrams to " + to.text(port);
  Journal::Get().Asking(step);
  const SocketAddress peer(to, port);
  std::vector<Descriptor> clients;
  int error = 0;
  for (int client = 0; client < count && error == 0; ++client) {
    clients.push_back(Client(to, SOCK_DGRAM));
    if (sendto(clients.back().number(), "x", 1, 0, peer.get(), peer.length) != 1) error = errno;
  }
  return Spread(Names(receivers), step, Collect(receivers, TakeDatagram, error == 0 ? count : 0), error);
}

Share QueuedDatagrams(std::initializer_list<Socket*> receivers) {
  return Spread(Names(receivers), "datagrams queued", Collect(receivers, TakeDatagram, 0), 0);
}

Share QueuedConnections(std::initializer_list<Socket*> listeners) {
  return Spread(Names(listeners), "connections queued", Collect(listeners, TakeConnection, 0), 0);
}

Share Counted(const std::string& step, const std::vector<int>& counts, int error) {
  Share share;
  share.step = step;
  share.error = error;
  share.answer = Joined(counts);
  share.counts = counts;
  return Journal::Get().Answered(share);
}

Share LiveAndReset(const std::vector<Socket>& clients) {
  AwaitDelivery();
  int live = 0, reset = 0, other = 0;
  for (const Socket& client : clients) {
    tcp_info info{};
    socklen_t length = sizeof info;
    getsockopt(client.descriptor(), IPPROTO_TCP, TCP_INFO, &info, &length);
    if (info.tcpi_state == TCP_ESTABLISHED) {
      ++live;
      continue;
    }
    int error = 0;
    length = sizeof error;
    getsockopt(client.descriptor(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == ECONNRESET) {
      ++reset;
    } else {
      other = error != 0 ? error : ENOTCONN;
    }
  }
  return Counted("clients live/reset", {live, reset}, other);
}

double ChanceOfSpread(const std::vector<int>& counts) {
  if (counts.size() < 2) return 1;
  const double expected = std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
  double statistic = 0;
  for (const int count : counts) statistic += (count - expected) * (count - expected) / expected;
  // Upper tail for k degrees of freedom by the recurrence Q(k) = Q(k-2) + (x/2)^(k/2-1) e^(-x/2) / Gamma(k/2), which
  // starts at erfc(sqrt(x/2)) for odd k and at 0 for even k.  Abramowitz and Stegun 26.4
  const int freedom = static_cast<int>(counts.size()) - 1;
  const double half = statistic / 2;
  double tail = freedom % 2 == 1 ? std::erfc(std::sqrt(half)) : 0;
  for (int k = freedom % 2 == 1 ? 3 : 2; k <= freedom; k += 2) {
    tail += half == 0 ? (k == 2 ? 1 : 0) : std::exp((k / 2.0 - 1) * std::log(half) - half - std::lgamma(k / 2.0));
  }
  return tail;
}

}  // namespace portshare
