#include "harness/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace portshare {

EventLog::EventLog() {
  const char* path = std::getenv("PORTSHARE_EVENTS");
  if (path == nullptr) return;
  if (int number; std::sscanf(path, "fd:%d", &number) == 1) {
    file_ = Descriptor(fcntl(number, F_SETFD, FD_CLOEXEC) == 0 ? number : -1);
  } else {
    file_ = Descriptor(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  }
  if (!file_.open()) error_ = errno;
}

EventLog& EventLog::Get() {
  static EventLog log;
  return log;
}

void EventLog::Write(const char* line, size_t length) {
  if (!file_.open()) return;
  while (length > 0) {
    const ssize_t written = write(file_.number(), line, length);
    if (written <= 0) {
      if (error_ == 0) error_ = written < 0 ? errno : ENOSPC;
      return;
    }
    line += written;
    length -= static_cast<size_t>(written);
  }
}

}  // namespace portshare
