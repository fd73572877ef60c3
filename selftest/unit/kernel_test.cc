// Scenarios on the kernel: what is asked, what is answered, and what stays behind.
#include "harness/explore/kernel.h"

#include <gmock/gmock.h>
#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>

#include "harness/emulate.h"
#include "harness/explore/bench.h"
#include "netns/cannot_ask.h"
#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

// harness/claim.h has a function of the same name.
using ThisKernel = class Kernel;
using model::Op;
using model::Protocol;
using testing::ElementsAre;
using Kind = model::Address::Kind;

constexpr model::Address kAny4{Kind::kIpv4, 0};
constexpr model::Address kLoopback4{Kind::kIpv4, 0x7f000001};
constexpr model::Address kAny6{Kind::kIpv6, 0};
constexpr model::Address kLoopback6{Kind::kIpv6, 1};
constexpr model::Address kMappedAny{Kind::kMapped, 0};
constexpr model::Address kMappedLoopback{Kind::kMapped, 0x7f000001};

constexpr model::Step Bind(uint16_t socket) {
  return {.op = Op::kBind, .socket = socket};
}
constexpr model::Step Listen(uint16_t socket) {
  return {.op = Op::kListen, .socket = socket};
}
constexpr model::Step Close(uint16_t socket) {
  return {.op = Op::kClose, .socket = socket};
}
constexpr model::Step TimeWait(uint16_t socket) {
  return {.op = Op::kTimeWait, .socket = socket};
}
constexpr model::Step Set(uint16_t socket, model::Option option, bool on) {
  return {.op = Op::kSet, .socket = socket, .option = option, .on = on};
}
constexpr model::Step Own(uint16_t socket, uint32_t owner) {
  return {.op = Op::kOwn, .socket = socket, .owner = owner};
}

std::vector<int> Ask(ThisKernel& kernel, const std::vector<model::Socket>& sockets,
                     const std::vector<model::Step>& steps, int unrelated = 0) {
  std::vector<int> answers;
  kernel.Run({.sockets = sockets, .steps = steps, .unrelated = unrelated}, answers);
  return answers;
}

ino_t CurrentNetwork() {
  struct stat status {};
  stat("/proc/thread-self/ns/net", &status);
  return status.st_ino;
}

