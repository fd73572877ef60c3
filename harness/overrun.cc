#include "harness/overrun.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

std::array<uint32_t, SK_MEMINFO_VARS> MemoryInfo(int socket) {
  std::array<uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t length = sizeof info;
  if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, info.data(), &length) != 0) throw CannotAsk("get SO_MEMINFO", errno);
  return info;
}

}  // namespace

namespace needs {

const Need kMemoryInfo{"memory_info", "no_memory_info", "ask a Linux kernel since 4.12",
                       []() -> std::optional<std::string> {
                         const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
                         if (!any.open()) throw CannotAsk("socket", errno);
                         try {
                           MemoryInfo(any.number());
                           return std::nullopt;
                         } catch (const CannotAsk& reason) {
                           DemandRefusal(reason, {ENOPROTOOPT});
                           return "no socket tells here how often its queue was full (SO_MEMINFO)";
                         }
                       }};

}  // namespace needs

int OverrunsOf(const Socket& socket) {
  return static_cast<int>(MemoryInfo(socket.descriptor())[SK_MEMINFO_DROPS]);
}

}  // namespace portshare
