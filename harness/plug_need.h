#pragma once

#include "harness/need.h"

namespace portshare::needs {
extern const Need kPlug;      // a link's queue that can be stopped: netns/plug.h
extern const Need kNftables;  // nft(8), which drops what a rule says
}  // namespace portshare::needs
