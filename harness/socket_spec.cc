#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "harness/socket.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

// "reuseaddr", "incoming_cpu=0", "local_port_range=40000-40001"
std::string Text(Option option, int value) {
  if (option.number == so::kLocalPortRange.number && option.level == so::kLocalPortRange.level) {
    const auto both = static_cast<uint32_t>(value);
    return std::string(option.word) + "=" + std::to_string(both & 0xffff) + "-" + std::to_string(both >> 16);
  }
  return std::string(option.word) + (value == 1 ? "" : "=" + std::to_string(value));
}

}  // namespace

SocketSpec::SocketSpec(Protocol protocol, std::optional<Address> address)
    : protocol_(std::move(protocol)), address_(std::move(address)) {}

SocketSpec SocketSpec::Asking(Sharing sharing) const {
  const bool address = sharing == Sharing::kReuseAddr || sharing == Sharing::kBoth;
  const bool port = sharing == Sharing::kReusePort || sharing == Sharing::kBoth;
  const SocketSpec spec = address ? ReuseAddr() : *this;
  return port ? spec.ReusePort() : spec;
}

SocketSpec SocketSpec::Set(Option option, int value) const {
  SocketSpec spec = *this;
  spec.options_.emplace_back(option, value);
  return spec;
}

SocketSpec SocketSpec::LocalPorts(uint16_t first, uint16_t last) const {
  return Set(so::kLocalPortRange, static_cast<int>(uint32_t{last} << 16 | first));
}

SocketSpec SocketSpec::Device(const std::string& device) const {
  SocketSpec spec = *this;
  spec.device_ = device;
  return spec;
}

SocketSpec SocketSpec::OwnedBy(const Owner& owner) const {
  SocketSpec spec = *this;
  spec.owner_ = owner;
  return spec;
}

std::string SocketSpec::text() const {
  std::string text = protocol_.word;
  if (address_) text += " " + address_->text();
  for (const auto& [option, value] : options_) {
    text += " " + Text(option, value);
  }
  if (!device_.empty()) text += " device=" + device_;
  return text;
}

Descriptor SocketSpec::Opened() const {
  const auto make = [this] {
    const int family = protocol_.family != 0 ? protocol_.family : address_->family();
    return Descriptor(socket(family, protocol_.type | SOCK_CLOEXEC, protocol_.number));
  };
  Descriptor descriptor;
  if (owner_) {
    const As owner(*owner_);
    descriptor = make();
  } else {
    descriptor = make();
  }
  if (!descriptor.open()) throw CannotAsk("socket: " + text(), errno);
  LimitSends(descriptor.number());
  for (const auto& [option, value] : options_) {
    if (setsockopt(descriptor.number(), option.level, option.number, &value, sizeof value) != 0) {
      throw CannotAsk("setsockopt " + std::string(option.word) + " on " + text(), errno);
    }
  }
  if (!device_.empty() && setsockopt(descriptor.number(), SOL_SOCKET, SO_BINDTODEVICE, device_.c_str(),
                                     static_cast<socklen_t>(device_.size())) != 0) {
    throw CannotAsk("SO_BINDTODEVICE " + device_ + " on " + text(), errno);
  }
  return descriptor;
}

Socket SocketSpec::Made() const {
  Socket made(Opened(), Journal::Get().NextName(), *this);
  struct stat status {};
  fstat(made.descriptor(), &status);
  Journal::Get().Note(made.name() + ": " + text() + " owner=" + std::to_string(status.st_uid));
  return made;
}

Socket SocketSpec::Bound(uint16_t port) const {
  Socket made = Made();
  Journal::Get().Needs(made.Bind(port));
  return made;
}

Outcome SocketSpec::Bind(uint16_t port) const {
  return Made().Bind(port);
}

SocketSpec Tcp(const Address& address) {
  return {{"tcp", SOCK_STREAM, IPPROTO_TCP}, address};
}
SocketSpec Udp(const Address& address) {
  return {{"udp", SOCK_DGRAM, IPPROTO_UDP}, address};
}
SocketSpec Mptcp(const Address& address) {
  return {{"mptcp", SOCK_STREAM, IPPROTO_MPTCP}, address};
}
SocketSpec UdpLite(const Address& address) {
  return {{"udplite", SOCK_DGRAM, IPPROTO_UDPLITE}, address};
}
SocketSpec Sctp(const Address& address) {
  return {{"sctp", SOCK_STREAM, IPPROTO_SCTP}, address};
}
SocketSpec Raw(const Address& address) {
  return {{"raw", SOCK_RAW, IPPROTO_UDP}, address};
}
SocketSpec Ping(const Address& address) {
  return {{"ping", SOCK_DGRAM, address.family() == AF_INET ? static_cast<int>(IPPROTO_ICMP) : IPPROTO_ICMPV6}, address};
}
SocketSpec UnixStream() {
  return {{"unix-stream", SOCK_STREAM, 0, AF_UNIX}, {}};
}
SocketSpec UnixDatagram() {
  return {{"unix-dgram", SOCK_DGRAM, 0, AF_UNIX}, {}};
}
SocketSpec Vsock() {
  return {{"vsock", SOCK_STREAM, 0, AF_VSOCK}, {}};
}
SocketSpec Packet() {
  return {{"packet", SOCK_RAW, 0, AF_PACKET}, {}};
}

}  // namespace portshare
