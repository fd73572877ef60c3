// Sockets that write down what they do.  A `SocketSpec` says what kind of socket, a `Socket` is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/address.h"
#include "harness/option.h"
#include "harness/outcome.h"
#include "harness/owner.h"
#include "netns/descriptor.h"

namespace portshare {

// How a socket is made: socket(2)'s arguments and their word in scenario notation.
struct Protocol {
  std::string word;
  int type;
  int number;
  int family = 0;  // 0: the address's own
};

class Socket;

// What a socket will be.  A value: each call returns a changed copy, so that one spec can make many sockets.
class SocketSpec {
 public:
  SocketSpec(Protocol protocol, std::optional<Address> address);

  SocketSpec ReuseAddr() const { return Set(so::kReuseAddr); }
  SocketSpec ReusePort() const { return Set(so::kReusePort); }
  SocketSpec Asking(Sharing sharing) const;
  SocketSpec V6Only() const { return Set(so::kV6Only); }
  SocketSpec DualStack() const { return Set(so::kV6Only, 0); }
  // Set between socket(2) and whatever comes next.
  SocketSpec Set(Option option, int value = 1) const;
  // The ports that the kernel may choose for it, within those of the namespace.  IP_LOCAL_PORT_RANGE
  SocketSpec LocalPorts(uint16_t first, uint16_t last) const;
  // SO_BINDTODEVICE
  SocketSpec Device(const std::string& device) const;
  // The effective uid during socket(2).
  SocketSpec OwnedBy(const Owner& owner) const;

  // The socket, not yet bound.  Throws CannotAsk.
  Socket Made() const;
  // The socket, bound; port 0 lets the kernel choose.  A refusal fails the case and ends it.
  Socket Bound(uint16_t port) const;
  // Asks for the port with a socket that is closed right after.
  Outcome Bind(uint16_t port) const;

 private:
  friend class Socket;
  friend class Crowd;
  // "tcp 127.0.0.1 reuseaddr device=v0"
  std::string text() const;
  // The socket with its options and device.  Throws CannotAsk.
  Descriptor Opened() const;

  Protocol protocol_;
  std::optional<Address> address_;
  std::vector<std::pair<Option, int>> options_;
  std::string device_;
  std::optional<Owner> owner_;
};

SocketSpec Tcp(const Address& address);
SocketSpec Udp(const Address& address);
SocketSpec Mptcp(const Address& address);
SocketSpec UdpLite(const Address& address);
SocketSpec Sctp(const Address& address);  // one-to-one, sctp(7)
SocketSpec Raw(const Address& address);   // IPPROTO_UDP
SocketSpec Ping(const Address& address);  // icmp(7)
// A socket of another family, without an address: unix(7), vsock(7), packet(7).
SocketSpec UnixStream();
SocketSpec UnixDatagram();
SocketSpec Vsock();
SocketSpec Packet();

// An open socket.  Every method that returns an Outcome asks the kernel and writes the step and the answer down.
class Socket {
 public:
  Socket(Socket&& other) noexcept = default;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  const std::string& name() const { return name_; }
  int descriptor() const { return descriptor_.number(); }

  // Makes the port or the backlog part of a holder.  A refusal fails the case and ends it.
  Socket Listening(int backlog = 1024) &&;
  Socket ConnectedTo(const Address& address, uint16_t port) &&;

  Outcome Bind(uint16_t port);
  Outcome BindTo(const Address& address, uint16_t port);
  // A name in the abstract namespace, which belongs to the network namespace.  unix(7)
  Outcome BindToName(const std::string& name);
  Outcome Listen(int backlog = 1024);
  // ETIMEDOUT when nobody answered within the step limit.
  Outcome Connect(const Address& address, uint16_t port);
  // connect(2) that does not wait: EINPROGRESS.  The socket does not block from then on.
  Outcome BeginConnect(const Address& address, uint16_t port);
  // connect(AF_UNSPEC): dissolves the association.  connect(2)
  Outcome Disconnect();
  // `how`: SHUT_RD, SHUT_WR, SHUT_RDWR.
  Outcome Shutdown(int how);
  // The accepted socket, if any; EAGAIN when the queue is empty.  The listener does not block from then on.
  std::pair<Outcome, std::optional<Socket>> TryAccept();
  // The next connection, waited for up to the step limit; an empty queue fails the case and ends it.
  Socket Accepted();

  Outcome Set(Option option, int value = 1);
  Outcome Get(Option option);
  // setsockopt(2) and getsockopt(2) with any length; Get answers the length told and the bytes: "4 bytes 1 0 0 0".
  Outcome SetBytes(Option option, const void* value, socklen_t length);
  Outcome GetBytes(Option option, socklen_t length);
  // An empty name unbinds.  SO_BINDTODEVICE
  Outcome SetDevice(const std::string& device);
  Outcome GetDevice();
  // Joins or leaves a multicast group on a device.
  Outcome Join(const Address& group, const std::string& device);

  // fchown(2): the uid that port sharing compares.
  Outcome ChangeOwner(const Owner& owner);
  Outcome OwnerUid();

  // "127.0.0.1:7777"
  Outcome LocalName();
  uint16_t Port() const;
  // "LISTEN", "CLOSE", "ESTABLISHED", ...  tcp(7) TCP_INFO
  Outcome State();

  // Sends a datagram or bytes; the answer is the number of bytes.
  Outcome Send(const std::string& text);
  Outcome SendTo(const Address& address, uint16_t port, const std::string& text = "x");
  // What is queued now, or arrives within the step limit: its text, "end of file" when it has none; EAGAIN when nothing
  // came.
  Outcome Receive();

  // close(2); with `reset`, SO_LINGER 0 first, which sends RST.
  void Close();
  void Reset();

  // A second descriptor of the same socket, passed through SCM_RIGHTS.  unix(7)
  Socket Passed() const;
  Socket Duplicated() const;

 private:
  friend class SocketSpec;

  Socket(Descriptor descriptor, std::string name, SocketSpec spec);
  Outcome Did(const std::string& step, int result, const std::string& answer = "") const;
  Socket Adopt(Descriptor descriptor, const std::string& origin) const;

  Descriptor descriptor_;
  std::string name_;
  SocketSpec spec_;
};

}  // namespace portshare
