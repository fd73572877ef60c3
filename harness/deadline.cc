#include "harness/deadline.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "harness/event_log.h"

namespace portshare {
namespace {

// Read by the signal handler, so plain memory of fixed size: an object without its last brace, and a JSON string.  The
// next step is written beside the one that the handler would read, which stays whole.
char end_event[1024];
char steps[2][512];
volatile std::sig_atomic_t shown = 0;

void Append(char* line, size_t size, const char* text) {
  const size_t used = strlen(line);
  strncpy(line + used, text, size - used - 1);
}

void Expire(int) {
  char line[2048] = "";
  Append(line, sizeof line, end_event);
  Append(line, sizeof line, ",\"text\":");
  Append(line, sizeof line, steps[shown]);
  Append(line, sizeof line, "}\n");
  EventLog::Get().Write(line, strlen(line));
  char message[640] = "deadline passed at ";
  Append(message, sizeof message, steps[shown]);
  Append(message, sizeof message, "\n");
  // Nothing is left to try when standard error is gone too.
  [[maybe_unused]] const ssize_t told = write(STDERR_FILENO, message, strlen(message));
  _exit(1);
}

void Arm(std::chrono::milliseconds limit) {
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(limit.count() / 1000);
  timer.it_value.tv_usec = static_cast<suseconds_t>(limit.count() % 1000 * 1000);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

void LimitSends(int socket) {
  const timeval limit{std::chrono::duration_cast<std::chrono::seconds>(kStepLimit).count(), 0};
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

std::chrono::milliseconds CaseDeadline() {
  const char* seconds = std::getenv("PORTSHARE_DEADLINE");
  const double limit = seconds != nullptr ? std::atof(seconds) : 0;
  return std::chrono::milliseconds(limit > 0 ? static_cast<long>(limit * 1000) : 10000);
}

void StartDeadline(std::chrono::milliseconds limit, const std::string& event) {
  const std::string open_object = event.substr(0, event.size() - 1);
  end_event[0] = '\0';
  Append(end_event, sizeof end_event, open_object.c_str());
  NameStep("\"the case's set-up\"");
  EventLog::Get();
  struct sigaction action {};
  action.sa_handler = Expire;
  sigaction(SIGALRM, &action, nullptr);
  Arm(limit);
}

void NameStep(const std::string& json_string) {
  // A string that does not fit would end the line in the middle of an escape.
  const int next = 1 - shown;
  char* text = steps[next];
  text[0] = '\0';
  Append(text, sizeof steps[next], json_string.size() < sizeof steps[next] ? json_string.c_str() : "\"a long step\"");
  std::atomic_signal_fence(std::memory_order_release);
  shown = next;
}

void LimitChild() {
  std::signal(SIGALRM, SIG_DFL);
  Arm(CaseDeadline());
}

void StopDeadline() {
  Arm(std::chrono::milliseconds(0));
}

}  // namespace portshare
