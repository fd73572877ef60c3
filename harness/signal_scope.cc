#include "harness/signal_scope.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "netns/descriptor.h"

namespace portshare {
namespace {

// As of Linux 6.12; the headers of older ones, which this is built with, lack the last field.
struct RulesetAttributes {
  uint64_t handled_access_fs = 0;
  uint64_t handled_access_net = 0;
  uint64_t scoped = 0;
};

constexpr uint64_t kScopeSignal = 1 << 1;

}  // namespace

bool KeepSignalsInside() {
  const RulesetAttributes attributes{.scoped = kScopeSignal};
  // Older kernels take a longer structure whose new fields are zero, and refuse this one.
  const Descriptor ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  return ruleset.open() && syscall(SYS_landlock_restrict_self, ruleset.number(), 0) == 0;
}

}  // namespace portshare
