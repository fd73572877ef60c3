// A need is not met where this kernel or this user has not got it; a shortage is an error, or a skip would hide it.
#include "harness/need.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>

#include "harness/owner.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "netns/errno_name.h"
#include "selftest/unit/in_network.h"
#include "selftest/unit/refused_calls.h"

namespace portshare {
namespace {

using NeedTest = InNetwork;

std::string AskedOf(const Need& need) {
  try {
    const auto missing = need.probe();
    return missing ? "not met: " + *missing : "met";
  } catch (const CannotAsk& reason) {
    return std::string("cannot ask: ") + reason.what();
  }
}

// What the probe answers in a process that `spoil` has left without something.
std::string Probed(const Need& need, const Spoil& spoil) {
  const auto said = InAnotherProcess("the same user", [&] {
    spoil();
    return std::vector{Outcome{"probe", 0, AskedOf(need)}};
  });
  return said.at(0).Got();
}

int LowestFreeDescriptor() {
  return Descriptor(dup(STDERR_FILENO)).number();
}

Spoil DescriptorsLeft(int count) {
  return [count] {
    const auto limit = static_cast<rlim_t>(LowestFreeDescriptor() + count);
    const rlimit few{limit, limit};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  };
}

// Calls on the third descriptor from here: the first two are those of the namespace, and of the link while it is made.
Spoil CallsThatSetTheLinkUp(int error) {
  return [error] {
    const auto third = static_cast<scmp_datum_t>(LowestFreeDescriptor() + 2);
    Calls({SCMP_SYS(ioctl)}, SCMP_ACT_ERRNO(static_cast<unsigned>(error)),
          {SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, third)})();
  };
}

Spoil FilesToWrite(int error) {
  return Calls({SCMP_SYS(openat)}, SCMP_ACT_ERRNO(static_cast<unsigned>(error)),
               {SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_WRONLY)});
}

TEST_F(NeedTest, OfAFilterOfCalls) {
  NEEDS(needs::kSeccomp);
  const std::vector<int> filter = {SCMP_SYS(seccomp), SCMP_SYS(prctl)};
  EXPECT_EQ(Probed(needs::kSeccomp, DescriptorsLeft(0)), "cannot ask: pipe2: EMFILE");
  EXPECT_EQ(Probed(needs::kSeccomp, NoMoreProcesses()), "cannot ask: fork: EAGAIN");
  EXPECT_EQ(Probed(needs::kSeccomp, Calls(filter, SCMP_ACT_ERRNO(ENOMEM))),
            "cannot ask: as a program on Linux 3.8: seccomp: load the filter: ENOMEM");
  EXPECT_EQ(Probed(needs::kSeccomp, Calls(filter, SCMP_ACT_KILL_PROCESS)),
            "cannot ask: a child process as a program on Linux 3.8 died before it answered");
  EXPECT_EQ(Probed(needs::kSeccomp, Calls(filter, SCMP_ACT_ERRNO(EINVAL))),
            "not met: as a program on Linux 3.8: seccomp: load the filter: EINVAL");
}

TEST_F(NeedTest, OfAUserNamespace) {
  NEEDS(needs::kUserNamespace);
  const std::vector<int> unshare = {SCMP_SYS(unshare)};
  EXPECT_EQ(Probed(needs::kUserNamespace, DescriptorsLeft(0)), "cannot ask: pipe2: EMFILE");
  EXPECT_EQ(Probed(needs::kUserNamespace, DescriptorsLeft(2)),
            "cannot ask: as uid 0 of a user namespace of alice: map uid 0 to alice: EMFILE");
  EXPECT_EQ(Probed(needs::kUserNamespace, NoMoreProcesses()), "cannot ask: fork: EAGAIN");
  EXPECT_EQ(Probed(needs::kUserNamespace, Calls(unshare, SCMP_ACT_ERRNO(ENOMEM))),
            "cannot ask: as uid 0 of a user namespace of alice: unshare(CLONE_NEWUSER): ENOMEM");
  EXPECT_EQ(Probed(needs::kUserNamespace, Calls(unshare, SCMP_ACT_KILL_PROCESS)),
            "cannot ask: a child process as uid 0 of a user namespace of alice died before it answered");
  for (const int error : {EPERM, EINVAL, ENOSPC, EUSERS}) {
    EXPECT_EQ(Probed(needs::kUserNamespace, Calls(unshare, SCMP_ACT_ERRNO(static_cast<unsigned>(error)))),
              "not met: as uid 0 of a user namespace of alice: unshare(CLONE_NEWUSER): " + ErrnoName(error));
  }
}

