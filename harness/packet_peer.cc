#include "harness/packet_peer.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "harness/deadline.h"
#include "harness/describe.h"
#include "harness/journal.h"
#include "harness/need.h"
#include "netns/cannot_ask.h"
#include "netns/links.h"

namespace portshare {
namespace {

constexpr char kNear[] = "near";
constexpr char kFar[] = "far";
constexpr uint32_t kServer = 0x0a370001;  // 10.55.0.1
constexpr uint32_t kPeer = 0x0a370009;    // 10.55.0.9
// Nobody listens there: its RST says that whatever was sent before has been answered.
constexpr uint16_t kNobody = 9;
constexpr uint32_t kFirstByte = 1'000'000;

struct Segment {
  iphdr ip;
  tcphdr tcp;
  unsigned char rest[24];  // one option and the data
};

// Of 16-bit words in the order of the network.  RFC 1071
uint32_t Sum(const void* first, size_t length, uint32_t sum = 0) {
  std::string bytes(length, '\0');
  memcpy(bytes.data(), first, length);
  size_t at = 0;
  for (const char byte : bytes)
    sum += static_cast<uint32_t>(static_cast<unsigned char>(byte)) << (at++ % 2 == 0 ? 8 : 0);
  return sum;
}

uint16_t Checksum(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<uint16_t>(~sum));
}

// Without ARP the near end takes every neighbour to have its own hardware address.  arp_constructor()
void SwitchArpOff(const std::string& link) {
  const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  link.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (ioctl(any.number(), SIOCGIFFLAGS, &request) != 0) throw CannotAsk("flags of link " + link, errno);
  request.ifr_flags = static_cast<int16_t>(request.ifr_flags | IFF_NOARP);
  if (ioctl(any.number(), SIOCSIFFLAGS, &request) != 0) throw CannotAsk("switch ARP off on " + link, errno);
}

sockaddr_ll End(const std::string& link) {
  sockaddr_ll end{};
  end.sll_family = AF_PACKET;
  end.sll_protocol = htons(ETH_P_IP);
  end.sll_ifindex = static_cast<int>(if_nametoindex(link.c_str()));
  return end;
}

std::string Peers(const Flows& flows) {
  return "of ports " + flows.text();
}

}  // namespace

