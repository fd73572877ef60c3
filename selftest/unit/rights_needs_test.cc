// What a container withholds is a skip with a code of its own; what it runs short of stays an error.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>

#include <cerrno>
#include <string>
#include <vector>

#include "harness/bpf.h"
#include "harness/need.h"
#include "harness/server_needs.h"
#include "netns/errno_name.h"
#include "selftest/unit/in_network.h"
#include "selftest/unit/spoiled.h"

namespace portshare {
namespace {

using RightsNeedsTest = InNetwork;

Spoil Refusing(int call, int error) {
  return Calls({call}, SCMP_ACT_ERRNO(static_cast<unsigned>(error)));
}

std::string CodeOfFirstUnmet(const std::vector<const Need*>& needs, const Spoil& spoil) {
  const auto said = InAnotherProcess("the same user", [&] {
    spoil();
    const auto unmet = FirstUnmet(needs);
    return std::vector{Outcome{"first unmet", 0, unmet ? unmet->need->code : "none"}};
  });
  return said.at(0).Got();
}

TEST_F(RightsNeedsTest, NetRawIsOfRawSocketsAndOfPackets) {
  const Spoil spoil = Without({CAP_NET_RAW});
  EXPECT_EQ(Probed(needs::kNetRaw, spoil), "not met: make a raw socket: EPERM");
  EXPECT_EQ(Probed(needs::kPacketPeer, spoil), "not met: packet socket: EPERM");
  EXPECT_EQ(Probed(needs::kNetRaw, DescriptorsLeft(0)), "cannot ask: make a raw socket: EMFILE");
  EXPECT_EQ(Probed(needs::kPacketPeer, DescriptorsLeft(0)), "cannot ask: packet socket: EMFILE");
}

TEST_F(RightsNeedsTest, NetBindServiceOpensPrivilegedPorts) {
  EXPECT_EQ(Probed(needs::kNetBindService, Without({CAP_NET_BIND_SERVICE})), "not met: bind port 1: EACCES");
  EXPECT_EQ(Probed(needs::kNetBindService,
                   [] {
                     Without({CAP_NET_BIND_SERVICE})();
                     Refusing(SCMP_SYS(bind), ENOBUFS)();
                   }),
            "cannot ask: bind port 1: ENOBUFS");
  // Then the kernel is wrong, and its cases fail.
  EXPECT_EQ(Probed(needs::kNetBindService, Refusing(SCMP_SYS(bind), EACCES)), "met");
}

TEST_F(RightsNeedsTest, ASecondOwnerTakesThreeCapabilities) {
  NEEDS(needs::kSecondOwner);
  const std::string lacks = "not met: only one uid is at hand: ";
  EXPECT_EQ(Probed(needs::kSecondOwner, Without({CAP_SETUID})), lacks + "become carol: EPERM");
  EXPECT_EQ(Probed(needs::kSecondOwner, Without({CAP_SETGID})), lacks + "take the group of carol: EPERM");
  EXPECT_EQ(Probed(needs::kSecondOwner, Without({CAP_CHOWN})), lacks + "give a socket to carol: EPERM");
  EXPECT_EQ(Probed(needs::kSecondOwner, Refusing(SCMP_SYS(setresgid), EAGAIN)),
            "cannot ask: take the group of carol: EAGAIN");
}

TEST_F(RightsNeedsTest, SetpcapReducesChildren) {
  EXPECT_EQ(Probed(needs::kReducedChild, Without({CAP_SETPCAP})),
            "not met: as somebody who may do less: drop from the bounding set: EPERM");
  EXPECT_EQ(Probed(needs::kReducedChild, NoMoreProcesses()), "cannot ask: fork: EAGAIN");
}

TEST_F(RightsNeedsTest, ReadOnlySysctlsAreBlamedBeforeTheKernel) {
  NEEDS(needs::kSysctl);
  EXPECT_EQ(Probed(needs::kSysctl, MakeProcSysReadOnly), "not met: /proc/sys/net cannot be written here (EROFS)");
  for (const Need* need : {&needs::kMigration, &needs::kSynCookies, &needs::kAutobindReuse, &needs::kPortStepWidth}) {
    EXPECT_EQ(CodeOfFirstUnmet({need}, MakeProcSysReadOnly), "no_sysctl") << need->name;
  }
  // AppArmor
  EXPECT_EQ(Probed(needs::kSysctl, FilesToWrite(EACCES)), "not met: /proc/sys/net cannot be written here (EACCES)");
  EXPECT_EQ(Probed(needs::kSysctl, FilesToWrite(ENFILE)), "cannot ask: set a sysctl: ENFILE");
}

TEST_F(RightsNeedsTest, OfUserNamespacesAreThoseThatAFilterRefuses) {
  NEEDS(needs::kUserNamespace);
  for (const int error : {EPERM, ENOSYS}) {
    EXPECT_EQ(Probed(needs::kUserNamespace, Refusing(SCMP_SYS(unshare), error)),
              "not met: as uid 0 of a user namespace of alice: unshare(CLONE_NEWUSER): " + ErrnoName(error));
  }
}

TEST_F(RightsNeedsTest, OfBpfAreThoseThatAFilterRefuses) {
  NEEDS(needs::kSkLookup);
  for (const Need* need :
       {&needs::kBpf, &needs::kSkReuseport, &needs::kSkLookup, &needs::kSockMap, &needs::kSkMigrate}) {
    for (const int error : {EPERM, ENOSYS}) {
      const std::string answer = Probed(*need, Refusing(SCMP_SYS(bpf), error));
      EXPECT_TRUE(answer.starts_with("not met: bpf(2) refuses ") && answer.ends_with(": " + ErrnoName(error)))
          << answer;
    }
    EXPECT_TRUE(Probed(*need, Refusing(SCMP_SYS(bpf), ENOMEM)).starts_with("cannot ask: ")) << need->name;
  }
}

TEST_F(RightsNeedsTest, OfARoomAreThoseThatAFilterOrAppArmorRefuses) {
  NEEDS(needs::kServerRoom);
  const std::string none = "not met: there is no place for servers: ";
  EXPECT_EQ(Probed(needs::kServerRoom, Refusing(SCMP_SYS(clone3), ENOSYS)),
            none + "clone3(CLONE_NEWPID | CLONE_NEWNS): ENOSYS");
  EXPECT_EQ(Probed(needs::kServerRoom, Refusing(SCMP_SYS(mount), EACCES)),
            none + "a room for servers: keep mounts private: EACCES");
  EXPECT_EQ(Probed(needs::kServerRoom, Refusing(SCMP_SYS(mount), ENOMEM)),
            "cannot ask: a room for servers: keep mounts private: ENOMEM");
}

TEST_F(RightsNeedsTest, SysChrootEntersARoom) {
  NEEDS(needs::kServerRoom);
  EXPECT_EQ(Probed(needs::kServerRoom, Without({CAP_SYS_CHROOT})),
            "not met: there is no place for servers: enter the room: EPERM");
}

// Who was somebody else for a while is undumpable, and its files in /proc are closed.
TEST_F(RightsNeedsTest, SysPtraceIsNotNeededForARoom) {
  NEEDS(needs::kServerRoom);
  NEEDS(needs::kSecondOwner);
  EXPECT_EQ(Probed(needs::kServerRoom, Without({CAP_SYS_PTRACE})), "met");
}

TEST_F(RightsNeedsTest, ASocketThatAFilterRefusesIsNotTheKernelsFault) {
  EXPECT_EQ(Probed(needs::kVsock, Refusing(SCMP_SYS(socket), EPERM)),
            "not met: this user may make no vsock socket (EPERM)");
}

// The first answer stays for the life of a process: each of these needs a process of its own.
class RightsOfAContainer : public testing::Test {
 protected:
  void SetUp() override {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    // Not BecomeNamespaceRoot(): the answer would stay.
    if (geteuid() != 0) GTEST_SKIP() << "only root can be left with less";
  }
};

// unshare(2) without a user namespace is refused, as to everybody else; with one it is not.
Spoil NoNetworkOfRoots() {
  return Calls({SCMP_SYS(unshare)}, SCMP_ACT_ERRNO(EPERM),
               {SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, static_cast<unsigned>(CLONE_NEWNET))});
}

TEST_F(RightsOfAContainer, AreAllItsUidsWithoutCapSysAdmin) {
  EXPECT_EXIT(TellPrivilege(Without({CAP_SYS_ADMIN})), testing::ExitedWithCode(0), "subuid_ranges; \n");
}

TEST_F(RightsOfAContainer, AreOneUidWithoutCapSetgid) {
  EXPECT_EXIT(TellPrivilege(Without({CAP_SYS_ADMIN, CAP_SETGID})), testing::ExitedWithCode(0), "one_uid; \n");
}

TEST_F(RightsOfAContainer, AreOneUidWithoutCapSetuid) {
  EXPECT_EXIT(TellPrivilege(Without({CAP_SYS_ADMIN, CAP_SETUID})), testing::ExitedWithCode(0), "one_uid; \n");
}

TEST_F(RightsOfAContainer, AreNoneWhereAFilterRefusesEveryNamespace) {
  for (const int error : {EPERM, ENOSYS}) {
    EXPECT_EXIT(TellPrivilege(Refusing(SCMP_SYS(unshare), error)), testing::ExitedWithCode(0),
                "none; this user may make neither a network nor a user namespace \\(" + ErrnoName(error));
  }
}

TEST_F(RightsOfAContainer, AreNoneWhereAFilterLetsNobodyComeBack) {
  EXPECT_EXIT(TellPrivilege(Refusing(SCMP_SYS(setns), EPERM)), testing::ExitedWithCode(0),
              "none; a user namespace was made, but no network namespace in it \\(setns.CLONE_NEWNET.: EPERM\\)");
}

TEST_F(RightsOfAContainer, AreNoneWhereAppArmorLetsNobodyMapAnId) {
  const auto spoil = [] {
    NoNetworkOfRoots()();
    FilesToWrite(EACCES)();
  };
  EXPECT_EXIT(TellPrivilege(spoil), testing::ExitedWithCode(0),
              "none; a user namespace was made, but nothing may be done in it");
}

}  // namespace
}  // namespace portshare
