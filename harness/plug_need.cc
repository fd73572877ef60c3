#include "harness/plug_need.h"

#include <cerrno>

#include "harness/server.h"
#include "netns/cannot_ask.h"
#include "netns/plug.h"
#include "netns/private_network.h"

namespace portshare::needs {

const Need kPlug{"plug", "no_plug", "build the kernel with CONFIG_NET_SCH_PLUG",
                 []() -> std::optional<std::string> {
                   const PrivateNetwork scratch;
                   try {
                     const Plug plug("lo");
                     return std::nullopt;
                   } catch (const CannotAsk& reason) {
                     // A kernel without such a discipline, or without any; EINVAL: one that knows no such request.
                     DemandRefusal(reason, {ENOENT, EINVAL});
                     return std::string("a link has no plug here: ") + reason.what();
                   }
                 },
                 "sch_plug"};
const Need kNftables{"nftables", "no_nftables", "sudo ./run_all.sh --install-deps=servers",
                     []() -> std::optional<std::string> {
                       if (!FindServer("nft").empty()) return std::nullopt;
                       return "there is no program nft";
                     }};

}  // namespace portshare::needs
