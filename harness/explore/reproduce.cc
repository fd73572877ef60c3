#include "harness/explore/reproduce.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <sstream>
#include <utility>

#include "harness/explore/native.h"
#include "harness/explore/reproduce_parts.h"
#include "netns/cannot_ask.h"
#include "netns/errno_name.h"

namespace portshare {
namespace {

using model::Op;
using model::Protocol;
using Kind = model::Address::Kind;

uint16_t PortOf(const model::Socket& socket) {
  return static_cast<uint16_t>(kScenarioPort + socket.port);
}

// As inet_pton(3) reads it.
std::string Presented(const model::Address& address) {
  char text[INET6_ADDRSTRLEN];
  in6_addr bytes{};
  bytes.s6_addr32[3] = htonl(address.bits);
  if (address.kind == Kind::kIpv4) return inet_ntop(AF_INET, &bytes.s6_addr32[3], text, sizeof text);
  if (address.kind == Kind::kMapped) bytes.s6_addr32[2] = htonl(0xffff);
  return inet_ntop(AF_INET6, &bytes, text, sizeof text);
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\' || letter == '?') quoted += '\\';
    quoted += letter >= ' ' && letter <= '~' ? letter : '.';
  }
  return quoted + '"';
}

// Nothing in it ends a comment or is warned of there.
std::string InComment(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    const char last = safe.empty() ? ' ' : safe.back();
    if ((last == '*' && letter == '/') || (last == '/' && letter == '*') || (last == '?' && letter == '?')) safe += ' ';
    safe += letter >= ' ' && letter <= '~' ? letter : '.';
  }
  return safe;
}

// Lines of a comment, for a reader of 80 columns.
std::string Wrapped(const std::string& start, const std::string& text) {
  constexpr size_t kColumns = 80;
  std::istringstream words(InComment(text));
  std::string lines;
  size_t column = 0;
  for (std::string word; words >> word;) {
    const bool fits = column != 0 && column + 1 + word.size() <= kColumns;
    if (!fits) lines += (column == 0 ? "" : "\n") + start;
    lines += (fits ? " " : "") + word;
    column = (fits ? column + 1 : start.size()) + word.size();
  }
  return column == 0 ? "" : lines + "\n";
}

// An errno as C has it.
std::string ErrorText(int error) {
  const std::string name = ErrnoName(error);
  return error == 0 || name.find(' ') != std::string::npos ? std::to_string(error) : name;
}

class Writer {
 public:
  Writer(const Script& script, const std::vector<int>& expected, const std::vector<std::string>& reasons)
      : script_(script), reasons_(reasons), made_(script.names.size()) {
    script_.expected.assign(expected.begin(), expected.end());
  }

  std::string Program() {
    std::string body;
    for (size_t place = 0; place < Steps().size(); ++place) body += Asked(place);
    body = reproducer::kMainStart + SetUp() + body + reproducer::kMainEnd;
    const auto calls = [&](const std::string& name) { return body.find(name + "(") != std::string::npos; };
    for (auto helper = std::rbegin(reproducer::kHelpers); helper != std::rend(reproducer::kHelpers); ++helper) {
      if (calls(helper->name)) body.insert(0, helper->text);
    }

    std::string start = reproducer::kTitle + Story() + reproducer::kUsage;
    start += owners_.empty() ? reproducer::kForAll : reproducer::kForRoot;
    start += reproducer::kIncludes;
    if (calls("make_devices")) start += reproducer::kIncludesForDevices;
    if (body.find("IPPROTO_MPTCP") != std::string::npos) start += reproducer::kMptcp;
    start += reproducer::kAsking + Names() + reproducer::kCheck + reproducer::kUp;
    start += owners_.empty() ? reproducer::kNamespaceOfAll : reproducer::kNamespaceOfRoot;
    return start + body;
  }

 private:
  const std::vector<model::Step>& Steps() const { return script_.scenario.steps; }
  int Expected(size_t place) const { return script_.expected.at(place).value(); }
  std::string Variable(size_t place) const { return "sock_" + script_.names.at(place); }

  // The scenario with its answers, which Parse() takes back, and below each step why.
  std::string Story() const {
    std::istringstream lines(Print(script_));
    std::string text;
    const auto copy = [&](size_t count) {
      std::string line;
      while (count-- > 0 && std::getline(lines, line)) text += " *   " + InComment(line) + "\n";
    };
    copy(script_.names.size() + (script_.scenario.unrelated > 0 ? 1 : 0));
    for (size_t place = 0; place < Steps().size(); ++place) {
      copy(1);
      text += Wrapped(" *     # ", reasons_.at(place));
    }
    return text;
  }

  // The errnos that may be answered, by name.
  std::string Names() const {
    std::set<int> errors = {EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL, EISCONN, ENOPROTOOPT, EOPNOTSUPP, EPERM};
    for (const std::optional<int>& error : script_.expected) errors.insert(error.value());
    errors.erase(0);
    std::ostringstream text;
    text << "\nstatic const char *name_of(int error)\n{\n\tswitch (error) {\n\tcase 0: return \"ok\";\n";
    for (const int error : errors) {
      const std::string name = ErrorText(error);
      if (name != std::to_string(error)) text << "\tcase " << name << ": return \"" << name << "\";\n";
    }
    text << "\tdefault: return strerror(error);\n\t}\n}\n";
    return text.str();
  }