TEST_F(NeedTest, OfASecondOwner) {
  NEEDS(needs::kSecondOwner);
  const std::vector<int> become = {SCMP_SYS(setresuid)};
  EXPECT_EQ(Probed(needs::kSecondOwner, Calls(become, SCMP_ACT_ERRNO(EAGAIN))), "cannot ask: become carol: EAGAIN");
  EXPECT_EQ(Probed(needs::kSecondOwner, Calls(become, SCMP_ACT_ERRNO(EINVAL))),
            "not met: only one uid is at hand: become carol: EINVAL");
}

TEST_F(NeedTest, OfALink) {
  NEEDS(needs::kVeth);
  EXPECT_EQ(Probed(needs::kVeth, DescriptorsLeft(2)), "cannot ask: socket: EMFILE");
  EXPECT_EQ(Probed(needs::kVeth, CallsThatSetTheLinkUp(ENOBUFS)), "cannot ask: flags of link probe0: ENOBUFS");
  EXPECT_EQ(Probed(needs::kVeth, CallsThatSetTheLinkUp(EOPNOTSUPP)), "not met: flags of link probe0: EOPNOTSUPP");
}

TEST_F(NeedTest, OfASocket) {
  const auto socket = [](int error) { return Calls({SCMP_SYS(socket)}, SCMP_ACT_ERRNO(static_cast<unsigned>(error))); };
  EXPECT_EQ(Probed(needs::kIpv6, DescriptorsLeft(0)), "cannot ask: probe: IPv6 socket: EMFILE");
  EXPECT_EQ(Probed(needs::kIpv6, socket(EAGAIN)), "cannot ask: probe: IPv6 socket: EAGAIN");
  EXPECT_EQ(Probed(needs::kIpv6, socket(EAFNOSUPPORT)), "not met: this kernel makes no IPv6 socket (EAFNOSUPPORT)");
  EXPECT_EQ(Probed(needs::kMptcp, socket(ENOPROTOOPT)), "not met: this kernel makes no MPTCP socket (ENOPROTOOPT)");
}

TEST_F(NeedTest, OfAnOption) {
  const auto set = [](int error) {
    return Calls({SCMP_SYS(setsockopt)}, SCMP_ACT_ERRNO(static_cast<unsigned>(error)));
  };
  EXPECT_EQ(Probed(needs::kRepair, set(ENOMEM)), "cannot ask: TCP_REPAIR is refused: ENOMEM");
  EXPECT_EQ(Probed(needs::kRepair, set(EPERM)), "not met: TCP_REPAIR is refused (EPERM)");
}

TEST_F(NeedTest, OfASysctl) {
  NEEDS(needs::kSynCookies);
  NEEDS(needs::kMigration);
  EXPECT_EQ(Probed(needs::kSynCookies, FilesToWrite(ENFILE)), "cannot ask: set net.ipv4.tcp_syncookies: ENFILE");
  EXPECT_EQ(Probed(needs::kMigration, FilesToWrite(ENFILE)), "cannot ask: set net.ipv4.tcp_migrate_req: ENFILE");
  EXPECT_EQ(Probed(needs::kSynCookies, FilesToWrite(ENOENT)),
            "not met: net.ipv4.tcp_syncookies cannot be set here (ENOENT)");
}

TEST_F(NeedTest, OfMigrationThatIsProbedWithSockets) {
  NEEDS(needs::kMigration);
  EXPECT_EQ(Probed(needs::kMigration, Calls({SCMP_SYS(poll), SCMP_SYS(ppoll)}, SCMP_ACT_ERRNO(ENOMEM))),
            "cannot ask: poll: ENOMEM");
}

TEST_F(NeedTest, OfI386Calls) {
  NEEDS(needs::kI386);
  const auto socketcall = [](uint32_t action) { return Calls({SCMP_SYS(socketcall)}, action, {}, SCMP_ARCH_X86); };
  EXPECT_EQ(Probed(needs::kI386, DescriptorsLeft(0)), "cannot ask: socket by i386: EMFILE");
  EXPECT_EQ(Probed(needs::kI386, NoMoreProcesses()), "cannot ask: fork: EAGAIN");
  EXPECT_EQ(Probed(needs::kI386, Calls({SCMP_SYS(mmap)}, SCMP_ACT_ERRNO(ENOMEM),
                                       {SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_32BIT, MAP_32BIT)})),
            "cannot ask: socket by i386: ENOMEM");
  EXPECT_EQ(Probed(needs::kI386, socketcall(SCMP_ACT_ERRNO(ENOSYS))),
            "not met: this kernel answers no i386 system calls");
  EXPECT_EQ(Probed(needs::kI386, socketcall(SCMP_ACT_KILL_PROCESS)),
            "not met: this kernel answers no i386 system calls");
}

