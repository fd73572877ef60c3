#include "harness/cpu.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "harness/journal.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

bool Move(int number) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<size_t>(number), &only);
  return sched_setaffinity(0, sizeof only, &only) == 0;
}

}  // namespace

namespace needs {
const Need kTwoProcessors{"two_processors", "no_two_processors", "give the guest or the container a second processor",
                          []() -> std::optional<std::string> {
                            if (OtherProcessor() >= 0) return std::nullopt;
                            return "there is one processor to run on";
                          }};
}

int ThisProcessor() {
  return sched_getcpu();
}

// Which are allowed can be told by trying alone: what sched_getaffinity(2) says is where the case put itself.
int OtherProcessor() {
  const OnOneProcessor comes_back;
  const int here = ThisProcessor();
  const long configured = sysconf(_SC_NPROCESSORS_CONF);
  int other = -1;
  for (int number = 0; number < configured && other < 0; ++number) {
    if (number != here && Move(number)) other = number;
  }
  return other;
}

OnOneProcessor::OnOneProcessor() : before_() {
  if (sched_getaffinity(0, sizeof before_, &before_) != 0) throw CannotAsk("sched_getaffinity", errno);
  if (!Move(ThisProcessor())) throw CannotAsk("sched_setaffinity", errno);
}

OnOneProcessor::~OnOneProcessor() {
  sched_setaffinity(0, sizeof before_, &before_);
}

void MoveToProcessor(int number) {
  if (!Move(number)) throw CannotAsk("move to processor " + std::to_string(number), errno);
  Journal::Get().Note("on processor " + std::to_string(number));
}

}  // namespace portshare
