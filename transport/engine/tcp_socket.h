#pragma once

#include <utility>

#include "base/error.h"
#include "transport/tcp/network.h"
#include "transport/udp/address.h"

/// The kernel's TCP sockets, as both engines want them: non-blocking and with everything set.

namespace tern::engine {

/// accept(2) failed for want of descriptors or memory; other errors are about one client.
bool out_of_resources(int error) noexcept;

/// Owns a TCP socket's descriptor.
class TcpSocket {
 public:
  /// Bound and listening. Streams inherit the options set here.
  static Result<TcpSocket> listen(const tcp::ListenOptions& options);
  /// Ready for `connect`, bound where the options say so.
  static Result<TcpSocket> open(const tcp::ConnectOptions& options);
  /// What accept(2) gave.
  explicit TcpSocket(int fd) noexcept : fd_(fd) {}

  TcpSocket(TcpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TcpSocket& operator=(TcpSocket&&) = delete;
  ~TcpSocket() { close(); }

  int fd() const noexcept { return fd_; }
  /// Begins to connect: 0, EINPROGRESS, or what is wrong.
  int connect(const udp::Address& remote) noexcept;
  /// Unspecified when the socket has none (any more).
  udp::Address local() const noexcept;
  udp::Address remote() const noexcept;
  /// Takes the pending error; 0: none.
  int take_error() noexcept;
  tcp::StreamInfo info() const noexcept;
  /// FIN, after what the kernel has.
  void finish() noexcept;
  /// RST, now, whoever else still holds the open file.
  void reset() noexcept;
  void close() noexcept;

 private:
  int fd_;
};

}  // namespace tern::engine
