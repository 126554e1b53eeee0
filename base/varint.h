#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/check.h"

/// Variable-length integers (RFC 9000 §16): 1, 2, 4 or 8 bytes, the size in the two highest bits.

namespace tern {

inline constexpr std::uint64_t kMaxVarint = (std::uint64_t{1} << 62) - 1;
inline constexpr std::size_t kMaxVarintSize = 8;

/// How many bytes `value` takes in its shortest form. `value` ≤ kMaxVarint.
constexpr std::size_t varint_size(std::uint64_t value) noexcept {
  if (value < (1u << 6)) return 1;
  if (value < (1u << 14)) return 2;
  if (value < (1u << 30)) return 4;
  return 8;
}

/// Writes the shortest form to `out`, which has room for it, and returns the byte after it.
inline std::uint8_t* write_varint(std::uint8_t* out, std::uint64_t value) noexcept {
  TERN_CHECK(value <= kMaxVarint);
  const std::size_t size = varint_size(value);
  for (std::size_t i = size; i-- > 0; value >>= 8) out[i] = static_cast<std::uint8_t>(value);
  out[0] = static_cast<std::uint8_t>(out[0] | std::countr_zero(size) << 6);
  return out + size;
}

/// The size of the varint that starts with this byte.
constexpr std::size_t varint_size_of(std::uint8_t first) noexcept {
  return std::size_t{1} << (first >> 6);
}

struct Varint {
  std::uint64_t value;
  std::size_t size;  ///< bytes it took; longer forms than needed are valid
};

/// Reads the varint at the start of `bytes`; nothing when it is not complete yet.
inline std::optional<Varint> read_varint(ByteView bytes) noexcept {
  if (bytes.empty()) return std::nullopt;
  const std::size_t size = varint_size_of(bytes[0]);
  if (bytes.size() < size) return std::nullopt;
  std::uint64_t value = bytes[0] & 0x3f;
  for (std::size_t i = 1; i < size; ++i) value = value << 8 | bytes[i];
  Varint varint;
  varint.value = value;
  varint.size = size;
  return varint;
}

/// A varint that may arrive in pieces.
class VarintReader {
 public:
  /// Takes bytes off the front of `bytes` until the varint is whole; then returns true, `value()`
  /// is valid until the next call, and the reader is ready for another varint.
  bool take(ByteView& bytes) noexcept {
    while (!bytes.empty()) {
      const std::uint8_t byte = bytes[0];
      bytes = bytes.subspan(1);
      if (left_ == 0) {
        left_ = static_cast<std::uint8_t>(varint_size_of(byte));
        value_ = byte & 0x3f;
      } else {
        value_ = value_ << 8 | byte;
      }
      if (--left_ == 0) return true;
    }
    return false;
  }
  std::uint64_t value() const noexcept { return value_; }
  /// In the middle of a varint.
  bool partial() const noexcept { return left_ != 0; }

 private:
  std::uint64_t value_ = 0;
  std::uint8_t left_ = 0;
};

}  // namespace tern
