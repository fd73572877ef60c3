// Where does a connection go whose listener closes before it was accepted, when the group has a program?
#include "harness/bpf.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/peer.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class SteeringMigration : public Case {
 protected:
  // Enough to tell one listener's share from all: 2^-40.
  static constexpr int kMany = 40;

  static Socket Listener() { return Tcp(Loopback4()).ReusePort().Bound(port()).Listening(); }
  static std::vector<Socket> Clients(int count) {
    std::vector<Socket> clients;
    for (int client = 0; client < count; ++client) {
      clients.push_back(Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()));
    }
    return clients;
  }
};

CLAIM({.id = "ebpf.migration_program_chooses_the_target",
       .says = "A group's SK_REUSEPORT program that was loaded to be asked about migration, too, chooses the listener "
               "that gets the connections of one that closes, without net.ipv4.tcp_migrate_req.",
       .kernels = "since 5.14",
       .rows = {"Q-002", "EBPF-001"},
       .sources = {KernelDoc("networking/ip-sysctl.rst, tcp_migrate_req"), Kernel("reuseport_migrate_sock()"),
                   Commit("d5e4ddaeb6ab bpf: Support socket migration by eBPF")}});

CASE(SteeringMigration, ProgramChoosesTheTarget, Witnesses("ebpf.migration_program_chooses_the_target"),
     Needs(needs::kReusePort, needs::kSkMigrate), Labels("tcp")) {
  Socket closing = Listener();
  std::vector<Socket> clients = Clients(kMany);
  Socket other = Listener(), target = Listener();
  SocketMap members(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 1);
  EXPECT_THAT(members.Put(0, target), Succeeds());
  EXPECT_THAT(Attach(other, LoadedProgram::OfMigration(members, 0)), Succeeds());

  closing.Close();

  EXPECT_THAT(LiveAndReset(clients), Gets(kMany, 0));
  EXPECT_THAT(QueuedConnections({&other, &target}), Gets(0, kMany));
}

CASE(SteeringMigration, ProgramChoosesTheTargetOfHandshakes, Witnesses("ebpf.migration_program_chooses_the_target"),
     Needs(needs::kReusePort, needs::kSkMigrate), Labels("tcp")) {
  // The handshake ends with the client's first byte.  tcp(7), TCP_DEFER_ACCEPT
  const SocketSpec member = Tcp(Loopback4()).ReusePort().Set(so::kDeferAccept, 5);
  Socket closing = member.Bound(port()).Listening();
  std::vector<Socket> clients = Clients(kMany);
  AwaitState(port(), "SYN_RECV");
  Socket other = member.Bound(port()).Listening(), target = member.Bound(port()).Listening();
  SocketMap members(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 1);
  EXPECT_THAT(members.Put(0, target), Succeeds());
  EXPECT_THAT(Attach(other, LoadedProgram::OfMigration(members, 0)), Succeeds());

  closing.Close();
  for (Socket& client : clients) client.Send("x");

  EXPECT_THAT(LiveAndReset(clients), Gets(kMany, 0));
  EXPECT_THAT(QueuedConnections({&other, &target}), Gets(0, kMany));
}

CLAIM({.id = "ebpf.migration_program_refuses",
       .says = "Where such a program says SK_DROP, the connections of a closing listener are reset, also with "
               "net.ipv4.tcp_migrate_req.",
       .kernels = "since 5.14",
       .rows = {"Q-002", "EBPF-001"},
       .sources = {Kernel("reuseport_migrate_sock()"), Kernel("inet_csk_listen_stop()")}});

CASE(SteeringMigration, DropResets, Witnesses("ebpf.migration_program_refuses"),
     Needs(needs::kReusePort, needs::kSkMigrate, needs::kMigration), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  Socket closing = Listener();
  std::vector<Socket> clients = Clients(kMany);
  Socket other = Listener();
  EXPECT_THAT(Attach(other, LoadedProgram::OfMigration(Verdict::kDrop)), Succeeds());

  closing.Close();

  EXPECT_THAT(LiveAndReset(clients), Gets(0, kMany));
  EXPECT_THAT(QueuedConnections({&other}), Gets(0));
}

CLAIM({.id = "bpf.other_programs_are_not_asked_about_migration",
       .says = "Other programs of a group do not choose where connections migrate: without net.ipv4.tcp_migrate_req "
               "they do not, and with it the hash chooses.",
       .kernels = "since 5.14",
       .rows = {"Q-002", "BPF-001"},
       .sources = {Kernel("reuseport_migrate_sock()")}});

CASE(SteeringMigration, ClassicProgramIsNotAsked, Witnesses("bpf.other_programs_are_not_asked_about_migration"),
     Needs(needs::kReusePort, needs::kMigration), Labels("tcp")) {
  EXPECT_THAT(Sysctl("ipv4/tcp_migrate_req", "1"), Succeeds());
  const int count = EnoughToReach(2);
  Socket closing = Listener();
  std::vector<Socket> clients = Clients(count);
  Socket one = Listener(), two = Listener();
  EXPECT_THAT(Attach(one, ToMember(0)), Succeeds());

  closing.Close();

  EXPECT_THAT(LiveAndReset(clients), Gets(count, 0));
  EXPECT_THAT(QueuedConnections({&one, &two}), ReachesEach(count));
}

CASE(SteeringMigration, ProgramForNewConnectionsIsNotAsked,
     Witnesses("bpf.other_programs_are_not_asked_about_migration"), Needs(needs::kReusePort, needs::kSkReuseport),
     Labels("tcp")) {
  Socket closing = Listener();
  std::vector<Socket> clients = Clients(kMany);
  Socket target = Listener();
  SocketMap members(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 1);
  EXPECT_THAT(members.Put(0, target), Succeeds());
  EXPECT_THAT(Attach(target, LoadedProgram::OfGroup(members, 0)), Succeeds());

  closing.Close();

  EXPECT_THAT(LiveAndReset(clients), Gets(0, kMany));
  EXPECT_THAT(QueuedConnections({&target}), Gets(0));
}

}  // namespace
}  // namespace portshare
