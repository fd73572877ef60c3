#include "harness/i386.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "harness/journal.h"
#include "netns/cannot_ask.h"

namespace portshare::i386 {
namespace {

// socketcall(2)'s numbers.  include/uapi/linux/net.h
enum Call { kSocket = 1, kBind = 2, kListen = 4, kSetsockopt = 14, kGetsockopt = 15 };

#ifdef __x86_64__

// What a 32-bit program can point to: one page below 4 GB.  The first 32 bytes are the arguments, data follows.
class LowMemory {
 public:
  static constexpr size_t kSize = 4096;
  static constexpr size_t kData = 32;

  LowMemory() : page_(mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0)) {
    if (page_ == MAP_FAILED) throw CannotAsk("mmap below 4 GB", errno);
  }
  ~LowMemory() { munmap(page_, kSize); }
  LowMemory(const LowMemory&) = delete;
  LowMemory& operator=(const LowMemory&) = delete;

  char* data() const { return static_cast<char*>(page_) + kData; }
  // The address that the kernel is told.
  uint32_t data_address() const { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data())); }

  // 0 or the errno.  socketcall(2): it is older than the single calls and never went away.
  int Ask(Call call, const std::array<uint32_t, 5>& arguments) const {
    constexpr long kSocketcall = 102;
    memcpy(page_, arguments.data(), sizeof arguments);
    long result = kSocketcall;
    asm volatile("int $0x80"
                 : "+a"(result)
                 : "b"(static_cast<long>(call)), "c"(page_)
                 : "memory", "r8", "r9", "r10", "r11");
    const int answer = static_cast<int>(result);
    if (call == kSocket && answer >= 0) close(answer);
    return answer < 0 ? -answer : 0;
  }

 private:
  void* page_;
};

#else

struct LowMemory {
  static constexpr size_t kSize = 4096;
  static constexpr size_t kData = 32;
  char* data() const { return bytes; }
  uint32_t data_address() const { return 0; }
  int Ask(Call, const std::array<uint32_t, 5>&) const { return ENOSYS; }
  mutable char bytes[kSize] = {};
};

#endif

Outcome Did(const std::string& step, int error, const std::string& answer = "") {
  return Journal::Get().Answered(Outcome{step + " by i386", error, error == 0 ? answer : ""});
}

}  // namespace

bool Answers() {
  const pid_t child = fork();
  if (child < 0) throw CannotAsk("fork", errno);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    try {
      const LowMemory memory;
      if (const int refused = memory.Ask(kSocket, {AF_INET, SOCK_STREAM, 0})) _exit(refused);
      // Where the number is taken for another call's, as User-Mode Linux does, nothing is ever wrong.
      _exit(memory.Ask(kListen, {~0U, 1}) == EBADF ? 0 : ENOSYS);
    } catch (const CannotAsk& shortage) {
      _exit(shortage.error());
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  // A kernel without them answers by SIGSEGV, a container that wants none by SIGSYS or an errno.
  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGSYS)) return false;
  if (!WIFEXITED(status)) throw CannotAsk("a child process died before it had called i386");
  if (WEXITSTATUS(status) == 0) return true;
  DemandRefusal(CannotAsk("socket by i386", WEXITSTATUS(status)));
  return false;
}

Outcome Set(const Socket& socket, Option option, const int* value, socklen_t length) {
  LowMemory memory;
  if (value != nullptr) memcpy(memory.data(), value, sizeof *value);
  const int error = memory.Ask(
      kSetsockopt, {static_cast<uint32_t>(socket.descriptor()), static_cast<uint32_t>(option.level),
                    static_cast<uint32_t>(option.number), value != nullptr ? memory.data_address() : 0, length});
  return Did("set " + socket.name() + " " + option.word + " of length " + std::to_string(static_cast<int>(length)),
             error);
}

Outcome Set(const Socket& socket, Option option, int value) {
  return Set(socket, option, &value, sizeof value);
}

Outcome Get(const Socket& socket, Option option) {
  LowMemory memory;
  const std::array<int, 2> length_and_value{sizeof(int), 0};
  memcpy(memory.data(), length_and_value.data(), sizeof length_and_value);
  const uint32_t length = memory.data_address();
  const int error = memory.Ask(
      kGetsockopt, {static_cast<uint32_t>(socket.descriptor()), static_cast<uint32_t>(option.level),
                    static_cast<uint32_t>(option.number), length + static_cast<uint32_t>(sizeof(int)), length});
  int value = 0;
  memcpy(&value, memory.data() + sizeof(int), sizeof value);
  return Did("get " + socket.name() + " " + option.word, error, std::to_string(value));
}

Outcome Bind(const Socket& socket, const Address& address, uint16_t port) {
  LowMemory memory;
  const SocketAddress local(address, port);
  memcpy(memory.data(), local.get(), local.length);
  const int error =
      memory.Ask(kBind, {static_cast<uint32_t>(socket.descriptor()), memory.data_address(), local.length});
  return Did("bind " + socket.name() + " " + address.text(port), error);
}

Outcome Listen(const Socket& socket, int backlog) {
  const LowMemory memory;
  const int error = memory.Ask(kListen, {static_cast<uint32_t>(socket.descriptor()), static_cast<uint32_t>(backlog)});
  return Did("listen " + socket.name(), error);
}

}  // namespace portshare::i386