size_t OpenDescriptors() {
  const std::filesystem::directory_iterator folder("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(folder), end(folder)));
}

using KernelTest = InNetwork;

TEST_F(KernelTest, AnswersEveryStep) {
  ThisKernel kernel;
  const std::vector<model::Socket> two(2, {.address = kLoopback4});
  EXPECT_THAT(Ask(kernel, two, {Bind(0), Bind(0), Bind(1), Listen(0), Close(0), Bind(1), Listen(1)}),
              ElementsAre(0, EINVAL, EADDRINUSE, 0, 0, 0, 0));
}

TEST_F(KernelTest, BindsEveryAddress) {
  NEEDS(needs::kIpv6);
  ThisKernel kernel;
  for (const model::Address& address : {kAny4, kLoopback4, kAny6, kLoopback6, kMappedAny, kMappedLoopback}) {
    EXPECT_THAT(Ask(kernel, {{.address = address}, {.address = address}}, {Bind(0), Bind(1)}),
                ElementsAre(0, EADDRINUSE));
  }
  EXPECT_THAT(Ask(kernel, {{.address = kLoopback4}, {.address = kLoopback6}}, {Bind(0), Bind(1)}), ElementsAre(0, 0));
  EXPECT_THAT(Ask(kernel, {{.address = kLoopback4}, {.address = kMappedLoopback}}, {Bind(0), Bind(1)}),
              ElementsAre(0, EADDRINUSE));
  EXPECT_THAT(Ask(kernel, {{.address = kAny4}, {.address = kAny6}}, {Bind(0), Bind(1)}), ElementsAre(0, EADDRINUSE));
  EXPECT_THAT(Ask(kernel, {{.address = kAny4}, {.address = kAny6, .v6only = true}}, {Bind(0), Bind(1)}),
              ElementsAre(0, 0));
}

TEST_F(KernelTest, OpensEveryProtocol) {
  NEEDS(needs::kMptcp);
  NEEDS(needs::kUdpLite);
  ThisKernel kernel;
  const auto beside = [&](Protocol holder, Protocol newcomer) {
    return Ask(kernel, {{.protocol = holder, .address = kAny4}, {.protocol = newcomer, .address = kAny4}},
               {Bind(0), Bind(1)})
        .at(1);
  };
  EXPECT_EQ(beside(Protocol::kTcp, Protocol::kMptcp), EADDRINUSE);
  EXPECT_EQ(beside(Protocol::kTcp, Protocol::kUdp), 0);
  EXPECT_EQ(beside(Protocol::kUdp, Protocol::kUdpLite), 0);
  EXPECT_EQ(beside(Protocol::kUdp, Protocol::kUdp), EADDRINUSE);
  EXPECT_EQ(beside(Protocol::kUdpLite, Protocol::kUdpLite), EADDRINUSE);
}

TEST_F(KernelTest, SetsOptionsWhenMadeAndLater) {
  NEEDS(needs::kReusePort);
  using model::Option;
  ThisKernel kernel;
  EXPECT_THAT(Ask(kernel, std::vector<model::Socket>(2, {.address = kAny4, .reuse_addr = true}), {Bind(0), Bind(1)}),
              ElementsAre(0, 0));
  EXPECT_THAT(Ask(kernel, std::vector<model::Socket>(2, {.address = kAny4, .reuse_port = true}), {Bind(0), Bind(1)}),
              ElementsAre(0, 0));
  for (const Option option : {Option::kReuseAddr, Option::kReusePort}) {
    EXPECT_THAT(Ask(kernel, std::vector<model::Socket>(2),
                    {Set(0, option, true), Bind(0), Set(1, option, true), Set(1, option, false), Bind(1),
                     Set(1, option, true), Bind(1)}),
                ElementsAre(0, 0, 0, 0, EADDRINUSE, 0, 0));
  }
}

TEST_F(KernelTest, GivesSocketsTheirOwners) {
  NEEDS(needs::kReusePort);
  NEEDS(needs::kSecondOwner);
  ThisKernel kernel;
  const std::vector<model::Socket> two = {{.address = kAny4, .reuse_port = true, .owner = 1001},
                                          {.address = kAny4, .reuse_port = true, .owner = 1002}};
  EXPECT_THAT(Ask(kernel, two, {Bind(0), Bind(1), Own(1, 1001), Bind(1)}), ElementsAre(0, EADDRINUSE, 0, 0));
  const std::vector<model::Socket> one = {{.address = kAny4, .reuse_port = true, .owner = 1001},
                                          {.address = kAny4, .reuse_port = true, .owner = 1001}};
  EXPECT_THAT(Ask(kernel, one, {Bind(0), Bind(1)}), ElementsAre(0, 0));
}

TEST_F(KernelTest, BindsToDevices) {
  NEEDS(needs::kVeth);
  ThisKernel kernel;
  ASSERT_TRUE(kernel.has_devices());
  EXPECT_THAT(Ask(kernel, {{.address = kAny4, .device = 1}, {.address = kAny4, .device = 2}}, {Bind(0), Bind(1)}),
              ElementsAre(0, 0));
  EXPECT_THAT(Ask(kernel, {{.address = kAny4, .device = 1}, {.address = kAny4, .device = 1}}, {Bind(0), Bind(1)}),
              ElementsAre(0, EADDRINUSE));
  EXPECT_THAT(Ask(kernel, {{.address = kAny4, .device = 1}, {.address = kAny4, .device = 0}}, {Bind(0), Bind(1)}),
              ElementsAre(0, EADDRINUSE));
}

TEST_F(KernelTest, EveryAddressIsLocalToEveryDevice) {
  NEEDS(needs::kVeth);
  NEEDS(needs::kIpv6);
  ThisKernel kernel;
  for (const model::Address& address : {kAny4, kLoopback4, kAny6, kLoopback6, kMappedAny, kMappedLoopback}) {
    EXPECT_THAT(Ask(kernel, {{.address = address, .device = 2}}, {Bind(0)}), ElementsAre(0));
  }
}

TEST_F(KernelTest, TakesAnotherPortEachTime) {
  ThisKernel kernel;
  Ask(kernel, {{}}, {Bind(0)});
  const uint16_t before = kernel.port();
  Ask(kernel, {{}}, {Bind(0)});
  EXPECT_NE(kernel.port(), before);
}

TEST_F(KernelTest, TellsPortsOfAScenarioApart) {
  ThisKernel kernel;
  EXPECT_THAT(Ask(kernel, {{}, {.address = kAny4, .port = 65535}, {}, {.address = kAny4, .port = 65535}},
                  {Bind(0), Bind(1), Bind(2), Bind(3)}),
              ElementsAre(0, 0, EADDRINUSE, EADDRINUSE));
  const uint16_t before = kernel.port();
  Ask(kernel, {{}}, {Bind(0)});
  EXPECT_EQ(kernel.port(), before + 2);
}

TEST_F(KernelTest, LeavesTimeWaitOnEveryAddress) {
  NEEDS(needs::kIpv6);
  ThisKernel kernel;
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kMptcp}) {
    if (protocol == Protocol::kMptcp && needs::kMptcp.probe()) continue;
    for (const model::Address& address : {kAny4, kLoopback4, kAny6, kLoopback6, kMappedAny, kMappedLoopback}) {
      const model::Socket strict{.protocol = protocol, .address = address};
      const model::Socket reuser{.protocol = protocol, .address = address, .reuse_addr = true};
      EXPECT_THAT(Ask(kernel, {strict, reuser}, {Bind(0), TimeWait(0), Bind(1)}), ElementsAre(0, 0, EADDRINUSE));
      EXPECT_THAT(Ask(kernel, {reuser, reuser}, {Bind(0), TimeWait(0), Bind(1), Listen(1)}), ElementsAre(0, 0, 0, 0));
    }
  }
}

