// A pipe whose ends are not passed on to programs.  pipe(2)
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "netns/cannot_ask.h"
#include "netns/descriptor.h"

namespace portshare {

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

// Throws CannotAsk.
inline Pipe MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw CannotAsk("pipe2", errno);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

}  // namespace portshare
