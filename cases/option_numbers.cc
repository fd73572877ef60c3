// Which numbers do the options of port sharing have on this architecture?
#include <linux/filter.h>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using OptionNumbers = Case;

// uapi/asm/socket.h: four architectures number these options as other systems of their time did.
#if defined(__alpha__) || defined(__mips__) || defined(__hppa__) || defined(__sparc__)
constexpr Option kReuseAddrHere{SOL_SOCKET, 0x0004, "option 0x0004"};
constexpr Option kReusePortHere{SOL_SOCKET, 0x0200, "option 0x0200"};
constexpr Option kReusePortElsewhere{SOL_SOCKET, 15, "option 15"};
#else
constexpr Option kReuseAddrHere{SOL_SOCKET, 2, "option 2"};
constexpr Option kReusePortHere{SOL_SOCKET, 15, "option 15"};
constexpr Option kReusePortElsewhere{SOL_SOCKET, 0x0200, "option 0x0200"};
#endif

#if defined(__hppa__)
constexpr Option kIncomingCpuHere{SOL_SOCKET, 0x402A, "option 0x402A"};
constexpr Option kAttachCbpfHere{SOL_SOCKET, 0x402C, "option 0x402C"};
constexpr Option kDetachHere{SOL_SOCKET, 0x4042, "option 0x4042"};
static_assert(SO_ATTACH_REUSEPORT_EBPF == 0x402D);
#elif defined(__sparc__)
constexpr Option kIncomingCpuHere{SOL_SOCKET, 0x0033, "option 0x0033"};
constexpr Option kAttachCbpfHere{SOL_SOCKET, 0x0035, "option 0x0035"};
constexpr Option kDetachHere{SOL_SOCKET, 0x0047, "option 0x0047"};
static_assert(SO_ATTACH_REUSEPORT_EBPF == 0x0036);
#else
constexpr Option kIncomingCpuHere{SOL_SOCKET, 49, "option 49"};
constexpr Option kAttachCbpfHere{SOL_SOCKET, 51, "option 51"};
constexpr Option kDetachHere{SOL_SOCKET, 68, "option 68"};
static_assert(SO_ATTACH_REUSEPORT_EBPF == 52);
#endif

CLAIM({.id = "option.numbers_by_architecture",
       .says = "SO_REUSEADDR is 2 and SO_REUSEPORT 15, but 0x0004 and 0x0200 on Alpha, MIPS, PA-RISC and SPARC.",
       .rows = {"CONST-001"},
       .sources = {Kernel("uapi/asm/socket.h")},
       .documents = {Truth("ES-27")}});

CASE(OptionNumbers, TheNumberOfAddressReuse, Witnesses("option.numbers_by_architecture")) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(socket.Set(kReuseAddrHere), Succeeds());
  EXPECT_THAT(socket.Get(so::kReuseAddr), Is(1));
}

CASE(OptionNumbers, TheNumberOfPortSharing, Witnesses("option.numbers_by_architecture"), Needs(needs::kReusePort)) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(socket.Set(kReusePortHere), Succeeds());
  EXPECT_THAT(socket.Get(so::kReusePort), Is(1));
}

CASE(OptionNumbers, TheNumberOfOtherArchitecturesMeansNothingHere, Witnesses("option.numbers_by_architecture")) {
  EXPECT_THAT(Tcp(Loopback4()).Made().Set(kReusePortElsewhere), FailsWith(ENOPROTOOPT));
}

CLAIM(
    {.id = "option.reuseport_is_15",
     .says = "Where the generic headers apply, option 15 of SOL_SOCKET is SO_REUSEPORT and lets servers share a port.",
     .kernels = "since 3.9",
     .rows = {"CONST-001"},
     .sources = {Kernel("uapi/asm-generic/socket.h")},
     .documents = {Stated("ES-27")}});

CASE(OptionNumbers, Option15SharesAPort, Witnesses("option.reuseport_is_15"),
     Needs(needs::kReusePort, needs::kGenericNumbers)) {
  constexpr Option kFifteen{SOL_SOCKET, 15, "option 15"};
  const SocketSpec sharing = Tcp(Loopback4()).Set(kFifteen);
  const Socket holder = sharing.Bound(port()).Listening();

  EXPECT_THAT(sharing.Bind(port()), Succeeds());
}

CLAIM({.id = "option.numbers_of_steering_by_architecture",
       .says = "SO_INCOMING_CPU is 49, SO_ATTACH_REUSEPORT_CBPF and _EBPF are 51 and 52 and SO_DETACH_REUSEPORT_BPF is "
               "68, with numbers of their own on PA-RISC and SPARC.",
       .kernels = "since 5.3",
       .rows = {"CONST-001"},
       .sources = {Kernel("uapi/asm/socket.h")}});

CASE(OptionNumbers, TheNumberOfTheIncomingCpu, Witnesses("option.numbers_of_steering_by_architecture")) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(socket.Set(kIncomingCpuHere, 0), Succeeds());
  EXPECT_THAT(socket.Get(so::kIncomingCpu), Is(0));
}

CASE(OptionNumbers, TheNumbersThatAttachAndDetachAProgram, Witnesses("option.numbers_of_steering_by_architecture"),
     Needs(needs::kReusePort)) {
  sock_filter first_socket = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &first_socket};
  Socket socket = Tcp(Loopback4()).ReusePort().Made();

  EXPECT_THAT(socket.Set(kDetachHere), FailsWith(ENOENT));
  EXPECT_THAT(socket.SetBytes(kAttachCbpfHere, &program, sizeof program), Succeeds());
  EXPECT_THAT(socket.Set(kDetachHere), Succeeds());
}

}  // namespace
}  // namespace portshare
