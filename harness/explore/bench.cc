#include "harness/explore/bench.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iomanip>
#include <memory>
#include <ostream>
#include <string>

#include "harness/explore/kernel.h"
#include "harness/explore/native.h"
#include "model/machine.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

// A socket of the alphabet with nothing left to decide but its port.
struct Bare {
  explicit Bare(const model::Socket& socket)
      : type((model::IsStream(socket.protocol) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC),
        reuse_addr(socket.reuse_addr),
        reuse_port(socket.reuse_port),
        v6only(socket.v6only),
        device(socket.device),
        owner(socket.owner),
        address(socket.address, 0) {}

  int type;
  bool reuse_addr, reuse_port, v6only;
  uint8_t device;
  uid_t owner;
  Local address;
};

int Bound(Bare& bare, uint16_t port) {
  const int descriptor = socket(bare.address.any.sa_family, bare.type, 0);
  const int on = 1;
  if (bare.reuse_addr) setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bare.reuse_port) setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bare.v6only) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bare.device != 0) BindToDevice(descriptor, bare.device);
  if (bare.owner != 0) static_cast<void>(fchown(descriptor, bare.owner, static_cast<gid_t>(-1)) == 0);
  bare.address.v4.sin_port = htons(port);
  static_cast<void>(bind(descriptor, &bare.address.any, bare.address.length) == 0);
  return descriptor;
}

// In the namespace that the calling thread is in, over the same ports as Kernel.
Chunk BareLoop(const std::vector<model::Socket>& alphabet) {
  return [sockets = std::vector<Bare>(alphabet.begin(), alphabet.end()), port = kFirstPort](size_t first,
                                                                                            size_t count) mutable {
    for (size_t i = first; i < first + count; ++i) {
      const int a = Bound(sockets[i / sockets.size()], port);
      const int b = Bound(sockets[i % sockets.size()], port);
      close(a);
      close(b);
      port = port == kLastPort ? kFirstPort : static_cast<uint16_t>(port + 1);
    }
    return uint64_t{2} * count;
  };
}

enum Way : size_t { kBare, kExplorer };  // as wide as its neighbours: nothing unsaid lies between

struct Order {
  Way way;
  size_t first;
  size_t count;  // 0: that was all
};

struct Report {
  double seconds = 0;
  uint64_t steps = 0;
  char trouble[200] = "";
};

void PinTo(int processor) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(processor, &only);
  if (sched_setaffinity(0, sizeof only, &only) != 0) throw CannotAsk("sched_setaffinity", errno);
}

// A process that carries out orders on one processor.
class Worker {
 public:
  Worker(int processor, const std::vector<model::Socket>& alphabet, const std::function<Chunk()>& make_explorer) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw CannotAsk("socketpair", errno);
    control_ = Descriptor(ends[0]);
    const Descriptor other_end(ends[1]);
    child_ = fork();
    if (child_ < 0) throw CannotAsk("fork", errno);
    if (child_ != 0) return;
    control_.Close();
    Live(other_end.number(), processor, alphabet, make_explorer);
    _exit(0);
  }
  ~Worker() {
    Give(Order{});  // end of file would not do: processes that were forked later have this descriptor, too
    waitpid(child_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Give(const Order& order) const {
    static_cast<void>(send(control_.number(), &order, sizeof order, MSG_NOSIGNAL) == sizeof order);
  }
  Report Take() const {
    Report report;
    if (read(control_.number(), &report, sizeof report) != sizeof report) throw CannotAsk("a worker ended early");
    if (report.trouble[0] != '\0') throw CannotAsk(report.trouble);
    return report;
  }

 private:
  // Trouble is an answer, too, and only an order is answered: one left unread would be an error of the socket.
  static void Live(int control, int processor, const std::vector<model::Socket>& alphabet,
                   const std::function<Chunk()>& make_explorer) {
    Chunk bare, explorer;
    for (Order order{}; read(control, &order, sizeof order) == sizeof order && order.count != 0;) {
      Report report;
      try {
        if (!explorer) {
          PinTo(processor);
          explorer = make_explorer();
          bare = BareLoop(alphabet);
        }
        const auto begin = std::chrono::steady_clock::now();
        report.steps = (order.way == kBare ? bare : explorer)(order.first, order.count);
        report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      } catch (const std::exception& trouble) {
        strncpy(report.trouble, trouble.what(), sizeof report.trouble - 1);
      }
      if (write(control, &report, sizeof report) != sizeof report) return;
    }
  }

  Descriptor control_;
  pid_t child_ = 0;
};

// A second, of all workers together.
struct Rate {
  double pairs = 0;
  double steps = 0;
};

Rate Measure(const std::vector<std::unique_ptr<Worker>>& workers, size_t active, const Order& order) {
  Rate rate;
  for (size_t i = 0; i < active; ++i) workers[i]->Give(order);
  for (size_t i = 0; i < active; ++i) {
    const Report report = workers[i]->Take();
    rate.pairs += static_cast<double>(order.count) / report.seconds;
    rate.steps += static_cast<double>(report.steps) / report.seconds;
  }
  return rate;
}

std::vector<int> Processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  }
  return processors;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

}  // namespace

