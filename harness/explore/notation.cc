#include "harness/explore/notation.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "harness/explore/scanner.h"
#include "netns/errno_name.h"

namespace portshare {
namespace {

using Kind = model::Address::Kind;

using model::Op;
using model::Protocol;

template <typename Value, size_t kSize>
using Words = std::array<std::pair<std::string_view, Value>, kSize>;

constexpr Words<Protocol, 4> kProtocols = {
    {{"tcp", Protocol::kTcp}, {"udp", Protocol::kUdp}, {"mptcp", Protocol::kMptcp}, {"udplite", Protocol::kUdpLite}}};
// The first word for each is the one that is printed.
constexpr Words<Op, 7> kOps = {{{"bind", Op::kBind},
                                {"listen", Op::kListen},
                                {"close", Op::kClose},
                                {"set", Op::kSet},
                                {"own", Op::kOwn},
                                {"chown", Op::kOwn},
                                {"time_wait", Op::kTimeWait}}};
constexpr Words<model::Option, 2> kSharing = {
    {{"reuseaddr", model::Option::kReuseAddr}, {"reuseport", model::Option::kReusePort}}};
constexpr Words<bool, 4> kSwitch = {{{"on", true}, {"off", false}, {"1", true}, {"0", false}}};
constexpr Words<uint8_t, 2> kDeviceWords = {{{"v0", 1}, {"v1", 2}}};

template <typename Value, size_t kSize>
std::string WordOf(const Words<Value, kSize>& words, Value value) {
  const auto found = std::find_if(words.begin(), words.end(), [&](const auto& word) { return word.second == value; });
  return std::string(found->first);
}

// (uid_t)-1 is no user: fchown(2) leaves the owner as it is.
constexpr uint32_t kMostUid = UINT32_MAX - 1;

// 0.0.0.0 and 127/8, alone or mapped, [::] and [::1]: what a namespace has without any set-up.
std::optional<model::Address> KnownAddress(const std::string& text) {
  const auto known = [](Kind kind, in_addr_t address) -> std::optional<model::Address> {
    const uint32_t bits = ntohl(address);
    if (bits != 0 && bits >> 24U != IN_LOOPBACKNET) return {};
    return model::Address{kind, bits};
  };
  in6_addr v6{};
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return known(Kind::kIpv4, v4.s_addr);
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return {};
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return known(Kind::kMapped, v6.s6_addr32[3]);
  if (IN6_IS_ADDR_UNSPECIFIED(&v6)) return model::Address{Kind::kIpv6, 0};
  if (IN6_IS_ADDR_LOOPBACK(&v6)) return model::Address{Kind::kIpv6, 1};
  return {};
}

std::string AddressText(const model::Address& address) {
  if (address.kind == Kind::kIpv6) return address.wildcard() ? "[::]" : "[::1]";
  std::string text;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    text += std::to_string(address.bits >> shift & 0xffU) + (shift == 0 ? "" : ".");
  }
  return address.kind == Kind::kMapped ? "[::ffff:" + text + "]" : text;
}

std::string PortText(uint16_t offset) {
  return std::to_string(static_cast<uint16_t>(kScenarioPort + offset));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : scan_(text) {}

  Script Parsed() {
    while (scan_.NextLine()) {
      if (const auto name = scan_.Label()) {
        Declaration(*name);
      } else if (const std::string_view word = scan_.Next(); word == "unrelated") {
        Unrelated(word);
      } else {
        Step(word);
      }
      if (!scan_.Peek().empty()) scan_.Refuse(scan_.Peek(), "the end of the step");
    }
    if (script_.scenario.steps.empty()) scan_.Refuse(scan_.Rest(), "a step");
    return std::move(script_);
  }

 private:
  // What is known of a socket beside its declaration.
  struct Told {
    bool port = false;           // its port is settled
    std::string_view closed_by;  // the step that ended it
  };

  template <typename Value, size_t kSize>
  Value OneOf(const Words<Value, kSize>& words, std::string_view word, const std::string& expected) const {
    const auto found = std::ranges::find(words, word, [](const auto& known) { return known.first; });
    if (found == words.end()) scan_.Refuse(word, expected);
    return found->second;
  }

  bool Switched(std::string_view word) const { return OneOf(kSwitch, word, "on or off"); }

  // An address and, where one is given, the offset of its port.
  std::pair<model::Address, std::optional<uint16_t>> AddressAndPort(std::string_view word) const {
    const size_t bracket = word.starts_with('[') ? word.find(']') : 0;
    // Without brackets only an IPv4 address can have a port: all of ::1:80 is an address.
    const bool may_have_port = bracket > 0 || std::ranges::count(word, ':') == 1;
    const size_t colon = may_have_port ? word.find(':', bracket) : std::string_view::npos;
    std::string_view host = word.substr(0, colon);
    if (bracket > 0 && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const auto address = KnownAddress(std::string(host));
    if (!address || (bracket > 0 && address->kind == model::Address::Kind::kIpv4)) {
      scan_.Refuse(word, "an address (0.0.0.0, 127.x.y.z, [::], [::1], [::ffff:0.0.0.0] or [::ffff:127.x.y.z])");
    }
    if (colon == std::string_view::npos) return {*address, {}};
    return {*address,
            static_cast<uint16_t>(scan_.Number(word.substr(colon + 1), 1, UINT16_MAX, "a port") - kScenarioPort)};
  }

  void Declaration(std::string_view name) {
    // The heading above a failure's story.
    if (name == "steps" && scan_.Peek().empty()) return;
    const auto fits = [](char letter) {
      return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
    };
    if (name.empty() || name[0] < 'a' || !std::ranges::all_of(name, fits)) {
      scan_.Refuse(name, "a name of a-z, 0-9 and _ that starts with a letter");
    }
    if (script_.names.size() == kMostSockets) {
      scan_.Refuse(name, "at most " + std::to_string(kMostSockets) + " sockets");
    }
    if (!sockets_.try_emplace(std::string(name), script_.names.size()).second) scan_.Refuse(name, "a new name");

    model::Socket socket;
    socket.protocol = OneOf(kProtocols, scan_.Next(), "tcp, udp, mptcp or udplite");
    const auto [address, port] = AddressAndPort(scan_.Next());
    socket.address = address;
    socket.port = port.value_or(0);
    std::vector<std::string_view> given;
    while (!scan_.Peek().empty()) Option(scan_.Next(), socket, given);
    script_.names.emplace_back(name);
    script_.scenario.sockets.push_back(socket);
    told_.push_back({.port = port.has_value(), .closed_by = {}});
  }

  void Option(std::string_view word, model::Socket& socket, std::vector<std::string_view>& given) const {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string_view value = word.substr(std::min(equals + 1, word.size()));
    const auto flag = [&] { return equals == word.size() || Switched(value); };
    std::string_view name = word.substr(0, equals);
    if (name == "device") name = "dev";
    if (std::ranges::find(given, name) != given.end()) scan_.Refuse(word, "each option once");
    given.push_back(name);
    if (name == "reuseaddr") {
      socket.reuse_addr = flag();
    } else if (name == "reuseport") {
      socket.reuse_port = flag();
    } else if (name == "owner") {
      socket.owner = scan_.Number(value, 0, kMostUid, "a uid");
    } else if (name == "dev") {
      socket.device = OneOf(kDeviceWords, value, "v0 or v1");
    } else if (name == "v6only" && socket.address.kind != model::Address::Kind::kIpv4) {
      socket.v6only = flag();
    } else if (name == "v6only") {
      scan_.Refuse(word, "an option that an IPv4 socket has");
    } else {
      scan_.Refuse(word, "an option (v6only, reuseaddr, reuseport, owner=UID, dev=v0 or dev=v1)");
    }
  }

  void Unrelated(std::string_view word) {
    if (!script_.scenario.steps.empty()) scan_.Refuse(word, "\"unrelated\" before the first step");
    if (std::exchange(unrelated_, true)) scan_.Refuse(word, "\"unrelated\" once");
    script_.scenario.unrelated = static_cast<int>(scan_.Number(scan_.Next(), 0, kMostUnrelated, "a number"));
  }

  void Step(std::string_view word) {
    model::Step step;
    step.op = OneOf(kOps, word,
                    "a declaration (NAME: PROTOCOL ADDRESS) or a step "
                    "(bind, listen, close, set, own, time_wait; before the first, unrelated)");
    if (script_.scenario.steps.size() == kMostSteps)
      scan_.Refuse(word, "at most " + std::to_string(kMostSteps) + " steps");
    const std::string_view name = scan_.Next();
    step.socket = OpenSocket(name);
    if (step.op == Op::kBind) Bind(step.socket);
    if (step.op == Op::kSet) Set(step);
    if (step.op == Op::kOwn) step.owner = scan_.Number(scan_.Next(), 0, kMostUid, "a uid");
    if (step.op == Op::kClose || step.op == Op::kTimeWait) told_[step.socket].closed_by = word;
    if (step.op == Op::kTimeWait) MayConnect(name, script_.scenario.sockets[step.socket]);
    script_.scenario.steps.push_back(step);
    script_.expected.push_back(Answer());
  }

  // The place of the named socket, which no step has closed.
  uint16_t OpenSocket(std::string_view name) const {
    const auto found = sockets_.find(name);
    if (found == sockets_.end()) scan_.Refuse(name, "a socket's name", DeclaredNames());
    const std::string_view closed_by = told_[found->second].closed_by;
    if (!closed_by.empty()) {
      scan_.Refuse(name, "a socket that is open", ", closed in line " + std::to_string(scan_.Line(closed_by)));
    }
    return static_cast<uint16_t>(found->second);
  }

  std::string DeclaredNames() const {
    constexpr size_t kShown = 10;
    if (script_.names.empty()) return "; none is declared yet";
    std::string text = "; declared are ";
    for (size_t name = 0; name < std::min(script_.names.size(), kShown); ++name) {
      text += (name == 0 ? "" : ", ") + Shown(script_.names[name]);
    }
    return script_.names.size() > kShown ? text + ", ..." : text;
  }

  // An address here repeats the declared one.  Its port is news where the declaration has none.
  void Bind(size_t place) {
    model::Socket& socket = script_.scenario.sockets[place];
    Told& told = told_[place];
    if (!scan_.Peek().empty() && scan_.Peek() != "=>") {
      const std::string_view word = scan_.Next();
      const auto [address, port] = AddressAndPort(word);
      if (address != socket.address) scan_.Refuse(word, AddressText(socket.address) + " as declared");
      if (told.port && port && *port != socket.port) scan_.Refuse(word, "port " + PortText(socket.port) + " as before");
      socket.port = port.value_or(socket.port);
    }
    told.port = true;
  }

  // "reuseport on", or "reuseport=1" as the journal has it.
  void Set(model::Step& step) {
    const std::string_view word = scan_.Next();
    const size_t equals = word.find('=');
    step.option = OneOf(kSharing, word.substr(0, equals), "reuseaddr or reuseport");
    step.on = Switched(equals == std::string_view::npos ? scan_.Next() : word.substr(equals + 1));
  }

  // What leaves TIME_WAIT behind is a connection, over loopback.
  void MayConnect(std::string_view name, const model::Socket& socket) const {
    if (!model::IsStream(socket.protocol)) {
      scan_.Refuse(name, "a tcp or mptcp socket", ", which is " + WordOf(kProtocols, socket.protocol));
    }
    if (socket.device != 0) scan_.Refuse(name, "a socket without a device");
  }

  std::optional<int> Answer() {
    if (scan_.Peek() != "=>") return {};
    scan_.Next();
    const std::string_view word = scan_.Next();
    std::optional<int> error = word == "ok" ? 0 : ErrnoNumber(std::string(word));
    if (word == "errno") error = static_cast<int>(scan_.Number(scan_.Next(), 1, kMostErrno, "a number"));
    if (!error) scan_.Refuse(word, "ok or an errno's name");
    while (scan_.Remark()) {
    }
    return error;
  }

  Scanner scan_;
  Script script_;
  std::map<std::string, size_t, std::less<>> sockets_;
  std::vector<Told> told_;
  bool unrelated_ = false;
};

}  // namespace

Script Parse(std::string_view text) {
  return Parser(text).Parsed();
}

std::string SocketText(const std::string& name, const model::Socket& socket) {
  std::string text = name + ": " + WordOf(kProtocols, socket.protocol) + " " + AddressText(socket.address);
  if (socket.port != 0) text += ":" + PortText(socket.port);
  if (socket.v6only) text += " v6only";
  if (socket.reuse_addr) text += " reuseaddr";
  if (socket.reuse_port) text += " reuseport";
  if (socket.owner != 0) text += " owner=" + std::to_string(socket.owner);
  if (socket.device != 0) text += " dev=" + WordOf(kDeviceWords, socket.device);
  return text;
}

std::string StepText(const model::Step& step, const std::vector<std::string>& names) {
  std::string text = WordOf(kOps, step.op) + " " + names[step.socket];
  if (step.op == Op::kSet) text += " " + WordOf(kSharing, step.option) + " " + WordOf(kSwitch, step.on);
  if (step.op == Op::kOwn) text += " " + std::to_string(step.owner);
  return text;
}

std::string Print(const Script& script) {
  const auto& [sockets, steps, unrelated] = script.scenario;
  std::string text;
  for (size_t place = 0; place < sockets.size(); ++place)
    text += SocketText(script.names[place], sockets[place]) + "\n";
  if (unrelated != 0) text += "unrelated " + std::to_string(unrelated) + "\n";
  for (size_t place = 0; place < steps.size(); ++place) {
    text += StepText(steps[place], script.names);
    const std::optional<int> expected = place < script.expected.size() ? script.expected[place] : std::nullopt;
    if (expected) text += "  => " + (*expected == 0 ? "ok" : ErrnoName(*expected));
    text += "\n";
  }
  return text;
}

std::vector<std::string> DefaultNames(size_t sockets) {
  std::vector<std::string> names;
  for (size_t place = 0; place < sockets; ++place) {
    const std::string letter(1, static_cast<char>('a' + place % 26));
    names.push_back(place < 26 ? letter : letter + std::to_string(place / 26));
  }
  return names;
}

}  // namespace portshare
