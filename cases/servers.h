// What the cases with real servers share: a room for them, clients that wait, and the facts of who listens.
#pragma once

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

// Servers are started in the network of the case and in a room that ends with it.
class ServerCase : public Case {
 protected:
  // Each server has so many workers or threads; more than most machines of a test have cores would prove no more.
  static constexpr int kWorkers = 3;

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

// Clients whose requests are sent, whether or not a server has accepted them.
std::vector<Socket> AskingClients(int count, uint16_t port);
// How many of them are answered by HTTP, and how many lose their connection instead: "50/0".
Share AnsweredAndLost(const std::vector<Socket>& clients);

}  // namespace portshare
