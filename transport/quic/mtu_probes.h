#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "base/time.h"

namespace tern::quic {

/// The UDP payload sizes that a connection's PMTUD (RFC 8899) tries on the way up from 1200, in
/// order. ngtcp2 keeps a pointer to them and skips what is not above the size already proved, or
/// not below one that failed.
class MtuProbes {
 public:
  static constexpr std::size_t kEthernet = 1452;  ///< 1500 bytes with IPv6
  /// Larger ones are for jumbo frames: loopback and data centres. A probe takes its share of the
  /// pacer's rate, for nothing on the Internet; so they are tried on paths this short alone.
  static constexpr Duration kJumboRtt = std::chrono::milliseconds(2);

  explicit MtuProbes(std::size_t largest) noexcept {
    // First what tunnels and PPPoE leave of 1500 bytes, then the whole.
    for (const std::size_t size : {std::size_t{1406}, std::size_t{1342}, std::size_t{1232},
                                   kEthernet, std::size_t{4052}, std::size_t{8952}, largest}) {
      if (size <= largest && size > kMinimum && (count_ == 0 || size != sizes_[count_ - 1])) {
        sizes_[count_++] = static_cast<std::uint16_t>(size);
      }
    }
  }

  std::span<const std::uint16_t> sizes() const noexcept { return {sizes_.data(), count_}; }

  std::size_t largest() const noexcept {
    return count_ == 0 ? kMinimum : *std::max_element(sizes_.begin(), sizes_.begin() + count_);
  }

  /// Before the first probe: none above `largest` then. Their number stays.
  void limit(std::size_t largest) noexcept {
    for (std::uint16_t& size : sizes_) {
      size = static_cast<std::uint16_t>(std::min<std::size_t>(size, largest));
    }
  }

 private:
  static constexpr std::size_t kMinimum = 1200;
  std::array<std::uint16_t, 7> sizes_{};
  std::size_t count_ = 0;
};

}  // namespace tern::quic
