// What do clients notice of a reload while their SYNs are held back on their way to the server?
#include "cases/servers.h"
#include "harness/plug_need.h"
#include "netns/plug.h"

namespace portshare {
namespace {

class ReloadHeldBack : public Case {
 protected:
  static constexpr int kClients = 20;

  static Socket Listener() { return Tcp(Loopback4()).ReusePort().Bound(port()).Listening(); }
};

CLAIM({.id = "tcp.reload.held_back_syns_lose_nothing",
       .says = "Clients whose SYNs are held back until the next listener stands notice nothing of a reload, even if "
               "nobody listens for a while; without that they are refused.",
       .sources = {Man("tc(8)"), Kernel("plug_enqueue()"), Kernel("tcp_v4_rcv()")},
       .documents = {Stated("EN-19")}});

CASE(ReloadHeldBack, LosesNothingThatAPlugHolds, Witnesses("tcp.reload.held_back_syns_lose_nothing"),
     Needs(needs::kReusePort, needs::kPlug), Labels("tcp")) {
  Socket old = Listener();
  const Plug plug("lo");
  const std::vector<Socket> clients = BeginningClients(kClients, port());

  old.Close();
  Socket next = Listener();
  plug.Pull();
  AwaitConnections(clients);

  EXPECT_THAT(LiveAndReset(clients), Gets(kClients, 0));
  EXPECT_THAT(QueuedConnections({&next}), Gets(kClients));
}

CASE(ReloadHeldBack, RefusesWhatAPlugLetsGoTooEarly, Witnesses("tcp.reload.held_back_syns_lose_nothing"),
     Needs(needs::kReusePort, needs::kPlug), Labels("tcp")) {
  Socket old = Listener();
  const Plug plug("lo");
  std::vector<Socket> clients = BeginningClients(kClients, port());

  old.Close();
  plug.Pull();
  AwaitConnections(clients);
  Socket next = Listener();

  for (Socket& client : clients) EXPECT_THAT(client.Get(so::kError), Is(ECONNREFUSED));
  EXPECT_THAT(QueuedConnections({&next}), Gets(0));
}

}  // namespace
}  // namespace portshare
