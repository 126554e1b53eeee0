#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace tern {

/// The runtime's random numbers: ChaCha20 keyed by 32 bytes from the driver. With the engine the
/// key comes from the kernel, so the output is fit for connection IDs, tokens and path challenges;
/// in the simulator it comes from the seed, so a run can be replayed. Single-threaded.
class Random {
 public:
  using Key = std::array<std::uint8_t, 32>;

  explicit Random(const Key& key) noexcept;
  /// For tests and the simulator: a key spread from a 64-bit seed.
  explicit Random(std::uint64_t seed) noexcept;

  void fill(MutableBytes out) noexcept;
  std::uint64_t next() noexcept;
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) noexcept;
  /// Uniform in [0, 1).
  double unit() noexcept;

 private:
  void refill() noexcept;

  std::array<std::uint32_t, 16> state_{};
  std::array<std::uint8_t, 64> block_{};
  std::size_t used_ = 64;
};

}  // namespace tern
