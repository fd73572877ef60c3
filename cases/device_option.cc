// Who may set SO_BINDTODEVICE, and when?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "netns/links.h"

namespace portshare {
namespace {

// v0 and v1 are two ends of a cable; who asks is an ordinary user.
class DeviceOption : public Case {
 protected:
  void SetUp() override {
    Case::SetUp();
    if (IsSkipped()) return;
    Guarded([] { AddVethPair("v0", "v1"); });
  }
};

CLAIM({.id = "device.set_once_without_privilege",
       .says = "An ordinary user may bind a socket to a device once; changing or clearing the device is EPERM.",
       .kernels = "since 5.7",
       .rows = {"OPT-DEV", "DEV-007", "DEVU-005"},
       .sources = {Man("socket(7), SO_BINDTODEVICE"), Kernel("sock_bindtoindex_locked()")}});

struct OneProtocol {
  std::string name;
  SocketSpec spec;
};

const std::vector<OneProtocol> kProtocols = {{"tcp", Tcp(Any4())}, {"udp", Udp(Any4())}};

MATRIX(DeviceOption, IsSetOnceWithoutPrivilege, OneProtocol, kProtocols, Witnesses("device.set_once_without_privilege"),
       Needs(needs::kSecondOwner, needs::kVeth)) {
  const As user(Alice());
  Socket socket = row.spec.Made();

  EXPECT_THAT(socket.SetDevice("v0"), Succeeds());
  EXPECT_THAT(socket.SetDevice("v1"), FailsWith(EPERM));
  EXPECT_THAT(socket.SetDevice(""), FailsWith(EPERM));
  EXPECT_THAT(socket.GetDevice(), Is("v0"));
}

MATRIX(DeviceOption, StaysOnABoundSocketToo, OneProtocol, kProtocols, Witnesses("device.set_once_without_privilege"),
       Needs(needs::kSecondOwner, needs::kVeth)) {
  const As user(Alice());
  Socket socket = row.spec.Device("lo").Bound(port());

  EXPECT_THAT(socket.SetDevice(""), FailsWith(EPERM));
  EXPECT_THAT(socket.SetDevice("v0"), FailsWith(EPERM));
}

CLAIM({.id = "device.changed_with_privilege",
       .says = "Root may change and clear the device of a socket at any time.",
       .rows = {"OPT-DEV"},
       .sources = {Man("socket(7), SO_BINDTODEVICE"), Kernel("sock_bindtoindex_locked()")}});

MATRIX(DeviceOption, IsChangedByRoot, OneProtocol, kProtocols, Witnesses("device.changed_with_privilege"),
       Needs(needs::kVeth, needs::kNetRaw)) {
  Socket socket = row.spec.Device("v0").Bound(port());

  EXPECT_THAT(socket.SetDevice("v1"), Succeeds());
  EXPECT_THAT(socket.SetDevice(""), Succeeds());
  EXPECT_THAT(socket.GetDevice(), Is("none"));
}

CLAIM({.id = "device.unknown_name_comes_first",
       .says = "A device that does not exist is ENODEV, for a user who may not change the device too.",
       .kernels = "since 5.7",
       .rows = {"OPT-DEV", "DEV-007"},
       .sources = {Kernel("sock_setbindtodevice()")}});

MATRIX(DeviceOption, AnUnknownNameIsToldFirst, OneProtocol, kProtocols, Witnesses("device.unknown_name_comes_first"),
       Needs(needs::kSecondOwner, needs::kVeth)) {
  const As user(Alice());
  Socket fresh = row.spec.Made();
  Socket settled = row.spec.Device("v0").Made();

  EXPECT_THAT(fresh.SetDevice("nosuch"), FailsWith(ENODEV));
  EXPECT_THAT(settled.SetDevice("nosuch"), FailsWith(ENODEV));
}

CLAIM({.id = "device.set_after_bind_counts",
       .says = "A device that a bound socket is given then limits it from then on: the port is free on other devices.",
       .kernels = "since 5.7",
       .rows = {"DEV-007"},
       .sources = {Man("socket(7), SO_BINDTODEVICE"), Kernel("inet_csk_bind_conflict()")}});

CASE(DeviceOption, AfterBindLeavesOtherDevicesFree, Witnesses("device.set_after_bind_counts"),
     Needs(needs::kSecondOwner, needs::kVeth)) {
  const As user(Alice());
  Socket holder = Tcp(Any4()).Bound(port());

  EXPECT_THAT(Tcp(Any4()).Device("v1").Bind(port()), FailsWith(EADDRINUSE));
  EXPECT_THAT(holder.SetDevice("v0"), Succeeds());
  EXPECT_THAT(Tcp(Any4()).Device("v1").Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