// The first answer stays for the life of a process: each of these needs a process of its own.
class NamespaceNeed : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

void AskForANamespace(const Spoil& spoil) {
  spoil();
  std::cerr << AskedOf(needs::kNamespace) << "\n";
  _exit(0);
}

TEST_F(NamespaceNeed, IsAnErrorWithoutMemoryForOne) {
  EXPECT_EXIT(AskForANamespace(Calls({SCMP_SYS(unshare)}, SCMP_ACT_ERRNO(ENOMEM))), testing::ExitedWithCode(0),
              "cannot ask: unshare.*: ENOMEM");
}

TEST_F(NamespaceNeed, IsNotMetWhereThisUserMayMakeNone) {
  EXPECT_EXIT(AskForANamespace(Calls({SCMP_SYS(unshare)}, SCMP_ACT_ERRNO(ENOSPC))), testing::ExitedWithCode(0),
              "not met: this user may make neither a network nor a user namespace \\(ENOSPC\\)");
}

TEST_F(NamespaceNeed, IsTheSameErrorWhenItIsAskedAgain) {
  EXPECT_EXIT(
      {
        Calls({SCMP_SYS(unshare)}, SCMP_ACT_ERRNO(ENOMEM))();
        AskedOf(needs::kNamespace);
        AskForANamespace([] {});
      },
      testing::ExitedWithCode(0), "cannot ask: unshare.*: ENOMEM");
}

// A user whom /etc/subuid gives a range, with `script` as its newuidmap and newgidmap.  As root alone.
class SubordinateUser : public NamespaceNeed {
 protected:
  // Nobody else's at this moment: RLIMIT_NPROC counts the processes of a user.
  const uid_t uid_ = 0x1000'0000U + static_cast<uid_t>(getpid());

  void SetUp() override {
    NamespaceNeed::SetUp();
    // Not BecomeNamespaceRoot(): the answer would stay.
    const bool of_all_uids = ReadFile("/proc/self/uid_map").find("4294967295") != std::string::npos;
    if (geteuid() != 0 || !of_all_uids) GTEST_SKIP() << "only the machine's own root becomes another user";
    if (access("/etc/subuid", F_OK) != 0 || access("/etc/subgid", F_OK) != 0) GTEST_SKIP() << "no file to mount over";
  }

  Spoil Become(const std::string& script) {
    return [script, uid = uid_] {
      const std::filesystem::path folder = ScratchFile();
      std::filesystem::create_directory(folder);
      permissions(folder.parent_path(), std::filesystem::perms(0755));
      for (const char* program : {"newuidmap", "newgidmap"}) {
        std::ofstream(folder / program) << "#!/bin/sh\n" << script << "\n";
        permissions(folder / program, std::filesystem::perms(0755));
      }
      setenv("PATH", folder.c_str(), 1);
      std::ofstream(folder / "ranges") << uid << ":100000:65536\n";
      ASSERT_EQ(unshare(CLONE_NEWNS), 0);
      ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
        ASSERT_EQ(mount((folder / "ranges").c_str(), file, nullptr, MS_BIND, nullptr), 0);
      }
      ASSERT_EQ(setresgid(uid, uid, uid), 0);
      ASSERT_EQ(setresuid(uid, uid, uid), 0);
      prctl(PR_SET_DUMPABLE, 1);  // or /proc/self stays root's
    };
  }

  static void TellPrivilege(const Spoil& spoil) {
    spoil();
    std::string privilege;
    try {
      privilege = PrivilegeName(BecomeNamespaceRoot());
    } catch (const CannotAsk& reason) {
      privilege = std::string("cannot ask: ") + reason.what();
    }
    std::cerr << privilege << "; " << PrivilegeTrouble() << "\n";
    _exit(0);
  }
};

TEST_F(SubordinateUser, HasOneUidWhereTheMapperRefuses) {
  EXPECT_EXIT(TellPrivilege(Become("exit 1")), testing::ExitedWithCode(0), "one_uid; \n");
}

TEST_F(SubordinateUser, WaitsForAMapperNotForEver) {
  EXPECT_EXIT(TellPrivilege(Become("exec /bin/sleep 1000")), testing::ExitedWithCode(0),
              "one_uid; the ranges were not mapped in 5 s");
}

TEST_F(SubordinateUser, CannotAskWithoutAProcessForTheMapper) {
  const auto two_processes = [this] {
    Become("exit 1")();
    const rlimit two{2, 2};
    ASSERT_EQ(setrlimit(RLIMIT_NPROC, &two), 0);
  };
  EXPECT_EXIT(TellPrivilege(two_processes), testing::ExitedWithCode(0), "cannot ask: newuidmap or newgidmap could not");
}

}  // namespace
}  // namespace portshare
