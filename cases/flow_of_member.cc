// Which flows does a SO_REUSEPORT group give to which member, and which of them move when a member joins or leaves?
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "harness/case.h"
#include "harness/deadline.h"
#include "harness/journal.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

// A group keeps its members in places: a newcomer takes the place after the last one, and who leaves is followed in his
// place by the last one.  A flow with hash h goes to place h * members / 2^32.  So its place among twelve tells its
// place among two, three, four and six: twelve is a multiple of each.  reuseport_add_sock(), reuseport_detach_sock()
constexpr int kTwelve = 12;

struct Group {
  std::string name;
  SocketSpec member;
  Address client;
  int type;
  CaseFacts facts = {};
};

const std::vector<Group> kGroups = {
    {"tcp4", Tcp(Loopback4()).ReusePort(), Loopback4(), SOCK_STREAM, Labels("tcp")},
    {"tcp6", Tcp(Loopback6()).ReusePort(), Loopback6(), SOCK_STREAM, Merged({Labels("tcp"), Needs(needs::kIpv6)})},
    {"tcp4_at_dual_stack", Tcp(Any6()).DualStack().ReusePort(), Loopback4(), SOCK_STREAM,
     Merged({Labels("tcp"), Needs(needs::kIpv6)})},
    {"udp4", Udp(Loopback4()).ReusePort(), Loopback4(), SOCK_DGRAM, Labels("udp")},
    {"udp6", Udp(Loopback6()).ReusePort(), Loopback6(), SOCK_DGRAM, Merged({Labels("udp"), Needs(needs::kIpv6)})},
    {"udp4_at_dual_stack", Udp(Any6()).DualStack().ReusePort(), Loopback4(), SOCK_DGRAM,
     Merged({Labels("udp"), Needs(needs::kIpv6)})},
};

class FlowOfMember : public Case {
 protected:
  static constexpr uint16_t kFirstFlow = 20000;
  // Each of four members has some of them; and each of twelve.
  static int Few() { return EnoughToReach(4); }
  static int Many() { return EnoughToReach(kTwelve); }
  using Members = std::vector<Socket>;
  // Of each flow, the number of the member that it came to; -1 for none.
  using Ends = std::vector<int>;

  static void Join(Members& members, const Group& group) {
    Socket member = group.member.Bound(port());
    members.push_back(group.type == SOCK_STREAM ? std::move(member).Listening() : std::move(member));
  }
  static Members Joined(int count, const Group& group) {
    Members members;
    for (int member = 0; member < count; ++member) Join(members, group);
    return members;
  }
  // The last ones, so that the others keep their places.
  static void LeaveBut(size_t count, Members& members) {
    for (; members.size() > count; members.pop_back()) members.back().Close();
  }

  // One connection or datagram from each flow's port; every member's queue is emptied.
  static Ends EndsOf(const Group& group, const Members& members, int flows = Few()) {
    Ends ends(static_cast<size_t>(flows), -1);
    // A receive buffer holds some 200 datagrams.
    constexpr int kAtOnce = 100;
    for (int flow = 0; flow < flows;) {
      std::vector<Descriptor> clients;
      for (const int stop = std::min(flow + kAtOnce, flows); flow < stop; ++flow) {
        clients.push_back(Sent(group, static_cast<uint16_t>(kFirstFlow + flow)));
      }
      AwaitDelivery();
      int number = 0;
      for (const Socket& member : members) {
        for (int from = TakenFrom(group, member); from >= 0; from = TakenFrom(group, member)) {
          ends.at(static_cast<size_t>(from)) = number;
        }
        ++number;
      }
    }
    return ends;
  }

  // How many flows end where `expected` says, and how many do not: "300/0".
  static Share Agreement(const std::string& step, const Ends& ends, const Ends& expected) {
    int agree = 0, differ = 0;
    for (size_t flow = 0; flow < ends.size(); ++flow) ++(ends[flow] == expected[flow] ? agree : differ);
    return Counted(step, {agree, differ});
  }
  static auto All(int flows = Few()) { return Gets(flows, 0); }

  // Whether all, some or none of a member's flows have stayed with it.
  static Outcome KeptBy(int member, const Ends& before, const Ends& after) {
    int kept = 0, lost = 0;
    for (size_t flow = 0; flow < before.size(); ++flow) {
      if (before[flow] == member) ++(after[flow] == member ? kept : lost);
    }
    const char* const answer = lost == 0 ? "all" : kept == 0 ? "none" : "some";
    return Journal::Get().Answered(Outcome{"flows that member " + std::to_string(member) + " keeps", 0, answer});
  }

