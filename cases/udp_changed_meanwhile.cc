// Does a datagram find its receiver while a group, its program or a socket's address changes?
//
// What went wrong in these places went wrong by bad luck, between two steps of the kernel, and on a machine with one
// processor hardly ever: there a kernel with such a fault passes.  With two, kernels with the last two faults failed or
// crashed within some tries.  A kernel without them passes always.
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "cases/members.h"
#include "harness/bpf.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/meanwhile.h"
#include "harness/overrun.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

constexpr uint16_t kPeer = 9000;

struct Family {
  std::string name;
  Address address;
  Address any;
  CaseFacts facts = {};
};

const std::vector<Family> kFamilies = {
    {"ipv4", Loopback4(), Any4()},
    {"ipv6", Loopback6(), Any6(), Needs(needs::kIpv6)},
};

class UdpChangedMeanwhile : public Case {
 protected:
  // One queue holds them all, whoever is chosen: a receive buffer has room for some 270.
  static constexpr int kAtOnce = 200;
  // A group begins with room for 128 members: this many make it grow while they join.
  static constexpr int kMany = 140;

  // Connects or binds without a word in the journal, for another thread: 0 or the errno.
  static int Asks(decltype(connect)& call, const Socket& socket, const Address& address, uint16_t port) {
    const SocketAddress name(address, port);
    return call(socket.descriptor(), name.get(), name.length) == 0 ? 0 : errno;
  }
  static int BindsAll(const std::vector<Socket>& sockets, const Address& address) {
    int error = 0;
    for (const Socket& socket : sockets) error = error == 0 ? Asks(bind, socket, address, port()) : error;
    return error;
  }

  // Datagrams from `senders` in turn; a refused one is the answer.  send(2) tells of an earlier one that was refused.
  static int Send(const std::vector<Socket>& senders, const Address& address, int count) {
    const SocketAddress to(address, port());
    for (int sent = 0; sent < count; ++sent) {
      const Socket& sender = senders[static_cast<size_t>(sent) % senders.size()];
      if (sendto(sender.descriptor(), "x", 1, 0, to.get(), to.length) != 1) return errno;
    }
    return 0;
  }
  static std::vector<Socket> Senders(const Address& address) { return ManyBound(Udp(address), 0, 10); }
};

CLAIM({.id = "udp.changed.member_joins_unnoticed",
       .says = "Every datagram to a SO_REUSEPORT group reaches a member while others join and the group grows.",
       .kernels =
           "since 4.5; before 5.11 and 5.10.12 a datagram could meet a place in the group that was not yet written, "
           "and such a kernel may pass",
       .sources = {Kernel("reuseport_add_sock(), reuseport_select_sock()"),
                   Commit("fd2ddef04359 udp: Prevent reuseport_select_sock from reading uninitialized socks")}});

MATRIX(UdpChangedMeanwhile, MembersThatJoinLoseNothing, Family, kFamilies,
       Witnesses("udp.changed.member_joins_unnoticed"), Needs(needs::kReusePort), Labels("udp")) {
  constexpr int kRounds = 5;
  const SocketSpec member = Udp(row.address).ReusePort();
  const std::vector<Socket> senders = Senders(row.address);
  int arrived = 0, error = 0;

  for (int round = 0; round < kRounds && error == 0; ++round) {
    std::vector<Socket> group = ManyMade(member, kMany);
    Socket founder = member.Bound(port());
    int refused = 0;
    Meanwhile joining([&] { refused = BindsAll(group, row.address); });
    error = Send(senders, row.address, kAtOnce);
    joining.End();
    arrived += QueuedDatagrams({&founder}).counts[0] + TakenFrom(group);
    if (error == 0) error = refused;
  }

  EXPECT_THAT(Counted("datagrams that reached a member", {arrived}, error), Is(kRounds * kAtOnce));
}

