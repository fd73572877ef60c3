// What one repetition measured, as one line of JSON.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>

namespace portshare::bench {

// Mean and standard deviation of what is counted one by one.
class Spread {
 public:
  void Count(double value) {
    ++count_;
    sum_ += value;
    squares_ += value * value;
  }
  void Count(const Spread& other) {
    count_ += other.count_;
    sum_ += other.sum_;
    squares_ += other.squares_;
  }
  uint64_t count() const { return count_; }
  double Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  double Deviation() const {
    if (count_ == 0) return 0;
    const double variance = squares_ / static_cast<double>(count_) - Mean() * Mean();
    return variance > 0 ? std::sqrt(variance) : 0;
  }

 private:
  uint64_t count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

class Report {
 public:
  Report() { text_.precision(9); }
  void Add(std::string_view name, double value) { Key(name) << (std::isfinite(value) ? value : 0); }
  void Add(std::string_view name, std::span<const double> values) {
    std::ostream& out = Key(name) << '[';
    for (size_t i = 0; i < values.size(); ++i) out << (i == 0 ? "" : ", ") << values[i];
    out << ']';
  }
  std::string Line() const { return '{' + text_.str() + "}\n"; }

 private:
  std::ostream& Key(std::string_view name) {
    return text_ << (text_.tellp() == 0 ? "" : ", ") << '"' << name << "\": ";
  }

  std::ostringstream text_;
};

}  // namespace portshare::bench