namespace needs {
const Need kPacketPeer{"packet_peer",
                       "no_packet_peer",
                       "run as root (in a container with --cap-add NET_RAW), and build the kernel with CONFIG_PACKET",
                       []() -> std::optional<std::string> {
                         const Descriptor probe(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
                         if (probe.open()) return std::nullopt;
                         const CannotAsk reason("packet socket", errno);
                         DemandRefusal(reason, {EAFNOSUPPORT});
                         return reason.what();
                       },
                       "",
                       &kVeth};
}  // namespace needs

std::string Flows::text() const {
  std::string text;
  for (const uint16_t port : *this) text += (text.empty() ? "" : " ") + std::to_string(port);
  return text.empty() ? "none" : text;
}

Flows operator|(const Flows& some, const Flows& others) {
  Flows all = some;
  all.insert(others.begin(), others.end());
  return all;
}

Flows operator&(const Flows& some, const Flows& others) {
  Flows both;
  std::set_intersection(some.begin(), some.end(), others.begin(), others.end(), std::inserter(both, both.end()));
  return both;
}

Flows operator-(const Flows& some, const Flows& others) {
  Flows rest;
  std::set_difference(some.begin(), some.end(), others.begin(), others.end(), std::inserter(rest, rest.end()));
  return rest;
}

PacketPeer::PacketPeer() {
  AddVethPair(kNear, kFar);
  SwitchArpOff(kNear);
  AddAddress(kNear, Server().text() + "/24");
  cable_ = Descriptor(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!cable_.open()) throw CannotAsk("packet socket", errno);
  const sockaddr_ll end = End(kFar);
  link_ = end.sll_ifindex;
  if (bind(cable_.number(), reinterpret_cast<const sockaddr*>(&end), sizeof end) != 0) {
    throw CannotAsk("bind a packet socket", errno);
  }
  Journal::Get().Note("a peer of packets on a cable to " + Server().text());
}

Flows PacketPeer::New(int count, uint16_t server_port) {
  Flows flows;
  for (int flow = 0; flow < count; ++flow) {
    flows.insert(next_port_);
    flows_[next_port_++].server_port = server_port;
  }
  return flows;
}

Flows PacketPeer::Begin(int count, uint16_t server_port) {
  Flows flows = New(count, server_port);
  SendSyns(flows, "");
  return flows;
}

Flows PacketPeer::BeginWithData(int count, uint16_t server_port) {
  Flows flows = New(count, server_port);
  SendSyns(flows, "x");
  return flows;
}

void PacketPeer::SendSyns(const Flows& flows, const std::string& data) {
  const std::string step = "SYN " + std::string(data.empty() ? "" : "with data ") + Peers(flows);
  Journal::Get().Asking(step);
  for (const uint16_t port : flows) {
    Flow& flow = flows_[port];
    flow = {.server_port = flow.server_port, .next = kFirstByte};
    Send(port, flow, TH_SYN, data);
    if (!AwaitAnswer(port) || flow.reset) {
      Journal::Get().Needs(Journal::Get().Answered(Outcome{step, flow.reset ? ECONNREFUSED : ETIMEDOUT, ""}));
    }
  }
  Journal::Get().Note(step);
}

void PacketPeer::Acknowledge(const Flows& flows) {
  for (const uint16_t port : flows) {
    Send(port, flows_[port], TH_ACK);
    Take();
  }
  Journal::Get().Note("ACK " + Peers(flows));
}

void PacketPeer::BeginAnew(const Flows& flows) {
  for (const uint16_t port : flows) Send(port, flows_[port], TH_RST | TH_ACK);
  Journal::Get().Note("RST " + Peers(flows));
  // What still answers the time before is read before the new SYN.
  Fence();
  SendSyns(flows, "");
}

Flows PacketPeer::AnsweredBy(const Socket& listener) const {
  int mark = 0;
  socklen_t length = sizeof mark;
  if (getsockopt(listener.descriptor(), kMark.level, kMark.number, &mark, &length) != 0) {
    throw CannotAsk("mark of " + listener.name(), errno);
  }
  Flows flows;
  for (const auto& [port, flow] : flows_) {
    if (flow.mark == mark) flows.insert(port);
  }
  return flows;
}

Outcome PacketPeer::Reset() {
  Fence();
  Flows reset;
  for (const auto& [port, flow] : flows_) {
    if (flow.reset) reset.insert(port);
  }
  return Journal::Get().Answered(Outcome{"reset", 0, reset.text()});
}

Outcome PacketPeer::AcceptedBy(const Socket& listener) {
  Fence();
  Flows flows;
  for (pollfd waits{listener.descriptor(), POLLIN, 0}; poll(&waits, 1, 0) == 1;) {
    SocketAddress peer;
    Descriptor child(accept4(listener.descriptor(), peer.get(), &peer.length, SOCK_CLOEXEC));
    if (!child.open()) break;
    flows.insert(peer.port());
    accepted_.push_back(std::move(child));
  }
  return Journal::Get().Answered(Outcome{"accepted by " + listener.name(), 0, flows.text()});
}

// One socket a line after the heading: index, local address:port in hex, remote, state in hex.  proc(5)
Flows PacketPeer::InState(const std::string& state, uint16_t server_port) const {
  Flows flows;
  std::ifstream lines("/proc/thread-self/net/tcp");
  std::string line;
  std::getline(lines, line);
  const auto port = [](const std::string& end) {
    return static_cast<uint16_t>(std::stoul(end.substr(end.rfind(':') + 1), nullptr, 16));
  };
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string index, local, remote, number;
    fields >> index >> local >> remote >> number;
    if (port(local) == server_port && TcpStateName(std::stoi(number, nullptr, 16)) == state) flows.insert(port(remote));
  }
  return flows;
}

