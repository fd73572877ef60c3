// What the sweep claims, and the cases that it is made of: the same listing that the named cases have.
#include "harness/explore/explore.h"

#include "harness/case.h"
#include "harness/claim.h"
#include "harness/explore/sweep.h"
#include "model/epoch.h"

namespace portshare {
namespace {

CLAIM(
    {.id = "model.answers_as_the_kernel",
     .says =
         "Whatever sockets of the alphabet bind, listen, close, and change their options or owner: the kernel answers "
         "each step as the model of the rules does.",
     .rows = {"I2", "I5", "I6", "I7", "I8", "I10", "I11"},
     .sources = {Man("socket(7)"), Man("bind(2)"), Kernel("inet_csk_get_port()"), Kernel("udp_lib_get_port()")}});
CLAIM({.id = "model.two_decide_for_three",
       .says =
           "Three sockets share a port exactly when each two of them do; where the kernel admits more, the model says "
           "by which memory.",
       .rows = {"I3", "I4"},
       .sources = {Man("socket(7)"), Kernel("sk_reuseport_match()"), Kernel("udp_lib_lport_inuse()")}});
CLAIM(
    {.id = "model.names_do_not_matter",
     .says =
         "A pair gets the same answer whoever is first, on every port, and with owners, devices or loopback addresses "
         "exchanged.",
     .rows = {"I1", "I9"},
     .sources = {Kernel("inet_bind_conflict()"), Kernel("udp_lib_lport_inuse()")}});
CLAIM({.id = "model.protocols_alike",
       .says = "MPTCP shares its ports with TCP and answers as TCP does; UDP-Lite answers as UDP does.",
       .kernels = "MPTCP since 5.6; UDP-Lite until 7.0",
       .rows = {"I16"},
       .sources = {Kernel("mptcp_bind()"), Kernel("udp_lib_get_port()")}});
CLAIM(
    {.id = "model.has_no_idle_rule",
     .says = "Every rule of the model decides some scenario of the sweep, and each of them, broken, would be noticed.",
     .sources = {KernelDoc("docs/rules.md")}});

std::string ClaimOf(const std::string& id) {
  if (id.ends_with("mptcp") || id.ends_with("udplite")) return "model.protocols_alike";
  if (id.find("triples") != std::string::npos && id.find("late") == std::string::npos)
    return "model.two_decide_for_three";
  if (id.ends_with("exchange") || id.ends_with("other_port") || id.ends_with("pairs"))
    return "model.names_do_not_matter";
  if (id.find(".every_") != std::string::npos) return "model.has_no_idle_rule";
  return "";
}

}  // namespace

void AddSweepCases(bool deep) {
  for (const SweepCase& asked : SweepCases()) {
    if (asked.deep && !deep) continue;
    // "explore.tcp.pairs" is the test "Explore.tcp/pairs".
    std::string name = asked.id.substr(asked.id.find('.') + 1);
    if (const size_t dot = name.find('.'); dot != std::string::npos) name[dot] = '/';
    CaseFacts facts = Merged({Witnesses("model.answers_as_the_kernel"), Labels("sweep")});
    for (const model::EpochText& epoch : model::kEpochs) {
      if (epoch.cause == nullptr) facts.epochs.emplace_back(epoch.name);
    }
    if (const std::string also = ClaimOf(asked.id); !also.empty()) facts.claims.push_back(also);
    AddCase(__FILE__, __LINE__, "Explore", name, facts);
  }
}

}  // namespace portshare
