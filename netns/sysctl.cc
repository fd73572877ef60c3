#include "netns/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "netns/descriptor.h"

namespace portshare {
namespace {

std::string PathOf(const std::string& name) {
  return "/proc/sys/net/" + name;
}

}  // namespace

int WriteSysctl(const std::string& name, const std::string& value) {
  const Descriptor file(open(PathOf(name).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.open()) return errno;
  return write(file.number(), value.data(), value.size()) < 0 ? errno : 0;
}

std::optional<std::string> ReadSysctl(const std::string& name) {
  const Descriptor file(open(PathOf(name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return std::nullopt;
  std::string value(256, '\0');
  const ssize_t length = read(file.number(), value.data(), value.size());
  if (length < 0) return std::nullopt;
  value.resize(static_cast<size_t>(length));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

}  // namespace portshare
