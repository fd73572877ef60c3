// In which order does connect(2) try the ports, and where do clients pile up?
#include <random>

#include "cases/local_ports.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class ClientPortOrder : public LocalPorts {
 protected:
  static constexpr int kClients = 160;
  static constexpr uint16_t kFirstFree = kFirst + 64;

  // 128 ports, of which the lower half is reserved.
  static void OfferTheUpperHalf() {
    Offer(128);
    Demand("ipv4/ip_local_reserved_ports", "40000-40063");
  }

  // Of so many clients, each of a server on an address of its own: those that got the first port that is not reserved.
  // The addresses are new in each run, for the kernel remembers by destination, across namespaces, where it goes on.
  static Share OnTheFirstFreePort() {
    std::random_device any;
    std::uniform_int_distribution<unsigned> host(0x7f010000, 0x7ffffffe);
    const Socket server = Tcp(Any4()).Bound(port()).Listening();
    std::vector<Socket> clients;
    int on_it = 0;
    for (int client = 0; client < kClients; ++client) {
      const unsigned to = host(any);
      const Address address("127." + std::to_string(to >> 16 & 255) + "." + std::to_string(to >> 8 & 255) + "." +
                            std::to_string(to & 255));
      clients.push_back(Tcp(Any4()).Made().ConnectedTo(address, port()));
      on_it += clients.back().Port() == kFirstFree;
    }
    return Counted("clients on port 40064", {on_it});
  }

  // Between what an even spread gives, some 9 of 160, and half of them: either side of it is met or missed by luck less
  // than once in 1e10 runs.
  static constexpr int kMany = 37;
};

CLAIM({.id = "client_port.order.piles_up_after_reserved_ports",
       .says = "connect(2) begins anywhere in the range and goes up: of clients of different servers as many get the "
               "first port after a block of reserved ports as begin within that block.",
       .kernels = "since 4.6",
       .rows = {"EPH-033"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, ip_local_port_step_width"), Kernel("__inet_hash_connect()")}});

CASE(ClientPortOrder, PilesUpAfterReservedPorts, Witnesses("client_port.order.piles_up_after_reserved_ports"),
     Needs(needs::kSysctl), Labels("tcp", "automatic_port")) {
  OfferTheUpperHalf();

  EXPECT_THAT(OnTheFirstFreePort(), Wants("many", [](const Share& share) { return share.counts.at(0) >= kMany; }));
}

CLAIM(
    {.id = "client_port.order.spread_by_a_random_step",
     .says = "With net.ipv4.ip_local_port_step_width connect(2) goes on from a port that is not free by random steps, "
             "so that clients do not pile up after a block of reserved ports.",
     .kernels = "since 7.1",
     .rows = {"EPH-033"},
     .sources = {KernelDoc("networking/ip-sysctl.rst, ip_local_port_step_width"),
                 Commit("7da62262ec96 inet: add ip_local_port_step_width sysctl to improve port usage "
                        "distribution")}});

CASE(ClientPortOrder, IsSpreadByARandomStep, Witnesses("client_port.order.spread_by_a_random_step"),
     Needs(needs::kPortStepWidth), Labels("tcp", "automatic_port")) {
  OfferTheUpperHalf();
  Demand("ipv4/ip_local_port_step_width", "64");

  EXPECT_THAT(OnTheFirstFreePort(), Wants("few", [](const Share& share) { return share.counts.at(0) < kMany; }));
}

CLAIM({.id = "client_port.order.random_step_misses_no_port",
       .says = "With net.ipv4.ip_local_port_step_width connect(2) still finds every port of the range, those of the "
               "first one's parity before the others, and then EADDRNOTAVAIL.",
       .kernels = "since 7.1",
       .rows = {"EPH-033"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, ip_local_port_step_width"), Kernel("__inet_hash_connect()")}});

struct Width {
  std::string name;
  std::string width;
};
const std::vector<Width> kWidths = {{"one", "1"}, {"four", "4"}, {"wider_than_the_range", "1000"}};

MATRIX(ClientPortOrder, RandomStepMissesNoPort, Width, kWidths,
       Witnesses("client_port.order.random_step_misses_no_port"), Needs(needs::kPortStepWidth),
       Labels("tcp", "automatic_port")) {
  Offer(16);
  Demand("ipv4/ip_local_port_step_width", row.width);
  const Socket server = Tcp(Loopback4()).Bound(port()).Listening();

  const std::vector<Socket> preferred = Clients(Tcp(Loopback4()), 8, Loopback4(), port());
  EXPECT_THAT(PortsOf(preferred), Is("40000/40002/40004/40006/40008/40010/40012/40014"));
  const std::vector<Socket> others = Clients(Tcp(Loopback4()), 8, Loopback4(), port());
  EXPECT_THAT(PortsOf(others), Is("40001/40003/40005/40007/40009/40011/40013/40015"));
  EXPECT_THAT(Tcp(Loopback4()).Made().Connect(Loopback4(), port()), FailsWith(EADDRNOTAVAIL));
}

}  // namespace
}  // namespace portshare
