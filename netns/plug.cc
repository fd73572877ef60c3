#include "netns/plug.h"

#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

constexpr char kKind[] = "plug";
constexpr __u32 kBytes = 1U << 20;  // what it holds at most

struct Request {
  nlmsghdr header;
  tcmsg discipline;
  rtattr kind_header;
  char kind[RTA_ALIGN(sizeof kKind)];
  rtattr options_header;
  tc_plug_qopt options;
};

struct Acknowledgement {
  nlmsghdr header;
  nlmsgerr error;
};

}  // namespace

// A new one holds everything back from the start.  plug_init()
Plug::Plug(const std::string& device) : device_(if_nametoindex(device.c_str())) {
  Ask(NLM_F_CREATE | NLM_F_EXCL, TCQ_PLUG_LIMIT);
}

void Plug::Pull() const {
  Ask(0, TCQ_PLUG_RELEASE_INDEFINITE);
}

void Plug::Ask(unsigned flags, int action) const {
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_NEWQDISC;
  request.header.nlmsg_flags = static_cast<__u16>(NLM_F_REQUEST | NLM_F_ACK | flags);
  request.discipline.tcm_ifindex = static_cast<int>(device_);
  request.discipline.tcm_parent = TC_H_ROOT;
  request.discipline.tcm_handle = TC_H_MAKE(0x10000U, 0U);
  request.kind_header = {RTA_LENGTH(sizeof kKind), TCA_KIND};
  std::memcpy(request.kind, kKind, sizeof kKind);
  request.options_header = {RTA_LENGTH(sizeof(tc_plug_qopt)), TCA_OPTIONS};
  request.options = {action, kBytes};

  const Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.open()) throw CannotAsk("open rtnetlink", errno);
  const timeval limit{3, 0};
  setsockopt(netlink.number(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  Acknowledgement answer{};
  if (send(netlink.number(), &request, sizeof request, 0) != sizeof request ||
      recv(netlink.number(), &answer, sizeof answer, 0) < static_cast<ssize_t>(sizeof answer)) {
    throw CannotAsk("ask rtnetlink for a plug", errno);
  }
  if (answer.error.error != 0) throw CannotAsk("plug a link", -answer.error.error);
}

}  // namespace portshare
