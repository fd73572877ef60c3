// A network of one's own, as root or inside a user namespace.
#pragma once

#include <string>

#include "netns/descriptor.h"

namespace portshare {

// How this process came to make namespaces, and so how many owners it can speak for.
enum class Privilege {
  kRoot,          // real root: every uid
  kSubuidRanges,  // a user namespace with the ranges of /etc/subuid, or with all uids of a container: many uids
  kOneUid,        // a user namespace with one uid
  kNone,          // neither: see PrivilegeTrouble()
};

// Makes the process root of a user namespace unless it can make network namespaces already.  Called once, before any
// thread; later calls give the first answer again.  Throws CannotAsk.
Privilege BecomeNamespaceRoot();

// "root", "subuid_ranges", "one_uid" or "none".
std::string PrivilegeName(Privilege privilege);

// What stood in the way: never empty for kNone, and told for kOneUid where ranges should have been mapped.
const std::string& PrivilegeTrouble();

// A new network namespace, entered by the calling thread, with lo up; the namespace before it is entered again at the
// end.  Throws CannotAsk.
class PrivateNetwork {
 public:
  PrivateNetwork();
  ~PrivateNetwork();
  PrivateNetwork(const PrivateNetwork&) = delete;
  PrivateNetwork& operator=(const PrivateNetwork&) = delete;

 private:
  explicit PrivateNetwork(Descriptor before);

  Descriptor before_;
};

}  // namespace portshare
