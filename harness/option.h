// Socket options by name, with the word that the scenario notation has for them.
#pragma once

#include <linux/mptcp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace portshare {

struct Option {
  int level;
  int number;
  const char* word;
};

namespace so {
inline constexpr Option kReuseAddr{SOL_SOCKET, SO_REUSEADDR, "reuseaddr"};
inline constexpr Option kReusePort{SOL_SOCKET, SO_REUSEPORT, "reuseport"};
inline constexpr Option kV6Only{IPPROTO_IPV6, IPV6_V6ONLY, "v6only"};
inline constexpr Option kBroadcast{SOL_SOCKET, SO_BROADCAST, "broadcast"};
inline constexpr Option kFreeBind{IPPROTO_IP, IP_FREEBIND, "freebind"};
inline constexpr Option kTransparent{IPPROTO_IP, IP_TRANSPARENT, "transparent"};
inline constexpr Option kBindAddressNoPort{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, "bind_address_no_port"};
// IP_LOCAL_PORT_RANGE, which older C libraries have no name for.  linux/in.h
inline constexpr Option kLocalPortRange{IPPROTO_IP, 51, "local_port_range"};
inline constexpr Option kMulticastAll{IPPROTO_IP, IP_MULTICAST_ALL, "multicast_all"};
inline constexpr Option kError{SOL_SOCKET, SO_ERROR, "error"};
inline constexpr Option kIncomingCpu{SOL_SOCKET, SO_INCOMING_CPU, "incoming_cpu"};
inline constexpr Option kAttachFilter{SOL_SOCKET, SO_ATTACH_FILTER, "attach_filter"};
inline constexpr Option kAcceptConn{SOL_SOCKET, SO_ACCEPTCONN, "acceptconn"};
inline constexpr Option kRepair{IPPROTO_TCP, TCP_REPAIR, "repair"};
inline constexpr Option kDeferAccept{IPPROTO_TCP, TCP_DEFER_ACCEPT, "defer_accept"};
}  // namespace so

// The four ways a socket can ask to share its port.
enum class Sharing { kNone, kReuseAddr, kReusePort, kBoth };

inline const char* Name(Sharing sharing) {
  constexpr const char* kNames[] = {"none", "reuseaddr", "reuseport", "both"};
  return kNames[static_cast<int>(sharing)];
}

}  // namespace portshare
