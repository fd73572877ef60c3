// The contract: what two sockets that want one port may expect of each other.  Nothing here depends on what happened
// before.
#pragma once

#include "model/socket.h"

namespace portshare::model {

// Does the socket cover every IPv4 address?  0.0.0.0, ::ffff:0.0.0.0, and [::] without IPV6_V6ONLY.  ipv6(7), ip(7)
constexpr bool CoversAllIpv4(const Socket& socket) {
  return socket.address.wildcard() && (socket.address.kind != Address::Kind::kIpv6 || !socket.v6only);
}

// Does it cover any IPv4 address at all?
constexpr bool CoversIpv4(const Socket& socket) {
  return socket.address.kind != Address::Kind::kIpv6 || CoversAllIpv4(socket);
}

// Two sets of which either holds everything, or both the same one address.
constexpr bool SetsMeet(const Socket& newcomer, const Socket& holder) {
  return newcomer.address.wildcard() || holder.address.wildcard() || newcomer.address.bits == holder.address.bits;
}

// Each is bound to a device of its own.  socket(7), SO_BINDTODEVICE; inet_bind_conflict()
constexpr bool DevicesApart(const Socket& newcomer, const Socket& holder) {
  return newcomer.device != 0 && holder.device != 0 && newcomer.device != holder.device;
}

// 0.0.0.0 meets the IPv4 address that the kernel put where the holder has none.  LOOPBACK4_IPV6; ipv4_rcv_saddr_equal()
constexpr bool MeetsPlaceholder(const Socket& newcomer, const Socket& holder) {
  return holder.placeholder && newcomer.address.kind == Address::Kind::kIpv4 && newcomer.address.wildcard();
}

// No local address belongs to both.  ip(7), ipv6(7) IPV6_V6ONLY; inet_rcv_saddr_equal()
constexpr bool AddressesApart(const Socket& newcomer, const Socket& holder) {
  const bool both_ipv4 = CoversIpv4(newcomer) && CoversIpv4(holder);
  const bool both_ipv6 = newcomer.address.kind == Address::Kind::kIpv6 && holder.address.kind == Address::Kind::kIpv6;
  const bool meet = (both_ipv4 || both_ipv6) && SetsMeet(newcomer, holder);
  return !meet && !MeetsPlaceholder(newcomer, holder);
}

// Both asked for SO_REUSEADDR and, over TCP, the holder does not listen.  socket(7) SO_REUSEADDR; inet_bind_conflict(),
// udp_lib_lport_inuse()
constexpr bool SharesByAddress(const Socket& newcomer, const Socket& holder) {
  return newcomer.reuse_addr && holder.reuse_addr && holder.state != State::kListen;
}

// Both asked for SO_REUSEPORT, and one owner has both.  socket(7) SO_REUSEPORT, commit c617f398edd4;
// inet_bind_conflict(), udp_lib_lport_inuse()
constexpr bool SharesByPort(const Socket& newcomer, const Socket& holder) {
  return newcomer.reuse_port && holder.reuse_port && newcomer.owner == holder.owner;
}

// Both asked for SO_REUSEPORT, and all that is left of the holder is TIME_WAIT: its owner no longer counts.
// inet_bind_conflict()
constexpr bool SharesOverTimeWait(const Socket& newcomer, const Socket& holder) {
  return newcomer.reuse_port && holder.reuse_port && holder.state == State::kTimeWait;
}

// Why not: the holder agreed to SO_REUSEADDR, but listens.  socket(7) SO_REUSEADDR
constexpr bool ListenerEndsReuse(const Socket& newcomer, const Socket& holder) {
  return newcomer.reuse_addr && holder.reuse_addr && holder.state == State::kListen;
}

// Why not: both asked for SO_REUSEPORT, but they belong to two owners.  socket(7) SO_REUSEPORT
constexpr bool OwnersDiffer(const Socket& newcomer, const Socket& holder) {
  return newcomer.reuse_port && holder.reuse_port && newcomer.owner != holder.owner;
}

// Why not: no option that both asked for.  socket(7)
constexpr bool NothingShared(const Socket& /*newcomer*/, const Socket& /*holder*/) {
  return true;
}

}  // namespace portshare::model
