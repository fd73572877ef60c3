// What a scenario costs beside its system calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <vector>

#include "model/epoch.h"
#include "model/socket.h"

namespace portshare {

// One way to ask the ordered pairs of an alphabet of n sockets: pair i binds socket i / n, then socket i % n, on a port
// of their own.  Asks `count` pairs from `first` on and returns how many steps that was.
using Chunk = std::function<uint64_t(size_t first, size_t count)>;

// Kernel and model, compared, and nothing else.
Chunk KernelAndModel(const std::vector<model::Socket>& alphabet, const model::Epoch& epoch);

// `explorer` against a bare loop that makes the same system calls: both in turn, on one core and on two, a process and
// a namespace each.  `make_explorer` is called in those processes; what it returns lives in a namespace of its own that
// has the devices of Kernel.  The table goes to `out`.  Throws CannotAsk.
void Bench(const std::vector<model::Socket>& alphabet, const std::function<Chunk()>& make_explorer, std::ostream& out);

}  // namespace portshare
