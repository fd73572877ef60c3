#include "harness/listeners.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

using Clock = std::chrono::steady_clock;

// A UDP socket without a peer is in state CLOSE.
enum class Kind { kTcp, kUdp };

uint8_t Number(Kind kind) {
  return kind == Kind::kTcp ? IPPROTO_TCP : IPPROTO_UDP;
}

void RequestDump(int netlink, uint8_t family, Kind kind) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = family;
  message.request.sdiag_protocol = Number(kind);
  message.request.idiag_states = 1U << (kind == Kind::kTcp ? TCP_LISTEN : TCP_CLOSE);
  if (send(netlink, &message, sizeof message, 0) != sizeof message) throw CannotAsk("ask sock_diag", errno);
}

// The first int of the message, a negative errno.
[[noreturn]] void Refuse(const nlmsghdr* message) {
  const int* const error = static_cast<const int*>(NLMSG_DATA(message));
  throw CannotAsk("sock_diag", message->nlmsg_len < NLMSG_LENGTH(sizeof *error) ? EPROTO : -*error);
}

void Dump(int netlink, uint8_t family, Kind kind, uint16_t port, std::vector<Holder>& holders) {
  RequestDump(netlink, family, kind);
  alignas(nlmsghdr) std::array<char, 32 << 10> block;
  for (;;) {
    const ssize_t length = recv(netlink, block.data(), block.size(), 0);
    if (length <= 0) throw CannotAsk("hear sock_diag", errno);
    auto left = static_cast<unsigned>(length);
    for (auto* message = reinterpret_cast<nlmsghdr*>(block.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return;
      if (message->nlmsg_type == NLMSG_ERROR) Refuse(message);
      const auto* const socket = static_cast<const inet_diag_msg*>(NLMSG_DATA(message));
      if (ntohs(socket->id.idiag_sport) != port) continue;
      holders.push_back({socket->idiag_uid, socket->idiag_inode, static_cast<int>(socket->idiag_rqueue)});
    }
  }
}

std::vector<Holder> Holders(Kind kind, uint16_t port) {
  const Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink.open()) throw CannotAsk("socket for sock_diag", errno);
  const timeval limit{std::chrono::duration_cast<std::chrono::seconds>(kStepLimit).count(), 0};
  setsockopt(netlink.number(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::vector<Holder> holders;
  for (const uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}})
    Dump(netlink.number(), family, kind, port, holders);
  std::ranges::sort(holders, {}, &Holder::inode);
  return holders;
}

std::string Told(const std::vector<Holder>& holders) {
  std::map<uid_t, int> counts;
  for (const Holder& holder : holders) ++counts[holder.owner];
  std::string text;
  for (const auto& [owner, count] : counts) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " of uid " + std::to_string(owner);
  }
  return text.empty() ? "none" : text;
}

std::string Asked(Kind kind, uint16_t port) {
  return (kind == Kind::kTcp ? "tcp listeners at " : "udp sockets at ") + std::to_string(port);
}

Outcome Count(Kind kind, uint16_t port) {
  return Journal::Get().Answered(Outcome{Asked(kind, port), 0, Told(Holders(kind, port))});
}

}  // namespace

std::vector<Holder> TcpListeners(uint16_t port) {
  return Holders(Kind::kTcp, port);
}

std::vector<Holder> UdpReceivers(uint16_t port) {
  return Holders(Kind::kUdp, port);
}

Outcome CountTcpListeners(uint16_t port) {
  return Count(Kind::kTcp, port);
}

Outcome CountUdpReceivers(uint16_t port) {
  return Count(Kind::kUdp, port);
}

Outcome AwaitTcpListeners(uint16_t port, const std::string& wanted) {
  const std::string step = "await " + wanted + " as " + Asked(Kind::kTcp, port);
  Journal::Get().Asking(step);
  const auto limit = Clock::now() + kStepLimit;
  std::string told = Told(TcpListeners(port));
  while (told != wanted && Clock::now() < limit) {
    poll(nullptr, 0, 1);
    told = Told(TcpListeners(port));
  }
  return Journal::Get().Answered(Outcome{step, 0, told});
}

std::vector<int> WaitingAtListeners(uint16_t port) {
  std::vector<int> counts;
  for (const Holder& listener : TcpListeners(port)) counts.push_back(listener.waiting);
  return counts;
}

}  // namespace portshare
