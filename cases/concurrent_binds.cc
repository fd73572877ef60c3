// Who gets a port that several ask for at the same moment?
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "cases/rows.h"
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/meanwhile.h"
#include "harness/owner.h"
#include "harness/socket.h"
#include "harness/traffic.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {
namespace {

// What is asked of a socket on port 7777 of 127.0.0.1: 0, or the errno.
using Question = int (*)(int socket);

int Binds(int socket) {
  const SocketAddress address(Loopback4(), 7777);
  return bind(socket, address.get(), address.length) == 0 ? 0 : errno;
}

int Listens(int socket) {
  return listen(socket, 1024) == 0 ? 0 : errno;
}

int BindsAndListens(int socket) {
  const int error = Binds(socket);
  return error == 0 ? Listens(socket) : error;
}

// The answer that each socket got.
std::vector<int> AskedAtOnce(const std::vector<int>& sockets, Question ask) {
  std::vector<int> answers(sockets.size());
  AtOnce(sockets.size(), [&](size_t racer) { answers[racer] = ask(sockets[racer]); });
  return answers;
}

int Winners(const std::vector<int>& answers) {
  return static_cast<int>(std::count(answers.begin(), answers.end(), 0));
}

constexpr int kFour = 4;

class ConcurrentBinds : public Case {
 protected:
  static constexpr int kRounds = 100;

  static std::vector<Descriptor> Opened(int count, int type, Sharing sharing) {
    std::vector<Descriptor> sockets;
    while (static_cast<int>(sockets.size()) < count) {
      sockets.emplace_back(socket(AF_INET, type | SOCK_CLOEXEC, 0));
      if (!sockets.back().open()) throw CannotAsk("socket", errno);
      if (sharing == Sharing::kReuseAddr) SetOn(sockets.back(), so::kReuseAddr);
      if (sharing == Sharing::kReusePort) SetOn(sockets.back(), so::kReusePort);
    }
    return sockets;
  }
  static std::vector<int> Numbers(const std::vector<Descriptor>& sockets) {
    std::vector<int> numbers;
    for (const Descriptor& socket : sockets) numbers.push_back(socket.number());
    return numbers;
  }

 private:
  static void SetOn(const Descriptor& socket, Option option) {
    const int on = 1;
    if (setsockopt(socket.number(), option.level, option.number, &on, sizeof on) != 0) {
      throw CannotAsk(std::string("set ") + option.word, errno);
    }
  }
};

CLAIM({.id = "bind.concurrent.one_wins",
       .says = "Of sockets that ask for one port at the same moment exactly one gets it without a flag, and every one "
               "does with SO_REUSEPORT; the others are told EADDRINUSE.",
       .rows = {"RACE-002", "RACE-003"},
       .sources = {Man("bind(2), EADDRINUSE"), Kernel("inet_csk_get_port()"), Kernel("udp_lib_get_port()")}});

struct Racers {
  std::string name;
  int type;
  Sharing sharing;
  int winners;
  CaseFacts facts;
};

const std::vector<Racers> kRacers = {
    {"tcp", SOCK_STREAM, Sharing::kNone, 1, Labels("tcp")},
    {"udp", SOCK_DGRAM, Sharing::kNone, 1, Labels("udp")},
    {"tcp_reuseport", SOCK_STREAM, Sharing::kReusePort, kFour, Merged({Labels("tcp"), Needs(needs::kReusePort)})},
    {"udp_reuseport", SOCK_DGRAM, Sharing::kReusePort, kFour, Merged({Labels("udp"), Needs(needs::kReusePort)})},
    {"tcp_reuseaddr", SOCK_STREAM, Sharing::kReuseAddr, kFour, Labels("tcp")},
    {"udp_reuseaddr", SOCK_DGRAM, Sharing::kReuseAddr, kFour, Labels("udp")},
};

MATRIX(ConcurrentBinds, ExactlyOneOrAllWin, Racers, kRacers, Witnesses("bind.concurrent.one_wins")) {
  std::vector<int> rounds(kFour + 1);
  int other = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<Descriptor> sockets = Opened(kFour, row.type, row.sharing);
    const std::vector<int> answers = AskedAtOnce(Numbers(sockets), Binds);
    ++rounds.at(static_cast<size_t>(Winners(answers)));
    for (const int answer : answers) {
      if (answer != 0 && answer != EADDRINUSE) other = answer;
    }
  }

