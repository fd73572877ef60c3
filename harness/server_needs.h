// The servers that cases start, each a need: a distribution's package brings it.  driver/packages.toml, group servers
#pragma once

#include "harness/need.h"

namespace portshare::needs {
extern const Need kServerRoom;  // harness/server.h
extern const Need kNginx;
extern const Need kHaproxy;
extern const Need kApache;
extern const Need kGunicorn;
extern const Need kUnbound;
extern const Need kKnot;
extern const Need kBind9;
}  // namespace portshare::needs
