// Needs, asked by a process that something was taken from.
#pragma once

#include <cap-ng.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>
#include <vector>

#include "harness/need.h"
#include "harness/owner.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "netns/private_network.h"
#include "selftest/unit/refused_calls.h"

namespace portshare {

inline std::string AskedOf(const Need& need) {
  try {
    const auto missing = need.probe();
    return missing ? "not met: " + *missing : "met";
  } catch (const CannotAsk& reason) {
    return std::string("cannot ask: ") + reason.what();
  }
}

// What the probe answers in a process that `spoil` has left without something.
inline std::string Probed(const Need& need, const Spoil& spoil) {
  const auto said = InAnotherProcess("the same user", [&] {
    spoil();
    return std::vector{Outcome{"probe", 0, AskedOf(need)}};
  });
  return said.at(0).Got();
}

inline int LowestFreeDescriptor() {
  return Descriptor(dup(STDERR_FILENO)).number();
}

inline Spoil DescriptorsLeft(int count) {
  return [count] {
    const auto limit = static_cast<rlim_t>(LowestFreeDescriptor() + count);
    const rlimit few{limit, limit};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  };
}

inline Spoil FilesToWrite(int error) {
  return Calls({SCMP_SYS(openat)}, SCMP_ACT_ERRNO(static_cast<unsigned>(error)),
               {SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_WRONLY)});
}

// As a container that was started without them.  capabilities(7)
inline Spoil Without(const std::vector<unsigned>& capabilities) {
  return [=] {
    ASSERT_EQ(capng_get_caps_process(), 0);
    for (const unsigned capability : capabilities) {
      capng_update(CAPNG_DROP, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), capability);
    }
    ASSERT_EQ(capng_apply(CAPNG_SELECT_CAPS), 0);
  };
}

// As containers have it.
inline void MakeProcSysReadOnly() {
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount("none", "/", "none", MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(mount("/proc/sys", "/proc/sys", "none", MS_BIND, nullptr), 0);
  constexpr unsigned long kLocked = MS_NOSUID | MS_NODEV | MS_NOEXEC;  // in a user namespace
  ASSERT_EQ(mount("none", "/proc/sys", "none", MS_REMOUNT | MS_BIND | MS_RDONLY | kLocked, nullptr), 0);
}

// For a process of its own, where the answer is the first.
inline void TellPrivilege(const Spoil& spoil) {
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

}  // namespace portshare
