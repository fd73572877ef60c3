// Namespaces, links and sysctls.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "harness/owner.h"
#include "harness/socket.h"
#include "netns/cannot_ask.h"
#include "netns/descriptor.h"
#include "netns/links.h"
#include "netns/sysctl.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using NetworkTest = InNetwork;

ino_t CurrentNetwork() {
  struct stat status {};
  stat("/proc/thread-self/ns/net", &status);
  return status.st_ino;
}

// Carrier and queue are ready: before that a link drops what is sent.  netdevice(7)
bool IsRunning(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return ioctl(any.number(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING) != 0;
}

TEST_F(NetworkTest, HasLoopbackUpAndNothingElse) {
  Socket receiver = Udp(Loopback4()).Bound(kPort);
  EXPECT_EQ(Udp(Loopback4()).Made().SendTo(Loopback4(), kPort).Got(), "1");
  EXPECT_EQ(receiver.Receive().Got(), "x");
}

TEST_F(NetworkTest, IsolatesPortsAndReturns) {
  const ino_t outside = CurrentNetwork();
  const Socket holder = Tcp(Loopback4()).Bound(kPort).Listening();
  {
    const PrivateNetwork inner;
    EXPECT_NE(CurrentNetwork(), outside);
    EXPECT_EQ(Tcp(Loopback4()).Bind(kPort).Got(), "ok");
    EXPECT_EQ(Tcp(Loopback4()).Made().Connect(Loopback4(), kPort).Got(), "ECONNREFUSED");
  }
  EXPECT_EQ(CurrentNetwork(), outside);
  EXPECT_EQ(Tcp(Loopback4()).Bind(kPort).Got(), "EADDRINUSE");
}

TEST_F(NetworkTest, ReturnsAfterAnException) {
  const ino_t outside = CurrentNetwork();
  EXPECT_THROW(
      {
        const PrivateNetwork inner;
        throw CannotAsk("x");
      },
      CannotAsk);
  EXPECT_EQ(CurrentNetwork(), outside);
}

TEST_F(NetworkTest, ReturnsWhenLoStaysDown) {
  const ino_t outside = CurrentNetwork();
  const auto left = InChild({.uid = 0, .gid = 0, .capabilities = {CAP_SYS_ADMIN}}, [&] {
    EXPECT_THROW(PrivateNetwork(), CannotAsk);
    return std::vector{Outcome{"network", 0, CurrentNetwork() == outside ? "outside" : "inside"}};
  });
  EXPECT_EQ(left.at(0).Got(), "outside");
}

TEST_F(NetworkTest, GivesThePrivilegeOnce) {
  EXPECT_EQ(BecomeNamespaceRoot(), BecomeNamespaceRoot());
  EXPECT_NE(PrivilegeName(BecomeNamespaceRoot()), "none");
  EXPECT_EQ(PrivilegeTrouble(), "");
}

TEST_F(NetworkTest, AddsAddresses) {
  EXPECT_EQ(Udp(Address("10.55.0.1")).Bind(kPort).Got(), "EADDRNOTAVAIL");
  AddAddress("lo", "10.55.0.1/32");
  EXPECT_EQ(Udp(Address("10.55.0.1")).Bind(kPort).Got(), "ok");
  DeleteAddress("lo", "10.55.0.1/32");
  EXPECT_EQ(Udp(Address("10.55.0.1")).Bind(kPort).Got(), "EADDRNOTAVAIL");
}

TEST_F(NetworkTest, AddsIpv6AddressesThatServeAtOnce) {
  NEEDS(needs::kIpv6);
  NEEDS(needs::kVeth);
  AddVethPair("v0", "v1");
  AddAddress("v0", "fd00::1/64");
  EXPECT_EQ(Udp(Address("fd00::1")).Bind(kPort).Got(), "ok");
}

TEST_F(NetworkTest, AddsRoutes) {
  EXPECT_EQ(Udp(Any4()).Made().SendTo(Address("10.66.0.1"), kPort).Got(), "ENETUNREACH");
  AddRoute("10.66.0.0/16", "lo");
  EXPECT_EQ(Udp(Any4()).Made().SendTo(Address("10.66.0.1"), kPort).Got(), "1");
}

TEST_F(NetworkTest, AddsACableThatCarriesAtOnce) {
  NEEDS(needs::kVeth);
  AddVethPair("v0", "v1");
  EXPECT_TRUE(IsRunning("v0"));
  EXPECT_TRUE(IsRunning("v1"));
  AddAddress("v0", "10.55.0.1/24");
  const Descriptor other_end(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_ll v1{};
  v1.sll_family = AF_PACKET;
  v1.sll_protocol = htons(ETH_P_IP);
  v1.sll_ifindex = static_cast<int>(if_nametoindex("v1"));
  ASSERT_EQ(bind(other_end.number(), reinterpret_cast<sockaddr*>(&v1), sizeof v1), 0);

  Socket sender = Udp(Any4()).Set(so::kBroadcast).Device("v0").Made();
  EXPECT_EQ(sender.SendTo(Address("255.255.255.255"), kPort).Got(), "1");
  AwaitDelivery();

  char frame[64];
  EXPECT_GT(recv(other_end.number(), frame, sizeof frame, MSG_DONTWAIT), 0);
}

TEST_F(NetworkTest, AddsLinksByType) {
  NEEDS(needs::kDummy);
  AddLink("d0", "dummy");
  EXPECT_NE(if_nametoindex("d0"), 0U);
  EXPECT_THROW(AddLink("d0", "dummy"), CannotAsk);
}

TEST_F(NetworkTest, SaysWhatCannotBeAdded) {
  EXPECT_THROW(LinkUp("nowhere"), CannotAsk);
  EXPECT_THROW(AddAddress("nowhere", "10.55.0.1/32"), CannotAsk);
  EXPECT_THROW(AddAddress("lo", "nothing"), CannotAsk);
  EXPECT_THROW(AddRoute("10.66.0.0/16", "nowhere"), CannotAsk);
  EXPECT_THROW(AddLink("x0", "nosuchtype"), CannotAsk);
}

TEST_F(NetworkTest, ReadsAndWritesSysctlsOfItsOwn) {
  EXPECT_EQ(WriteSysctl("ipv4/ip_local_port_range", "40000 40001"), 0);
  EXPECT_EQ(ReadSysctl("ipv4/ip_local_port_range"), "40000\t40001");
  const PrivateNetwork inner;
  EXPECT_NE(ReadSysctl("ipv4/ip_local_port_range"), "40000\t40001");
}

TEST_F(NetworkTest, TellsWhatASysctlAnswers) {
  EXPECT_EQ(WriteSysctl("ipv4/ip_local_port_range", "2 1"), EINVAL);
  EXPECT_EQ(WriteSysctl("ipv4/no_such_thing", "1"), ENOENT);
  EXPECT_EQ(ReadSysctl("ipv4/no_such_thing"), std::nullopt);
}

TEST(Descriptor, ClosesOnceAndMoves) {
  Descriptor first(dup(0));
  const int number = first.number();
  Descriptor second(std::move(first));
  EXPECT_FALSE(first.open());  // NOLINT(bugprone-use-after-move): that it is empty now is the question
  EXPECT_EQ(second.number(), number);
  second.Close();
  EXPECT_FALSE(second.open());
  EXPECT_EQ(second.number(), -1);
}

TEST_F(NetworkTest, MeetsOrExplainsEveryNeed) {
  for (const Need* need : AllNeeds()) {
    const auto missing = need->probe();
    EXPECT_EQ(std::string(need->code), std::string("no_") + need->name);
    if (missing) {
      EXPECT_NE(*missing, "") << need->name;
    }
  }
  EXPECT_TRUE(Journal::Get().lines().empty());
}

}  // namespace
}  // namespace portshare
