// Which mix of SO_REUSEADDR and SO_REUSEPORT on the two sides lets a newcomer bind beside a holder?
#include <utility>

#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/owner.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using FlagMix = Case;

// What the kernel answers to each mix, put down by hand from the rule.  A line is what the newcomer asks for, a column
// what the holder asked for, both in the order none, reuseaddr, reuseport, both.
enum Answer { kTaken, kShare };
using Table = Answer[4][4];

// Address reuse on both sides or port reuse on both sides.
constexpr Table kTcpBound = {
    /* none      */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseaddr */ {kTaken, kShare, kTaken, kShare},
    /* reuseport */ {kTaken, kTaken, kShare, kShare},
    /* both      */ {kTaken, kShare, kShare, kShare},
};

// Listening ends address reuse; port reuse stays.
constexpr Table kTcpListening = {
    /* none      */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseaddr */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseport */ {kTaken, kTaken, kShare, kShare},
    /* both      */ {kTaken, kTaken, kShare, kShare},
};

// UDP never listens: as TCP before listen().
constexpr Table kUdp = {
    /* none      */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseaddr */ {kTaken, kShare, kTaken, kShare},
    /* reuseport */ {kTaken, kTaken, kShare, kShare},
    /* both      */ {kTaken, kShare, kShare, kShare},
};

// Another owner has no part in port reuse; address reuse does not compare owners.
constexpr Table kTcpBoundByAnother = {
    /* none      */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseaddr */ {kTaken, kShare, kTaken, kShare},
    /* reuseport */ {kTaken, kTaken, kTaken, kTaken},
    /* both      */ {kTaken, kShare, kTaken, kShare},
};

// Nothing is left: address reuse ended with listen(), port reuse with the owner.
constexpr Table kTcpListenedByAnother = {
    /* none      */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseaddr */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseport */ {kTaken, kTaken, kTaken, kTaken},
    /* both      */ {kTaken, kTaken, kTaken, kTaken},
};

// Both flags on both sides share across owners too: SO_REUSEADDR alone suffices.
constexpr Table kUdpOfAnother = {
    /* none      */ {kTaken, kTaken, kTaken, kTaken},
    /* reuseaddr */ {kTaken, kShare, kTaken, kShare},
    /* reuseport */ {kTaken, kTaken, kTaken, kTaken},
    /* both      */ {kTaken, kShare, kTaken, kShare},
};

// Two addresses that have at least one in common.  Every table holds at each of these places.
struct Place {
  std::string name;
  Address holder;
  Address newcomer;
};
const std::vector<Place> kPlaces = {{"v4", Loopback4(), Loopback4()},
                                    {"v6", Loopback6(), Loopback6()},
                                    {"v4_in_dual_stack", Any6(), Loopback4()},
                                    {"dual_stack_over_v4", Loopback4(), Any6()},
                                    {"v4_over_mapped", MappedLoopback(), Loopback4()},
                                    {"mapped_over_v4", Loopback4(), MappedLoopback()}};

constexpr Sharing kMixes[] = {Sharing::kNone, Sharing::kReuseAddr, Sharing::kReusePort, Sharing::kBoth};

struct Mix {
  std::string name;  // "v4_reuseaddr_beside_both": the newcomer beside the holder
  const Place& place;
  Sharing newcomer;
  Sharing holder;
  Answer answer;
  CaseFacts facts = {};
};

using Protocol4And6 = SocketSpec (*)(const Address&);

SocketSpec At(const Address& address, Protocol4And6 protocol, Sharing sharing) {
  const SocketSpec spec = protocol(address).Asking(sharing);
  return address.family() == AF_INET6 ? spec.DualStack() : spec;
}

SocketSpec Holder(const Mix& mix, Protocol4And6 protocol) {
  return At(mix.place.holder, protocol, mix.holder);
}

SocketSpec Newcomer(const Mix& mix, Protocol4And6 protocol) {
  return At(mix.place.newcomer, protocol, mix.newcomer);
}

bool AsksForPort(Sharing sharing) {
  return sharing == Sharing::kReusePort || sharing == Sharing::kBoth;
}

