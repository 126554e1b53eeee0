#pragma once

#include <cstddef>
#include <cstdint>
#include <liburing.h>
#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "transport/engine/provided_buffers.h"

namespace tern::engine {

/// One io_uring with its receive buffers for datagrams. For the thread that opened it.
class IoUringRing {
 public:
  static constexpr unsigned kSubmissions = 256;
  static constexpr unsigned kCompletions = 4096;
  static constexpr std::uint16_t kBufferGroup = 0;
  /// A maximal UDP datagram, with room for the header, the sender and the control messages that
  /// recvmsg puts before it.
  static constexpr std::size_t kBufferSize = 64 * 1024 + 512;
  static constexpr std::size_t kFewBuffers = 8;

  /// `buffers`: a power of two. The Error (Code::unsupported) says in words for people why this
  /// kernel, or its configuration, will not do; the ring that comes back has been seen to receive.
  static Result<std::unique_ptr<IoUringRing>> open(std::size_t buffers);
  IoUringRing(const IoUringRing&) = delete;
  IoUringRing& operator=(const IoUringRing&) = delete;
  ~IoUringRing();

  io_uring* get() noexcept { return &ring_; }
  /// A cleared submission entry; submits those before it when there is no room.
  io_uring_sqe* entry();
  bool has_submissions() noexcept { return io_uring_sq_ready(&ring_) != 0; }
  /// Completions are waiting in the kernel for this thread to enter it.
  bool has_deferred_work() const noexcept {
    return (kernel_flags() & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }
  /// More completions than the ring holds.
  bool has_overflow() const noexcept { return (kernel_flags() & IORING_SQ_CQ_OVERFLOW) != 0; }

  ProvidedBuffers& buffers() noexcept { return buffers_; }

 private:
  IoUringRing() = default;
  unsigned kernel_flags() const noexcept {
    return __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  }
  Result<void> open_ring();
  Result<void> check_operations();
  Result<void> check_receive();

  ProvidedBuffers buffers_;  // goes after the ring, which ~IoUringRing closes
  io_uring ring_{};
  bool ring_open_ = false;
};

}  // namespace tern::engine
