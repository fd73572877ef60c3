// A scenario, run on this kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/scenario.h"
#include "netns/descriptor.h"
#include "netns/private_network.h"

namespace portshare {

// The ports of scenarios.  Helpers have automatic ones, which begin above.
inline constexpr uint16_t kFirstPort = 1024;
inline constexpr uint16_t kLastPort = 32000;

// A network namespace of one's own with lo and, if the kernel can make them, the devices v0 and v1 (1 and 2 of
// model::Socket::device).  The calling thread lives in it until the end.
class Kernel {
 public:
  // Throws CannotAsk.
  explicit Kernel(bool with_devices = true);

  // false where no pair of devices could be made, or none was wanted.
  bool has_devices() const { return place_->has_devices; }
  // false where no sockets can be put into the hash slot of a UDP port: Scenario::unrelated cannot be asked.
  bool has_crowds() const { return has_crowds_; }

  // Runs the scenario on a port that nothing holds and that no TIME_WAIT is left on, and closes what it left open.
  // `answers`: 0 or the errno of each step.  Sockets whose model::Socket::port differs get different ports.  A socket
  // is made right before its first step, with its options, device and owner (fchown(2)); its own address is local to
  // every device.  Throws CannotAsk when a socket, its owner or a connection for TIME_WAIT could not be made. Least
  // time goes by when scenarios of equal Scenario::unrelated follow each other.
  void Run(const model::Scenario& scenario, std::vector<int>& answers);

  // The same with every second socket (places 1, 3, ...) in another namespace, on the same port there.
  void RunApart(const model::Scenario& scenario, std::vector<int>& answers);

  // The port of the last scenario's first socket.
  uint16_t port() const { return port_; }

 private:
  // One namespace, entered when made and left at the end.
  struct Place {
    explicit Place(bool with_devices);
    void Enter() const noexcept;

    PrivateNetwork network;
    Descriptor itself;
    bool has_devices = false;
  };
  // UDP sockets of other ports in the hash slot of `port`.
  struct Crowd {
    std::vector<Descriptor> members;
    model::Protocol protocol = model::Protocol::kUdp;
    uint16_t port = 0;
    int time_waits = 0;  // when it was gathered
  };

  struct Made {
    int descriptor;
    uint16_t port;
  };
  struct Closer {
    ~Closer();
    const std::vector<Made>& sockets;
  };

  void Begin(const model::Scenario& scenario);
  uint16_t FreshPort();
  // To new namespaces.
  void MoveOn();
  void Settle();
  bool WildcardHasTheSlotOfAnAddress();
  static bool TakesSlots();
  void Gather(const model::Scenario& scenario);
  void Make(const model::Socket& socket, int& descriptor) const;
  int Do(const model::Step& step, const model::Scenario& scenario);

  const bool with_devices_;
  PrivateNetwork outside_;  // whose settings the others begin with
  // Of UDP's table, shared with nobody else.  Kernels before 6.2 have one for all namespaces, as those have it whose
  // sysctls are read-only.
  const bool has_slots_;
  std::optional<Place> place_;
  std::optional<Place> apart_;
  bool has_crowds_ = false;
  const uid_t self_;

  uint16_t port_ = 0;
  uint16_t next_port_;
  int time_waits_ = 0;  // left in the present namespaces
  Crowd crowd_;
  std::vector<Made> sockets_;  // by place in the scenario
};

}  // namespace portshare
