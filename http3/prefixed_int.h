#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/varint.h"

/// QPACK's integers (RFC 9204 §4.1.1): the low bits of a byte whose high bits say what follows,
/// then seven bits a byte.

namespace tern::http3 {

inline constexpr std::size_t kMaxPrefixedInt = 11;

/// Writes `value` with a prefix of `bits` below the high bits `first`; returns the byte after it.
inline std::uint8_t* write_prefixed(std::uint8_t* out, std::uint8_t first, unsigned bits,
                                    std::uint64_t value) noexcept {
  const std::uint64_t most = (std::uint64_t{1} << bits) - 1;
  if (value < most) {
    *out++ = static_cast<std::uint8_t>(first | value);
    return out;
  }
  *out++ = static_cast<std::uint8_t>(first | most);
  for (value -= most; value >= 0x80; value >>= 7) {
    *out++ = static_cast<std::uint8_t>(0x80 | (value & 0x7f));
  }
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}

constexpr std::size_t prefixed_size(unsigned bits, std::uint64_t value) noexcept {
  const std::uint64_t most = (std::uint64_t{1} << bits) - 1;
  if (value < most) return 1;
  std::size_t size = 2;
  for (value -= most; value >= 0x80; value >>= 7) ++size;
  return size;
}

/// One that may arrive in pieces.
class PrefixedIntReader {
 public:
  enum class State : std::uint8_t { more, whole, too_large };

  void begin(unsigned bits) noexcept {
    most_ = static_cast<std::uint8_t>((1u << bits) - 1);
    shift_ = 0;
    started_ = false;
  }
  /// Takes bytes off the front of `bytes` until the integer is whole. Above kMaxVarint: too_large.
  State take(ByteView& bytes) noexcept {
    while (!bytes.empty()) {
      const std::uint8_t byte = bytes[0];
      bytes = bytes.subspan(1);
      if (!started_) {
        started_ = true;
        value_ = byte & most_;
        if (value_ < most_) return State::whole;
        continue;
      }
      const std::uint64_t add = byte & 0x7f;
      if (shift_ > 56 || (add << shift_) > kMaxVarint - value_) return State::too_large;
      value_ += add << shift_;
      shift_ += 7;
      if ((byte & 0x80) == 0) return State::whole;
    }
    return State::more;
  }
  std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0;
  unsigned shift_ = 0;
  std::uint8_t most_ = 0;
  bool started_ = false;
};

}  // namespace tern::http3
