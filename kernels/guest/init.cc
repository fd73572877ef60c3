// The first process of a guest: makes the place, opens the channel to the driver, and does what it is told there.
//
// As process 1 it mounts what programs expect, loads /modules in the order of their names, and opens the channel that
// the kernel's command line names: portshare.channel=virtio (the virtio port "portshare") or =/dev/TTY.  Anywhere
// else (gVisor) the channel is standard input and output.
//
// Orders, each a line, some with bytes after it:
// * put MODE FROM SIZE PATH: SIZE bytes follow, of a file, from its byte FROM on; from 0 it is a new one.  MODE is
// octal.
// * run SIZE: SIZE bytes follow, NAME=VALUE words for the environment and the words of a command, each with a NUL after
//   it.  Descriptor 3 of the command is the channel.
//
// Answers: "!ready", once; "!put" when a file has its bytes; "!out SIZE" and SIZE bytes, as the command prints them;
// "!end STATUS", as of wait(2), when it has ended; "!error TEXT" for an order that could not be carried out.  What the
// command writes to descriptor 3 stands between them, in lines of its own.
//
// It uses nothing of the project, so that an image of a guest stays good when a case changes.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

constexpr int kChannelOfPrograms = 3;
constexpr size_t kPiece = 16 << 10;  // bytes of output in one answer; a virtio port takes no more than 32 KiB at once

// The descriptors of the driver's end.
struct Channel {
  int in = STDIN_FILENO;
  int out = STDOUT_FILENO;
};

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Entries(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* const open = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(open)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    closedir(open);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void Complain(const std::string& what) {
  fprintf(stderr, "init: %s: %s\n", what.c_str(), strerror(errno));
}

void Mount(const char* type, const char* where) {
  mkdir(where, 0755);
  if (mount(type, where, type, 0, nullptr) != 0 && errno != EBUSY) Complain(std::string("mount ") + where);
}

void MakePlace() {
  Mount("devtmpfs", "/dev");
  Mount("proc", "/proc");
  Mount("sysfs", "/sys");
  Mount("tmpfs", "/tmp");
  Mount("tmpfs", "/run");
  chmod("/tmp", 01777);
  setenv("PATH", "/bin", 1);
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(number, F_GETFD) < 0 && open("/dev/console", O_RDWR) != number) open("/dev/null", O_RDWR);
  }
}

void LoadModules() {
  for (const std::string& name : Entries("/modules")) {
    const int file = open(("/modules/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST) Complain(name);
    close(file);
  }
}

// The value of a word of the kernel's command line.
std::string Parameter(const std::string& name) {
  const std::string line = " " + Read("/proc/cmdline");
  const size_t found = line.find(" " + name + "=");
  if (found == std::string::npos) return "";
  const size_t begin = found + name.size() + 2;
  return line.substr(begin, line.find_first_of(" \n", begin) - begin);
}

// Its device appears some time after its driver.
std::string VirtioPort() {
  const std::string ports = "/sys/class/virtio-ports/", devices = "/dev/";
  for (int turn = 0; turn < 10'000; ++turn) {
    for (const std::string& port : Entries(ports)) {
      std::string device = devices + port;
      if (Read(ports + port + "/name") == "portshare\n" && access(device.c_str(), F_OK) == 0) return device;
    }
    usleep(1000);
  }
  return "";
}

Channel OpenChannel() {
  std::string path = Parameter("portshare.channel");
  if (path == "virtio") path = VirtioPort();
  const int port = open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (port < 0) {
    Complain("channel " + path);
    reboot(RB_AUTOBOOT);
  }
  termios terminal{};
  if (tcgetattr(port, &terminal) == 0) {
    cfmakeraw(&terminal);
    tcsetattr(port, TCSANOW, &terminal);
  }
  return {port, port};
}

void Send(const Channel& channel, const std::string& text) {
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t count = write(channel.out, text.data() + sent, text.size() - sent);
    if (count < 0 && errno != EINTR) _exit(1);
    if (count > 0) sent += static_cast<size_t>(count);
  }
}

// What arrives, line by line and byte by byte.
class Orders {
 public:
  explicit Orders(int channel) : channel_(channel) {}

  // Up to the end of the line; false when no more comes.
  bool Line(std::string& line) {
    size_t end;
    while ((end = kept_.find('\n')) == std::string::npos) {
      if (!More()) return false;
    }
    line = kept_.substr(0, end);
    kept_.erase(0, end + 1);
    return true;
  }

  // At most `wanted` bytes, none when no more come.
  std::string Some(size_t wanted) {
    if (kept_.empty() && !More()) return "";
    std::string some = kept_.substr(0, wanted);
    kept_.erase(0, some.size());
    return some;
  }

 private:
  bool More() {
    char piece[kPiece];
    ssize_t count;
    do {
      count = read(channel_, piece, sizeof piece);
    } while (count < 0 && errno == EINTR);
    if (count > 0) kept_.append(piece, static_cast<size_t>(count));
    return count > 0;
  }

  int channel_;
  std::string kept_;
};

void Put(Orders& orders, const Channel& channel, mode_t mode, off_t from, size_t size, const std::string& path) {
  if (from == 0) unlink(path.c_str());  // a program that runs cannot be written to
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, mode);
  if (file >= 0) lseek(file, from, SEEK_SET);
  int error = file < 0 ? errno : 0;
  while (size > 0) {
    const std::string piece = orders.Some(size);
    if (piece.empty()) _exit(1);
    size -= piece.size();
    if (error == 0 && write(file, piece.data(), piece.size()) != static_cast<ssize_t>(piece.size())) error = errno;
  }
  if (file >= 0) {
    fchmod(file, mode);
    close(file);
  }
  Send(channel, error == 0 ? "!put\n" : "!error put " + path + ": " + strerror(error) + "\n");
}

