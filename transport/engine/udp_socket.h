#pragma once

#include <utility>

#include "base/error.h"
#include "transport/engine/engine.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

namespace tern::engine {

/// A bound UDP socket with everything set that both engines need: non-blocking, GRO, ECN and local
/// addresses told, DF set without the kernel's own path MTU discovery, big buffers, reuse-port
/// steering. Owns the descriptor.
class UdpSocket {
 public:
  static Result<UdpSocket> open(const udp::SocketOptions& options, const EngineOptions& engine);
  /// A bound socket of another process; the descriptor is closed if it is no such thing. `group`:
  /// lets others bind the same address.
  static Result<UdpSocket> adopt(int descriptor, bool group, const EngineOptions& engine);

  UdpSocket(UdpSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        local_(other.local_),
        v6_(other.v6_),
        tells_unreachable_(other.tells_unreachable_),
        ecn_(other.ecn_) {}
  UdpSocket& operator=(UdpSocket&&) = delete;
  ~UdpSocket() { close(); }

  int fd() const noexcept { return fd_; }
  /// The bound address with its real port.
  const udp::Address& local() const noexcept { return local_; }
  /// AF_INET6; sends to IPv4 addresses must be given as IPv4-mapped.
  bool v6() const noexcept { return v6_; }
  /// What ICMP says comes to the socket's error queue (IP_RECVERR), and is the answer to the next
  /// call on the socket.
  bool tells_unreachable() const noexcept { return tells_unreachable_; }
  /// The codepoint of datagrams sent without a control message that says another: ECT(0), which
  /// QUIC uses on every path that lets it through, unless the kernel refused to set it.
  udp::Ecn default_ecn() const noexcept { return ecn_; }
  void close() noexcept;

 private:
  Result<void> read_local();
  UdpSocket(int fd, bool v6) noexcept : fd_(fd), v6_(v6) {}

  int fd_;
  udp::Address local_;
  bool v6_;
  bool tells_unreachable_ = false;
  udp::Ecn ecn_ = udp::Ecn::not_ect;
};

}  // namespace tern::engine