std::vector<Mix> Mixes(const Table& table) {
  std::vector<Mix> mixes;
  mixes.reserve(kPlaces.size() * 16);
  for (const Place& place : kPlaces) {
    for (const Sharing newcomer : kMixes) {
      for (const Sharing holder : kMixes) {
        CaseFacts facts;
        if (AsksForPort(holder) || AsksForPort(newcomer)) facts.needs.push_back(&needs::kReusePort);
        if (place.name != "v4") facts.needs.push_back(&needs::kIpv6);
        mixes.push_back({place.name + "_" + Name(newcomer) + "_beside_" + Name(holder), place, newcomer, holder,
                         table[static_cast<int>(newcomer)][static_cast<int>(holder)], facts});
      }
    }
  }
  return mixes;
}

void Expect(const Outcome& bind, Answer answer) {
  if (answer == kShare) {
    EXPECT_THAT(bind, Succeeds());
  } else {
    EXPECT_THAT(bind, FailsWith(EADDRINUSE));
  }
}

const std::vector<Mix> kTcpBoundMixes = Mixes(kTcpBound);
const std::vector<Mix> kTcpListeningMixes = Mixes(kTcpListening);
const std::vector<Mix> kUdpMixes = Mixes(kUdp);
const std::vector<Mix> kTcpBoundByAnotherMixes = Mixes(kTcpBoundByAnother);
const std::vector<Mix> kTcpListenedByAnotherMixes = Mixes(kTcpListenedByAnother);
const std::vector<Mix> kUdpOfAnotherMixes = Mixes(kUdpOfAnother);

const char kKernels[] = "all; SO_REUSEPORT since 3.9";

CLAIM({.id = "flags.mix.tcp_bound",
       .says = "Beside a TCP holder that does not listen the same owner may bind an overlapping address if both sides "
               "asked for SO_REUSEADDR or both for SO_REUSEPORT.",
       .kernels = kKernels,
       .rows = {"TCP-RA-001", "TCP-RA-002", "TCP-RA-003", "MISC-010"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Man("socket(7), SO_REUSEPORT"),
                   Kernel("inet_csk_bind_conflict()")}});

MATRIX(FlagMix, TcpBoundHolder, Mix, kTcpBoundMixes, Witnesses("flags.mix.tcp_bound"), Labels("tcp")) {
  const Socket holder = Holder(row, Tcp).Bound(port());

  Expect(Newcomer(row, Tcp).Bind(port()), row.answer);
}

CLAIM({.id = "flags.mix.tcp_listening",
       .says = "Beside a TCP listener the same owner may bind an overlapping address only if both sides asked for "
               "SO_REUSEPORT.",
       .kernels = kKernels,
       .rows = {"TCP-RA-004"},
       .sources = {Man("socket(7), SO_REUSEADDR"), Man("socket(7), SO_REUSEPORT"),
                   Kernel("inet_csk_bind_conflict()")}});

MATRIX(FlagMix, TcpListeningHolder, Mix, kTcpListeningMixes, Witnesses("flags.mix.tcp_listening"), Labels("tcp")) {
  const Socket holder = Holder(row, Tcp).Bound(port()).Listening();

  Expect(Newcomer(row, Tcp).Bind(port()), row.answer);
}

