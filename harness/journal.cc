#include "harness/journal.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "harness/deadline.h"
#include "harness/event_log.h"

namespace portshare {
namespace {

using Json = nlohmann::ordered_json;

int Attempt() {
  const char* number = std::getenv("PORTSHARE_ATTEMPT");
  return number != nullptr ? std::atoi(number) : 1;
}

Json Event(const std::string& event, const std::string& case_id) {
  return {{"v", 1}, {"event", event}, {"case", case_id}, {"attempt", Attempt()}};
}

std::string Line(const Json& event) {
  return event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Journal& Journal::Get() {
  static Journal journal;
  return journal;
}

void Journal::Begin(const std::string& case_id, std::chrono::milliseconds deadline) {
  // Sockets outlive a case only in a test's own hands; they keep describing themselves.
  auto holders = std::move(holders_);
  *this = Journal();
  holders_ = std::move(holders);
  case_id_ = case_id;
  began_ = std::chrono::steady_clock::now();
  Json start = Event("start", case_id);
  start["pid"] = getpid();
  start["time"] = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EventLog::Get().Write(Line(start));
  Json end = Event("end", case_id);
  end["status"] = "timeout";
  end["seconds"] = std::chrono::duration<double>(deadline).count();
  end["outcomes"] = 0;
  StartDeadline(deadline, end.dump());
}

std::string Journal::NextName() {
  const int number = names_++;
  const std::string letter(1, static_cast<char>('a' + number % 26));
  return number < 26 ? letter : letter + std::to_string(number / 26);
}

void Journal::Note(const std::string& line) {
  lines_.push_back(line);
}

void Journal::Asking(const std::string& step) {
  NameStep(Json(step).dump(-1, ' ', false, Json::error_handler_t::replace));
}

Outcome Journal::Answered(Outcome outcome) {
  lines_.push_back(outcome.step + "  => " + outcome.Got());
  outcome.row = static_cast<int>(lines_.size());
  Asking("what follows " + outcome.step);
  return outcome;
}

Share Journal::Answered(Share share) {
  share.row = Answered(static_cast<Outcome>(share)).row;
  return share;
}

void Journal::Checked(const Outcome& outcome, const std::string& wanted, bool ok) {
  // A failed matcher is asked again for its explanation; one expectation is one row.
  const auto [position, fresh] = checked_.try_emplace(outcome.row, ok);
  if (!fresh && position->second == ok) return;
  position->second = ok;
  ++outcomes_;
  Json event = Event("outcome", case_id_);
  event["row"] = outcome.row;
  event["step"] = outcome.step;
  event["wanted"] = wanted;
  event["got"] = outcome.Got();
  event["ok"] = ok;
  EventLog::Get().Write(Line(event));
  if (ok) return;
  if (outcome.row > 0) lines_[static_cast<size_t>(outcome.row) - 1] += "   <-- wanted " + wanted;
  if (!held_.empty()) return;
  for (const auto& [descriptor, describe] : holders_) held_ += "  " + describe() + "\n";
}

void Journal::Compared(int outcomes, const std::map<std::string, uint64_t>& deviations) {
  outcomes_ += outcomes;
  deviations_ = deviations;
}

void Journal::Needs(const Outcome& outcome) {
  Checked(outcome, "ok", outcome.ok());
  if (!outcome.ok()) throw UnexpectedAnswer();
}

void Journal::Holds(int descriptor, std::function<std::string()> describe) {
  holders_[descriptor] = std::move(describe);
}

void Journal::Forgets(int descriptor) {
  holders_.erase(descriptor);
}

void Journal::Skip(const std::string& code, const std::string& text, const std::string& fix) {
  if (!skip_code_.empty()) return;
  skip_code_ = code;
  skip_text_ = text;
  skip_fix_ = fix;
}

void Journal::Error(const std::string& text) {
  if (error_.empty()) error_ = text;
}

void Journal::Fail(const std::string& file, int line, const std::string& message) {
  failures_.push_back({file, line, message});
}

std::string Journal::Story() const {
  std::string story = lines_.empty() ? "" : "steps:\n";
  for (const std::string& line : lines_) story += "  " + line + "\n";
  if (!held_.empty()) story += "sockets at the first wrong answer:\n" + held_;
  return story;
}

std::string Journal::End() {
  StopDeadline();
  const bool failed = !failures_.empty();
  Json end = Event("end", case_id_);
  end["status"] = !error_.empty() ? "error" : failed ? "fail" : !skip_code_.empty() ? "skip" : "pass";
  const bool skipped = end["status"] == "skip";
  if (skipped) {
    end["code"] = skip_code_;
    end["text"] = skip_text_;
    end["fix"] = skip_fix_;
  }
  if (!error_.empty()) end["text"] = error_;
  end["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  end["outcomes"] = outcomes_;
  if (!deviations_.empty()) end["deviations"] = deviations_;
  std::string story = failed ? Story() : "";
  if (failed) {
    end["failures"] = Json::array();
    for (const Failure& failure : failures_) {
      const bool last = &failure == &failures_.back();
      end["failures"].push_back(
          {{"file", failure.file}, {"line", failure.line}, {"message", failure.message + (last ? "\n" + story : "")}});
    }
  }
  EventLog::Get().Write(Line(end));
  return story;
}

void TellExit(const std::string& case_id, const std::string& how, double seconds, const std::string& output) {
  Json exit = Event("exit", case_id);
  exit["how"] = how;
  exit["seconds"] = seconds;
  exit["output"] = output;
  EventLog::Get().Write(Line(exit));
}

void TellComplaint(const std::string& case_id, const KernelComplaint& complaint) {
  Json kernel = Event("kernel", case_id);
  kernel["sequence"] = complaint.sequence;
  kernel["text"] = complaint.text;
  EventLog::Get().Write(Line(kernel));
}

}  // namespace portshare
