// The words of a scenario's text, and how a text is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portshare {

// `text` in a message: short, and without what a terminal would obey.
std::string Shown(std::string_view text);

// Every view that it takes or gives is a part of the text.
class Scanner {
 public:
  // Throws NotationError for a byte that is no text.
  explicit Scanner(std::string_view text);

  // Goes to the next step or declaration; false when there is none.
  bool NextLine();
  // The NAME of "NAME:", where a declaration begins.
  std::optional<std::string_view> Label();
  // The next word of this line, "=>" being one wherever it stands; empty at the line's end.
  std::string_view Peek() const;
  std::string_view Next();
  // A number and nothing else.
  uint32_t Number(std::string_view word, uint32_t least, uint32_t most, const std::string& what) const;
  // Goes past "<-- wanted ok", which ends with the step, or "(...)", which ends with its last parenthesis.
  bool Remark();

  // What is behind the last word.
  std::string_view Rest() const { return text_.substr(at_); }
  int Line(std::string_view part) const;
  // Throws NotationError.  An empty part stands for what is there instead.
  [[noreturn]] void Refuse(std::string_view part, const std::string& expected, const std::string& more = "") const;

 private:
  size_t Place(std::string_view part) const { return static_cast<size_t>(part.data() - text_.data()); }
  // The first place from `at` on that is none of `these`, or the end.
  size_t First(std::string_view these, size_t at) const;

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace portshare
