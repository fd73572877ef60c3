// The file's first comment is the question that its cases answer: may a newcomer join a port by a flag of its own
// alone?
//
// This file is the manual for a new case and a real one: the self-test builds and runs it.  Copy it to cases/NAME.cc,
// where NAME is the question in a few words, and change what is said here.  No list has to be told about the new file.
#include "harness/case.h"
#include "harness/matchers.h"
#include "harness/socket.h"
#include "harness/traffic.h"

namespace portshare {
namespace {

// The suite is named like the file.  Derive a fixture from Case instead when cases share a set-up.
using CaseTemplate = Case;

// A claim is one sentence that a kernel can contradict.  Its id stays for ever; its sources let a reader check it:
// Man(), Kernel() for a function, Commit(), Rfc(), KernelDoc().  `.kernels` is "all" unless it is said otherwise.
// `.documents` ties it to cases/documents.toml: Stated() for what a document says, Truth() for what is true beside it.
CLAIM({.id = "template.flag_on_one_side",
       .says = "A newcomer with SO_REUSEADDR does not join a holder without it.",
       .sources = {Man("socket(7), SO_REUSEADDR"), Kernel("inet_csk_bind_conflict()")}});

// Hold, act, expect.  The case's name is the rule in words; its id becomes case_template.one_side_alone_is_refused.
// Bound() and Listening() build the holder: where the kernel refuses such a step, the case fails and ends.
// Bind() asks: its outcome is the answer, and EXPECT_THAT writes it into the record.
CASE(CaseTemplate, OneSideAloneIsRefused, Witnesses("template.flag_on_one_side")) {
  const Socket holder = Tcp(Loopback4()).Bound(port());

  EXPECT_THAT(Tcp(Loopback4()).ReuseAddr().Bind(port()), FailsWith(EADDRINUSE));
}

// What a case needs is declared, never tested for in its body: the harness probes it and skips with a code and the fix.
// Everything that sets SO_REUSEPORT needs kReusePort.  harness/need.h has the list.
CLAIM({.id = "template.one_owner_spreads",
       .says = "Two listeners of one owner with SO_REUSEPORT each get a share of the connections.",
       .kernels = "since 3.9",
       .sources = {Man("socket(7), SO_REUSEPORT")}});

CASE(CaseTemplate, ListenersOfOneOwnerShare, Witnesses("template.one_owner_spreads"),
     Needs(needs::kReusePort, needs::kSecondOwner), Labels("tcp")) {
  const SocketSpec member = Tcp(Loopback4()).ReusePort().OwnedBy(Alice());
  Socket first = member.Bound(port()).Listening();
  Socket second = member.Bound(port()).Listening();

  // Enough tries that luck leaves one without any less than once in 1e9 runs.  No sleep: the harness knows when all
  // arrived.
  const int count = EnoughToReach(2);
  EXPECT_THAT(ConnectionsOver({&first, &second}, count, Loopback4(), port()), ReachesEach(count));
}

// A matrix is named rows: each is a case of its own, case_template.protocols_keep_their_ports_apart.udp_beside_tcp.
struct Pair {
  std::string name;
  SocketSpec holder;
  SocketSpec newcomer;
};

const std::vector<Pair> kPairs = {
    {"udp_beside_tcp", Tcp(Loopback4()), Udp(Loopback4())},
    {"tcp_beside_udp", Udp(Loopback4()), Tcp(Loopback4())},
};

CLAIM({.id = "template.protocols_apart",
       .says = "TCP and UDP ports are independent of each other.",
       .sources = {Man("ip(7)")}});

MATRIX(CaseTemplate, ProtocolsKeepTheirPortsApart, Pair, kPairs, Witnesses("template.protocols_apart")) {
  const Socket holder = row.holder.Bound(port());

  EXPECT_THAT(row.newcomer.Bind(port()), Succeeds());
}

}  // namespace
}  // namespace portshare
