#include "harness/behaviour.h"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "harness/bpf.h"
#include "harness/cpu.h"
#include "harness/in_use.h"
#include "harness/need.h"
#include "harness/option.h"
#include "harness/outcome.h"
#include "harness/owner.h"
#include "harness/packet_peer.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "harness/vsock.h"
#include "harness/waiter.h"
#include "netns/cannot_ask.h"
#include "netns/private_network.h"
#include "netns/sysctl.h"

namespace portshare {
namespace {

constexpr uint16_t kProbePort = 7777;
constexpr uint16_t kOtherPort = 9000;

bool MayAsk(const std::vector<const Need*>& needs) {
  return !FirstUnmet(needs);
}

// Of two answers; any other is none.
std::optional<bool> Told(int error, int when_true, int when_false) {
  if (error == when_true) return true;
  if (error == when_false) return false;
  return std::nullopt;
}

std::optional<bool> RefusesPortSharingElsewhere() {
  if (!MayAsk({&needs::kReusePort})) return std::nullopt;
  const Descriptor local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  const int answer = setsockopt(local.number(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  return Told(answer == 0 ? 0 : errno, EOPNOTSUPP, 0);
}

std::optional<bool> FilesByAddress() {
  if (!MayAsk({&needs::kIpv6})) return std::nullopt;
  const Socket server = Tcp(Loopback6()).Bound(kOtherPort).Listening();
  const Socket client = Tcp(Any6()).DualStack().Bound(kProbePort).ConnectedTo(Loopback6(), kOtherPort);
  return Told(Tcp(Loopback4(6)).Bind(kProbePort).error, 0, EADDRINUSE);
}

std::optional<bool> OrphansKeepTheirOwner() {
  if (!MayAsk({&needs::kReusePort, &needs::kSecondOwner}) || WriteSysctl("ipv4/tcp_fin_timeout", "120") != 0) {
    return std::nullopt;
  }
  std::optional<Socket> client;
  {
    const As server(Alice());
    Socket listener = Tcp(Loopback4()).ReusePort().Bound(kProbePort).Listening();
    client = LeaveFinWait2(Established(listener, Loopback4(), kProbePort));
  }
  return Told(Tcp(Any4()).ReusePort().OwnedBy(Root()).Bind(kProbePort).error, EADDRINUSE, 0);
}

std::optional<bool> ConnectedMembersLeave() {
  if (!MayAsk({&needs::kReusePort})) return std::nullopt;
  Socket member = Udp(Loopback4()).ReusePort().Bound(kProbePort);
  Socket stray = Udp(Loopback4()).ReusePort().Bound(kProbePort).ConnectedTo(Loopback4(), kOtherPort);
  stray.Disconnect();
  const int count = EnoughToReach(2);
  const Share share = DatagramsOver({&member, &stray}, count, Loopback4(), kProbePort);
  return share.counts.at(1) == count;
}

std::optional<bool> PrefersTheDeviceBound() {
  Socket near = Udp(Loopback4()).ReuseAddr().Device("lo").Bound(kProbePort);
  Socket newest = Udp(Loopback4()).ReuseAddr().Bound(kProbePort);
  Udp(Loopback4()).Made().SendTo(Loopback4(), kProbePort);
  return QueuedDatagrams({&near, &newest}).counts.front() == 1;
}

// Beside a client of the port's own choice, while a binder came and went.
std::optional<bool> ConnectSharesAfterRelease() {
  if (WriteSysctl("ipv4/ip_local_port_range", "40000 40000") != 0) return std::nullopt;
  const Socket server = Tcp(Loopback4()).Bound(kProbePort).Listening();
  const Socket other_server = Tcp(Loopback4()).Bound(kOtherPort).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kProbePort);
  Tcp(Loopback4(2)).Bound(40000).Close();
  return Told(Tcp(Loopback4()).Made().Connect(Loopback4(), kOtherPort).error, 0, EADDRNOTAVAIL);
}

std::optional<bool> GroupsAskForTheProcessor() {
  if (!MayAsk({&needs::kReusePort})) return std::nullopt;
  const OnOneProcessor stays;
  const SocketSpec member = Udp(Loopback4()).ReusePort();
  Socket here = member.Set(so::kIncomingCpu, ThisProcessor()).Bound(kProbePort);
  Socket elsewhere = member.Set(so::kIncomingCpu, ThisProcessor() + 1).Bound(kProbePort);
  const int count = EnoughToReach(2);
  return DatagramsOver({&here, &elsewhere}, count, Loopback4(), kProbePort).counts.front() == count;
}

// A watcher that was told nothing finds nothing, whatever the queue holds.
std::optional<bool> MigrationWakesWaiters() {
  if (!MayAsk({&needs::kMigration}) || WriteSysctl("ipv4/tcp_migrate_req", "1") != 0) return std::nullopt;
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  Socket closing = member.Bound(kProbePort).Listening();
  const Socket client = Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), kProbePort);
  const Socket target = member.Bound(kProbePort).Listening();
  const Waiter waiter(target);
  closing.Close();
  AwaitDelivery();
  return waiter.told();
}

// To the server that another socket of the same port is connected to: there is no second connection of those four.
std::optional<bool> FailedConnectLeavesNoAddress() {
  const Socket server = Tcp(Loopback4()).Bound(kOtherPort).Listening();
  const SocketSpec sharer = Tcp(Any4()).ReuseAddr();
  const Socket client = sharer.Bound(kProbePort).ConnectedTo(Loopback4(), kOtherPort);
  Socket failed = sharer.Bound(kProbePort);
  if (failed.Connect(Loopback4(), kOtherPort).error != EADDRNOTAVAIL) return std::nullopt;
  return failed.LocalName().answer == Any4().text(kProbePort);
}

// One that waits for its last ACK comes to a listener that takes one: there is no place for another.
std::optional<bool> MigrationCountsFastOpens() {
  if (!MayAsk({&needs::kPacketPeer, &needs::kMigration}) || WriteSysctl("ipv4/tcp_migrate_req", "1") != 0 ||
      WriteSysctl("ipv4/tcp_fastopen", "514") != 0) {
    return std::nullopt;
  }
  const OnOneProcessor stays;
  PacketPeer peer;
  const SocketSpec member = Tcp(PacketPeer::Server()).ReusePort().Set({IPPROTO_TCP, TCP_FASTOPEN, "fastopen"}, 1);
  Socket leaving = member.Bound(kProbePort).Listening();
  const Flows moved = peer.BeginWithData(1, kProbePort);
  const Socket staying = member.Bound(kProbePort).Listening();
  leaving.Close();
  const Flows another = peer.BeginWithData(1, kProbePort);
  const std::string accepted = peer.AcceptedBy(staying).answer;
  if (accepted == moved.text()) return true;
  if (accepted == (moved | another).text()) return false;
  return std::nullopt;
}

std::optional<bool> RefusedChoicesAreReleased() {
  if (!MayAsk({&needs::kReusePort, &needs::kBpf, &needs::kSkReuseport, &needs::kSockMap})) return std::nullopt;
  const OnOneProcessor stays;
  Socket listener = Tcp(Loopback4()).ReusePort().Bound(kProbePort).Listening();
  SocketMap sockets(BPF_MAP_TYPE_SOCKMAP, 1);
  const int before = SocketsInUse();
  {
    Socket client = Tcp(Loopback4()).ReusePort().Made();
    Attach(client, LoadedProgram::ToMember(0));
    if (!client.Connect(Loopback4(), kProbePort).ok() || !sockets.Put(0, client).ok()) return std::nullopt;
    const Socket server = listener.Accepted();
    Attach(listener, LoadedProgram::OfGroup(sockets, 0));
    ConnectionsOver({&listener}, 1, Loopback4(), kProbePort);
    client.Reset();
  }
  return SocketsLeft(before).answer == "0";
}

// A connect(2) that no transport leads to, after one that had another transport.
std::optional<bool> VsockStaysBound() {
  if (!MayAsk({&needs::kVsockLoopback})) return std::nullopt;
  Socket holder = Vsock().Made(), nobody = Vsock().Made(), newcomer = Vsock().Made();
  if (!BindVsock(nobody, kAnyVsockPort).ok() || !BindVsock(holder, kAnyVsockPort).ok()) return std::nullopt;
  ConnectVsock(holder, kThisMachine, VsockPort(nobody));
  ConnectVsock(holder, kMachineElsewhere, VsockPort(nobody));
  return Told(BindVsock(newcomer, VsockPort(holder)).error, EADDRINUSE, 0);
}

// A kernel that keeps the place of a former peer is right by luck where both places are one: hardly for so many peers.
std::optional<bool> FindsWhatReconnected() {
  constexpr int kPeers = 8;
  std::vector<Socket> older;
  for (int number = 1; number <= kPeers; ++number) {
    const auto peer = static_cast<uint16_t>(kOtherPort + number);
    older.push_back(Udp(Loopback4()).ReuseAddr().Bound(kProbePort).ConnectedTo(Loopback4(), peer));
  }
  Socket moved = Udp(Loopback4()).ReuseAddr().Bound(kProbePort).ConnectedTo(Loopback4(), kOtherPort);
  int found = 0;
  for (int number = 1; number <= kPeers; ++number) {
    const auto peer = static_cast<uint16_t>(kOtherPort + number);
    moved.Connect(Loopback4(), peer);
    Udp(Loopback4()).Bound(peer).SendTo(Loopback4(), kProbePort);
    found += QueuedDatagrams({&moved}).counts.front();
  }
  return found == kPeers;
}

// The program is asked at the first member that the kernel comes upon, which is not connected, and chooses the last.
// IPv4 sockets are listed newest first, IPv6 sockets of groups oldest first.
std::optional<bool> ScoresTheProgramsChoice(const Address& address) {
  if (!MayAsk({&needs::kReusePort})) return std::nullopt;
  const bool newest_first = address.family() == AF_INET;
  const SocketSpec member = Udp(address).ReusePort();
  Socket oldest = member.Bound(kProbePort), other = member.Bound(kProbePort), newest = member.Bound(kProbePort);
  Socket& chosen = newest_first ? oldest : newest;
  other.Connect(address, kOtherPort);
  chosen.Connect(address, kOtherPort);
  if (!Attach(newest_first ? newest : oldest, ToMember(newest_first ? 0 : 2)).ok()) return std::nullopt;
  Udp(address).Bound(kOtherPort).SendTo(address, kProbePort);
  return QueuedDatagrams({&chosen, &other}).counts.front() == 1;
}

std::optional<bool> ScoresTheProgramsChoiceOnIpv4() {
  return ScoresTheProgramsChoice(Loopback4());
}

std::optional<bool> ScoresTheProgramsChoiceOnIpv6() {
  if (!MayAsk({&needs::kIpv6})) return std::nullopt;
  return ScoresTheProgramsChoice(Loopback6());
}

EpochFact Fact(const Behaviour& behaviour) {
  const PrivateNetwork network;
  try {
    return {behaviour.name, behaviour.probe()};
  } catch (const UnexpectedAnswer&) {
    return {behaviour.name, std::nullopt};
  }
}

}  // namespace

