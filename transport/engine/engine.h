#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "transport/udp/network.h"

/// Datagrams in the real world: `open` makes the `udp::Network` that a runtime runs on, with
/// io_uring where the kernel allows it and epoll everywhere else. Both batch the same way: GRO in,
/// GSO out, ECN and the local address kept (docs/decisions/0020).
///
/// A network belongs to the thread that opened it: that thread alone may use and destroy it, except
/// for `wake`, which may be called from anywhere, signal handlers included. Sockets die before
/// their network.

namespace tern::engine {

enum class EngineKind : std::uint8_t {
  automatic,  ///< io_uring if it works here, else epoll
  io_uring,
  epoll,
};

/// "auto", "io_uring", "epoll".
std::string_view name(EngineKind kind) noexcept;
/// The reverse of `name`; an Error (Code::invalid) lists what there is.
Result<EngineKind> parse_engine_kind(std::string_view text);

class EngineOptions {
 public:
  /// Default: automatic.
  EngineOptions& kind(EngineKind value) { return kind_ = value, *this; }
  /// Receive buffers of 64 KiB, shared by all sockets of the network; a power of two from 1 to
  /// 1024. Each takes what the kernel coalesced of one flow, or one datagram. What arrives while
  /// all are full stays in the sockets' own buffers. Default 64: 4 MiB of address space, of which
  /// only what traffic touches is resident.
  EngineOptions& receive_buffers(std::size_t count) { return receive_buffers_ = count, *this; }
  /// Send slabs of 64 KiB: how much may wait for the kernel at once. 1 to 1024. Default 64.
  EngineOptions& slabs(std::size_t count) { return slabs_ = count, *this; }
  /// The kernel's buffer of each socket, in bytes. Beyond net.core.rmem_max and wmem_max only for
  /// the privileged; others get the maximum. Defaults 4 MiB and 2 MiB.
  EngineOptions& socket_receive_buffer(int bytes) { return socket_receive_buffer_ = bytes, *this; }
  EngineOptions& socket_send_buffer(int bytes) { return socket_send_buffer_ = bytes, *this; }
  /// UDP_SEGMENT and UDP_GRO. Off: one datagram per send and per arrival. For tests and
  /// comparisons; default on, and found out at run time where a device cannot.
  EngineOptions& offload(bool on) { return offload_ = on, *this; }
  /// How long a wait looks for what comes before it sleeps, where waits have been so short that
  /// this costs no more than to sleep and be woken (docs/decisions/0028; a quiet network is not
  /// polled). 0 to 1 s; 0: never. Default 50 µs.
  EngineOptions& busy_poll(Duration longest) { return busy_poll_ = longest, *this; }

  EngineKind kind() const noexcept { return kind_; }
  std::size_t receive_buffers() const noexcept { return receive_buffers_; }
  std::size_t slabs() const noexcept { return slabs_; }
  int socket_receive_buffer() const noexcept { return socket_receive_buffer_; }
  int socket_send_buffer() const noexcept { return socket_send_buffer_; }
  bool offload() const noexcept { return offload_; }
  Duration busy_poll() const noexcept { return busy_poll_; }

 private:
  EngineKind kind_ = EngineKind::automatic;
  std::size_t receive_buffers_ = 64;
  std::size_t slabs_ = 64;
  int socket_receive_buffer_ = 4 * 1024 * 1024;
  int socket_send_buffer_ = 2 * 1024 * 1024;
  bool offload_ = true;
  Duration busy_poll_ = std::chrono::microseconds(50);
};

/// Opens a network for the calling thread. `automatic` falls back to epoll and its `description`
/// says why; `io_uring` that is not available is an Error (Code::unsupported) with the reason.
Result<std::unique_ptr<udp::Network>> open(const EngineOptions& options = EngineOptions());

/// One thing this kernel can or cannot do, for `tern version`.
struct Feature {
  std::string name;  ///< "io_uring", "multishot recvmsg", "UDP GSO"
  bool available = false;
  std::string detail;  ///< why not, or empty
};

/// Tries each feature on this machine; takes about a millisecond.
std::vector<Feature> features();

/// "6.1.0-18-amd64"
std::string kernel_release();

}  // namespace tern::engine
