// Servers as a distribution ships them, in the network of the case.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/outcome.h"
#include "harness/owner.h"
#include "netns/descriptor.h"

namespace portshare {

// A PID namespace and a folder /run of its own, a tmpfs, for the servers of a case.  The kernel ends every process in
// it and takes the folder away as soon as this object or its process ends, whatever the end was.
class ServerRoom {
 public:
  // Throws CannotAsk.
  ServerRoom();
  // All of its servers are gone before.
  ~ServerRoom();
  ServerRoom(const ServerRoom&) = delete;
  ServerRoom& operator=(const ServerRoom&) = delete;

  // Why no server could live in one here, if so.  Throws CannotAsk for a shortage.
  static std::optional<std::string> Missing();

  // A file of the room: `name` becomes /run/`name`.  Throws CannotAsk.
  void Write(const std::string& name, const std::string& text) const;

 private:
  friend class Server;

  pid_t first_ = 0;  // process 1 of the room; it ends when nobody holds `lifeline_`
  Descriptor lifeline_;
};

// How a server is started.
struct Launch {
  std::string name;                // stands for it in the story
  std::vector<std::string> words;  // the program, found as FindServer() does, and its arguments
  Owner owner = Root();
  bool on_linux_38 = false;    // it meets a kernel without SO_REUSEPORT
  int passed_descriptor = -1;  // what it finds as descriptor 3
};

// The path of a program in PATH or in a folder of the system's own programs; "" where there is none.
std::string FindServer(const std::string& program);

// A running server and its workers.  It starts in /run of its room, without input.  It ends with this object.
class Server {
 public:
  // Returns when the program has been started; throws CannotAsk when it could not be.
  Server(const ServerRoom& room, const Launch& launch);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Its number in its room.
  pid_t number() const { return number_; }

  // Asks for one page (HTTP/1.0) or one name (DNS over UDP) at 127.0.0.1 until it is answered.  ETIMEDOUT when it never
  // was, ESRCH when the server ended instead.
  Outcome ServesHttp(uint16_t port);
  Outcome ServesDns(uint16_t port);

  // How it ends by itself: "exit code 1", "signal ABRT".  ETIMEDOUT when it goes on.
  Outcome Ended();
  // Whether it has printed this, or does so soon.  ETIMEDOUT
  Outcome Prints(const std::string& text);

  void Signal(int signal) const;
  // Returns when it has ended.
  void Kill();
  // SIGSTOP; returns when it is stopped.  Throws CannotAsk.
  void Freeze();
  void Thaw() const { Signal(SIGCONT); }

  // Its child processes now.
  std::vector<pid_t> Workers() const;
  // Their number once it is `wanted`; after a while whatever it is then.
  Outcome AwaitWorkers(int wanted);

 private:
  Outcome Serves(const std::string& step, const std::function<bool(int)>& asked);
  // Whether it has ended; takes its status then.
  bool Gone();
  std::string Printed() const;
  Outcome Answered(const std::string& step, int error, const std::string& answer = "");

  std::string name_;
  pid_t process_ = 0;
  pid_t number_ = 0;
  bool gone_ = false;
  int status_ = 0;
  Descriptor printed_;  // a file without a name
};

// SIGSTOP and SIGKILL for processes that are not children of this one; each returns when they are stopped or dead.
// Throws CannotAsk.
void FreezeAll(const std::vector<pid_t>& processes);
void KillAll(const std::vector<pid_t>& processes);

}  // namespace portshare
