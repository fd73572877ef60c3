// Programs that choose a socket: classic ones, and eBPF ones that are loaded with bpf(2) from instructions of our own.
#pragma once

#include <linux/bpf.h>
#include <linux/filter.h>

#include <string>
#include <vector>

#include "harness/need.h"
#include "harness/option.h"
#include "harness/outcome.h"
#include "harness/socket.h"
#include "netns/descriptor.h"

namespace portshare {

namespace so {
inline constexpr Option kSteerByClassic{SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, "attach_reuseport_cbpf"};
inline constexpr Option kSteerByLoaded{SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, "attach_reuseport_ebpf"};
inline constexpr Option kEndSteering{SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, "detach_reuseport_bpf"};
}  // namespace so

// Each is asked by loading the smallest program of its type, or by making such a map.
namespace needs {
extern const Need kBpf;          // BPF_PROG_TYPE_SOCKET_FILTER
extern const Need kSkReuseport;  // BPF_PROG_TYPE_SK_REUSEPORT
extern const Need kSkLookup;     // BPF_PROG_TYPE_SK_LOOKUP, attached to a namespace
extern const Need kSockMap;      // BPF_MAP_TYPE_SOCKMAP
extern const Need kSkMigrate;    // BPF_PROG_TYPE_SK_REUSEPORT, to be asked about migration, too
}  // namespace needs

// A classic program, as for SO_ATTACH_FILTER; what it returns is the index of a member.  `says` is its word in a story.
struct ClassicProgram {
  std::string says;
  std::vector<sock_filter> steps;
};

// Always the same index.
ClassicProgram ToMember(uint32_t index);
// The first byte after the transport's header, less '0': "1" asks for the second member.
ClassicProgram ByFirstByte();
// 0 for what came over IPv4, 1 for IPv6.
ClassicProgram ByFamily();
// The number of the processor that handles what came.
ClassicProgram ByProcessor();

// SO_ATTACH_REUSEPORT_CBPF
Outcome Attach(const Socket& socket, const ClassicProgram& program);
// SO_DETACH_REUSEPORT_BPF
Outcome Detach(const Socket& socket);

// What an eBPF program returns that does not return an index.
enum class Verdict { kDrop = SK_DROP, kPass = SK_PASS };

// Sockets by index, for programs to choose from.
class SocketMap {
 public:
  // BPF_MAP_TYPE_REUSEPORT_SOCKARRAY or BPF_MAP_TYPE_SOCKMAP.  Throws CannotAsk.
  SocketMap(bpf_map_type type, int size);

  Outcome Put(uint32_t index, const Socket& socket);
  int descriptor() const { return map_.number(); }

 private:
  Descriptor map_;
};

// A loaded program.  It stays loaded while this object lives and, after that, while it is attached.
class LoadedProgram {
 public:
  // Socket filters: a member's index.
  static LoadedProgram ToMember(int index);
  // SK_REUSEPORT: a verdict, or the socket at an index of a map, and the hash's choice where the kernel refuses that.
  static LoadedProgram OfGroup(Verdict verdict);
  static LoadedProgram OfGroup(const SocketMap& members, int index);
  // The same two, asked when a connection has to leave its listener, too.  BPF_SK_REUSEPORT_SELECT_OR_MIGRATE
  static LoadedProgram OfMigration(Verdict verdict);
  static LoadedProgram OfMigration(const SocketMap& members, int index);
  // SK_LOOKUP, for what comes to one port; all else passes.  `flags`: BPF_SK_LOOKUP_F_NO_REUSEPORT.
  static LoadedProgram OfLookup(uint16_t port, Verdict verdict);
  static LoadedProgram OfLookup(uint16_t port, const SocketMap& sockets, int index, int flags = 0);

  const std::string& says() const { return says_; }
  int descriptor() const { return program_.number(); }
  void Close() { program_.Close(); }

 private:
  LoadedProgram(std::string says, Descriptor program) : says_(std::move(says)), program_(std::move(program)) {}

  std::string says_;
  Descriptor program_;
};

// SO_ATTACH_REUSEPORT_EBPF
Outcome Attach(const Socket& socket, const LoadedProgram& program);

// While it lives, an SK_LOOKUP program is asked in the caller's namespace.  Throws CannotAsk.
class LookupHook {
 public:
  explicit LookupHook(const LoadedProgram& program);
  ~LookupHook();
  LookupHook(const LookupHook&) = delete;
  LookupHook& operator=(const LookupHook&) = delete;

 private:
  Descriptor link_;
};

}  // namespace portshare
