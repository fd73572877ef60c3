// What the cases with real servers share: a room for them, clients that wait, and the facts of who listens.
#pragma once

#include <grp.h>
#include <pwd.h>

#include <optional>
#include <string>
#include <vector>

#include "harness/case.h"
#include "harness/listeners.h"
#include "harness/matchers.h"
#include "harness/server.h"
#include "harness/server_needs.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {

// Each server is told to have so many workers or threads, however many cores the machine has.
inline constexpr int kServerWorkers = 3;

// Servers are started in the network of the case and in a room that ends with it.
class ServerCase : public Case {
 protected:
  ServerRoom& room() { return room_ ? *room_ : room_.emplace(); }
  Server Start(const Launch& launch) { return Server(room(), launch); }

  void TearDown() override {
    room_.reset();
    Case::TearDown();
  }

 private:
  std::optional<ServerRoom> room_;
};

// As CountTcpListeners() tells it.
inline std::string OfRoot(int count) {
  return std::to_string(count) + " of uid 0";
}

// The user by that name of the machine that servers give up root for.
inline Owner Named(const std::string& name) {
  const passwd* const user = getpwnam(name.c_str());
  return user == nullptr ? Carol() : Owner{user->pw_uid, name};
}

// That user's own group, by name.
inline std::string GroupOf(const std::string& user) {
  const passwd* const entry = getpwnam(user.c_str());
  const group* const own = entry == nullptr ? nullptr : getgrgid(entry->pw_gid);
  return own == nullptr ? "nogroup" : own->gr_name;
}

// Clients whose requests are sent, whether or not a server has accepted them.
std::vector<Socket> AskingClients(int count, uint16_t port);
// Clients that have only sent their SYNs, and none of them is answered yet.
std::vector<Socket> BeginningClients(int count, uint16_t port);
// Waits until each of them is connected or refused; the other one sends its request then, too.
void AwaitConnections(const std::vector<Socket>& clients);
void AskOnceConnected(const std::vector<Socket>& clients);
// How many of them are answered by HTTP, and how many lose their connection instead: "50/0".
Share AnsweredAndLost(const std::vector<Socket>& clients);

}  // namespace portshare
