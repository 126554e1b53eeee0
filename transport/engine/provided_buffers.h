#pragma once

#include <cstddef>
#include <cstdint>
#include <liburing.h>
#include <vector>

#include "base/error.h"

namespace tern::engine {

/// Buffers of one size that an io_uring's multishot receives share.
///
/// The kernel fills them in turn, so the more are in its hands the colder each is when its turn
/// comes. Few circulate, then; their number doubles when the kernel runs out, and halves after a
/// long time in which a quarter would have done.
class ProvidedBuffers {
 public:
  struct Shape {
    std::uint16_t group;  ///< the ring's number for them
    std::size_t count;    ///< a power of two
    std::size_t size;     ///< bytes of each
    std::size_t few;      ///< in circulation at first, and at least
  };

  ProvidedBuffers() = default;
  ProvidedBuffers(const ProvidedBuffers&) = delete;
  ProvidedBuffers& operator=(const ProvidedBuffers&) = delete;
  /// After the ring is closed.
  ~ProvidedBuffers();

  /// An Error (Code::unsupported) says why not, in words for people.
  Result<void> open(io_uring& ring, const Shape& shape);
  bool is_open() const noexcept { return wanted_ != 0; }
  std::uint16_t group() const noexcept { return shape_.group; }
  std::size_t size() const noexcept { return shape_.size; }

  std::uint8_t* at(std::uint16_t id) noexcept { return memory_ + id * shape_.size; }
  /// The kernel may fill buffer `id` again.
  void give_back(std::uint16_t id) noexcept;
  /// The kernel had something to receive and no buffer.
  void ran_out() noexcept;
  /// How many buffers one turn took.
  void used(std::size_t count) noexcept;

 private:
  static constexpr std::size_t kQuietTurns = 4096;

  void circulate(std::uint16_t id) noexcept;

  Shape shape_{};
  io_uring_buf_ring* ring_ = nullptr;
  std::size_t ring_size_ = 0;
  std::uint8_t* memory_ = nullptr;
  std::size_t memory_size_ = 0;
  int mask_ = 0;
  std::vector<std::uint16_t> spare_;  // not in circulation
  std::size_t circulating_ = 0;
  std::size_t wanted_ = 0;  // in circulation, once the kernel has given some back
  std::size_t quiet_turns_ = 0;
};

}  // namespace tern::engine