const std::vector<Behaviour>& Behaviours() {
  static const std::vector<Behaviour> behaviours = {
      {"reuseport_is_of_inet_sockets", "refuses SO_REUSEPORT on sockets that have no ports of the Internet protocols",
       "net: restrict SO_REUSEPORT to inet sockets (6.13, 6.12.9, 6.1.124)", RefusesPortSharingElsewhere},
      {"tcp_files_by_address",
       "files bound TCP sockets by address and port, so that the IPv4 address written for an IPv6 client meets nobody",
       "commit 28044fc1d495 (6.1)", FilesByAddress},
      {"sockets_keep_their_maker",
       "compares the owner that a socket was made with, not that of the file, which an orphan or a subflow does not "
       "have",
       "sk_uid in place of sock_i_uid() (6.17)", OrphansKeepTheirOwner},
      {"udp_files_by_connection",
       "files connected UDP sockets by both addresses: one on a specific address leaves its SO_REUSEPORT group",
       "udp_lib_hash4() (6.13)", ConnectedMembersLeave},
      {"bound_devices_score",
       "prefers a socket that is bound to the device of what arrives to one of the same port that is bound to none",
       "commit 8d6c414cd2fb, which mends 6da5b0f027a8 of 5.0 (5.15, and 5.10.y from October 2021 on)",
       PrefersTheDeviceBound},
      {"connect_shares_after_release",
       "opens a TCP port to automatic clients again when the last socket that was bound to it closes, although a "
       "client still holds it",
       "commit d57f4b874946 (6.18)", ConnectSharesAfterRelease},
      {"groups_ask_for_the_processor",
       "gives what a processor handles to the member of a SO_REUSEPORT group whose SO_INCOMING_CPU it is",
       "commit b261eda84ec1 (6.2, 5.15.86, 6.0.16)", GroupsAskForTheProcessor},
      {"migration_wakes_waiters",
       "wakes those that wait at the listener to which a connection migrates from a closing one",
       "inet_csk_listen_stop(), CVE-2026-46015 (6.1.175, 6.12.86, 7.0)", MigrationWakesWaiters},
      {"failed_connects_leave_no_address",
       "takes the address back from a TCP socket whose connect(2) failed because such a connection exists",
       "commit 77934dc6db0d (6.1, 6.0.12, 5.10.158)", FailedConnectLeavesNoAddress},
      {"migration_counts_fast_opens",
       "counts a connection of TCP Fast Open that migrates before its last ACK at the listener that it comes to",
       "tcp: fix TFO max_qlen accounting across reuseport migration, CVE-2026-74696 (6.1.183, 6.12.104, 6.18.45, "
       "7.1.9)",
       MigrationCountsFastOpens},
      {"refused_choices_are_released",
       "gives a connected socket back that an SK_REUSEPORT program chose for another group's connection",
       "commit b3af60928ab9, CVE-2025-21683 (6.13, 6.12.11, 6.1.127, 5.10.234)", RefusedChoicesAreReleased},
      {"vsock_stays_bound", "keeps a vsock socket bound when its connect(2) fails because no transport leads there",
       "commit fcdd2242c023, CVE-2025-21756 (6.14, 6.12.16, 6.6.79, and 5.10.y of 2025)", VsockStaysBound},
      {"udp_finds_what_reconnected",
       "finds a connected UDP socket by the peer that it has, also where it had another one before",
       "commits 5fd0783b99d4 and 9e95b1a94c9c (7.2.9), which mend 78c91ae2c6de of 6.13", FindsWhatReconnected},
      {"groups_score_the_programs_choice",
       "weighs the member of an IPv4 UDP group that the group's program chose by that member's own connection",
       "commit f0ea27e7bfe1 (6.6, 5.10.197)", ScoresTheProgramsChoiceOnIpv4},
      {"groups_score_the_programs_choice_on_ipv6",
       "weighs the member of an IPv6 UDP group that the group's program chose by that member's own connection",
       "commit 50aee97d1511 (6.10), which mends f0ea27e7bfe1", ScoresTheProgramsChoiceOnIpv6},
  };
  return behaviours;
}

std::vector<EpochFact> BehaviourFacts() {
  std::vector<EpochFact> facts;
  for (const Behaviour& behaviour : Behaviours()) {
    facts.push_back(BecomeNamespaceRoot() == Privilege::kNone ? EpochFact{behaviour.name, std::nullopt}
                                                              : Fact(behaviour));
  }
  return facts;
}

}  // namespace portshare
