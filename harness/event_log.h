// The event stream: JSON lines that many processes append to one file.  results/events.schema.json
#pragma once

#include <string>

#include "netns/descriptor.h"

namespace portshare {

class EventLog {
 public:
  // Appends to the file that PORTSHARE_EVENTS names, or to the open descriptor of "fd:NUMBER"; silent without it.
  static EventLog& Get();

  // One line, one write(2), so that lines of several processes never mix: a device that takes no more than so many
  // bytes at once gets the rest after it.  Async-signal-safe.
  void Write(const char* line, size_t length);
  void Write(const std::string& line) { Write(line.data(), line.size()); }

  // The errno of the first line that could not be written; 0 while nothing was lost.
  int error() const { return error_; }

 private:
  EventLog();

  Descriptor file_;
  int error_ = 0;
};

}  // namespace portshare
