#include "harness/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <system_error>
#include <utility>

#include "harness/deadline.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"
#include "netns/pipe.h"

namespace portshare {
namespace {

using Clock = std::chrono::steady_clock;

pid_t Start(const std::vector<std::string>& words, int input, int output) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t process = 0;
  const int failed = posix_spawn(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw CannotAsk("start " + words[0], failed);
  return process;
}

}  // namespace

Program::Program(std::string name, const std::vector<std::string>& words) : name_(std::move(name)) {
  Pipe input = MakePipe();
  Pipe output = MakePipe();
  process_ = Start(words, input.read_end.number(), output.write_end.number());
  input_ = std::move(input.write_end);
  output_ = std::move(output.read_end);
  Journal::Get().Note("start " + name_);
}

Program::~Program() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

Outcome Program::Answer() {
  const std::string step = "answer of " + name_;
  Journal::Get().Asking(step);
  std::string line;
  const auto limit = Clock::now() + kStepLimit;
  while (line.empty() || line.back() != '\n') {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now());
    pollfd readable{output_.number(), POLLIN, 0};
    if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) != 1) {
      return Journal::Get().Answered(Outcome{step, ETIMEDOUT, ""});
    }
    char letter = 0;
    if (read(output_.number(), &letter, 1) != 1) throw CannotAsk(name_ + " ended without an answer");
    line += letter;
  }
  line.pop_back();
  const std::string refusal = "errno ";
  if (line.starts_with(refusal)) {
    int error = 0;
    const char* const end = line.data() + line.size();
    const auto read_to = std::from_chars(line.data() + refusal.size(), end, error);
    if (read_to.ec != std::errc() || read_to.ptr != end || error <= 0) throw CannotAsk(name_ + " answered: " + line);
    return Journal::Get().Answered(Outcome{step, error, ""});
  }
  return Journal::Get().Answered(Outcome{step, 0, line});
}

}  // namespace portshare
