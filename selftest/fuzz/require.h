// What must hold of every input, and files in memory to give inputs to what reads a file.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

inline void Require(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", rule);
  std::abort();
}

// Emptied and written anew for each input, read by its path or its number.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : number_(memfd_create(name, 0)) { Require(number_ >= 0, "memfd_create"); }

  int number() const { return number_; }
  std::string path() const { return "/proc/self/fd/" + std::to_string(number_); }

  // At its beginning afterwards.
  void Hold(std::string_view content) {
    Require(ftruncate(number_, 0) == 0 && pwrite(number_, content.data(), content.size(), 0) >= 0, "memory file");
    lseek(number_, 0, SEEK_SET);
  }

  std::string Content() const {
    std::string content(static_cast<size_t>(lseek(number_, 0, SEEK_END)), '\0');
    Require(pread(number_, content.data(), content.size(), 0) >= 0, "memory file");
    return content;
  }

 private:
  int number_;
};
