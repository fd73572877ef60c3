#include "harness/socket.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "harness/deadline.h"
#include "harness/describe.h"
#include "harness/journal.h"
#include "netns/cannot_ask.h"

namespace portshare {
namespace {

bool BecomesReady(int descriptor, short events) {
  pollfd entry{descriptor, events, 0};
  return poll(&entry, 1, static_cast<int>(kStepLimit.count())) == 1;
}

std::string HowName(int how) {
  return how == SHUT_RD ? "rd" : how == SHUT_WR ? "wr" : "rdwr";
}

}  // namespace

Socket::Socket(Descriptor descriptor, std::string name, SocketSpec spec)
    : descriptor_(std::move(descriptor)), name_(std::move(name)), spec_(std::move(spec)) {
  const int number = descriptor_.number();
  Journal::Get().Holds(number,
                       [number, text = name_ + ": " + spec_.protocol_.word] { return text + " " + Describe(number); });
}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (descriptor_.open()) Journal::Get().Forgets(descriptor_.number());
  descriptor_ = std::move(other.descriptor_);
  other.descriptor_.Close();
  name_ = std::move(other.name_);
  spec_ = std::move(other.spec_);
  return *this;
}

Socket::~Socket() {
  if (descriptor_.open()) Journal::Get().Forgets(descriptor_.number());
}

Outcome Socket::Did(const std::string& step, int result, const std::string& answer) const {
  return Journal::Get().Answered(Outcome{step, result < 0 ? errno : 0, result < 0 ? "" : answer});
}

Socket Socket::Listening(int backlog) && {
  Journal::Get().Needs(Listen(backlog));
  return std::move(*this);
}

Socket Socket::ConnectedTo(const Address& address, uint16_t port) && {
  Journal::Get().Needs(Connect(address, port));
  return std::move(*this);
}

Outcome Socket::Bind(uint16_t port) {
  const SocketAddress local(*spec_.address_, port);
  return Did("bind " + name_ + " " + spec_.address_->text(port), bind(descriptor(), local.get(), local.length));
}

Outcome Socket::BindTo(const Address& address, uint16_t port) {
  const SocketAddress local(address, port);
  return Did("bind " + name_ + " " + address.text(port), bind(descriptor(), local.get(), local.length));
}

