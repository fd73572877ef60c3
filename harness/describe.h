// What the kernel says about a socket now, for the story of a failure.
#pragma once

#include <string>

namespace portshare {

// "LISTEN", "CLOSE", ... from a TCP state's number, as TCP_INFO and /proc/net/tcp have it.
std::string TcpStateName(int state);

// "127.0.0.1:7777 reuseaddr device=v0 owner=1001 LISTEN"
std::string Describe(int descriptor);

}  // namespace portshare
