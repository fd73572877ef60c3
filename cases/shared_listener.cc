// What happens when several workers wait on one listening socket?
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/waiter.h"

namespace portshare {
namespace {

class SharedListener : public Case {
 protected:
  static Socket Listener() { return Tcp(Loopback4()).Bound(port()).Listening(); }
  static Socket Client() { return Tcp(Loopback4()).Made().ConnectedTo(Loopback4(), port()); }
};

CLAIM(
    {.id = "tcp.shared_listener.every_waiter_is_told",
     .says = "Of a connection at a listening socket that several workers watch, each by an epoll instance of its own, "
             "all of them are told, until one has taken it.",
     .sources = {Man("epoll(7), Level-triggered and edge-triggered"), Man("epoll_ctl(2), EPOLLEXCLUSIVE")},
     .documents = {Stated("EN-13"), Stated("ES-18")}});

CASE(SharedListener, TellsEveryWaiterOfAConnection, Witnesses("tcp.shared_listener.every_waiter_is_told"),
     Labels("tcp")) {
  const Socket a = Listener();
  const Socket b = a.Passed(), c = a.Passed(), d = a.Passed();
  const Waiter at_a(a), at_b(b), at_c(c), at_d(d);

  const Socket client = Client();

  EXPECT_THAT(Told({&at_a, &at_b, &at_c, &at_d}), Gets(1, 1, 1, 1));
}

CASE(SharedListener, TellsNobodyOnceTheConnectionIsTaken, Witnesses("tcp.shared_listener.every_waiter_is_told"),
     Labels("tcp")) {
  Socket a = Listener();
  const Socket b = a.Passed();
  const Waiter at_a(a), at_b(b);

  const Socket client = Client();
  const Socket taken = a.Accepted();

  EXPECT_THAT(Told({&at_a, &at_b}), Gets(0, 0));
}

CLAIM({.id = "tcp.shared_listener.one_accept_gets_it",
       .says = "Of the workers that try to accept one connection from a shared listening socket one gets it, and the "
               "others find the queue empty.",
       .sources = {Man("accept(2), EAGAIN"), Kernel("inet_csk_accept()")},
       .documents = {Stated("EN-13")}});

CASE(SharedListener, GivesAConnectionToTheFirstThatAccepts, Witnesses("tcp.shared_listener.one_accept_gets_it"),
     Labels("tcp")) {
  Socket a = Listener();
  Socket b = a.Passed(), c = a.Passed();

  const Socket client = Client();

  const auto [first, connection] = c.TryAccept();
  EXPECT_THAT(first, Succeeds());
  EXPECT_THAT(a.TryAccept().first, FailsWith(EAGAIN));
  EXPECT_THAT(b.TryAccept().first, FailsWith(EAGAIN));
}

}  // namespace
}  // namespace portshare