  // How many flows each place gets.
  static Share Spread(const Ends& ends, int places) {
    std::vector<int> counts(static_cast<size_t>(places));
    for (const int end : ends) {
      if (end >= 0) ++counts.at(static_cast<size_t>(end));
    }
    return Counted("flows by place", counts);
  }

  // Who gets each flow if these members hold the places, in this order.
  static Ends By(const Ends& among_twelve, const std::vector<int>& places) {
    const int each = kTwelve / static_cast<int>(places.size());
    Ends ends;
    for (const int place : among_twelve) ends.push_back(place < 0 ? -1 : places.at(static_cast<size_t>(place / each)));
    return ends;
  }

 private:
  static Descriptor Sent(const Group& group, uint16_t from) {
    Descriptor client(socket(group.client.family(), group.type | SOCK_CLOEXEC, 0));
    if (!client.open()) throw CannotAsk("socket for a client", errno);
    LimitSends(client.number());
    const linger at_once{1, 0};
    setsockopt(client.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    const SocketAddress local(group.client, from), server(group.client, port());
    if (bind(client.number(), local.get(), local.length) != 0 ||
        connect(client.number(), server.get(), server.length) != 0 ||
        (group.type == SOCK_DGRAM && send(client.number(), "x", 1, 0) != 1)) {
      Journal::Get().Needs(Journal::Get().Answered(Outcome{"flow from port " + std::to_string(from), errno, ""}));
    }
    return client;
  }

  // The number of a flow that waits at the member; -1 when none does.
  static int TakenFrom(const Group& group, const Socket& member) {
    SocketAddress client;
    pollfd waits{member.descriptor(), POLLIN, 0};
    if (poll(&waits, 1, 0) != 1 || (waits.revents & POLLIN) == 0) return -1;
    if (group.type == SOCK_STREAM) {
      const Descriptor taken(accept4(member.descriptor(), client.get(), &client.length, SOCK_CLOEXEC));
      if (!taken.open()) throw CannotAsk("accept", errno);
    } else {
      char byte = 0;
      if (recvfrom(member.descriptor(), &byte, 1, MSG_DONTWAIT, client.get(), &client.length) < 0) {
        throw CannotAsk("receive", errno);
      }
    }
    return client.port() - kFirstFlow;
  }
};

CLAIM({.id = "group.flow.same_tuple_same_member",
       .says = "While no member joins or leaves, every flow comes to the same member again, and each member has flows.",
       .kernels = "since 3.9",
       .sources = {Kernel("reuseport_select_sock()"), Kernel("inet_ehashfn()"), Kernel("udp_ehashfn()")}});

MATRIX(FlowOfMember, StaysWhereItWas, Group, kGroups, Witnesses("group.flow.same_tuple_same_member"),
       Needs(needs::kReusePort)) {
  const Members members = Joined(kTwelve, row);
  const Ends first = EndsOf(row, members, Many());

  EXPECT_THAT(Spread(first, kTwelve), ReachesEach(Many()));
  EXPECT_THAT(Agreement("where they were/elsewhere", EndsOf(row, members, Many()), first), All(Many()));
}

CLAIM(
    {.id = "group.flow.moves_as_the_hash_says",
     .says = "When the newest member leaves or another joins, exactly the flows move whose place by hash among so many "
             "members is another, and a member that joins in the place of one that left gets exactly its flows.",
     .kernels = "since 4.6",
     .sources = {Kernel("reuseport_select_sock(), reciprocal_scale()"), Kernel("reuseport_add_sock()"),
                 Kernel("reuseport_detach_sock()")}});

MATRIX(FlowOfMember, MovesAsTheHashSays, Group, kGroups, Witnesses("group.flow.moves_as_the_hash_says"),
       Needs(needs::kReusePort)) {
  Members members = Joined(kTwelve, row);
  const Ends among_twelve = EndsOf(row, members);

  LeaveBut(4, members);
  EXPECT_THAT(Agreement("as four", EndsOf(row, members), By(among_twelve, {0, 1, 2, 3})), All());
  LeaveBut(3, members);
  EXPECT_THAT(Agreement("as three", EndsOf(row, members), By(among_twelve, {0, 1, 2})), All());
  LeaveBut(2, members);
  EXPECT_THAT(Agreement("as two", EndsOf(row, members), By(among_twelve, {0, 1})), All());
  Join(members, row);
  EXPECT_THAT(Agreement("as three", EndsOf(row, members), By(among_twelve, {0, 1, 2})), All());
  LeaveBut(1, members);
  EXPECT_THAT(Agreement("as one", EndsOf(row, members), By(among_twelve, {0})), All());
}

CLAIM(
    {.id = "group.flow.last_member_fills_the_gap",
     .says = "When another member than the newest leaves, the newest takes its place: of those that stay, exactly the "
             "ones move whose place is another or whose place has changed hands, and the newest loses all that it had.",
     .kernels = "since 4.6",
     .sources = {Kernel("reuseport_detach_sock()"), Kernel("reuseport_select_sock(), reciprocal_scale()")}});

MATRIX(FlowOfMember, FollowsTheNewestIntoTheGap, Group, kGroups, Witnesses("group.flow.last_member_fills_the_gap"),
       Needs(needs::kReusePort)) {
  Members members = Joined(kTwelve, row);
  const Ends among_twelve = EndsOf(row, members, Many());
  LeaveBut(4, members);
  const Ends among_four = EndsOf(row, members, Many());

  members[1].Close();
  const Ends among_three = EndsOf(row, members, Many());

  EXPECT_THAT(Agreement("as three", among_three, By(among_twelve, {0, 3, 2})), All(Many()));
  EXPECT_THAT(KeptBy(0, among_four, among_three), Is("all"));
  EXPECT_THAT(KeptBy(2, among_four, among_three), Is("some"));
  EXPECT_THAT(KeptBy(3, among_four, among_three), Is("none"));
}

CLAIM(
    {.id = "group.flow.shut_down_member_leaves",
     .says = "A listener that is shut down leaves its place as one that closes does, and takes the last place when it "
             "listens again, with net.ipv4.tcp_migrate_req and without.",
     .kernels = "since 4.6",
     .rows = {"Q-018"},
     .sources = {Kernel("reuseport_stop_listen_sock()"), Kernel("reuseport_resurrect()"),
                 Kernel("inet_csk_listen_stop()")}});

struct Migration {
  std::string name;
  std::string value;
  CaseFacts facts = {};
};

const std::vector<Migration> kMigrations = {{"alone", "0"}, {"with_migration", "1", Needs(needs::kMigration)}};

MATRIX(FlowOfMember, FollowsAListenerThatIsShutDown, Migration, kMigrations,
       Witnesses("group.flow.shut_down_member_leaves"), Needs(needs::kReusePort), Labels("tcp")) {
  if (row.value == "1") Journal::Get().Needs(Sysctl("ipv4/tcp_migrate_req", row.value));
  const Group& group = kGroups.front();
  Members members = Joined(kTwelve, group);
  const Ends among_twelve = EndsOf(group, members);
  LeaveBut(4, members);

  EXPECT_THAT(members[1].Shutdown(SHUT_RDWR), Succeeds());
  EXPECT_THAT(Agreement("as three", EndsOf(group, members), By(among_twelve, {0, 3, 2})), All());
  EXPECT_THAT(members[1].Listen(), Succeeds());
  EXPECT_THAT(Agreement("as four", EndsOf(group, members), By(among_twelve, {0, 3, 2, 1})), All());
}

CLAIM({.id = "group.flow.connected_udp_member_leaves",
       .says = "A UDP member on a specific address that connects leaves its group: the flows move as if it had closed.",
       .kernels = "since 6.13",
       .sources = {Kernel("udp_lib_hash4()"), Kernel("reuseport_detach_sock()")}});

const std::vector<Group> kUdpGroups = {kGroups[3], kGroups[4]};

MATRIX(FlowOfMember, FollowsAMemberThatConnects, Group, kUdpGroups, Witnesses("group.flow.connected_udp_member_leaves"),
       Needs(needs::kReusePort), Follows("udp_files_by_connection")) {
  Members members = Joined(kTwelve, row);
  const Ends among_twelve = EndsOf(row, members);
  LeaveBut(4, members);

  EXPECT_THAT(members[1].Connect(row.client, 9000), Succeeds());

  EXPECT_THAT(Agreement("as three", EndsOf(row, members), By(among_twelve, {0, 3, 2})), All());
}

}  // namespace
}  // namespace portshare