CLAIM({.id = "udp.changed.member_connects_while_others_join",
       .says = "A member of a SO_REUSEPORT group that connects while others join and the group grows gets its peer's "
               "datagrams.",
       .kernels =
           "since 5.4; before 6.1 and 6.0.6 the group could forget that it is connected, and such a kernel may pass",
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("reuseport_has_conns_set(), reuseport_grow()"),
                   Commit("69421bf98482 udp: Update reuse->has_conns under reuseport_lock.")}});

MATRIX(UdpChangedMeanwhile, MemberThatConnectsWhileOthersJoinHearsItsPeer, Family, kFamilies,
       Witnesses("udp.changed.member_connects_while_others_join"), Needs(needs::kReusePort), Labels("udp")) {
  constexpr int kRounds = 5;
  const SocketSpec member = Udp(row.address).ReusePort();
  Socket peer = Udp(row.address).Bound(kPeer);
  int at_connected = 0, elsewhere = 0, error = 0;

  for (int round = 0; round < kRounds && error == 0; ++round) {
    std::vector<Socket> group = ManyMade(member, kMany);
    Socket older = member.Bound(port()), connected = member.Bound(port());
    int refused = 0;
    Meanwhile joining([&] { refused = BindsAll(group, row.address); });
    error = Asks(connect, connected, row.address, kPeer);
    joining.End();
    peer.SendTo(row.address, port());
    at_connected += QueuedDatagrams({&connected}).counts[0];
    elsewhere += QueuedDatagrams({&older}).counts[0] + TakenFrom(group);
    if (error == 0) error = refused;
  }

  EXPECT_THAT(Counted("datagrams at the connected one/at the others", {at_connected, elsewhere}, error),
              Gets(kRounds, 0));
}

CLAIM({.id = "udp.changed.program_is_replaced_in_one_step",
       .says = "While the classic program of a SO_REUSEPORT group is replaced by another that chooses the same member, "
               "every datagram reaches that member; while it is detached and attached again, every datagram reaches "
               "some member.",
       .kernels = "since 5.3, which detaches; before 7.0.13, 6.12.94, 6.1.176 and 5.10.259 a program was freed "
                  "while it was still chosen by (CVE-2026-52910): such a kernel may pass, or crash",
       .rows = {"BPF-006"},
       .sources = {Man("socket(7), SO_ATTACH_REUSEPORT_CBPF"), Kernel("reuseport_attach_prog()"),
                   Kernel("reuseport_detach_prog(), sk_reuseport_prog_free()"),
                   Commit("18fc650ccd7f bpf: Free reuseport cBPF prog after RCU grace period.")}});

