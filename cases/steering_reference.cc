// Does a program that chooses a socket which the kernel refuses keep it from ever being freed?
#include "cases/steering.h"
#include "harness/bpf.h"
#include "harness/in_use.h"
#include "harness/matchers.h"
#include "harness/peer.h"

namespace portshare {
namespace {

class SteeringReference : public Steering {
 protected:
  static constexpr uint16_t kOther = 9000;
};

CLAIM(
    {.id = "ebpf.refused_choice_is_released",
     .says = "A connected TCP socket that an SK_REUSEPORT program chooses from a map of sockets is refused to it, the "
             "hash chooses, and the socket is freed when it is closed, whether it ever had a program of its own.",
     .kernels = "since 6.13, 6.12.11, 6.1.127 and 5.10.234; from 5.8 on to these, one that had a program was never "
                "freed again (CVE-2025-21683)",
     .rows = {"EBPF-001"},
     .sources = {Commit("b3af60928ab9 bpf: Fix bpf_sk_select_reuseport() memory leak"),
                 Kernel("sk_select_reuseport(), sock_map_lookup_elem()"),
                 Man("bpf-helpers(7), bpf_sk_select_reuseport()")}});

// Who is chosen in vain, by whose program.
struct Choice {
  std::string name;
  Traffic traffic;
  bool has_a_program;
  CaseFacts facts;
};

const std::vector<Choice> kChoices = {
    {"plain_by_tcp", kTransports[0], false, kTransports[0].facts},
    {"plain_by_udp", kTransports[1], false, kTransports[1].facts},
    {"with_a_program_by_tcp", kTransports[0], true,
     Merged({kTransports[0].facts, Follows("refused_choices_are_released")})},
    {"with_a_program_by_udp", kTransports[1], true,
     Merged({kTransports[1].facts, Follows("refused_choices_are_released")})},
};

MATRIX(SteeringReference, OfARefusedChoiceEnds, Choice, kChoices, Witnesses("ebpf.refused_choice_is_released"),
       Needs(needs::kReusePort, needs::kBpf, needs::kSkReuseport, needs::kSockMap)) {
  Socket zero = Member(row.traffic), one = Member(row.traffic);
  SocketMap sockets(BPF_MAP_TYPE_SOCKMAP, 1);
  const int count = EnoughToReach(2);
  const int before = SocketsInUse();
  {
    Socket listener = Tcp(Loopback4()).Bound(kOther).Listening();
    Socket chosen = Tcp(Loopback4()).ReusePort().Made();
    if (row.has_a_program) {
      EXPECT_THAT(Attach(chosen, LoadedProgram::ToMember(0)), Succeeds());
    }
    EXPECT_THAT(chosen.Connect(Loopback4(), kOther), Succeeds());
    const Socket server = listener.Accepted();
    EXPECT_THAT(sockets.Put(0, chosen), Succeeds());
    EXPECT_THAT(Attach(zero, LoadedProgram::OfGroup(sockets, 0)), Succeeds());

    EXPECT_THAT(Arrivals(row.traffic, {&zero, &one}, count), ReachesEach(count));
    chosen.Reset();
  }

  EXPECT_THAT(SocketsLeft(before), Is(0));
}

}  // namespace
}  // namespace portshare
