// A place for the tests of the harness: a network namespace each, as the cases have it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "harness/journal.h"
#include "harness/need.h"
#include "harness/traffic.h"
#include "netns/private_network.h"

namespace portshare {

class InNetwork : public testing::Test {
 protected:
  static constexpr uint16_t kPort = 7777;

  void SetUp() override {
    if (BecomeNamespaceRoot() == Privilege::kNone) GTEST_SKIP() << PrivilegeTrouble();
    network_.emplace();
    StayOnThisProcessor();
    Journal::Get().Begin("unit", std::chrono::seconds(30));
  }
  void TearDown() override {
    Journal::Get().End();
    network_.reset();
  }

 private:
  std::optional<PrivateNetwork> network_;
};

// Skips the test that says it when this machine or user lacks `need`.
#define NEEDS(need) \
  if (const auto missing = (need).probe()) GTEST_SKIP() << *missing

// A file that does not exist yet, of this test alone.  A death test that starts the program anew gets the same one,
// through the environment.
inline std::string ScratchFile() {
  std::string folder;
  if (const char* made = std::getenv("PORTSHARE_UNIT_FOLDER")) {
    folder = made;
  } else {
    folder = testing::TempDir() + "/portshare_unit.XXXXXX";
    setenv("PORTSHARE_UNIT_FOLDER", mkdtemp(folder.data()), 1);
    atexit([] { std::filesystem::remove_all(std::getenv("PORTSHARE_UNIT_FOLDER")); });
  }
  std::string file = folder + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::remove(file);
  return file;
}

inline std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace portshare