CLAIM(
    {.id = "flags.mix.udp",
     .says = "Beside a UDP holder the same owner may bind an overlapping address if both sides asked for SO_REUSEADDR "
             "or both for SO_REUSEPORT.",
     .kernels = kKernels,
     .rows = {"UDP-BIND-001", "UDP-BIND-002", "UDP-BIND-005", "UDP-BIND-007"},
     .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp_lib_get_port()")}});

MATRIX(FlagMix, UdpHolder, Mix, kUdpMixes, Witnesses("flags.mix.udp"), Labels("udp")) {
  const Socket holder = Holder(row, Udp).Bound(port());

  Expect(Newcomer(row, Udp).Bind(port()), row.answer);
}

CLAIM({.id = "flags.mix.tcp_bound_by_another_owner",
       .says =
           "Beside another owner's TCP socket that does not listen only SO_REUSEADDR on both sides admits a newcomer, "
           "whatever SO_REUSEPORT says.",
       .kernels = kKernels,
       .rows = {"TCP-RA-012"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

MATRIX(FlagMix, TcpBoundHolderOfAnotherOwner, Mix, kTcpBoundByAnotherMixes,
       Witnesses("flags.mix.tcp_bound_by_another_owner"), Needs(needs::kSecondOwner), Labels("tcp")) {
  const Socket holder = Holder(row, Tcp).OwnedBy(Alice()).Bound(port());

  Expect(Newcomer(row, Tcp).OwnedBy(Bob()).Bind(port()), row.answer);
}

CLAIM({.id = "flags.mix.tcp_listened_by_another_owner",
       .says = "Beside another owner's TCP listener no mix of the flags admits a newcomer.",
       .kernels = kKernels,
       .rows = {"FLG-001"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_bind_conflict()")}});

MATRIX(FlagMix, TcpListeningHolderOfAnotherOwner, Mix, kTcpListenedByAnotherMixes,
       Witnesses("flags.mix.tcp_listened_by_another_owner"), Needs(needs::kSecondOwner), Labels("tcp")) {
  const Socket holder = Holder(row, Tcp).OwnedBy(Alice()).Bound(port()).Listening();

  Expect(Newcomer(row, Tcp).OwnedBy(Bob()).Bind(port()), row.answer);
}

CLAIM({.id = "flags.mix.udp_of_another_owner",
       .says = "Beside another owner's UDP socket only SO_REUSEADDR on both sides admits a newcomer, whatever "
               "SO_REUSEPORT says.",
       .kernels = kKernels,
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("udp_lib_get_port()")}});

MATRIX(FlagMix, UdpHolderOfAnotherOwner, Mix, kUdpOfAnotherMixes, Witnesses("flags.mix.udp_of_another_owner"),
       Needs(needs::kSecondOwner), Labels("udp")) {
  const Socket holder = Holder(row, Udp).OwnedBy(Alice()).Bound(port());

  Expect(Newcomer(row, Udp).OwnedBy(Bob()).Bind(port()), row.answer);
}

CLAIM({.id = "flags.reuseport_leaves_reuseaddr",
       .says = "SO_REUSEPORT on one side alone changes none of SO_REUSEADDR's answers, and it neither sets nor clears "
               "that flag.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")},
       .documents = {Stated("TH-17")}});

// Who asked for what, and the answer that SO_REUSEADDR alone would give while nobody listens.
struct OneSided {
  std::string name;
  Sharing newcomer;
  Sharing holder;
  Answer answer;
};
const std::vector<OneSided> kOneSided = {{"none_beside_both", Sharing::kNone, Sharing::kBoth, kTaken},
                                         {"both_beside_none", Sharing::kBoth, Sharing::kNone, kTaken},
                                         {"reuseaddr_beside_both", Sharing::kReuseAddr, Sharing::kBoth, kShare},
                                         {"both_beside_reuseaddr", Sharing::kBoth, Sharing::kReuseAddr, kShare}};

MATRIX(FlagMix, PortReuseOnOneSideChangesNothing, OneSided, kOneSided, Witnesses("flags.reuseport_leaves_reuseaddr"),
       Needs(needs::kReusePort), Labels("tcp")) {
  Socket holder = Tcp(Loopback4()).Asking(row.holder).Bound(port());
  const SocketSpec newcomer = Tcp(Loopback4()).Asking(row.newcomer);

  Expect(newcomer.Bind(port()), row.answer);
  EXPECT_THAT(holder.Listen(), Succeeds());
  EXPECT_THAT(newcomer.Bind(port()), FailsWith(EADDRINUSE));
}

CASE(FlagMix, PortReuseLeavesTheOtherFlagAlone, Witnesses("flags.reuseport_leaves_reuseaddr"), Needs(needs::kReusePort),
     Labels("tcp")) {
  Socket without = Tcp(Loopback4()).ReusePort().Made();
  Socket with = Tcp(Loopback4()).ReuseAddr().ReusePort().Made();

  EXPECT_THAT(without.Get(so::kReuseAddr), Is(0));
  EXPECT_THAT(with.Get(so::kReuseAddr), Is(1));
}

}  // namespace
}  // namespace portshare