// The group's program is replaced until `enough`, and detached in between where `detaches`; 0 or the errno.
int ChangesTheProgram(const Socket& member, bool detaches, const std::atomic<bool>& enough) {
  constexpr int kChanges = 2000;
  std::vector<sock_filter> steps = ToMember(1).steps;
  const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
  const int none = 0;
  for (int change = 0; change < kChanges && !enough; ++change) {
    if (detaches && setsockopt(member.descriptor(), SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none, sizeof none) != 0) {
      return errno;
    }
    if (setsockopt(member.descriptor(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) != 0) {
      return errno;
    }
  }
  return 0;
}

struct Change {
  std::string name;
  Address address;
  bool detaches;
  CaseFacts facts = {};
};

const std::vector<Change> kChanges = {
    {"ipv4_replaced", Loopback4(), false},
    {"ipv4_detached", Loopback4(), true},
    {"ipv6_replaced", Loopback6(), false, Needs(needs::kIpv6)},
    {"ipv6_detached", Loopback6(), true, Needs(needs::kIpv6)},
};

MATRIX(UdpChangedMeanwhile, ProgramThatChangesLosesNothing, Change, kChanges,
       Witnesses("udp.changed.program_is_replaced_in_one_step"), Needs(needs::kReusePort), Labels("udp")) {
  constexpr int kRounds = 10;
  const SocketSpec member = Udp(row.address).ReusePort();
  Socket zero = member.Bound(port()), one = member.Bound(port());
  EXPECT_THAT(Attach(zero, ToMember(1)), Succeeds());
  const std::vector<Socket> senders = Senders(row.address);
  int at_zero = 0, at_one = 0, error = 0, refused = 0;

  std::atomic<bool> enough = false;
  {
    Meanwhile changing([&] { refused = ChangesTheProgram(zero, row.detaches, enough); });
    for (int round = 0; round < kRounds && error == 0; ++round) {
      error = Send(senders, row.address, kAtOnce);
      at_zero += TakenFrom(zero);
      at_one += TakenFrom(one);
    }
    enough = true;
  }

  if (error == 0) error = refused;
  if (row.detaches) {
    EXPECT_THAT(Counted("datagrams at a member", {at_zero + at_one}, error), Is(kRounds * kAtOnce));
  } else {
    EXPECT_THAT(Counted("datagrams at the members", {at_zero, at_one}, error), Gets(0, kRounds * kAtOnce));
  }
}

CLAIM({.id = "udp.changed.wildcard_is_found_while_it_connects",
       .says = "While a UDP socket on the wildcard connects, which gives it an address, what its peer sends reaches "
               "it: nothing is refused.",
       .kernels = "since 6.14, 6.12.13 and 6.1.192; before, a datagram that came between the address and its "
                  "place in the kernel's table was refused (CVE-2024-57974), and such a kernel may pass",
       .rows = {"UDP-RX-011"},
       .sources = {Man("connect(2), DESCRIPTION"), Kernel("__ip4_datagram_connect(), __ip6_datagram_connect()"),
                   Kernel("udp4_lib_lookup1(), udp6_lib_lookup1()"),
                   Commit("a502ea6fa94b udp: Deal with race between UDP socket address change and rehash")}});

// It disconnects where nothing is under way: what comes while a wildcard's address is taken back may be refused by
// kernels with the repair, too, which look for the address that the datagram has.
MATRIX(UdpChangedMeanwhile, WildcardThatConnectsIsFound, Family, kFamilies,
       Witnesses("udp.changed.wildcard_is_found_while_it_connects"), Needs(needs::kMemoryInfo), Labels("udp")) {
  constexpr int kRounds = 50;
  constexpr int kWhileItConnects = 50;
  Socket server = Udp(row.any).Bound(port());
  // Connected, so that it is told of what was refused.
  const Socket peer = Udp(row.address).Bound(kPeer).ConnectedTo(row.address, port());
  int lost = 0, refused = 0, error = 0;

  for (int round = 0; round < kRounds && error == 0; ++round) {
    std::atomic<int> under_way = 0;
    std::atomic<bool> all_sent = false;
    int answer = 0;
    Meanwhile connecting([&] {
      // Not always at the first datagram.
      while (under_way < round % 10 && !all_sent) std::this_thread::yield();
      answer = Asks(connect, server, row.address, kPeer);
    });
    int count = 0;
    for (int tries = 0; tries < kWhileItConnects && !connecting.done(); ++tries) {
      if (send(peer.descriptor(), "x", 1, 0) == 1) {
        under_way = ++count;
      } else {
        ++(errno == ECONNREFUSED ? refused : error);
      }
    }
    all_sent = true;
    connecting.End();
    lost += count - TakenFrom(server);
    int late = 0;
    socklen_t length = sizeof late;
    if (getsockopt(peer.descriptor(), SOL_SOCKET, SO_ERROR, &late, &length) == 0 && late == ECONNREFUSED) ++refused;
    if (answer != 0) error = answer;
    if (!server.Disconnect().ok()) error = ENOTCONN;
  }

  EXPECT_THAT(Counted("refused/lost", {refused, lost - OverrunsOf(server)}, error), Gets(0, 0));
}

}  // namespace
}  // namespace portshare