Chunk KernelAndModel(const std::vector<model::Socket>& alphabet, const model::Epoch& epoch) {
  struct State {
    explicit State(const model::Epoch& of_kernel) : machine(of_kernel) {}
    Kernel kernel;
    model::Machine machine;
    model::Scenario scenario;
    std::vector<int> answers;
    uint64_t mismatches = 0;
  };
  auto state = std::make_shared<State>(epoch);
  state->scenario.sockets.resize(2);
  state->scenario.steps = {{.socket = 0}, {.socket = 1}};
  return [alphabet, state](size_t first, size_t count) {
    uint64_t steps = 0;
    for (size_t i = first; i < first + count; ++i) {
      state->scenario.sockets[0] = alphabet[i / alphabet.size()];
      state->scenario.sockets[1] = alphabet[i % alphabet.size()];
      state->kernel.Run(state->scenario, state->answers);
      state->machine.Begin(state->scenario);
      for (size_t step = 0; step < state->answers.size(); ++step, ++steps) {
        if (state->machine.Do(state->scenario.steps[step]).error != state->answers[step]) ++state->mismatches;
      }
    }
    if (state->mismatches != 0) throw CannotAsk("the model is not this kernel's: a sweep tells more");
    return steps;
  };
}

void Bench(const std::vector<model::Socket>& alphabet, const std::function<Chunk()>& make_explorer, std::ostream& out) {
  // Some milliseconds: what else this machine does disturbs few rounds, and no median.
  constexpr size_t kChunk = 128;
  const size_t pairs = alphabet.size() * alphabet.size();
  const size_t count = std::min(kChunk, pairs);
  const size_t rounds = std::max<size_t>(pairs / count, 100);
  std::vector<std::unique_ptr<Worker>> workers;
  for (const int processor : Processors()) {
    if (workers.size() < 2) workers.push_back(std::make_unique<Worker>(processor, alphabet, make_explorer));
  }

  // What is compared stands side by side: each round asks the same pairs in every way.
  struct Row {
    std::vector<double> pairs[2], steps, ratio, of_one_bare;
  };
  std::vector<Row> rows(workers.size());
  for (size_t round = 0; round < rounds; ++round) {
    const size_t first = round * count % (pairs - count + 1);
    double one_bare = 0;
    for (size_t cores = 1; cores <= workers.size(); ++cores) {
      Row& row = rows[cores - 1];
      const bool bare_first = round % 2 == 0;
      Rate rate[2];
      for (const Way way : bare_first ? std::array{kBare, kExplorer} : std::array{kExplorer, kBare}) {
        rate[way] = Measure(workers, cores, {way, first, count});
        row.pairs[way].push_back(rate[way].pairs);
      }
      if (cores == 1) one_bare = rate[kBare].pairs;
      row.steps.push_back(rate[kExplorer].steps);
      row.ratio.push_back(rate[kExplorer].pairs / rate[kBare].pairs);
      row.of_one_bare.push_back(rate[kExplorer].pairs / one_bare);
    }
  }

  out << count * rounds << " ordered pairs of " << alphabet.size() << " sockets, each in every way; medians of "
      << rounds << " rounds\n\n";
  out << "cores  bare scenarios/s  explorer scenarios/s  explorer steps/s  explorer/bare  explorer/bare on one core\n"
      << std::fixed;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    out << std::setw(5) << i + 1 << std::setprecision(0) << std::setw(18) << Median(row.pairs[kBare]) << std::setw(22)
        << Median(row.pairs[kExplorer]) << std::setw(18) << Median(row.steps) << std::setprecision(3) << std::setw(15)
        << Median(row.ratio) << std::setw(27) << Median(row.of_one_bare) << '\n';
  }
}

}  // namespace portshare
