#include "netns/links.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/link/vrf.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <memory>

#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "netns/sysctl.h"

namespace portshare {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using NetlinkSocket = std::unique_ptr<nl_sock, Freer<nl_socket_free>>;
using Link = std::unique_ptr<rtnl_link, Freer<rtnl_link_put>>;
using Address = std::unique_ptr<rtnl_addr, Freer<rtnl_addr_put>>;
using Prefix = std::unique_ptr<nl_addr, Freer<nl_addr_put>>;
using Route = std::unique_ptr<rtnl_route, Freer<rtnl_route_put>>;

// libnl numbers its errors itself (-NLE_*): the errno of those that refuse, 0 of the rest.  nl_syserr2nlerr()
int ErrnoOf(int error) {
  switch (-error) {
    case NLE_PERM:
      return EPERM;
    case NLE_NOACCESS:
      return EACCES;
    case NLE_OPNOTSUPP:
      return EOPNOTSUPP;
    case NLE_AF_NOSUPPORT:
      return EAFNOSUPPORT;
    default:
      return 0;
  }
}

// libnl's own words are the clearest.
void Check(int error, const std::string& action) {
  if (error < 0) throw CannotAsk(action, ErrnoOf(error), nl_geterror(error));
}

NetlinkSocket Rtnetlink() {
  NetlinkSocket netlink(nl_socket_alloc());
  Check(nl_connect(netlink.get(), NETLINK_ROUTE), "open rtnetlink");
  // A kernel of another make may never acknowledge what it does not know.
  const timeval limit{3, 0};
  setsockopt(nl_socket_get_fd(netlink.get()), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return netlink;
}

Link Find(nl_sock* netlink, const std::string& name) {
  rtnl_link* found = nullptr;
  Check(rtnl_link_get_kernel(netlink, 0, name.c_str(), &found), "find link " + name);
  return Link(found);
}

Prefix Parse(const std::string& text) {
  nl_addr* parsed = nullptr;
  Check(nl_addr_parse(text.c_str(), AF_UNSPEC, &parsed), "parse " + text);
  return Prefix(parsed);
}

// By ioctl(2), which is everywhere and quick.  netdevice(7)
void Ask(unsigned long request, ifreq& link, const std::string& action) {
  const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!any.open()) throw CannotAsk("socket", errno);
  if (ioctl(any.number(), request, &link) != 0) throw CannotAsk(action, errno);
}

ifreq Named(const std::string& name) {
  ifreq link{};
  name.copy(link.ifr_name, sizeof link.ifr_name - 1);
  return link;
}

// Not by rtnetlink: gVisor never acknowledges the question there.
int IndexOf(const std::string& name) {
  ifreq link = Named(name);
  Ask(SIOCGIFINDEX, link, "find link " + name);
  return link.ifr_ifindex;
}

// A fresh link drops what is sent until the kernel's link watch has run: wait for the operational state, not for time.
void AwaitOperational(const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const NetlinkSocket netlink = Rtnetlink();
  while (rtnl_link_get_operstate(Find(netlink.get(), name).get()) != IF_OPER_UP) {
    if (std::chrono::steady_clock::now() > deadline) throw CannotAsk("link " + name + " did not come up in 5 s");
    poll(nullptr, 0, 1);
  }
}

void Add(nl_sock* netlink, rtnl_link* link, const std::string& name) {
  rtnl_link_set_name(link, name.c_str());
  Check(rtnl_link_add(netlink, link, NLM_F_CREATE | NLM_F_EXCL), "add link " + name);
  LinkUp(name);
}

Address AddressOf(const std::string& device, const std::string& text) {
  Address address(rtnl_addr_alloc());
  rtnl_addr_set_ifindex(address.get(), IndexOf(device));
  Check(rtnl_addr_set_local(address.get(), Parse(text).get()), "set address " + text);
  rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
  return address;
}

}  // namespace

// A link is brought up for each case.
void LinkUp(const std::string& name) {
  ifreq link = Named(name);
  Ask(SIOCGIFFLAGS, link, "flags of link " + name);
  if ((link.ifr_flags & IFF_UP) != 0) return;
  link.ifr_flags = static_cast<int16_t>(link.ifr_flags | IFF_UP);
  Ask(SIOCSIFFLAGS, link, "set link " + name + " up");
}

void AddVethPair(const std::string& name, const std::string& peer) {
  // Without IPv6 there are no automatic addresses to switch off.
  WriteSysctl("ipv6/conf/default/addr_gen_mode", "1");
  const NetlinkSocket netlink = Rtnetlink();
  const Link link(rtnl_link_veth_alloc());
  const Link other(rtnl_link_veth_get_peer(link.get()));
  rtnl_link_set_name(other.get(), peer.c_str());
  Add(netlink.get(), link.get(), name);
  LinkUp(peer);
  AwaitOperational(name);
  AwaitOperational(peer);
}

void AddLink(const std::string& name, const std::string& type) {
  const NetlinkSocket netlink = Rtnetlink();
  const Link link(rtnl_link_alloc());
  Check(rtnl_link_set_type(link.get(), type.c_str()), "set link type " + type);
  Add(netlink.get(), link.get(), name);
}

void AddVrf(const std::string& name, unsigned table) {
  const NetlinkSocket netlink = Rtnetlink();
  const Link link(rtnl_link_vrf_alloc());
  rtnl_link_vrf_set_tableid(link.get(), table);
  Add(netlink.get(), link.get(), name);
}

void Enslave(const std::string& device, const std::string& master) {
  const int error = rtnl_link_enslave_ifindex(Rtnetlink().get(), IndexOf(master), IndexOf(device));
  Check(error, "put link " + device + " below " + master);
}

void Release(const std::string& device) {
  Check(rtnl_link_release_ifindex(Rtnetlink().get(), IndexOf(device)), "release link " + device);
}

void AddAddress(const std::string& device, const std::string& address) {
  const NetlinkSocket netlink = Rtnetlink();
  Check(rtnl_addr_add(netlink.get(), AddressOf(device, address).get(), 0), "add address " + address);
}

void DeleteAddress(const std::string& device, const std::string& address) {
  const NetlinkSocket netlink = Rtnetlink();
  Check(rtnl_addr_delete(netlink.get(), AddressOf(device, address).get(), 0), "delete address " + address);
}

void AddRoute(const std::string& prefix, const std::string& device) {
  const NetlinkSocket netlink = Rtnetlink();
  const Prefix destination = Parse(prefix);
  const int index = IndexOf(device);
  const Route route(rtnl_route_alloc());
  Check(rtnl_route_set_dst(route.get(), destination.get()), "set destination " + prefix);
  rtnl_route_set_scope(route.get(), RT_SCOPE_LINK);
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, index);
  rtnl_route_add_nexthop(route.get(), hop);
  Check(rtnl_route_add(netlink.get(), route.get(), 0), "add route " + prefix);
}

}  // namespace portshare
