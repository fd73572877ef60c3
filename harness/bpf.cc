#include "harness/bpf.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "harness/journal.h"
#include "netns/cannot_ask.h"
#include "netns/private_network.h"

namespace portshare {
namespace {

using Steps = std::vector<bpf_insn>;
using Missing = std::optional<std::string>;

int Bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

uint64_t Address64(const void* pointer) {
  return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(pointer));
}

// Registers: 0 result, 1 to 5 arguments, 6 to 9 kept over calls, 10 the frame.  Documentation/bpf
bpf_insn Step(int code, int to, int from, int offset, int value) {
  bpf_insn step{};
  step.code = static_cast<__u8>(code);
  step.dst_reg = static_cast<__u8>(to & 15);
  step.src_reg = static_cast<__u8>(from & 15);
  step.off = static_cast<__s16>(offset);
  step.imm = value;
  return step;
}
bpf_insn Put(int to, int value) {
  return Step(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
bpf_insn Copy(int to, int from) {
  return Step(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
bpf_insn Add(int to, int value) {
  return Step(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value);  // NOLINT(misc-redundant-expression): both are 0
}
bpf_insn Call(int function) {
  return Step(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}
bpf_insn SkipIfEqual(int reg, int value, int steps) {
  return Step(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, steps, value);
}
bpf_insn Exit() {
  return Step(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

constexpr int kKeyPlace = -4;

void Append(Steps& steps, const Steps& more) {
  steps.insert(steps.end(), more.begin(), more.end());
}

// A map and the address of a key in the frame, in two registers.
Steps MapAndKey(int map_register, const SocketMap& map, int key_register, int key) {
  return {Step(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, kKeyPlace, key),
          // NOLINTNEXTLINE(misc-redundant-expression): two of them are 0
          Step(BPF_LD | BPF_DW | BPF_IMM, map_register, BPF_PSEUDO_MAP_FD, 0, map.descriptor()), Step(0, 0, 0, 0, 0),
          Copy(key_register, BPF_REG_10), Add(key_register, kKeyPlace)};
}

// Passes all that does not come to `port`.
Steps OnlyPort(uint16_t port) {
  return {Step(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(bpf_sk_lookup, local_port), 0),
          SkipIfEqual(BPF_REG_2, port, 2), Put(BPF_REG_0, SK_PASS), Exit()};
}

Descriptor Load(bpf_prog_type type, const Steps& steps, int attach_type = 0) {
  bpf_attr attributes{};
  attributes.prog_type = type;
  attributes.insns = Address64(steps.data());
  attributes.insn_cnt = static_cast<__u32>(steps.size());
  attributes.license = Address64("");
  attributes.expected_attach_type = static_cast<__u32>(attach_type);
  return Descriptor(Bpf(BPF_PROG_LOAD, attributes));
}

Descriptor MustLoad(const std::string& says, bpf_prog_type type, const Steps& steps, int attach_type = 0) {
  Descriptor program = Load(type, steps, attach_type);
  if (!program.open()) throw CannotAsk("load the program \"" + says + "\"", errno);
  return program;
}

Descriptor LinkToNetwork(int program) {
  const Descriptor network(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!network.open()) throw CannotAsk("open the namespace", errno);
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<__u32>(program);
  attributes.link_create.target_fd = static_cast<__u32>(network.number());
  attributes.link_create.attach_type = BPF_SK_LOOKUP;
  return Descriptor(Bpf(BPF_LINK_CREATE, attributes));
}

Descriptor MakeMap(bpf_map_type type, int size) {
  bpf_attr attributes{};
  attributes.map_type = type;
  attributes.key_size = sizeof(__u32);
  attributes.value_size = sizeof(__u64);  // for lookups: the cookie of the socket
  attributes.max_entries = static_cast<__u32>(size);
  return Descriptor(Bpf(BPF_MAP_CREATE, attributes));
}

Steps Always(Verdict verdict) {
  return {Put(BPF_REG_0, static_cast<int>(verdict)), Exit()};
}

Steps Selects(const SocketMap& members, int index) {
  Steps steps = MapAndKey(BPF_REG_2, members, BPF_REG_3, index);
  Append(steps, {Put(BPF_REG_4, 0), Call(BPF_FUNC_sk_select_reuseport), Put(BPF_REG_0, SK_PASS), Exit()});
  return steps;
}

std::string Word(Verdict verdict) {
  return verdict == Verdict::kDrop ? "drop" : "pass";
}

const Steps kPassAll = Always(Verdict::kPass);

// EINVAL is a type of programs that this kernel does not know, and an attribute that it does not know is E2BIG.
Missing Told(const std::string& what, const Descriptor& made) {
  if (made.open()) return std::nullopt;
  const CannotAsk reason("bpf(2) refuses " + what, errno);
  DemandRefusal(reason, {EINVAL, E2BIG});
  return reason.what();
}

Missing Loads(const std::string& what, bpf_prog_type type, int attach_type = 0) {
  return Told("a program of type " + what, Load(type, kPassAll, attach_type));
}

Missing LooksUp() {
  if (Missing unloaded = Loads("SK_LOOKUP", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP)) return unloaded;
  const PrivateNetwork scratch;
  return Told("to attach an SK_LOOKUP program to a namespace",
              LinkToNetwork(Load(BPF_PROG_TYPE_SK_LOOKUP, kPassAll, BPF_SK_LOOKUP).number()));
}

// Older kernels load a program for any purpose; what they have not got is the socket that has to leave its listener.
Missing ChoosesMigration() {
  const bpf_insn read =
      Step(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, BPF_REG_1, offsetof(sk_reuseport_md, migrating_sk), 0);
  Steps steps = {read};
  Append(steps, kPassAll);
  return Told("a program of type SK_REUSEPORT that is asked about migration",
              Load(BPF_PROG_TYPE_SK_REUSEPORT, steps, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE));
}

Outcome Answered(const std::string& step, int result) {
  return Journal::Get().Answered(Outcome{step, result < 0 ? errno : 0, ""});
}

}  // namespace

namespace needs {

// The machine's own namespace of users is asked for the capability: root of another one is refused.
const Need kBpf{"bpf", "no_bpf",
                "run as root of the machine (CAP_BPF; CAP_SYS_ADMIN before Linux 5.8), or set "
                "kernel.unprivileged_bpf_disabled=0, or ask a kernel with CONFIG_BPF_SYSCALL",
                [] { return Loads("SOCKET_FILTER", BPF_PROG_TYPE_SOCKET_FILTER); }};
const Need kSkReuseport{"sk_reuseport", "no_sk_reuseport",
                        "run as root of the machine (CAP_BPF; CAP_SYS_ADMIN before Linux 5.8), and ask Linux 4.19 or "
                        "newer with CONFIG_BPF_SYSCALL",
                        [] { return Loads("SK_REUSEPORT", BPF_PROG_TYPE_SK_REUSEPORT); }};
const Need kSkLookup{"sk_lookup", "no_sk_lookup",
                     "run as root of the machine (CAP_BPF and CAP_NET_ADMIN), and ask Linux 5.9 or newer with "
                     "CONFIG_BPF_SYSCALL",
                     LooksUp};
const Need kSockMap{"sockmap", "no_sockmap",
                    "run as root of the machine (CAP_BPF and CAP_NET_ADMIN), and ask Linux 5.9 or newer with "
                    "CONFIG_BPF_STREAM_PARSER (CONFIG_NET_SOCK_MSG since 5.11)",
                    [] { return Told("a map of type SOCKMAP", MakeMap(BPF_MAP_TYPE_SOCKMAP, 1)); }};
const Need kSkMigrate{"sk_migrate", "no_sk_migrate",
                      "run as root of the machine (CAP_BPF), and ask Linux 5.14 or newer with CONFIG_BPF_SYSCALL",
                      ChoosesMigration};

}  // namespace needs

ClassicProgram ToMember(uint32_t index) {
  return {"member " + std::to_string(index), {BPF_STMT(BPF_RET | BPF_K, index)}};
}

ClassicProgram ByFirstByte() {
  return {
      "member by the first byte",
      {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, '0'), BPF_STMT(BPF_RET | BPF_A, 0)}};
}

ClassicProgram ByFamily() {
  return {"member by the family",
          {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<__u32>(SKF_AD_OFF + SKF_AD_PROTOCOL)),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
           BPF_STMT(BPF_RET | BPF_K, 1)}};
}

ClassicProgram ByProcessor() {
  return {
      "member by the processor",
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<__u32>(SKF_AD_OFF + SKF_AD_CPU)), BPF_STMT(BPF_RET | BPF_A, 0)}};
}

Outcome Attach(const Socket& socket, const ClassicProgram& program) {
  std::vector<sock_filter> steps = program.steps;
  sock_fprog given{};  // all of it: what lies between its members goes to the kernel, too
  given.len = static_cast<unsigned short>(steps.size());
  given.filter = steps.data();
  return Answered(
      "attach to " + socket.name() + ": " + program.says,
      setsockopt(socket.descriptor(), so::kSteerByClassic.level, so::kSteerByClassic.number, &given, sizeof given));
}

Outcome Attach(const Socket& socket, const LoadedProgram& program) {
  const int number = program.descriptor();
  return Answered(
      "attach to " + socket.name() + ": " + program.says(),
      setsockopt(socket.descriptor(), so::kSteerByLoaded.level, so::kSteerByLoaded.number, &number, sizeof number));
}

Outcome Detach(const Socket& socket) {
  const int unused = 0;
  return Answered("detach from " + socket.name(), setsockopt(socket.descriptor(), so::kEndSteering.level,
                                                             so::kEndSteering.number, &unused, sizeof unused));
}

SocketMap::SocketMap(bpf_map_type type, int size) : map_(MakeMap(type, size)) {
  if (!map_.open()) throw CannotAsk("make a map of sockets", errno);
}

Outcome SocketMap::Put(uint32_t index, const Socket& socket) {
  const auto value = static_cast<__u64>(socket.descriptor());
  bpf_attr attributes{};
  attributes.map_fd = static_cast<__u32>(map_.number());
  attributes.key = Address64(&index);
  attributes.value = Address64(&value);
  return Answered("put " + socket.name() + " into the map at " + std::to_string(index),
                  Bpf(BPF_MAP_UPDATE_ELEM, attributes));
}

LoadedProgram LoadedProgram::ToMember(int index) {
  const std::string says = "a loaded program, member " + std::to_string(index);
  return {says, MustLoad(says, BPF_PROG_TYPE_SOCKET_FILTER, {Put(BPF_REG_0, index), Exit()})};
}

LoadedProgram LoadedProgram::OfGroup(Verdict verdict) {
  const std::string says = "SK_REUSEPORT, " + Word(verdict);
  return {says, MustLoad(says, BPF_PROG_TYPE_SK_REUSEPORT, Always(verdict))};
}

LoadedProgram LoadedProgram::OfGroup(const SocketMap& members, int index) {
  const std::string says = "SK_REUSEPORT, the map's socket " + std::to_string(index);
  return {says, MustLoad(says, BPF_PROG_TYPE_SK_REUSEPORT, Selects(members, index))};
}

LoadedProgram LoadedProgram::OfMigration(Verdict verdict) {
  const std::string says = "SK_REUSEPORT with migration, " + Word(verdict);
  return {says, MustLoad(says, BPF_PROG_TYPE_SK_REUSEPORT, Always(verdict), BPF_SK_REUSEPORT_SELECT_OR_MIGRATE)};
}

LoadedProgram LoadedProgram::OfMigration(const SocketMap& members, int index) {
  const std::string says = "SK_REUSEPORT with migration, the map's socket " + std::to_string(index);
  return {says,
          MustLoad(says, BPF_PROG_TYPE_SK_REUSEPORT, Selects(members, index), BPF_SK_REUSEPORT_SELECT_OR_MIGRATE)};
}

LoadedProgram LoadedProgram::OfLookup(uint16_t port, Verdict verdict) {
  const std::string says = "SK_LOOKUP, " + Word(verdict) + " port " + std::to_string(port);
  Steps steps = OnlyPort(port);
  Append(steps, Always(verdict));
  return {says, MustLoad(says, BPF_PROG_TYPE_SK_LOOKUP, steps, BPF_SK_LOOKUP)};
}

LoadedProgram LoadedProgram::OfLookup(uint16_t port, const SocketMap& sockets, int index, int flags) {
  const std::string says = "SK_LOOKUP, port " + std::to_string(port) + " to the map's socket " + std::to_string(index) +
                           (flags == 0 ? "" : " alone");
  Steps steps = OnlyPort(port);
  Append(steps, {Copy(BPF_REG_6, BPF_REG_1)});
  Append(steps, MapAndKey(BPF_REG_1, sockets, BPF_REG_2, index));
  // The verifier wants the reference that the look-up took to be given back on every way out.
  Append(steps,
         {Call(BPF_FUNC_map_lookup_elem), SkipIfEqual(BPF_REG_0, 0, 7), Copy(BPF_REG_7, BPF_REG_0),
          Copy(BPF_REG_1, BPF_REG_6), Copy(BPF_REG_2, BPF_REG_0), Put(BPF_REG_3, flags), Call(BPF_FUNC_sk_assign),
          Copy(BPF_REG_1, BPF_REG_7), Call(BPF_FUNC_sk_release), Put(BPF_REG_0, SK_PASS), Exit()});
  return {says, MustLoad(says, BPF_PROG_TYPE_SK_LOOKUP, steps, BPF_SK_LOOKUP)};
}

LookupHook::LookupHook(const LoadedProgram& program) : link_(LinkToNetwork(program.descriptor())) {
  if (!link_.open()) throw CannotAsk("attach \"" + program.says() + "\" to the namespace", errno);
  Journal::Get().Note("attach to the namespace: " + program.says());
}

LookupHook::~LookupHook() {
  Journal::Get().Note("detach from the namespace");
}

}  // namespace portshare