  const Share won = Counted("rounds with none/one/two/three/four winners", rounds, other);
  if (row.winners == 1) {
    EXPECT_THAT(won, Gets(0, kRounds, 0, 0, 0));
  } else {
    EXPECT_THAT(won, Gets(0, 0, 0, 0, kRounds));
  }
}

CLAIM({.id = "bind.concurrent.one_owner_wins",
       .says = "When two sockets each of two users ask for one port at the same moment with SO_REUSEPORT, both of one "
               "user get it and none of the other.",
       .kernels = "since 3.9",
       .rows = {"RACE-003"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("inet_csk_get_port()"), Kernel("udp_lib_get_port()")},
       .documents = {Stated("ES-02")}});

MATRIX(ConcurrentBinds, OneOwnerAloneWins, ProtocolRow, kProtocols, Witnesses("bind.concurrent.one_owner_wins"),
       Needs(needs::kReusePort, needs::kSecondOwner)) {
  const int type = row.name == "tcp" ? SOCK_STREAM : SOCK_DGRAM;
  int alone = 0, otherwise = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Descriptor> sockets;
    for (const Owner& owner : {Alice(), Bob(), Alice(), Bob()}) {
      const As maker(owner);
      sockets.push_back(std::move(Opened(1, type, Sharing::kReusePort).front()));
    }
    const std::vector<int> answers = AskedAtOnce(Numbers(sockets), Binds);
    ++(Winners(answers) == 2 && answers[0] == answers[2] && answers[1] == answers[3] ? alone : otherwise);
  }

  EXPECT_THAT(Counted("rounds that one owner wins/others", {alone, otherwise}), Gets(kRounds, 0));
}

CLAIM({.id = "tcp.listen.concurrent_members_make_one_group",
       .says = "Sockets with SO_REUSEPORT that bind and listen at the same moment are members of one group: each gets "
               "connections.",
       .kernels = "since 3.9",
       .rows = {"RACE-003"},
       .sources = {Kernel("inet_reuseport_add_sock()"), Kernel("reuseport_alloc()")}});

CASE(ConcurrentBinds, ListenersOfOneMomentAreOneGroup, Witnesses("tcp.listen.concurrent_members_make_one_group"),
     Needs(needs::kReusePort), Labels("tcp")) {
  constexpr int kFewRounds = 5;
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  for (int round = 0; round < kFewRounds; ++round) {
    Socket a = member.Made(), b = member.Made(), c = member.Made(), d = member.Made();
    const std::vector<int> answers =
        AskedAtOnce({a.descriptor(), b.descriptor(), c.descriptor(), d.descriptor()}, BindsAndListens);
    EXPECT_THAT(Counted("listeners", {Winners(answers)}), Is(kFour));

    EXPECT_THAT(ConnectionsOver({&a, &b, &c, &d}, EnoughToReach(kFour), Loopback4(), port()),
                ReachesEach(EnoughToReach(kFour)));
  }
}

CLAIM(
    {.id = "tcp.listen.concurrent_at_most_one_wins",
     .says = "Of two sockets that share a TCP port by SO_REUSEADDR and listen at the same moment at most one does, and "
             "the other one can once it has closed: the port is never lost.",
     .rows = {"RACE-001"},
     .sources = {Man("listen(2), EADDRINUSE"), Kernel("inet_csk_listen_start(), inet_csk_get_port()")}});

CASE(ConcurrentBinds, AtMostOneListensByReuseAddr, Witnesses("tcp.listen.concurrent_at_most_one_wins"), Labels("tcp")) {
  int both = 0, lost = 0, other = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Descriptor> sockets = Opened(2, SOCK_STREAM, Sharing::kReuseAddr);
    for (const Descriptor& socket : sockets) {
      if (Binds(socket.number()) != 0) throw CannotAsk("bind", errno);
    }
    const std::vector<int> answers = AskedAtOnce(Numbers(sockets), Listens);
    if (Winners(answers) == 2) ++both;
    for (const int answer : answers) {
      if (answer != 0 && answer != EADDRINUSE) other = answer;
    }
    // Where neither won, each saw the other announce itself.
    const size_t winner = answers[0] == 0 ? 0 : 1;
    sockets[winner].Close();
    if (Listens(sockets[1 - winner].number()) != 0) ++lost;
  }

  EXPECT_THAT(Counted("rounds that both win/that lose the port", {both, lost}, other), Gets(0, 0));
}

}  // namespace
}  // namespace portshare
