#include "harness/explore/time_wait.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "harness/deadline.h"
#include "harness/explore/native.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

void Check(int result, const char* call) {
  if (result < 0) throw CannotAsk(std::string("TIME_WAIT: ") + call, errno);
}

void AwaitInput(int descriptor, const char* what) {
  pollfd entry{descriptor, POLLIN, 0};
  if (poll(&entry, 1, static_cast<int>(kStepLimit.count())) != 1) throw CannotAsk(std::string("no ") + what, ETIMEDOUT);
}

// Where the socket connects to: its own address, or the loopback of its family.
model::Address Peer(model::Address address) {
  if (address.wildcard()) address.bits = address.kind == model::Address::Kind::kIpv6 ? 1 : model::kLoopback;
  return address;
}

// The peer's acknowledgement of our FIN comes with the next packet or when it is asked for.  tcp(7) TCP_QUICKACK
void AwaitFinWait2(int descriptor, int peer) {
  AwaitInput(peer, "end of file");
  char byte = 0;
  Check(static_cast<int>(read(peer, &byte, 1)), "read");
  const auto deadline = std::chrono::steady_clock::now() + kStepLimit;
  for (tcp_info info{}; info.tcpi_state != TCP_FIN_WAIT2;) {
    if (std::chrono::steady_clock::now() > deadline) throw CannotAsk("no FIN_WAIT2", ETIMEDOUT);
    const int on = 1;
    Check(setsockopt(peer, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on), "setsockopt TCP_QUICKACK");
    socklen_t length = sizeof info;
    Check(getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length), "getsockopt TCP_INFO");
  }
}

Descriptor Listener(const model::Address& address) {
  const Local local(address, 0);
  Descriptor listener(::socket(local.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Check(listener.number(), "socket");
  Check(bind(listener.number(), &local.any, local.length), "bind");
  Check(listen(listener.number(), 1), "listen");
  return listener;
}

// 0, or EISCONN.
int Connect(int descriptor, const model::Address& address, const Descriptor& listener) {
  Local peer(address, 0);
  // The port stands at the same place in both families.
  Check(getsockname(listener.number(), &peer.any, &peer.length), "getsockname");
  const Local to(address, ntohs(peer.v4.sin_port));
  if (connect(descriptor, &to.any, to.length) == 0) return 0;
  if (errno != EISCONN) throw CannotAsk("TIME_WAIT: connect", errno);
  return EISCONN;
}

// 0 and in FIN_WAIT2, or EISCONN.
int ConnectAndShut(int descriptor, const model::Address& address, const Descriptor& listener, Descriptor& accepted) {
  if (const int refused = Connect(descriptor, address, listener)) return refused;
  AwaitInput(listener.number(), "connection");
  accepted = Descriptor(accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC));
  Check(accepted.number(), "accept4");
  Check(shutdown(descriptor, SHUT_WR), "shutdown");
  AwaitFinWait2(descriptor, accepted.number());
  return 0;
}

}  // namespace

int LeaveTimeWait(int& descriptor, const model::Socket& socket) {
  if (!model::IsStream(socket.protocol)) throw CannotAsk("a datagram socket leaves no TIME_WAIT");
  const model::Address address = Peer(socket.address);
  const Descriptor listener = Listener(address);
  Descriptor accepted;
  // A socket that is bound to another device than lo reaches no loopback.
  if (socket.device != 0) Check(BindToDevice(descriptor, 0), "setsockopt SO_BINDTODEVICE");
  const int refused = ConnectAndShut(descriptor, address, listener, accepted);
  if (socket.device != 0) Check(BindToDevice(descriptor, socket.device), "setsockopt SO_BINDTODEVICE");
  if (refused != 0) return refused;
  // Closed in FIN_WAIT2, it is replaced by its TIME_WAIT at once, before the peer's FIN.  __tcp_close()
  close(descriptor);
  descriptor = -1;
  return 0;
}

}  // namespace portshare
