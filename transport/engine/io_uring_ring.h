#pragma once

#include <cstddef>
#include <cstdint>
#include <liburing.h>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace tern::engine {

/// One io_uring with its ring of provided receive buffers. For the thread that opened it.
///
/// The kernel fills the buffers in turn, so the more are in its hands the colder each is when its
/// turn comes. Few circulate, then; their number doubles when the kernel runs out, and halves after
/// a long time in which a quarter would have done.
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

  std::uint8_t* buffer(std::uint16_t id) noexcept { return buffers_ + id * kBufferSize; }
  /// The kernel may fill buffer `id` again.
  void give_back(std::uint16_t id) noexcept;
  /// The kernel had something to receive and no buffer.
  void buffers_ran_out() noexcept;
  /// How many buffers one turn took.
  void buffers_used(std::size_t count) noexcept;

 private:
  IoUringRing() = default;
  unsigned kernel_flags() const noexcept {
    return __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  }
  Result<void> open_ring();
  Result<void> check_operations();
  Result<void> open_buffers(std::size_t count);
  Result<void> check_receive();
  void circulate(std::uint16_t id) noexcept;

  static constexpr std::size_t kQuietTurns = 4096;

  io_uring ring_{};
  bool ring_open_ = false;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  std::size_t buffer_ring_size_ = 0;
  std::uint8_t* buffers_ = nullptr;
  std::size_t buffers_size_ = 0;
  int buffer_mask_ = 0;
  std::vector<std::uint16_t> spare_;  // not in circulation
  std::size_t circulating_ = 0;
  std::size_t wanted_ = 0;  // in circulation, once the kernel has given some back
  std::size_t quiet_turns_ = 0;
};

}  // namespace tern::engine
