// Who owns a socket: the uid that the kernel keeps for it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "harness/outcome.h"

namespace portshare {

// A uid inside the suite's user namespace (or the machine's own, as root) and its name in a case.
struct Owner {
  uid_t uid = 0;
  std::string name;

  bool operator==(const Owner& other) const { return uid == other.uid; }
};

Owner Root();
Owner Alice();
Owner Bob();
Owner Carol();

// While it lives, this thread acts as `owner`: effective uid, and with it the fsuid and the effective capabilities.
// credentials(7), capabilities(7).  Throws CannotAsk.
class As {
 public:
  explicit As(const Owner& owner);
  ~As();
  As(const As&) = delete;
  As& operator=(const As&) = delete;

 private:
  uid_t before_;
};

// While it lives, this thread's fsuid alone differs from its effective uid.  setfsuid(2).  Throws CannotAsk.
class AsFileOwner {
 public:
  explicit AsFileOwner(const Owner& owner);
  ~AsFileOwner();
  AsFileOwner(const AsFileOwner&) = delete;
  AsFileOwner& operator=(const AsFileOwner&) = delete;

 private:
  uid_t before_;
};

// What a child process is reduced to: all three uids and gids, and exactly these capabilities (CAP_*) in its permitted
// and effective sets, none in its bounding set.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<int> capabilities;
};

// Runs `ask` in a child process, which the story names as `who` ("in a child process as `who`").  The child's steps
// join this case's journal; a refusal that ends the child's steps, or an expectation missed there, ends the case.
// Throws CannotAsk when the child could not be made or heard.
std::vector<Outcome> InAnotherProcess(const std::string& who, const std::function<std::vector<Outcome>()>& ask);

// The same in a child that libcap-ng reduced to `identity`, verified in the child before anything is asked.
std::vector<Outcome> InChild(const Identity& identity, const std::function<std::vector<Outcome>()>& ask);

// The same in a child that is uid 0 of a user namespace of its own, mapped to `owner` outside.  user_namespaces(7)
std::vector<Outcome> InUserNamespaceOf(const Owner& owner, const std::function<std::vector<Outcome>()>& ask);

}  // namespace portshare
