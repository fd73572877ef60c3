#include "harness/kernel_log.h"

#include <filesystem>

#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

TEST(IsComplaintTest, KnowsHowComplaintsBegin) {
  for (const char* line : {
           "WARNING: CPU: 0 PID: 7 at net/ipv4/inet_hashtables.c:100 inet_bind",
           "BUG: KASAN: slab-use-after-free in udp_lib_get_port",
           "BUG kmalloc-64 (Not tainted): Poison overwritten",
           "INFO: task portshare_cases:12 blocked for more than 120 seconds.",
           "kernel BUG at net/ipv4/inet_hashtables.c:100!",
           "Kernel bug detected[#1]:",
           "Internal error: Oops: 0000000096000004 [#1] SMP",
           "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008",
           "CPU 1 Unable to handle kernel paging request at virtual address 00000008, epc == 80102030",
           "illegal operation: 0001 ilc:1 [#1] SMP",
           "list_del corruption. prev->next should be ffff888003a0, but was dead000000000122",
           "list_add corruption. next->prev should be prev",
           "Attempt to release TCP socket in state 10 00000000ab",
           "IPv4: Attempt to release TCP socket in state 10 00000000ab",
           "refcount_t: underflow; use-after-free.",
       }) {
    EXPECT_TRUE(IsComplaint(line)) << line;
  }
}

TEST(IsComplaintTest, LeavesTheRestAlone) {
  for (const char* line : {
           "v0: entered promiscuous mode",
           "this is no BUG: at all",
           "CPU 1 is up",
           "CPU ",
           "device [#] renamed",
           "ip_local_port_range: prefer different parity for start/end values.",
       }) {
    EXPECT_FALSE(IsComplaint(line)) << line;
  }
}

// A kernel's files that a test writes itself.
class KernelLogTest : public testing::Test {
 protected:
  KernelLogTest() {
    const std::string folder = ScratchFile();
    std::filesystem::create_directory(folder);
    files_.log = folder + "/kmsg";
    files_.taint = folder + "/tainted";
    std::ofstream(files_.log) << "4,7,1,-;WARNING: of long ago\n SUBSYSTEM=x\n";
    Taint("512");
  }

  void Say(const std::string& record) const { std::ofstream(files_.log, std::ios::app) << record << "\n"; }
  void Taint(const std::string& mask) const { std::ofstream(files_.taint) << mask << "\n"; }

  static std::vector<std::string> Texts(const std::vector<KernelComplaint>& complaints) {
    std::vector<std::string> texts;
    for (const KernelComplaint& complaint : complaints) texts.push_back(complaint.text);
    return texts;
  }

  KernelFiles files_;
};

TEST_F(KernelLogTest, BeginsWhereTheLogEnds) {
  KernelLog log(files_);
  EXPECT_TRUE(log.Since().empty());
  Say("4,8,2,-;v0: entered promiscuous mode");
  Say("4,9,2,-;WARNING: of now\n DEVICE=v0");
  const auto complaints = log.Since();
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_EQ(complaints[0].sequence, 9U);
  EXPECT_EQ(complaints[0].text, "WARNING: of now");
  EXPECT_TRUE(log.Since().empty());
}

TEST_F(KernelLogTest, DoesNotTakeAProgramForTheKernel) {
  KernelLog log(files_);
  Say("12,8,2,-;WARNING: a program wrote this");
  EXPECT_TRUE(log.Since().empty());
}

TEST_F(KernelLogTest, TellsATaintThatAppearsOnce) {
  KernelLog log(files_);
  Taint("640");  // D beside W, which was there
  EXPECT_EQ(Texts(log.Since()), std::vector<std::string>{"taints itself: D"});
  EXPECT_TRUE(log.Since().empty());
}

TEST_F(KernelLogTest, AModuleThatIsLoadedIsNoComplaint) {
  KernelLog log(files_);
  Taint("12800");  // O and E
  EXPECT_TRUE(log.Since().empty());
}

TEST_F(KernelLogTest, GoesOnFromAMark) {
  const KernelMark mark = KernelLog::Mark(files_);
  EXPECT_EQ(mark.sequence, 8U);
  EXPECT_EQ(mark.taint, 512U);
  Say("4,8,2,-;WARNING: of now");
  Taint("16896");
  EXPECT_EQ(Texts(KernelLog(mark, files_).Since()), (std::vector<std::string>{"WARNING: of now", "taints itself: L"}));
}

TEST_F(KernelLogTest, WithoutALogSeesTheTaintAlone) {
  files_.log += ".absent";
  const KernelMark mark = KernelLog::Mark(files_);
  EXPECT_FALSE(mark.sequence.has_value());
  Taint("640");
  EXPECT_EQ(Texts(KernelLog(mark, files_).Since()), std::vector<std::string>{"taints itself: D"});
}

TEST_F(KernelLogTest, SeesNothingOfWhatMayNotBeRead) {
  files_.log += ".absent";
  files_.taint += ".absent";
  EXPECT_TRUE(KernelLog(files_).SinceAndSoon().empty());
  EXPECT_TRUE(KernelLog(KernelLog::Mark(files_), files_).Since().empty());
}

}  // namespace
}  // namespace portshare