Outcome Socket::BindToName(const std::string& name) {
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  // The byte before an abstract name is zero, and its length ends it.
  name.copy(local.sun_path + 1, sizeof local.sun_path - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return Did("bind " + name_ + " @" + name, bind(descriptor(), reinterpret_cast<const sockaddr*>(&local), length));
}

Outcome Socket::Listen(int backlog) {
  return Did("listen " + name_, listen(descriptor(), backlog));
}

Outcome Socket::Connect(const Address& address, uint16_t port) {
  const std::string step = "connect " + name_ + " " + address.text(port);
  Journal::Get().Asking(step);
  const SocketAddress peer(address, port);
  const int result = connect(descriptor(), peer.get(), peer.length);
  // SO_SNDTIMEO ends a blocking connect with EINPROGRESS.  socket(7)
  if (result < 0 && errno == EINPROGRESS) errno = ETIMEDOUT;
  return Did(step, result);
}

Outcome Socket::BeginConnect(const Address& address, uint16_t port) {
  fcntl(descriptor(), F_SETFL, O_NONBLOCK);
  const SocketAddress peer(address, port);
  return Did("begin connect " + name_ + " " + address.text(port), connect(descriptor(), peer.get(), peer.length));
}

Outcome Socket::Disconnect() {
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  return Did("disconnect " + name_, connect(descriptor(), &nobody, sizeof nobody));
}

Outcome Socket::Shutdown(int how) {
  return Did("shutdown " + name_ + " " + HowName(how), shutdown(descriptor(), how));
}

std::pair<Outcome, std::optional<Socket>> Socket::TryAccept() {
  fcntl(descriptor(), F_SETFL, O_NONBLOCK);
  Descriptor accepted(accept4(descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
  const int result = accepted.number();
  const int error = errno;
  std::optional<Socket> child;
  if (accepted.open()) child = Adopt(std::move(accepted), "accepted from " + name_);
  errno = error;
  return {Did("accept " + name_, result, child ? child->name() : ""), std::move(child)};
}

Socket Socket::Accepted() {
  Journal::Get().Asking("accept " + name_);
  if (!BecomesReady(descriptor(), POLLIN)) {
    errno = ETIMEDOUT;
    Journal::Get().Needs(Did("accept " + name_, -1));
  }
  auto [outcome, child] = TryAccept();
  Journal::Get().Needs(outcome);
  return *std::move(child);
}

Outcome Socket::Set(Option option, int value) {
  return Did("set " + name_ + " " + option.word + "=" + std::to_string(value),
             setsockopt(descriptor(), option.level, option.number, &value, sizeof value));
}

Outcome Socket::Get(Option option) {
  int value = 0;
  socklen_t length = sizeof value;
  const int result = getsockopt(descriptor(), option.level, option.number, &value, &length);
  return Did("get " + name_ + " " + option.word, result, std::to_string(value));
}

Outcome Socket::SetBytes(Option option, const void* value, socklen_t length) {
  return Did("set " + name_ + " " + option.word + " of length " + std::to_string(static_cast<int>(length)),
             setsockopt(descriptor(), option.level, option.number, value, length));
}

Outcome Socket::GetBytes(Option option, socklen_t length) {
  std::string bytes(length, '\0');
  const std::string step = "get " + name_ + " " + option.word + " into " + std::to_string(length) + " bytes";
  const int result = getsockopt(descriptor(), option.level, option.number, bytes.data(), &length);
  std::string answer = std::to_string(length) + " bytes";
  bytes.resize(std::min<size_t>(bytes.size(), length));
  for (const char byte : bytes) answer += " " + std::to_string(static_cast<unsigned char>(byte));
  return Did(step, result, answer);
}

Outcome Socket::SetDevice(const std::string& device) {
  return Did(
      "set " + name_ + " device=" + (device.empty() ? "none" : device),
      setsockopt(descriptor(), SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), static_cast<socklen_t>(device.size() + 1)));
}

Outcome Socket::GetDevice() {
  char device[IFNAMSIZ] = "";
  socklen_t length = sizeof device;
  const int result = getsockopt(descriptor(), SOL_SOCKET, SO_BINDTODEVICE, device, &length);
  return Did("get " + name_ + " device", result, device[0] == '\0' ? "none" : device);
}

Outcome Socket::Join(const Address& group, const std::string& device) {
  group_req request{};
  request.gr_interface = if_nametoindex(device.c_str());
  request.gr_group = SocketAddress(group, 0).storage;
  const int level = group.family() == AF_INET ? static_cast<int>(IPPROTO_IP) : IPPROTO_IPV6;
  return Did("join " + name_ + " " + group.text() + " on " + device,
             setsockopt(descriptor(), level, MCAST_JOIN_GROUP, &request, sizeof request));
}

Outcome Socket::ChangeOwner(const Owner& owner) {
  return Did("chown " + name_ + " " + std::to_string(owner.uid),
             fchown(descriptor(), owner.uid, static_cast<gid_t>(-1)));
}

Outcome Socket::OwnerUid() {
  struct stat status {};
  const int result = fstat(descriptor(), &status);
  return Did("owner " + name_, result, std::to_string(status.st_uid));
}

Outcome Socket::LocalName() {
  SocketAddress local;
  const int result = getsockname(descriptor(), local.get(), &local.length);
  return Did("name " + name_, result, local.text());
}

uint16_t Socket::Port() const {
  SocketAddress local;
  if (getsockname(descriptor(), local.get(), &local.length) != 0) throw CannotAsk("getsockname", errno);
  return local.port();
}

Outcome Socket::State() {
  tcp_info info{};
  socklen_t length = sizeof info;
  const int result = getsockopt(descriptor(), IPPROTO_TCP, TCP_INFO, &info, &length);
  return Did("state " + name_, result, TcpStateName(info.tcpi_state));
}

Outcome Socket::Send(const std::string& text) {
  const ssize_t sent = send(descriptor(), text.data(), text.size(), MSG_NOSIGNAL);
  return Did("send " + name_, static_cast<int>(sent), std::to_string(sent));
}

Outcome Socket::SendTo(const Address& address, uint16_t port, const std::string& text) {
  const SocketAddress peer(address, port);
  const ssize_t sent = sendto(descriptor(), text.data(), text.size(), MSG_NOSIGNAL, peer.get(), peer.length);
  return Did("send " + name_ + " to " + address.text(port), static_cast<int>(sent), std::to_string(sent));
}

Outcome Socket::Receive() {
  Journal::Get().Asking("receive " + name_);
  char text[2048];
  BecomesReady(descriptor(), POLLIN);
  const ssize_t length = recv(descriptor(), text, sizeof text, MSG_DONTWAIT);
  return Did("receive " + name_, static_cast<int>(length),
             length > 0 ? std::string(text, static_cast<size_t>(length)) : "end of file");
}

void Socket::Close() {
  Journal::Get().Note("close " + name_);
  Journal::Get().Forgets(descriptor());
  descriptor_.Close();
}

void Socket::Reset() {
  const linger at_once{1, 0};
  setsockopt(descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Journal::Get().Note("reset " + name_);
  Journal::Get().Forgets(descriptor());
  descriptor_.Close();
}

Socket Socket::Adopt(Descriptor descriptor, const std::string& origin) const {
  SocketSpec spec(spec_.protocol_, spec_.address_);
  Socket adopted(std::move(descriptor), Journal::Get().NextName(), spec);
  Journal::Get().Note(adopted.name() + ": " + origin);
  return adopted;
}

Socket Socket::Passed() const {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) throw CannotAsk("socketpair", errno);
  const Descriptor from(pair[0]);
  const Descriptor to(pair[1]);
  char byte = 'x';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int own = descriptor();
  memcpy(CMSG_DATA(header), &own, sizeof own);
  if (sendmsg(from.number(), &message, 0) != 1) throw CannotAsk("send a descriptor", errno);
  if (recvmsg(to.number(), &message, MSG_CMSG_CLOEXEC) != 1) throw CannotAsk("receive a descriptor", errno);
  header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) throw CannotAsk("receive a descriptor: none came");
  int received = -1;
  memcpy(&received, CMSG_DATA(header), sizeof received);
  return Adopt(Descriptor(received), "passed from " + name_);
}

Socket Socket::Duplicated() const {
  const int copy = fcntl(descriptor(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw CannotAsk("duplicate " + name_, errno);
  return Adopt(Descriptor(copy), "duplicate of " + name_);
}

}  // namespace portshare
