// What do setsockopt() and getsockopt() take and give for SO_REUSEADDR and SO_REUSEPORT?
#include <bit>

#include "cases/rows.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using OptionAbi = Case;

CLAIM({.id = "option.is_a_switch",
       .says = "Both options are off at first; any value but 0, a negative one too, turns them on and reads as 1.",
       .rows = {"OPT-001"},
       .sources = {Man("socket(7), Socket options"), Kernel("sk_setsockopt()"), Kernel("sk_getsockopt()")}});

MATRIX(OptionAbi, IsOffUntilAsked, OptionRow, kOptions, Witnesses("option.is_a_switch")) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(socket.Get(row.option), Is(0));
  EXPECT_THAT(socket.Set(row.option, 1), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(1));
  EXPECT_THAT(socket.Set(row.option, 0), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(0));
}

struct OneValue {
  std::string name;
  Option option;
  int value;
  CaseFacts facts = {};
};

const std::vector<OneValue> kValues = {
    {"reuseaddr_5", so::kReuseAddr, 5},
    {"reuseaddr_minus_7", so::kReuseAddr, -7},
    {"reuseaddr_256", so::kReuseAddr, 0x100},
    {"reuseport_5", so::kReusePort, 5, Needs(needs::kReusePort)},
    {"reuseport_minus_7", so::kReusePort, -7, Needs(needs::kReusePort)},
    {"reuseport_256", so::kReusePort, 0x100, Needs(needs::kReusePort)},
};

MATRIX(OptionAbi, AnyOtherValueReadsAsOne, OneValue, kValues, Witnesses("option.is_a_switch")) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(socket.Set(row.option, row.value), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(1));
}

CLAIM({.id = "option.is_an_int",
       .says = "A value shorter than an int is refused with EINVAL; of a longer one only the first int counts.",
       .rows = {"OPT-002"},
       .sources = {Man("setsockopt(2), ERRORS"), Kernel("sk_setsockopt()")}});

MATRIX(OptionAbi, RefusesAShortValue, OptionRow, kOptions, Witnesses("option.is_an_int")) {
  Socket socket = Tcp(Loopback4()).Made();
  const int on = 1;

  EXPECT_THAT(socket.SetBytes(row.option, &on, 3), FailsWith(EINVAL));
  EXPECT_THAT(socket.SetBytes(row.option, &on, 0), FailsWith(EINVAL));
  EXPECT_THAT(socket.Get(row.option), Is(0));
}

MATRIX(OptionAbi, TakesTheFirstIntOfALongValue, OptionRow, kOptions, Witnesses("option.is_an_int")) {
  Socket socket = Tcp(Loopback4()).Made();
  const int on_then_off[] = {1, 0};
  const int off_then_on[] = {0, 1};

  EXPECT_THAT(socket.SetBytes(row.option, on_then_off, sizeof on_then_off), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(1));
  EXPECT_THAT(socket.SetBytes(row.option, off_then_on, sizeof off_then_on), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(0));
}

CLAIM({.id = "option.bad_arguments",
       .says = "A null pointer as value is refused with EFAULT and a negative length with EINVAL.",
       .rows = {"OPT-003"},
       .sources = {Man("setsockopt(2), ERRORS"), Kernel("do_sock_setsockopt()")}});

MATRIX(OptionAbi, RefusesANullPointer, OptionRow, kOptions, Witnesses("option.bad_arguments")) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(socket.SetBytes(row.option, nullptr, sizeof(int)), FailsWith(EFAULT));
}

MATRIX(OptionAbi, RefusesANegativeLength, OptionRow, kOptions, Witnesses("option.bad_arguments")) {
  Socket socket = Tcp(Loopback4()).Made();
  const int on = 1;

  EXPECT_THAT(socket.SetBytes(row.option, &on, static_cast<socklen_t>(-1)), FailsWith(EINVAL));
}

CLAIM({.id = "option.read_is_cut_to_the_length",
       .says = "getsockopt() gives as many bytes of the int as there is room for, none at length 0, and never more "
               "than the int.",
       .rows = {"OPT-004"},
       .sources = {Man("getsockopt(2)"), Kernel("sk_getsockopt()")}});