TEST_F(KernelTest, LeavesTimeWaitOnADevice) {
  NEEDS(needs::kVeth);
  ThisKernel kernel;
  EXPECT_THAT(
      Ask(kernel, {{.address = kAny4, .device = 1}, {.address = kAny4, .device = 1}, {.address = kAny4, .device = 2}},
          {Bind(0), TimeWait(0), Bind(1), Bind(2)}),
      ElementsAre(0, 0, EADDRINUSE, 0));
}

TEST_F(KernelTest, LeavesNoTimeWaitOfAListener) {
  ThisKernel kernel;
  EXPECT_THAT(Ask(kernel, {{}, {}}, {Bind(0), Listen(0), TimeWait(0), Close(0), Bind(1)}),
              ElementsAre(0, 0, EISCONN, 0, 0));
}

TEST_F(KernelTest, AnUnboundSocketLeavesTimeWaitElsewhere) {
  ThisKernel kernel;
  EXPECT_THAT(Ask(kernel, {{}, {}}, {TimeWait(0), Bind(1)}), ElementsAre(0, 0));
}

TEST_F(KernelTest, NeverComesBackToATimeWait) {
  ThisKernel kernel;
  Ask(kernel, {{}}, {Bind(0), TimeWait(0)});
  const uint16_t port = kernel.port();
  const ino_t before = CurrentNetwork();
  const model::Scenario scenario{.sockets = {{}}, .steps = {Bind(0)}};
  std::vector<int> answers;
  do {
    kernel.Run(scenario, answers);
    ASSERT_THAT(answers, ElementsAre(0)) << kernel.port();
  } while (kernel.port() != port);
  EXPECT_NE(CurrentNetwork(), before);
}

// In a slot of more than ten, UDP looks the wildcards up apart from the specific address: it meets the one that
// refuses.  Otherwise it stops at the newest, which shares.
TEST_F(KernelTest, FillsTheSlotOfAPort) {
  NEEDS(needs::kReusePort);
  ThisKernel kernel;
  if (!kernel.has_crowds()) GTEST_SKIP() << "too many slots";
  const std::vector<model::Socket> three = {
      {.protocol = Protocol::kUdp, .address = kAny4, .reuse_addr = true},
      {.protocol = Protocol::kUdp, .address = kLoopback4, .reuse_addr = true, .reuse_port = true},
      {.protocol = Protocol::kUdp, .address = kLoopback4, .reuse_port = true}};
  const auto last = [&](int unrelated) {
    const std::vector<int> answers = Ask(kernel, three, {Bind(0), Bind(1), Bind(2)}, unrelated);
    EXPECT_EQ(answers[0], 0);
    EXPECT_EQ(answers[1], 0);
    return answers[2];
  };
  if (last(0) != 0) GTEST_SKIP() << "this kernel asks every holder";
  EXPECT_EQ(last(8), 0);
  EXPECT_EQ(last(9), EADDRINUSE);
  EXPECT_EQ(last(20), EADDRINUSE);
  EXPECT_EQ(last(0), 0);
}

TEST_F(KernelTest, KeepsACrowdWhileItIsTheSame) {
  ThisKernel kernel;
  if (!kernel.has_crowds()) GTEST_SKIP() << "too many slots";
  const std::vector<model::Socket> one = {{.protocol = Protocol::kUdp, .address = kAny4}};
  const auto port_with = [&](int unrelated) {
    EXPECT_THAT(Ask(kernel, one, {Bind(0)}, unrelated), ElementsAre(0));
    return kernel.port();
  };
  const uint16_t port = port_with(9);
  EXPECT_EQ(port_with(9), port);
  EXPECT_NE(port_with(10), port);
  EXPECT_THROW(
      Ask(kernel,
          {{.protocol = Protocol::kUdp, .address = kAny4}, {.protocol = Protocol::kUdp, .address = kAny4, .port = 1}},
          {Bind(0)}, 9),
      CannotAsk);
}

