// Calls that the kernel refuses from now on, for tests of what is told then.  In a process of its own: there is no way
// back.
#pragma once

#include <gtest/gtest.h>
#include <seccomp.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <vector>

namespace portshare {

using Spoil = std::function<void()>;

// From now on these calls, of the program itself or of its i386 half, come to `action`.
inline Spoil Calls(const std::vector<int>& calls, uint32_t action, const std::vector<scmp_arg_cmp>& when = {},
                   uint32_t architecture = SCMP_ARCH_NATIVE) {
  return [=] {
    const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release);
    ASSERT_EQ(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW), 0);
    if (architecture != SCMP_ARCH_NATIVE) {
      ASSERT_EQ(seccomp_arch_remove(filter.get(), SCMP_ARCH_NATIVE), 0);
      ASSERT_EQ(seccomp_arch_add(filter.get(), architecture), 0);
    }
    for (const int call : calls) {
      ASSERT_EQ(seccomp_rule_add_array(filter.get(), action, call, static_cast<unsigned>(when.size()), when.data()), 0);
    }
    ASSERT_EQ(seccomp_load(filter.get()), 0);
  };
}

// Nor threads.
inline Spoil NoMoreProcesses() {
  return Calls({SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(fork), SCMP_SYS(vfork)}, SCMP_ACT_ERRNO(EAGAIN));
}

}  // namespace portshare
