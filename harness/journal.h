// The story of one case: sockets, steps, answers and what was expected of them.  It becomes the events and the text of
// a failure.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/kernel_log.h"
#include "harness/outcome.h"

namespace portshare {

class Journal {
 public:
  // The journal of the case that runs now.
  static Journal& Get();

  // Begins a case; writes its start event.
  void Begin(const std::string& case_id, std::chrono::milliseconds deadline);

  // The next free socket name: a, b, ... z, a1, b1, ...
  std::string NextName();
  // How many names are used; a child process goes on where this one stands, and this one after it.
  int names() const { return names_; }
  void SkipNames(int used) { names_ = used; }

  // A line of the story that asks nothing: a socket's declaration, a sysctl, a link.
  void Note(const std::string& line);

  // Says what is about to be asked, so that a hang can be named.
  void Asking(const std::string& step);

  // Adds an answered step and returns it with its row.
  Outcome Answered(Outcome outcome);
  Share Answered(Share share);

  // An expectation met a step.  The first failure of a case also notes who holds what at that moment.
  void Checked(const Outcome& outcome, const std::string& wanted, bool ok);
  // So many answers were as expected, and so many of them, by cause, are known deviations: too many for an event each.
  void Compared(int outcomes, const std::map<std::string, uint64_t>& deviations);
  // The same for a step that a case builds on: throws UnexpectedAnswer when it was refused.
  void Needs(const Outcome& outcome);

  // Who held what at the first failure; empty before.  What a child process saw stands for this one too.
  const std::string& held() const { return held_; }
  void NoteHeld(const std::string& held) { held_ = held; }

  // Sockets describe themselves here while they live; `describe` asks the kernel.
  void Holds(int descriptor, std::function<std::string()> describe);
  void Forgets(int descriptor);

  // Why the case could not be asked or was not applicable.  The first reason stays.
  void Skip(const std::string& code, const std::string& text, const std::string& fix);
  void Error(const std::string& text);
  void Fail(const std::string& file, int line, const std::string& message);

  // Writes the end event.  Returns the story when the case did not pass, for the terminal.
  std::string End();

  const std::vector<std::string>& lines() const { return lines_; }
  int outcomes() const { return outcomes_; }

 private:
  struct Failure {
    std::string file;
    int line;
    std::string message;
  };
  std::string Story() const;

  std::string case_id_;
  std::chrono::steady_clock::time_point began_;
  std::vector<std::string> lines_;
  std::vector<Failure> failures_;
  std::map<int, std::function<std::string()>> holders_;
  std::map<int, bool> checked_;
  std::string held_;
  std::string skip_code_;
  std::string skip_text_;
  std::string skip_fix_;
  std::string error_;
  int names_ = 0;
  int outcomes_ = 0;
  std::map<std::string, uint64_t> deviations_;
};

// Events beside the story, of a case whose process this one watches: how the process ended, and what the kernel
// complained of meanwhile.
void TellExit(const std::string& case_id, const std::string& how, double seconds, const std::string& output);
void TellComplaint(const std::string& case_id, const KernelComplaint& complaint);

}  // namespace portshare
