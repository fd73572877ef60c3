#include "harness/explore/scanner.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "harness/explore/notation.h"

namespace portshare {

NotationError::NotationError(int at_line, int at_column, const std::string& wrong)
    : std::runtime_error(std::to_string(at_line) + ":" + std::to_string(at_column) + ": " + wrong),
      line(at_line),
      column(at_column) {}

// `text` in a message: short, and without what a terminal would obey.
std::string Shown(std::string_view text) {
  constexpr size_t kLongest = 30;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string shown;
  for (const char character : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte >= ' ' && byte <= '~') {
      shown += character;
    } else {
      shown += {'\\', 'x', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return text.size() > kLongest ? shown + "..." : shown;
}

Scanner::Scanner(std::string_view text) : text_(text) {
  const auto is_text = [](char byte) {
    return (byte >= ' ' && byte <= '~') || byte == '\t' || byte == '\n' || byte == '\r';
  };
  const auto* const bad = std::ranges::find_if_not(text_, is_text);
  if (bad != text_.end()) Refuse(text_.substr(static_cast<size_t>(bad - text_.begin()), 1), "printable ASCII");
}

bool Scanner::NextLine() {
  constexpr std::string_view kBetween = " \t\r\n;";
  at_ = First(kBetween, at_);
  while (Rest().starts_with('#')) at_ = First(kBetween, std::min(text_.find('\n', at_), text_.size()));
  return at_ < text_.size();
}

std::optional<std::string_view> Scanner::Label() {
  const std::string_view word = Peek();
  const size_t colon = word.find(':');
  if (colon == std::string_view::npos) return {};
  at_ = Place(word) + colon + 1;
  return word.substr(0, colon);
}

std::string_view Scanner::Peek() const {
  const std::string_view rest = text_.substr(First(" \t\r", at_));
  const std::string_view word = rest.substr(0, rest.find_first_of(" \t\r\n;#"));
  return word.substr(0, word.starts_with("=>") ? 2 : word.find("=>"));
}

std::string_view Scanner::Next() {
  const std::string_view word = Peek();
  at_ = Place(word) + word.size();
  return word;
}

uint32_t Scanner::Number(std::string_view word, uint32_t least, uint32_t most, const std::string& what) const {
  uint32_t number = 0;
  const char* const end = word.data() + word.size();
  const auto [stopped, error] = std::from_chars(word.data(), end, number);
  if (error != std::errc() || stopped != end || number < least || number > most) {
    Refuse(word, what + " from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return number;
}

bool Scanner::Remark() {
  const std::string_view word = Peek();
  if (word.starts_with("<--")) {
    at_ = std::min(text_.find_first_of("\n;#", at_), text_.size());
    return true;
  }
  if (!word.starts_with('(')) return false;
  int open = 0;
  at_ = Place(word);
  do {
    if (at_ == text_.size() || text_[at_] == '\n') Refuse(text_.substr(at_, 0), ")");
    open += (text_[at_] == '(' ? 1 : 0) - (text_[at_] == ')' ? 1 : 0);
    ++at_;
  } while (open > 0);
  return true;
}

int Scanner::Line(std::string_view part) const {
  return static_cast<int>(1 + std::ranges::count(text_.substr(0, Place(part)), '\n'));
}

void Scanner::Refuse(std::string_view part, const std::string& expected, const std::string& more) const {
  const size_t at = Place(part);
  const size_t line_start = text_.substr(0, at).rfind('\n') + 1;  // npos + 1 is 0
  std::string found = '"' + Shown(part.empty() ? text_.substr(at, 1) : part) + '"';
  if (part.empty() && at == text_.size()) found = "the end of the text";
  if (part.empty() && at < text_.size() && std::strchr("\r\n#", text_[at]) != nullptr) found = "the end of the line";
  throw NotationError(Line(part), static_cast<int>(at - line_start + 1),
                      "expected " + expected + ", found " + found + more);
}

size_t Scanner::First(std::string_view these, size_t at) const {
  return std::min(text_.find_first_not_of(these, at), text_.size());
}

}  // namespace portshare
