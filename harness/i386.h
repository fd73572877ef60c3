// The i386 system calls that an x86-64 kernel answers too: what a 32-bit program asks.
#pragma once

#include "harness/socket.h"

namespace portshare::i386 {

// Whether this kernel answers them.  A process that calls them where it does not is killed.  Throws CannotAsk.
bool Answers();

// The same questions as the methods of Socket.  `length` is what the kernel is told of `value`.
Outcome Set(const Socket& socket, Option option, const int* value, socklen_t length);
Outcome Set(const Socket& socket, Option option, int value = 1);
Outcome Get(const Socket& socket, Option option);
Outcome Bind(const Socket& socket, const Address& address, uint16_t port);
Outcome Listen(const Socket& socket, int backlog = 1024);

}  // namespace portshare::i386
