// Which of those that sleep until something comes are woken?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/sleeper.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

class WakeUp : public Case {
 protected:
  static Socket Listener() { return Tcp(Loopback4()).Bound(port()).Listening(); }
  static Socket Client() { return Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()); }
};

CLAIM({.id = "tcp.wake.one_of_those_in_accept",
       .says = "A connection wakes one of the threads that sleep in accept(2) on a listening socket: the one that has "
               "waited longest.",
       .rows = {"DIST-001"},
       .sources = {Kernel("inet_csk_wait_for_connect()"), Kernel("prepare_to_wait_exclusive()")},
       .documents = {Truth("EN-13")}});

CASE(WakeUp, AcceptingThreadsAreServedInTurn, Witnesses("tcp.wake.one_of_those_in_accept"), Labels("tcp")) {
  const Socket listener = Listener();
  Sleeper first = Sleeper::InAccept(listener);
  const Sleeper second = Sleeper::InAccept(listener), third = Sleeper::InAccept(listener);
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(0, 0, 0));

  const Socket one = Client();
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(1, 0, 0));
  first.SleepAgain();
  const Socket two = Client();
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(0, 1, 0));
  const Socket three = Client();
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(0, 1, 1));
  const Socket four = Client();
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(1, 1, 1));
}

CLAIM({.id = "tcp.wake.all_in_poll",
       .says = "A connection wakes all threads that sleep in poll(2), or in epoll_wait(2) with an instance each, on a "
               "listening socket.",
       .rows = {"DIST-002"},
       .sources = {Man("epoll_ctl(2), EPOLLEXCLUSIVE"), Kernel("ep_poll_callback()")},
       .documents = {Stated("EN-13")}});

CASE(WakeUp, PollingThreadsAreAllWoken, Witnesses("tcp.wake.all_in_poll"), Labels("tcp")) {
  const Socket listener = Listener();
  const Sleeper first = Sleeper::InPoll(listener), second = Sleeper::InPoll(listener);
  const Sleeper third = Sleeper::InPoll(listener);
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(0, 0, 0));

  const Socket client = Client();

  EXPECT_THAT(Woken({&first, &second, &third}), Gets(1, 1, 1));
}

struct Trigger {
  std::string name;
  uint32_t events;
};
const std::vector<Trigger> kTriggers = {{"level_triggered", 0}, {"edge_triggered", EPOLLET}};

MATRIX(WakeUp, WatchersAreAllWoken, Trigger, kTriggers, Witnesses("tcp.wake.all_in_poll"), Labels("tcp")) {
  const Socket listener = Listener();
  const Watch at_first(listener, row.events), at_second(listener, row.events), at_third(listener, row.events);
  const Sleeper first = Sleeper::InEpoll(at_first), second = Sleeper::InEpoll(at_second);
  const Sleeper third = Sleeper::InEpoll(at_third);
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(0, 0, 0));

  const Socket client = Client();

  EXPECT_THAT(Woken({&first, &second, &third}), Gets(1, 1, 1));
}

CLAIM({.id = "tcp.wake.one_exclusive_watcher",
       .says = "Of threads that sleep in epoll_wait(2) with an instance each, and with EPOLLEXCLUSIVE, a connection "
               "wakes one: of those asleep the one whose instance was the first to watch, again and again.",
       .kernels = "since 4.5",
       .rows = {"DIST-003"},
       .sources = {Man("epoll_ctl(2), EPOLLEXCLUSIVE"), Kernel("ep_ptable_queue_proc()"),
                   Commit("df0108c5da56 epoll: add EPOLLEXCLUSIVE flag")},
       .documents = {Truth("EN-13")}});

CASE(WakeUp, OneExclusiveWatcherIsWoken, Witnesses("tcp.wake.one_exclusive_watcher"), Labels("tcp")) {
  const Socket listener = Listener();
  const Watch at_first(listener, EPOLLEXCLUSIVE), at_second(listener, EPOLLEXCLUSIVE);
  const Watch at_third(listener, EPOLLEXCLUSIVE);
  const Sleeper third = Sleeper::InEpoll(at_third), second = Sleeper::InEpoll(at_second);
  const Sleeper first = Sleeper::InEpoll(at_first);
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(0, 0, 0));

  const Socket one = Client();
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(1, 0, 0));
  const Socket two = Client();
  EXPECT_THAT(Woken({&first, &second, &third}), Gets(1, 1, 0));
}

CASE(WakeUp, TheSameExclusiveWatcherIsWokenAgain, Witnesses("tcp.wake.one_exclusive_watcher"), Labels("tcp")) {
  Socket listener = Listener();
  const Watch at_first(listener, EPOLLEXCLUSIVE), at_second(listener, EPOLLEXCLUSIVE);
  Sleeper first = Sleeper::InEpoll(at_first);
  const Sleeper second = Sleeper::InEpoll(at_second);

  for (int time = 0; time < 5; ++time) {
    const Socket client = Client();
    EXPECT_THAT(Woken({&first, &second}), Gets(1, 0));
    const Socket taken = listener.Accepted();
    first.SleepAgain();
  }
}

CLAIM({.id = "tcp.wake.one_thread_of_an_edge_triggered_instance",
       .says = "Of threads that sleep in epoll_wait(2) on one instance, which watches a listening socket with EPOLLET, "
               "a connection wakes one.",
       .rows = {"DIST-002"},
       .sources = {Man("epoll(7), Level-triggered and edge-triggered"), Kernel("ep_poll_callback()")}});

CASE(WakeUp, OneThreadOfAnEdgeTriggeredInstanceIsWoken, Witnesses("tcp.wake.one_thread_of_an_edge_triggered_instance"),
     Labels("tcp")) {
  const Socket listener = Listener();
  const Watch shared(listener, EPOLLET);
  const Sleeper a = Sleeper::InEpoll(shared), b = Sleeper::InEpoll(shared), c = Sleeper::InEpoll(shared);
  EXPECT_THAT(Woken({&a, &b, &c}), Gets(0, 0, 0));

  const Socket client = Client();

  EXPECT_THAT(Woken({&a, &b, &c}), ReachesOne(1));
}

CLAIM(
    {.id = "tcp.wake.only_at_the_chosen_member",
     .says = "A connection wakes a thread at the member of a SO_REUSEPORT group that gets it, and none at the others.",
     .kernels = "since 3.9",
     .rows = {"DIST-004"},
     .sources = {Man("socket(7), SO_REUSEPORT"), Kernel("reuseport_select_sock()")}});

CASE(WakeUp, OnlyTheChosenMembersThreadIsWoken, Witnesses("tcp.wake.only_at_the_chosen_member"),
     Needs(needs::kReusePort), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort();
  const Socket a = member.Bound(port()).Listening(), b = member.Bound(port()).Listening();
  const Socket c = member.Bound(port()).Listening();
  const Sleeper at_a = Sleeper::InAccept(a), at_b = Sleeper::InAccept(b), at_c = Sleeper::InAccept(c);

  const Socket client = Client();

  EXPECT_THAT(Woken({&at_a, &at_b, &at_c}), ReachesOne(1));
}

}  // namespace
}  // namespace portshare
