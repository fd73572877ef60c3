// The peer of packets: what it holds back, what it hears, and who accepted what.
#include "harness/packet_peer.h"

#include <gtest/gtest.h>

#include "selftest/unit/in_network.h"

namespace portshare {
namespace {

using PacketPeerTest = InNetwork;

TEST(FlowsTest, AreCombinedAsSets) {
  const Flows some{3, 1}, others{3, 5};
  EXPECT_EQ((some | others).text(), "1 3 5");
  EXPECT_EQ((some & others).text(), "3");
  EXPECT_EQ((some - others).text(), "1");
  EXPECT_EQ(Flows().text(), "none");
}

TEST_F(PacketPeerTest, HoldsTheLastAckBack) {
  NEEDS(needs::kVeth);
  PacketPeer peer;
  const Socket listener = Tcp(PacketPeer::Server()).Set(kMark, 77).Bound(kPort).Listening();
  const Flows flows = peer.Begin(2, kPort);
  EXPECT_EQ(peer.AnsweredBy(listener), flows);
  EXPECT_EQ(peer.InState("SYN_RECV", kPort), flows);
  EXPECT_EQ(peer.AcceptedBy(listener).Got(), "none");
  peer.Acknowledge(flows);
  EXPECT_EQ(peer.AcceptedBy(listener).Got(), flows.text());
  EXPECT_EQ(peer.InState("ESTABLISHED", kPort), flows);
  EXPECT_EQ(peer.Reset().Got(), "none");
}

TEST_F(PacketPeerTest, HearsWhatIsResetAndBeginsAnew) {
  NEEDS(needs::kVeth);
  PacketPeer peer;
  Socket listener = Tcp(PacketPeer::Server()).Bound(kPort).Listening();
  const Flows flows = peer.Begin(2, kPort);
  listener.Close();
  peer.Acknowledge(flows);
  EXPECT_EQ(peer.Reset().Got(), flows.text());
  const Socket next = Tcp(PacketPeer::Server()).Bound(kPort).Listening();
  peer.BeginAnew(flows);
  EXPECT_EQ(peer.Reset().Got(), "none");
  EXPECT_EQ(peer.AnsweredBy(next), flows);
}

TEST_F(PacketPeerTest, FailsTheCaseWhereNobodyListens) {
  NEEDS(needs::kVeth);
  PacketPeer peer;
  EXPECT_THROW(peer.Begin(1, kPort), UnexpectedAnswer);
}

}  // namespace
}  // namespace portshare