constexpr bool kLittleEndian = std::endian::native == std::endian::little;
constexpr const char* kFirstByteOfOne = kLittleEndian ? "1 bytes 1" : "1 bytes 0";
constexpr const char* kAllBytesOfOne = kLittleEndian ? "4 bytes 1 0 0 0" : "4 bytes 0 0 0 1";

MATRIX(OptionAbi, CutsWhatIsReadToTheRoomGiven, OptionRow, kOptions, Witnesses("option.read_is_cut_to_the_length")) {
  Socket socket = Tcp(Loopback4()).Set(row.option).Made();

  EXPECT_THAT(socket.GetBytes(row.option, 0), Is("0 bytes"));
  EXPECT_THAT(socket.GetBytes(row.option, 1), Is(kFirstByteOfOne));
  EXPECT_THAT(socket.GetBytes(row.option, 8), Is(kAllBytesOfOne));
}

CLAIM({.id = "option.needs_no_privilege",
       .says = "A process without any privilege may set both options.",
       .rows = {"OPT-014"},
       .sources = {Man("socket(7), Socket options"), Kernel("sk_setsockopt()")}});

struct OptionOfProtocol {
  std::string name;
  SocketSpec spec;
  Option option;
  CaseFacts facts = {};
};

const std::vector<OptionOfProtocol> kUnprivileged = {
    {"tcp_reuseaddr", Tcp(Loopback4()), so::kReuseAddr},
    {"tcp_reuseport", Tcp(Loopback4()), so::kReusePort, Needs(needs::kReusePort)},
    {"udp_reuseaddr", Udp(Loopback4()), so::kReuseAddr},
    {"udp_reuseport", Udp(Loopback4()), so::kReusePort, Needs(needs::kReusePort)},
};

MATRIX(OptionAbi, NeedsNoPrivilege, OptionOfProtocol, kUnprivileged, Witnesses("option.needs_no_privilege"),
       Needs(needs::kSecondOwner)) {
  const As unprivileged(Alice());
  Socket socket = row.spec.Made();

  EXPECT_THAT(socket.Set(row.option), Succeeds());
  EXPECT_THAT(socket.Get(row.option), Is(1));
}

CLAIM({.id = "option.inherited_by_accepted_sockets",
       .says = "An accepted socket begins with its listener's options and changes them for itself alone.",
       .rows = {"OPT-015"},
       .sources = {Kernel("sk_clone_lock()"), Kernel("inet_csk_clone_lock()")}});

MATRIX(OptionAbi, AnAcceptedSocketInheritsIt, OptionRow, kOptions, Witnesses("option.inherited_by_accepted_sockets")) {
  Socket listener = Tcp(Loopback4()).Set(row.option).Bound(port()).Listening();
  Connection connection = Established(listener, Loopback4(), port());

  EXPECT_THAT(connection.server.Get(row.option), Is(1));
  EXPECT_THAT(connection.server.Set(row.option, 0), Succeeds());
  EXPECT_THAT(listener.Get(row.option), Is(1));
}

CLAIM({.id = "option.repair_forces_reuseaddr",
       .says = "While TCP_REPAIR is on, SO_REUSEADDR reads as 2; when it is switched off, it is 0 again.",
       .kernels = "since 3.5, where CONFIG_CHECKPOINT_RESTORE is set",
       .rows = {"OPT-011"},
       .sources = {Kernel("do_tcp_setsockopt(), SK_FORCE_REUSE")}});

CASE(OptionAbi, RepairForcesAddressReuse, Witnesses("option.repair_forces_reuseaddr"), Needs(needs::kRepair)) {
  Socket socket = Tcp(Loopback4()).Made();

  EXPECT_THAT(socket.Set(so::kRepair, 1), Succeeds());
  EXPECT_THAT(socket.Get(so::kReuseAddr), Is(2));
  EXPECT_THAT(socket.Set(so::kRepair, 0), Succeeds());
  EXPECT_THAT(socket.Get(so::kReuseAddr), Is(0));
}

}  // namespace
}  // namespace portshare
