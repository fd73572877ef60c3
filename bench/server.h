// A server of several threads in a process of its own, which tells what each of them did.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bench/report.h"
#include "netns/descriptor.h"

namespace portshare::bench {

// One thread's account.
struct Tally {
  uint64_t served = 0;
  uint64_t woken_for_nothing = 0;
  double cpu = 0;  // seconds
};

// What a thread does until its socket is shut down.
using Work = std::function<void(Tally&)>;

// `workers` share the work; `helpers` only bring it.  The sockets are the caller's, made before this and shut down
// before Join(): that is what ends the threads.
class Server {
 public:
  Server(const std::vector<Work>& workers, const std::vector<Work>& helpers);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Throws CannotAsk when the process did not end well.
  void Join();

  // Into `report`: each worker's part, busiest to idlest, the CPU of all threads together for each thing served.
  void Tell(Report& report) const;

 private:
  std::span<Tally> tallies_;
  size_t workers_;
  pid_t child_ = 0;
};

// A socket bound to 127.0.0.1:kPort; SO_REUSEPORT where it is one of several.  A stream listens.  Throws CannotAsk.
enum class Share { kAlone, kPort };
Descriptor Bound(int type, Share share);
inline constexpr uint16_t kPort = 8080;  // in a namespace of our own

}  // namespace portshare::bench
