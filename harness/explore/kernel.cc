#include "harness/explore/kernel.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

#include "harness/explore/native.h"
#include "harness/explore/time_wait.h"
#include "netns/cannot_ask.h"
#include "netns/links.h"
#include "netns/sysctl.h"

namespace portshare {
namespace {

using Kind = model::Address::Kind;

constexpr char kAutomaticPorts[] = "32768 60999";
// That of a socket that was never bound holds an automatic port.
constexpr int kMostTimeWaits = 10'000;
constexpr char kRoomForTimeWaits[] = "65536";

// A UDP port and the one this far above it have one hash slot in every table of at most so many slots.  udp_hashfn()
constexpr int kSlots = 32768;
// 127.1.0.1 and on.
constexpr uint32_t kCrowd = 0x7f010001;

// A socket without a descriptor.
constexpr int kNotMade = -1;
constexpr int kGone = -2;

[[noreturn]] void CannotMake(const char* call) {
  throw CannotAsk(call, errno);
}

int Answer(int result) {
  return result == 0 ? 0 : errno;
}

int Set(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof value);
}

// A refusal says something about this user, not about ports.
void Own(int descriptor, uint32_t owner) {
  if (fchown(descriptor, owner, static_cast<gid_t>(-1)) != 0) CannotMake("fchown");
}

bool KnowsReusePort() {
  const Descriptor probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return Set(probe.number(), SOL_SOCKET, SO_REUSEPORT, 1) == 0;
}

int Open(model::Protocol protocol, int family) {
  const int type = (model::IsStream(protocol) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
  const int number = protocol == model::Protocol::kMptcp     ? IPPROTO_MPTCP
                     : protocol == model::Protocol::kUdpLite ? IPPROTO_UDPLITE
                                                             : 0;
  return socket(family, type, number);
}

// Does the protocol's table of ports have few enough slots?  Since 6.2 the kernel tells that of UDP; otherwise it is
// one for all namespaces, with a slot for each 2 MB of memory.  udp_table_init()
bool SlotsAreShared(model::Protocol protocol) {
  if (protocol == model::Protocol::kUdp) {
    if (const auto slots = ReadSysctl("ipv4/udp_hash_entries")) return std::abs(std::atol(slots->c_str())) <= kSlots;
  }
  return sysconf(_SC_PHYS_PAGES) / 1024 * sysconf(_SC_PAGESIZE) / 2048 <= kSlots;
}

}  // namespace

Kernel::Place::Place(bool with_devices) : itself(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (!itself.open()) CannotMake("open the network namespace");
  // Where nothing may be written, these are as they are in every new namespace.
  WriteSysctl("ipv4/ip_local_port_range", kAutomaticPorts);
  WriteSysctl("ipv4/tcp_max_tw_buckets", kRoomForTimeWaits);
  // [::1] is no address of a device beside lo; no other bind is answered otherwise.  ipv6_can_nonlocal_bind()
  const int refused = WriteSysctl("ipv6/ip_nonlocal_bind", "1");
  if (!with_devices || (refused != 0 && refused != ENOENT)) return;
  try {
    AddVethPair("v0", "v1");
    has_devices = true;
  } catch (const CannotAsk&) {
    has_devices = false;
  }
}

// Not before Linux 6.2, nor where sysctls are read-only.
bool Kernel::TakesSlots() {
  const int error = WriteSysctl("ipv4/udp_child_hash_entries", std::to_string(kSlots));
  if (error != 0) DemandRefusal(CannotAsk("ask for a table of UDP ports", error), {EROFS, ENOENT});
  return error == 0;
}

void Kernel::Place::Enter() const noexcept {
  // Whoever stayed would ask in the wrong namespace.
  if (setns(itself.number(), CLONE_NEWNET) != 0) std::terminate();
}

Kernel::Kernel(bool with_devices)
    : with_devices_(with_devices), has_slots_(TakesSlots()), self_(geteuid()), next_port_(kFirstPort) {
  Settle();
}

// A namespace that got no UDP table of its own, for want of memory, has the machine's: a slot would hold strangers. And
// in one of so many the wildcard's place is, by its hash, that of an address of the alphabet, which then is looked up
// in one list with it.
void Kernel::Settle() {
  constexpr int kTries = 10;
  for (int left = kTries; left > 0; --left) {
    place_.reset();
    place_.emplace(with_devices_);
    const bool alone = !has_slots_ || std::atol(ReadSysctl("ipv4/udp_hash_entries").value_or("").c_str()) > 0;
    if (alone && !WildcardHasTheSlotOfAnAddress()) break;
    if (left == 1) throw CannotAsk("no namespace gets a table of UDP ports of its own, and places apart in it");
  }
  has_crowds_ = SlotsAreShared(model::Protocol::kUdp);
}

// Where the second table has one list for both, the holder of the address that would share is met in it before the
// wildcard that would not, and ends the search.  udp_lib_lport_inuse2()
bool Kernel::WildcardHasTheSlotOfAnAddress() {
  if (!KnowsReusePort()) return false;
  const auto udp = [this](uint32_t address, bool reuse_addr, bool reuse_port) {
    return model::Socket{.protocol = model::Protocol::kUdp,
                         .address = {Kind::kIpv4, address},
                         .reuse_addr = reuse_addr,
                         .reuse_port = reuse_port,
                         .owner = self_};
  };
  for (const uint32_t loopback : {model::kLoopback, model::kLoopback + 1}) {
    model::Scenario scenario{.sockets = {}, .steps = {}};
    // More than ten of the port make the kernel look there.
    for (uint32_t more = 0; more < 10; ++more) scenario.sockets.push_back(udp(kCrowd + more, true, false));
    scenario.sockets.push_back(udp(0, true, false));
    scenario.sockets.push_back(udp(loopback, true, true));
    scenario.sockets.push_back(udp(loopback, false, true));
    for (size_t place = 0; place < scenario.sockets.size(); ++place) {
      scenario.steps.push_back({.socket = static_cast<uint16_t>(place)});
    }
    std::vector<int> answers;
    Run(scenario, answers);
    if (answers.back() == 0) return true;
  }
  return false;
}

void Kernel::Run(const model::Scenario& scenario, std::vector<int>& answers) {
  Begin(scenario);
  const Closer closer{sockets_};
  answers.resize(scenario.steps.size());
  for (size_t i = 0; i < answers.size(); ++i) answers[i] = Do(scenario.steps[i], scenario);
}

void Kernel::RunApart(const model::Scenario& scenario, std::vector<int>& answers) {
  Begin(scenario);
  const Closer closer{sockets_};
  const struct Return {
    ~Return() { place.Enter(); }
    const Place& place;
  } home{*place_};
  if (!apart_) apart_.emplace(with_devices_);
  answers.resize(scenario.steps.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    (scenario.steps[i].socket % 2 == 0 ? place_ : apart_)->Enter();
    answers[i] = Do(scenario.steps[i], scenario);
  }
}

Kernel::Closer::~Closer() {
  for (const Made& socket : sockets) {
    if (socket.descriptor >= 0) close(socket.descriptor);
  }
}

void Kernel::Begin(const model::Scenario& scenario) {
  if (time_waits_ >= kMostTimeWaits) MoveOn();
  if (scenario.unrelated == 0) {
    crowd_.members.clear();
    port_ = FreshPort();
  } else {
    Gather(scenario);
    port_ = crowd_.port;
  }
  sockets_.clear();
  for (const model::Socket& socket : scenario.sockets) {
    size_t alike = 0;
    while (scenario.sockets[alike].port != socket.port) ++alike;
    uint16_t port = port_;
    if (alike != 0) port = alike < sockets_.size() ? sockets_[alike].port : FreshPort();
    sockets_.push_back({.descriptor = kNotMade, .port = port});
  }
}

uint16_t Kernel::FreshPort() {
  if (next_port_ > kLastPort) {
    next_port_ = kFirstPort;
    if (time_waits_ > 0) MoveOn();
  }
  return next_port_++;
}

void Kernel::MoveOn() {
  crowd_.members.clear();
  apart_.reset();
  Settle();
  time_waits_ = 0;
}

// The same crowd stays while the scenarios ask for one like it: they leave its port as they found it.
void Kernel::Gather(const model::Scenario& scenario) {
  for (const model::Socket& socket : scenario.sockets) {
    if (socket.port != scenario.sockets[0].port) throw CannotAsk("unrelated sockets stand beside one port only");
  }
  const auto datagram = std::find_if(scenario.sockets.begin(), scenario.sockets.end(),
                                     [](const model::Socket& socket) { return !model::IsStream(socket.protocol); });
  const model::Protocol protocol = datagram == scenario.sockets.end() ? model::Protocol::kUdp : datagram->protocol;
  const auto wanted = static_cast<size_t>(scenario.unrelated);
  if (crowd_.members.size() == wanted && crowd_.protocol == protocol && crowd_.time_waits == time_waits_) return;

  if (!SlotsAreShared(protocol)) throw CannotAsk("this kernel has too many hash slots to fill that of a port");
  crowd_.members.clear();
  crowd_ = {.members = {}, .protocol = protocol, .port = FreshPort(), .time_waits = time_waits_};
  for (uint32_t i = 0; i < wanted; ++i) {
    const Local address({model::Address::Kind::kIpv4, kCrowd + i}, static_cast<uint16_t>(crowd_.port + kSlots));
    Descriptor member(Open(protocol, AF_INET));
    if (!member.open()) CannotMake("socket");
    if (bind(member.number(), &address.any, address.length) != 0) CannotMake("bind an unrelated socket");
    crowd_.members.push_back(std::move(member));
  }
}

void Kernel::Make(const model::Socket& socket, int& descriptor) const {
  const bool ipv4 = socket.address.kind == model::Address::Kind::kIpv4;
  descriptor = Open(socket.protocol, ipv4 ? AF_INET : AF_INET6);
  if (descriptor < 0) CannotMake("socket");
  if (socket.reuse_addr && Set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) != 0) CannotMake("set SO_REUSEADDR");
  if (socket.reuse_port && Set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) != 0) CannotMake("set SO_REUSEPORT");
  if (socket.v6only && Set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) CannotMake("set IPV6_V6ONLY");
  if (socket.device != 0 && BindToDevice(descriptor, socket.device) != 0) CannotMake("set SO_BINDTODEVICE");
  if (socket.owner != self_) Own(descriptor, socket.owner);
}

int Kernel::Do(const model::Step& step, const model::Scenario& scenario) {
  const model::Socket& socket = scenario.sockets[step.socket];
  Made& made = sockets_[step.socket];
  if (made.descriptor == kNotMade) Make(socket, made.descriptor);
  switch (step.op) {
    case model::Op::kBind: {
      const Local address(socket.address, made.port);
      return Answer(bind(made.descriptor, &address.any, address.length));
    }
    case model::Op::kListen:
      return Answer(listen(made.descriptor, 1));
    case model::Op::kClose:
      return Answer(close(std::exchange(made.descriptor, kGone)));
    case model::Op::kSet: {
      const int option = step.option == model::Option::kReuseAddr ? SO_REUSEADDR : SO_REUSEPORT;
      return Answer(Set(made.descriptor, SOL_SOCKET, option, step.on ? 1 : 0));
    }
    case model::Op::kOwn:
      Own(made.descriptor, step.owner);
      return 0;
    case model::Op::kTimeWait:
      if (const int refused = LeaveTimeWait(made.descriptor, socket)) return refused;
      made.descriptor = kGone;
      ++time_waits_;
      return 0;
  }
  return 0;
}

}  // namespace portshare
