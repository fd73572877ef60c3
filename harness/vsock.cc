#include "harness/vsock.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

sockaddr_vm At(uint32_t machine, uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = machine;
  address.svm_port = port;
  return address;
}

std::string Text(uint32_t number) {
  return number == kAnyVsockPort ? "any" : std::to_string(number);
}

// 0, or the errno.  A machine's own numbers are those of its transports.  vsock_find_cid()
int BindsAs(uint32_t machine) {
  const Descriptor probe(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.open()) throw CannotAsk("probe: vsock socket", errno);
  const sockaddr_vm local = At(machine, kAnyVsockPort);
  return bind(probe.number(), reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0 ? 0 : errno;
}

std::optional<std::string> ReachesItselfAlone() {
  if (auto missing = needs::kVsock.probe()) return missing;
  if (const int error = BindsAs(kThisMachine)) {
    const CannotAsk reason("this machine has no vsock transport to itself", error);
    DemandRefusal(reason, {EADDRNOTAVAIL});
    return reason.what();
  }
  if (BindsAs(VMADDR_CID_HOST) == 0) return "this machine has a vsock transport to guests";
  const Descriptor device(open("/dev/vsock", O_RDONLY | O_CLOEXEC));
  unsigned machine = VMADDR_CID_ANY;
  if (!device.open() || ioctl(device.number(), IOCTL_VM_SOCKETS_GET_LOCAL_CID, &machine) != 0) {
    const CannotAsk reason("ask /dev/vsock for the machine's number", errno);
    DemandRefusal(reason, {ENOENT, ENXIO, ENODEV});
    return reason.what();
  }
  if (machine == VMADDR_CID_ANY || machine == kThisMachine) return std::nullopt;
  return "this machine has a vsock transport to its host";
}

}  // namespace

namespace needs {
const Need kVsockLoopback{
    "vsock_loopback", "no_vsock_loopback",
    "ask Linux 5.6 or newer with CONFIG_VSOCKETS_LOOPBACK in a machine that has no other transport of vsock",
    ReachesItselfAlone, "vsock vsock_loopback"};
}  // namespace needs

Outcome BindVsock(Socket& socket, uint32_t port) {
  const sockaddr_vm local = At(VMADDR_CID_ANY, port);
  Outcome outcome;
  outcome.step = "bind " + socket.name() + " any:" + Text(port);
  const int result = bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&local), sizeof local);
  outcome.error = result == 0 ? 0 : errno;
  return Journal::Get().Answered(outcome);
}

Outcome ConnectVsock(Socket& socket, uint32_t machine, uint32_t port) {
  const sockaddr_vm peer = At(machine, port);
  Outcome outcome;
  outcome.step = "connect " + socket.name() + " to " + Text(machine) + ":" + Text(port);
  Journal::Get().Asking(outcome.step);
  LimitSends(socket.descriptor());
  const int result = connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
  outcome.error = result == 0 ? 0 : errno;
  return Journal::Get().Answered(outcome);
}

uint32_t VsockPort(const Socket& socket) {
  sockaddr_vm local{};
  socklen_t length = sizeof local;
  getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&local), &length);
  return local.svm_port;
}

}  // namespace portshare
