// What a case needs of the kernel and of the user, declared as data and probed, never guessed from a version.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace portshare {

// One need.  `probe` is asked inside a private namespace and changes nothing outside it; it returns why the need is not
// met.  Throws CannotAsk when the probe itself could not be made.
struct Need {
  const char* name;  // "second_owner"
  const char* code;  // the skip code, "no_second_owner"
  const char* fix;   // what the reader can do about it
  std::optional<std::string> (*probe)();
  const char* modules = "";  // of the kernel, with spaces between them: a guest loads them where they are not built in
  const Need* first = nullptr;  // without which `probe` would blame the wrong thing
};

struct Unmet {
  const Need* need = nullptr;
  std::string why;
};

// The first of `needs`, or of what they need first, that is not met.
std::optional<Unmet> FirstUnmet(const std::vector<const Need*>& needs);

// Whether `need` is one of `needs`, or what one of them needs first.
bool Includes(const std::vector<const Need*>& needs, const Need& need);

namespace needs {
extern const Need kNamespace;  // of every case
extern const Need kReusePort;
extern const Need kSecondOwner;   // becomes it and gives it sockets
extern const Need kReducedChild;  // InChild()
extern const Need kUserNamespace;
extern const Need kNetBindService;  // the capability
extern const Need kNetRaw;          // likewise: raw sockets, and devices that are changed
extern const Need kPacketPeer;      // packet_peer.h
extern const Need kSysctl;          // Case::Sysctl()
extern const Need kIpv6;
extern const Need kVeth;
extern const Need kDummy;
extern const Need kVrf;
extern const Need kMptcp;
extern const Need kUdpLite;
extern const Need kSctp;
extern const Need kDccp;
extern const Need kVsock;
extern const Need kRepair;
extern const Need kMigration;  // in effect: some kernels have the sysctl without it
extern const Need kSynCookies;
extern const Need kManySockets;
extern const Need kAutobindReuse;
extern const Need kLocalPortRange;
extern const Need kPortStepWidth;
extern const Need kSeccomp;
extern const Need kI386;
extern const Need kGenericNumbers;  // of socket options: uapi/asm-generic/socket.h
extern const Need kPython;
}  // namespace needs

const std::vector<const Need*>& AllNeeds();

}  // namespace portshare
