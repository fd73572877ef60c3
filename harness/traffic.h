// Who gets what: connections and datagrams sent on purpose, and where they went.  No sleep decides: the case runs on
// one processor, where loopback and veth deliver in order, so a datagram of our own that has arrived proves that
// everything sent before it has been delivered.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "harness/address.h"
#include "harness/crowd.h"
#include "harness/socket.h"

namespace portshare {

// Keeps the calling thread on the processor that it runs on.
void StayOnThisProcessor();

// Returns when everything sent before has been delivered.  Throws CannotAsk after the step limit.
void AwaitDelivery();

// As many tries as make it less likely than 1e-10 that one of `members` equally likely receivers gets nothing.
int EnoughToReach(int members);

// `count` connections from different ports; all must be accepted by `listeners`, and the connections end again
// and leave nothing behind.  A refused connection is the outcome's error.
Share ConnectionsOver(std::initializer_list<Socket*> listeners, int count, const Address& to, uint16_t port);
// The same with the processes of a crowd that listens.
Share ConnectionsOver(Crowd& crowd, int count, const Address& to, uint16_t port);
// The same with datagrams.
Share DatagramsOver(std::initializer_list<Socket*> receivers, int count, const Address& to, uint16_t port);

// What each socket's queue holds at this moment, after everything sent has been delivered; the queues are emptied.
Share QueuedDatagrams(std::initializer_list<Socket*> receivers);
Share QueuedConnections(std::initializer_list<Socket*> listeners);

// What a case counted itself, as the answer to `step`.
Share Counted(const std::string& step, const std::vector<int>& counts, int error = 0);

// How many clients are still connected and how many were reset, after everything sent has been delivered: "20/0".  A
// client that met another end is the outcome's error.
Share LiveAndReset(const std::vector<Socket>& clients);

// Goodness of fit of `counts` to an even spread: the probability of a spread at least this uneven by luck.  One count
// has no freedom and gives 1.  Pearson's chi-square test.
double ChanceOfSpread(const std::vector<int>& counts);

}  // namespace portshare
