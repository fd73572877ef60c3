#include "harness/event_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

// The stream is opened once for a process: each test starts one anew.
class EventLogTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void TearDown() override { unsetenv("PORTSHARE_EVENTS"); }
};

// Writes two lines and exits with the error that the stream tells.
void WriteAndExit() {
  EventLog::Get().Write("one\n");
  EventLog::Get().Write("two\n");
  std::_Exit(EventLog::Get().error());
}

TEST_F(EventLogTest, AppendsToTheFile) {
  const std::string file = ScratchFile();
  std::ofstream(file) << "before\n";
  setenv("PORTSHARE_EVENTS", file.c_str(), 1);
  EXPECT_EXIT(WriteAndExit(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(ReadFile(file), "before\none\ntwo\n");
}

TEST_F(EventLogTest, WritesToAnOpenDescriptor) {
  const std::string file = ScratchFile();
  const Descriptor open_file(open(file.c_str(), O_WRONLY | O_CREAT, 0600));
  setenv("PORTSHARE_EVENTS", "fd:321", 1);
  EXPECT_EXIT(
      {
        dup2(open_file.number(), 321);
        WriteAndExit();
      },
      testing::ExitedWithCode(0), "");
  EXPECT_EQ(ReadFile(file), "one\ntwo\n");
}

TEST_F(EventLogTest, TellsADescriptorThatIsNotOpen) {
  setenv("PORTSHARE_EVENTS", "fd:322", 1);
  EXPECT_EXIT(WriteAndExit(), testing::ExitedWithCode(EBADF), "");
}

TEST_F(EventLogTest, IsSilentWithoutAFile) {
  unsetenv("PORTSHARE_EVENTS");
  EXPECT_EXIT(WriteAndExit(), testing::ExitedWithCode(0), "^$");
}

TEST_F(EventLogTest, TellsAFileThatCannotBeOpened) {
  setenv("PORTSHARE_EVENTS", (ScratchFile() + "/not/there").c_str(), 1);
  EXPECT_EXIT(WriteAndExit(), testing::ExitedWithCode(ENOENT), "");
}

TEST_F(EventLogTest, TellsAFullDisk) {
  setenv("PORTSHARE_EVENTS", "/dev/full", 1);
  EXPECT_EXIT(WriteAndExit(), testing::ExitedWithCode(ENOSPC), "");
}

}  // namespace
}  // namespace portshare
