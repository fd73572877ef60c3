#include "harness/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace portshare {

EventLog::EventLog() {
  const char* path = std::getenv("PORTSHARE_EVENTS");
  if (path == nullptr) return;
  file_ = Descriptor(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  if (!file_.open()) error_ = errno;
}

EventLog& EventLog::Get() {
  static EventLog log;
  return log;
}

void EventLog::Write(const char* line, size_t length) {
  if (!file_.open()) return;
  const ssize_t written = write(file_.number(), line, length);
  if (written != static_cast<ssize_t>(length) && error_ == 0) error_ = written < 0 ? errno : ENOSPC;
}

}  // namespace portshare
