#include "harness/describe.h"

#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "harness/address.h"
#include "harness/option.h"

namespace portshare {

std::string TcpStateName(int state) {
  // include/net/tcp_states.h
  static const char* const kNames[] = {"UNKNOWN",   "ESTABLISHED", "SYN_SENT",   "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",
                                       "TIME_WAIT", "CLOSE",       "CLOSE_WAIT", "LAST_ACK", "LISTEN",    "CLOSING"};
  return kNames[state > 0 && state < 12 ? state : 0];
}

std::string Describe(int descriptor) {
  std::string text;
  SocketAddress local;
  if (getsockname(descriptor, local.get(), &local.length) == 0) text = local.text();
  for (const Option option : {so::kReuseAddr, so::kReusePort, so::kV6Only}) {
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(descriptor, option.level, option.number, &value, &length) == 0 && value != 0) {
      text += std::string(" ") + option.word;
    }
  }
  char device[IFNAMSIZ] = "";
  socklen_t length = sizeof device;
  if (getsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, device, &length) == 0 && device[0] != '\0') {
    text += std::string(" device=") + device;
  }
  struct stat status {};
  if (fstat(descriptor, &status) == 0) text += " owner=" + std::to_string(status.st_uid);
  tcp_info info{};
  length = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) text += " " + TcpStateName(info.tcpi_state);
  return text;
}

}  // namespace portshare