  // What the steps that are written already need before the first of them.
  std::string SetUp() const {
    std::ostringstream text;
    for (const uint32_t owner : owners_) text << "\tneed_owner(" << owner << ");\n";
    if (devices_) text << "\tmake_devices();\n";
    const int unrelated = script_.scenario.unrelated;
    if (unrelated == 0) return text.str();
    for (const auto& [protocol, port] : datagram_ports_) {
      const uint16_t other = port ^ 0x8000U;
      if (other == 0) throw CannotAsk("no other port is in the hash slot of port 32768");
      text << "\thold_unrelated(" << unrelated << ", " << protocol << ", " << other << ");\n";
    }
    return text.str();
  }

  std::string Made(size_t place) {
    const model::Socket& socket = script_.scenario.sockets[place];
    const std::string variable = Variable(place);
    const std::string name = script_.names[place];
    const bool stream = model::IsStream(socket.protocol);
    const std::string protocol = socket.protocol == Protocol::kMptcp     ? "IPPROTO_MPTCP"
                                 : socket.protocol == Protocol::kUdpLite ? "IPPROTO_UDPLITE"
                                                                         : "0";
    if (!stream) datagram_ports_.emplace(protocol, PortOf(socket));
    if (socket.owner != 0) owners_.insert(socket.owner);
    devices_ |= socket.device != 0;

    std::string text = "\n\t/* " + InComment(SocketText(name, socket)) + " */\n";
    text += "\tint " + variable + " = socket(" + (socket.address.kind == Kind::kIpv4 ? "AF_INET" : "AF_INET6") +
            (stream ? ", SOCK_STREAM, " : ", SOCK_DGRAM, ") + protocol + ");\n";
    const auto need = [&](const std::string& what, const std::string& call) {
      text += "\tneed(" + Quoted(name + ": " + what) + ", " + call + ");\n";
    };
    const auto set = [&](bool wanted, const std::string& level, const std::string& option) {
      if (wanted) need(option, "set_option(" + variable + ", " + level + ", " + option + ", 1)");
    };
    need("socket", variable);
    set(socket.v6only, "IPPROTO_IPV6", "IPV6_V6ONLY");
    set(socket.reuse_addr, "SOL_SOCKET", "SO_REUSEADDR");
    set(socket.reuse_port, "SOL_SOCKET", "SO_REUSEPORT");
    if (socket.device != 0) {
      need("SO_BINDTODEVICE", "set_device(" + variable + ", \"" + std::string(kDevices[socket.device]) + "\")");
      // [::1] is an address of lo alone.  ipv6_can_nonlocal_bind()
      set(socket.address.kind == Kind::kIpv6 && !socket.address.wildcard(), "IPPROTO_IPV6", "IPV6_FREEBIND");
    }
    if (socket.owner != 0) need("fchown", "set_owner(" + variable + ", " + std::to_string(socket.owner) + ")");
    return text;
  }

  std::string Bind(const std::string& variable, const model::Address& address, uint16_t port) const {
    return (address.kind == Kind::kIpv4 ? "bind4(" : "bind6(") + variable + ", \"" + Presented(address) + "\", " +
           std::to_string(port) + ")";
  }

  std::string Asked(size_t place) {
    const model::Step& step = Steps()[place];
    const model::Socket& socket = script_.scenario.sockets.at(step.socket);
    const std::string variable = Variable(step.socket);
    std::string text = made_[step.socket] ? "" : Made(step.socket);
    made_[step.socket] = true;
    std::string call;
    switch (step.op) {
      case Op::kBind:
        call = Bind(variable, socket.address, PortOf(socket));
        break;
      case Op::kListen:
        call = "listen(" + variable + ", 1)";
        break;
      case Op::kClose:
        call = "close(" + variable + ")";
        break;
      case Op::kSet:
        call = "set_option(" + variable + ", SOL_SOCKET, " +
               (step.option == model::Option::kReuseAddr ? "SO_REUSEADDR" : "SO_REUSEPORT") +
               (step.on ? ", 1)" : ", 0)");
        break;
      case Op::kOwn:
        owners_.insert(step.owner);
        call = "set_owner(" + variable + ", " + std::to_string(step.owner) + ")";
        break;
      case Op::kTimeWait: {
        const std::string peer = "peer_" + std::to_string(place);
        const bool ipv4 = socket.address.kind == Kind::kIpv4;
        const uint32_t loopback = socket.address.kind == Kind::kIpv6 ? 1 : INADDR_LOOPBACK;
        text += "\n\tint " + peer + " = socket(" + (ipv4 ? "AF_INET" : "AF_INET6") + ", SOCK_STREAM, 0);\n";
        text += "\tneed(\"peer: socket\", " + peer + ");\n";
        text += "\tneed(\"peer: bind\", " + Bind(peer, {socket.address.kind, loopback}, 0) + ");\n";
        call = "leave_time_wait(" + variable + ", " + peer + ")";
        break;
      }
    }
    const std::string asked = Quoted(StepText(step, script_.names));
    return text + "\tcheck(" + asked + ", " + call + ", " + ErrorText(Expected(place)) + ");\n";
  }

  Script script_;
  const std::vector<std::string>& reasons_;
  // Of the sockets that have a step.
  std::vector<bool> made_;
  std::set<uint32_t> owners_;
  bool devices_ = false;
  std::set<std::pair<std::string, uint16_t>> datagram_ports_;
};

}  // namespace

std::string CProgram(const Script& script, const std::vector<int>& expected, const std::vector<std::string>& reasons) {
  return Writer(script, expected, reasons).Program();
}

}  // namespace portshare
