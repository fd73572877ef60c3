// Clients of a TCP server: a fixed number of connections under way, each of them one question and one answer.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "bench/report.h"

namespace portshare::bench {

struct Load {
  sockaddr_in server{};
  double seconds = 1;
  int at_once = 32;      // connections under way, of all threads together
  std::string question;  // sent as soon as a connection stands; nothing where the server speaks first
};

// What became of the connections.
struct Harvest {
  uint64_t answered = 0;
  uint64_t refused = 0;     // ECONNREFUSED
  uint64_t reset = 0;       // ECONNRESET or EPIPE before the answer
  uint64_t unanswered = 0;  // closed in peace, before the answer
  uint64_t timed_out = 0;   // nothing for kPatience
  uint64_t in_time = 0;     // answered before the seconds were over
  Spread latency;           // microseconds from connect(2) to the answer

  uint64_t lost() const { return refused + reset + unanswered + timed_out; }
  void Add(const Harvest& other);
};

inline constexpr double kPatience = 1;  // seconds

// One thread a processor, at most two.  Each connection ends with a reset by its client, so that no port stays in
// TIME_WAIT.  Throws CannotAsk.
Harvest Run(const Load& load);

// 127.0.0.1 of the namespace that the caller is in.
sockaddr_in Loopback(uint16_t port);

// Seconds of a clock that only goes forward.
double Now();

int ClientThreads();

}  // namespace portshare::bench
