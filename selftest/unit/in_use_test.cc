#include "harness/in_use.h"

#include <gtest/gtest.h>

#include "harness/address.h"
#include "harness/socket.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

TEST_F(InNetwork, SocketsAreCountedUntilTheyAreFreed) {
  const int before = SocketsInUse();
  {
    const Socket one = Tcp(Loopback4()).Made(), other = Udp(Loopback4()).Made();
    EXPECT_EQ(SocketsInUse(), before + 2);
  }
  EXPECT_EQ(SocketsLeft(before).answer, "0");
}

}  // namespace
}  // namespace portshare
