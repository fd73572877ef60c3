#include "harness/deadline.h"

#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "harness/event_log.h"

namespace portshare {
namespace {

// Read by the signal handler, so plain memory of fixed size: an object without its last brace, and a JSON string.
char end_event[1024];
char step[512];

void Append(char* line, size_t size, const char* text) {
  const size_t used = strlen(line);
  strncpy(line + used, text, size - used - 1);
}

void Expire(int) {
  char line[2048] = "";
  Append(line, sizeof line, end_event);
  Append(line, sizeof line, ",\"text\":");
  Append(line, sizeof line, step);
  Append(line, sizeof line, "}\n");
  EventLog::Get().Write(line, strlen(line));
  char message[640] = "deadline passed at ";
  Append(message, sizeof message, step);
  Append(message, sizeof message, "\n");
  // Nothing is left to try when standard error is gone too.
  if (write(STDERR_FILENO, message, strlen(message)) < 0) _exit(1);
  _exit(1);
}

void Arm(std::chrono::milliseconds limit) {
  itimerval timer{};
  timer.it_value.tv_sec = limit.count() / 1000;
  timer.it_value.tv_usec = limit.count() % 1000 * 1000;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

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
  step[0] = '\0';
  Append(step, sizeof step, json_string.size() < sizeof step ? json_string.c_str() : "\"a long step\"");
}

void StopDeadline() {
  Arm(std::chrono::milliseconds(0));
}

}  // namespace portshare
