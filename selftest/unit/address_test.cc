#include "harness/address.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include "netns/cannot_ask.h"
#include "netns/errno_name.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

TEST(Address, KnowsItsFamily) {
  EXPECT_EQ(Address("127.0.0.1").family(), AF_INET);
  EXPECT_EQ(Address("::1").family(), AF_INET6);
  EXPECT_EQ(Address("::ffff:127.0.0.1").family(), AF_INET6);
  EXPECT_EQ(Address("fe80::99%v0").family(), AF_INET6);
}

TEST(Address, RefusesWhatIsNone) {
  EXPECT_THROW(Address(""), CannotAsk);
  EXPECT_THROW(Address("localhost"), CannotAsk);
  EXPECT_THROW(Address("127.0.0.256"), CannotAsk);
  EXPECT_THROW(Address(":::1"), CannotAsk);
}

TEST(Address, IsWrittenAsScenariosWriteIt) {
  EXPECT_EQ(Address("127.0.0.1").text(), "127.0.0.1");
  EXPECT_EQ(Address("::1").text(), "[::1]");
  EXPECT_EQ(Address("fe80::99%v0").text(80), "[fe80::99%v0]:80");
  EXPECT_EQ(Loopback4(6).text(7777), "127.0.0.6:7777");
}

TEST(Address, HasNamesForTheUsualOnes) {
  EXPECT_EQ(Any4().text(), "0.0.0.0");
  EXPECT_EQ(Any6().text(), "[::]");
  EXPECT_EQ(Loopback6().text(), "[::1]");
  EXPECT_EQ(MappedAny().text(), "[::ffff:0.0.0.0]");
  EXPECT_EQ(MappedLoopback(2).text(), "[::ffff:127.0.0.2]");
}

TEST(SocketAddress, KeepsAddressAndPort) {
  const SocketAddress v4(Loopback4(3), 65535);
  EXPECT_EQ(v4.length, sizeof(sockaddr_in));
  EXPECT_EQ(v4.port(), 65535);
  EXPECT_EQ(v4.text(), "127.0.0.3:65535");
  const SocketAddress v6(MappedLoopback(), 1);
  EXPECT_EQ(v6.length, sizeof(sockaddr_in6));
  EXPECT_EQ(v6.text(), "[::ffff:127.0.0.1]:1");
}

TEST(SocketAddress, TellsAFamilyThatItDoesNotKnow) {
  EXPECT_EQ(SocketAddress().port(), 0);
  EXPECT_EQ(SocketAddress().text(), "family 0");
}

using SocketAddressInNetwork = InNetwork;

TEST_F(SocketAddressInNetwork, LooksTheScopeUp) {
  const SocketAddress known(Address("fe80::1%lo"), 80);
  EXPECT_EQ(reinterpret_cast<const sockaddr_in6&>(known.storage).sin6_scope_id, if_nametoindex("lo"));
  const SocketAddress unknown(Address("fe80::1%nowhere"), 80);
  EXPECT_EQ(reinterpret_cast<const sockaddr_in6&>(unknown.storage).sin6_scope_id, 0U);
}

TEST(ErrnoName, IsTheSymbol) {
  EXPECT_EQ(ErrnoName(EADDRINUSE), "EADDRINUSE");
  EXPECT_EQ(ErrnoName(524), "errno 524");
  EXPECT_STREQ(CannotAsk("bind", EACCES).what(), "bind: EACCES");
}

}  // namespace
}  // namespace portshare