void PacketPeer::Send(uint16_t port, const Flow& flow, uint8_t flags, const std::string& data) {
  const bool syn = (flags & TH_SYN) != 0;
  const size_t options = syn ? 4 : 0;
  const size_t segment = sizeof(tcphdr) + options + data.size();
  const size_t length = sizeof(iphdr) + segment;
  Segment packet{};
  packet.ip.version = 4;
  packet.ip.ihl = sizeof(iphdr) / 4;
  packet.ip.tot_len = htons(static_cast<uint16_t>(length));
  packet.ip.ttl = 64;
  packet.ip.protocol = IPPROTO_TCP;
  packet.ip.saddr = htonl(kPeer);
  packet.ip.daddr = htonl(kServer);
  packet.ip.check = Checksum(Sum(&packet.ip, sizeof packet.ip));
  packet.tcp.th_sport = htons(port);
  packet.tcp.th_dport = htons(flow.server_port);
  packet.tcp.th_seq = htonl(flow.next);
  packet.tcp.th_ack = htonl(syn ? 0 : flow.expected);
  packet.tcp.th_off = static_cast<uint8_t>((sizeof(tcphdr) + options) / 4) & 0xf;
  packet.tcp.th_flags = flags;
  packet.tcp.th_win = htons(65535);
  if (syn) {
    const unsigned char largest_segment[] = {TCPOPT_MAXSEG, TCPOLEN_MAXSEG, 1460 >> 8, 1460 & 0xff};
    memcpy(packet.rest, largest_segment, sizeof largest_segment);
  }
  memcpy(packet.rest + options, data.data(), data.size());
  const uint32_t ends[] = {packet.ip.saddr, packet.ip.daddr};
  const uint32_t pseudo = Sum(ends, sizeof ends, static_cast<uint32_t>(IPPROTO_TCP + segment));
  packet.tcp.th_sum = Checksum(Sum(&packet.tcp, segment, pseudo));

  sockaddr_ll to = End(kNear);
  to.sll_ifindex = link_;
  ifreq near{};
  memcpy(near.ifr_name, kNear, sizeof kNear);
  if (ioctl(cable_.number(), SIOCGIFHWADDR, &near) != 0) throw CannotAsk("hardware address", errno);
  to.sll_halen = ETH_ALEN;
  memcpy(to.sll_addr, near.ifr_hwaddr.sa_data, ETH_ALEN);
  if (sendto(cable_.number(), &packet, length, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) !=
      static_cast<ssize_t>(length)) {
    throw CannotAsk("send a packet", errno);
  }
}

bool PacketPeer::AwaitAnswer(uint16_t port) {
  const Flow& flow = flows_[port];
  const auto deadline = std::chrono::steady_clock::now() + kStepLimit;
  for (;;) {
    Take();
    if (flow.mark != 0 || flow.reset) return true;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd comes{cable_.number(), POLLIN, 0};
    if (left.count() <= 0 || poll(&comes, 1, static_cast<int>(left.count())) < 0) return false;
  }
}

void PacketPeer::Take() {
  Segment packet{};
  for (;;) {
    const ssize_t length = recv(cable_.number(), &packet, sizeof packet, MSG_DONTWAIT);
    if (length < 0) return;
    if (static_cast<size_t>(length) < sizeof(iphdr) + sizeof(tcphdr) || packet.ip.protocol != IPPROTO_TCP ||
        packet.ip.saddr != htonl(kServer)) {
      continue;
    }
    const auto found = flows_.find(ntohs(packet.tcp.th_dport));
    if (found == flows_.end()) continue;
    Flow& flow = found->second;
    if ((packet.tcp.th_flags & TH_RST) != 0) flow.reset = true;
    if ((packet.tcp.th_flags & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK)) {
      flow.mark = packet.ip.ttl;
      flow.next = ntohl(packet.tcp.th_ack);
      flow.expected = ntohl(packet.tcp.th_seq) + 1;
    }
  }
}

// The cable and the stack keep the order of packets on the one processor of a case.
void PacketPeer::Fence() {
  const uint16_t port = next_fence_++;
  flows_[port] = {.server_port = kNobody, .next = kFirstByte};
  Send(port, flows_[port], TH_SYN);
  const bool answered = AwaitAnswer(port);
  flows_.erase(port);
  if (!answered) throw CannotAsk("a packet over a cable was lost");
}

}  // namespace portshare