TEST_F(KernelTest, ACrowdLeavesAPortInTimeWait) {
  ThisKernel kernel;
  if (!kernel.has_crowds()) GTEST_SKIP() << "too many slots";
  EXPECT_THAT(Ask(kernel, {{}}, {Bind(0), TimeWait(0)}, 9), ElementsAre(0, 0));
  EXPECT_THAT(Ask(kernel, {{}}, {Bind(0)}, 9), ElementsAre(0));
}

TEST_F(KernelTest, LeavesNothingOpen) {
  ThisKernel kernel;
  const size_t before = OpenDescriptors();
  Ask(kernel, {{}, {}, {}}, {Bind(0), Bind(1), Listen(0), Listen(2)});
  Ask(kernel, {{}, {}}, {Bind(0), TimeWait(0), Bind(1)});
  if (kernel.has_crowds()) Ask(kernel, {{.protocol = Protocol::kUdp, .address = kAny4}}, {Bind(0)}, 20);
  EXPECT_THROW(Ask(kernel, {{}, {.protocol = Protocol::kUdp, .address = kAny4}}, {Bind(0), TimeWait(1)}), CannotAsk);
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(KernelTest, NeedsNoMoreMemoryTheLongerItRuns) {
  ThisKernel kernel;
  const model::Scenario scenario{.sockets = {{}, {.protocol = Protocol::kUdp, .address = kAny4}},
                                 .steps = {Bind(0), Bind(1), Close(0)}};
  std::vector<int> answers;
  kernel.Run(scenario, answers);
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 1000; ++i) kernel.Run(scenario, answers);
  EXPECT_EQ(mallinfo2().uordblks, before);
}

TEST_F(KernelTest, AsksInTwoNamespaces) {
  ThisKernel kernel;
  const model::Scenario scenario{.sockets = {{}, {}, {}}, .steps = {Bind(0), Listen(0), Bind(2), Bind(1), Listen(1)}};
  const ino_t before = CurrentNetwork();
  std::vector<int> answers;
  kernel.RunApart(scenario, answers);
  EXPECT_THAT(answers, ElementsAre(0, 0, EADDRINUSE, 0, 0));
  EXPECT_EQ(CurrentNetwork(), before);
  kernel.Run(scenario, answers);
  EXPECT_THAT(answers, ElementsAre(0, 0, EADDRINUSE, EADDRINUSE, 0));
}

TEST_F(KernelTest, LivesInANamespaceOfItsOwn) {
  const ino_t before = CurrentNetwork();
  {
    const ThisKernel kernel;
    EXPECT_NE(CurrentNetwork(), before);
  }
  EXPECT_EQ(CurrentNetwork(), before);
}

TEST_F(KernelTest, TellsAKernelWithoutReusePort) {
  NEEDS(needs::kSeccomp);
  const auto told = OnLinux38([] {
    ThisKernel kernel;
    EXPECT_THROW(Ask(kernel, {{.address = kAny4, .reuse_port = true}}, {Bind(0)}), CannotAsk);
    return std::vector{
        Outcome{"set", Ask(kernel, {{}}, {Set(0, model::Option::kReusePort, true)}).at(0), ""},
    };
  });
  EXPECT_EQ(told.at(0).Got(), "ENOPROTOOPT");
}

TEST_F(KernelTest, BenchComparesBothWays) {
  const std::vector<model::Socket> alphabet = {{.address = kLoopback4}, {.address = kAny4, .reuse_addr = true}};
  std::ostringstream table;
  Bench(
      alphabet, [&] { return KernelAndModel(alphabet, model::Epoch()); }, table);
  EXPECT_THAT(table.str(), testing::HasSubstr("explorer/bare"));
}

TEST_F(KernelTest, BenchSaysWhatAWorkerCouldNot) {
  const auto refuse = []() -> Chunk { throw CannotAsk("no explorer today"); };
  std::ostringstream table;
  EXPECT_THAT([&] { Bench({{.address = kLoopback4}}, refuse, table); },
              testing::ThrowsMessage<CannotAsk>("no explorer today"));
}

}  // namespace
}  // namespace portshare
