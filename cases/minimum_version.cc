// Which kernel does each option need?
#include "cases/rows.h"
#include "harness/case.h"
#include "harness/emulate.h"
#include "harness/explore/epochs.h"
#include "harness/matchers.h"
#include "harness/socket.h"

namespace portshare {
namespace {

using MinimumVersion = Case;

using Answers = std::vector<Outcome>;

CLAIM({.id = "version.reuseport_answers",
       .says = "SO_REUSEPORT can be read and set.",
       .kernels = "since 3.9",
       .rows = {"KV-001"},
       .sources = {Man("socket(7), SO_REUSEPORT"), Commit("c617f398edd4 soreuseport: TCP/IPv4 implementation"),
                   Commit("ba418fa357a7 soreuseport: UDP/IPv4 implementation")},
       .documents = {Stated("EN-01")}});

MATRIX(MinimumVersion, PortSharingAnswersHere, ProtocolRow, kProtocols, Witnesses("version.reuseport_answers"),
       Needs(needs::kReusePort)) {
  Socket socket = row.spec.Made();

  EXPECT_THAT(socket.Get(so::kReusePort), Is(0));
  EXPECT_THAT(socket.Set(so::kReusePort), Succeeds());
  EXPECT_THAT(socket.Get(so::kReusePort), Is(1));
}

CLAIM({.id = "version.reuseport_unknown_before_3_9",
       .says = "A kernel before 3.9 refuses SO_REUSEPORT with ENOPROTOOPT.",
       .kernels = "until 3.8, emulated",
       .rows = {"KV-001"},
       .sources = {Man("socket(7), SO_REUSEPORT")},
       .documents = {Stated("ES-09"), Stated("EN-01")}});

// These set SO_REUSEPORT without needing it: the refusal is what they ask for.
MATRIX(MinimumVersion, AnOlderKernelRefusesToSetPortSharing, ProtocolRow, kProtocols,
       Witnesses("version.reuseport_unknown_before_3_9"), Needs(needs::kSeccomp)) {
  const Answers answers = OnLinux38([this] { return Answers{row.spec.Made().Set(so::kReusePort)}; });

  EXPECT_THAT(answers.at(0), FailsWith(ENOPROTOOPT));
}

MATRIX(MinimumVersion, AnOlderKernelRefusesToReadPortSharing, ProtocolRow, kProtocols,
       Witnesses("version.reuseport_unknown_before_3_9"), Needs(needs::kSeccomp)) {
  const Answers answers = OnLinux38([this] { return Answers{row.spec.Made().Get(so::kReusePort)}; });

  EXPECT_THAT(answers.at(0), FailsWith(ENOPROTOOPT));
}

// Runs on every kernel: UDP answers as the probe, which asks TCP, was answered.
CASE(MinimumVersion, UdpKnowsPortSharingWhereTcpDoes,
     Witnesses("version.reuseport_answers", "version.reuseport_unknown_before_3_9"), Follows("reuseport"),
     Labels("udp")) {
  const int wanted = CurrentEpoch().reuseport ? 0 : ENOPROTOOPT;
  Socket socket = Udp(Loopback4()).Made();

  EXPECT_THAT(socket.Get(so::kReusePort), AnswersWith(wanted));
  EXPECT_THAT(socket.Set(so::kReusePort), AnswersWith(wanted));
}

CLAIM({.id = "version.reuseaddr_is_older",
       .says = "A kernel before 3.9 has SO_REUSEADDR: with it sockets share a port, and not while one of them listens.",
       .kernels = "until 3.8, emulated",
       .rows = {"KV-001"},
       .sources = {Man("socket(7), SO_REUSEADDR")},
       .documents = {Truth("ES-09")}});

MATRIX(MinimumVersion, AnOlderKernelSharesByAddressReuse, ProtocolRow, kProtocols,
       Witnesses("version.reuseaddr_is_older"), Needs(needs::kSeccomp)) {
  const Answers answers = OnLinux38([this] {
    Socket holder = row.spec.Made();
    const Outcome set = holder.Set(so::kReuseAddr);
    const Outcome bound = holder.Bind(port());
    return Answers{set, bound, row.spec.ReuseAddr().Bind(port())};
  });

  EXPECT_THAT(answers.at(0), Succeeds());
  EXPECT_THAT(answers.at(1), Succeeds());
  EXPECT_THAT(answers.at(2), Succeeds());
}

MATRIX(MinimumVersion, AnOlderKernelSharesNothingUnasked, ProtocolRow, kProtocols,
       Witnesses("version.reuseaddr_is_older"), Needs(needs::kSeccomp)) {
  const Answers answers = OnLinux38([this] {
    const Socket holder = row.spec.ReuseAddr().Bound(port());
    return Answers{row.spec.Bind(port())};
  });

  EXPECT_THAT(answers.at(0), FailsWith(EADDRINUSE));
}

CASE(MinimumVersion, AnOlderKernelRefusesAddressReuseWhileTheHolderListens, Witnesses("version.reuseaddr_is_older"),
     Needs(needs::kSeccomp)) {
  const Answers answers = OnLinux38([] {
    const Socket holder = Tcp(Loopback4()).ReuseAddr().Bound(port()).Listening();
    return Answers{Tcp(Loopback4()).ReuseAddr().Bind(port())};
  });

  EXPECT_THAT(answers.at(0), FailsWith(EADDRINUSE));
}

}  // namespace
}  // namespace portshare
