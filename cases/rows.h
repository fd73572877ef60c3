// Rows that several matrices run over.
#pragma once

#include <string>
#include <vector>

#include "harness/case.h"
#include "harness/option.h"
#include "harness/socket.h"

namespace portshare {

struct ProtocolRow {
  std::string name;
  SocketSpec spec;
  CaseFacts facts;
};
inline const std::vector<ProtocolRow> kProtocols = {
    {"tcp", Tcp(Loopback4()), Labels("tcp")},
    {"udp", Udp(Loopback4()), Labels("udp")},
};

struct OptionRow {
  std::string name;
  Option option;
  CaseFacts facts = {};
};
inline const std::vector<OptionRow> kOptions = {
    {"reuseaddr", so::kReuseAddr},
    {"reuseport", so::kReusePort, Needs(needs::kReusePort)},
};

// The two ways to share a port by one option alone.
struct SharingRow {
  std::string name;
  Sharing sharing;
  CaseFacts facts = {};
};
inline const std::vector<SharingRow> kSharings = {
    {"reuseaddr", Sharing::kReuseAddr},
    {"reuseport", Sharing::kReusePort, Needs(needs::kReusePort)},
};

}  // namespace portshare
