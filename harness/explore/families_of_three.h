// The families with more than two sockets, where the kernel's memory shows.
#pragma once

#include "harness/explore/families.h"

namespace portshare::proposing {

// A fixed part of all triples, each in all six orders.
void SomeTriples(const Range& range, const Visit& visit);
// The triples of which the first two agree, with the first owner first: exchanging the owners gives the others.
void AllTriples(const Range& range, const Visit& visit);
// Three, of which the first clears SO_REUSEPORT before the last binds.
void LateTriples(const Range& range, const Visit& visit);
// The same with sockets that look alike to the hint: one owner, and SO_REUSEPORT.
void HintIsKept(const Range& range, const Visit& visit);
// The last on its port listens: what the hint says of those before it still counts.
void LastListener(const Range& range, const Visit& visit);
// Two holders of which the newcomer could join one by SO_REUSEPORT and must not the other: what is asked first decides.
void TornTriples(const Range& range, const Visit& visit);
// Walks of up to eight steps over four sockets: what no family thinks of.
void Walks(const Range& range, const Visit& visit);

}  // namespace portshare::proposing