[[noreturn]] void Become(const Channel& channel, const std::vector<char*>& environment, std::vector<char*> words,
                         int output) {
  for (char* setting : environment) putenv(setting);
  setsid();
  dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
  // Away from its number first: it may be one of those that are taken now.
  const int to_driver = fcntl(channel.out, F_DUPFD_CLOEXEC, kChannelOfPrograms + 1);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  dup2(to_driver, kChannelOfPrograms);
  setenv("PORTSHARE_EVENTS", ("fd:" + std::to_string(kChannelOfPrograms)).c_str(), 1);
  execv(words.front(), words.data());
  fprintf(stderr, "%s: %s\n", words.front(), strerror(errno));
  _exit(127);
}

void Run(const Channel& channel, std::string text) {
  if (text.empty() || text.back() != '\0') return Send(channel, "!error run: no command\n");
  std::vector<char*> words;
  for (size_t begin = 0; begin < text.size(); begin = text.find('\0', begin) + 1) words.push_back(&text[begin]);
  const auto program = std::find_if(words.begin(), words.end(), [](const char* word) { return *word == '/'; });
  const std::vector<char*> environment(words.begin(), program);
  words.erase(words.begin(), program);
  words.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Send(channel, "!error pipe: " + std::string(strerror(errno)) + "\n");
  const pid_t child = fork();
  if (child == 0) Become(channel, environment, words, ends[1]);
  close(ends[1]);
  char piece[kPiece];
  // Also while a process that the command left behind has its output open: until the command itself has ended.
  int status = 0;
  for (bool ended = child < 0; !ended;) {
    pollfd readable{ends[0], POLLIN, 0};
    poll(&readable, 1, 50);
    // A command that has ended has printed all that it will: asked before the pipe is emptied.
    for (pid_t found; (found = waitpid(-1, &status, WNOHANG)) > 0 && !ended;) ended = found == child;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    ssize_t count;
    while ((count = read(ends[0], piece, sizeof piece)) > 0) {
      Send(channel, "!out " + std::to_string(count) + "\n" + std::string(piece, static_cast<size_t>(count)));
    }
    if (count == 0 && !ended) ended = waitpid(child, &status, 0) == child;
  }
  close(ends[0]);
  Send(channel, "!end " + std::to_string(child < 0 ? 127 << 8 : status) + "\n");
}

std::string Taken(Orders& orders, size_t size) {
  std::string all;
  while (all.size() < size) {
    const std::string piece = orders.Some(size - all.size());
    if (piece.empty()) _exit(1);
    all += piece;
  }
  return all;
}

void Serve(const Channel& channel) {
  Orders orders(channel.in);
  Send(channel, "!ready\n");
  for (std::string line; orders.Line(line);) {
    unsigned mode = 0;
    size_t from = 0, size = 0;
    int path = 0;
    if (sscanf(line.c_str(), "put %o %zu %zu %n", &mode, &from, &size, &path) == 3 && path > 0) {
      Put(orders, channel, mode, static_cast<off_t>(from), size, line.substr(static_cast<size_t>(path)));
    } else if (sscanf(line.c_str(), "run %zu", &size) == 1) {
      Run(channel, Taken(orders, size));
    } else {
      Send(channel, "!error no order: " + line + "\n");
    }
  }
}

}  // namespace

int main() {
  if (getpid() != 1 || access("/modules", F_OK) != 0) {
    Serve(Channel());
    return 0;
  }
  MakePlace();
  LoadModules();
  Serve(OpenChannel());
  sync();
  return reboot(RB_AUTOBOOT);
}
