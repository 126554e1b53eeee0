#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

/// Variable-length integers (RFC 9000 §16) as HTTP/3 uses them: for stream and frame types, lengths
/// and settings.

namespace tern::http3 {

inline constexpr std::uint64_t kMaxVarint = (std::uint64_t{1} << 62) - 1;

/// 1, 2, 4 or 8: the bytes that a varint beginning with `first` has.
constexpr std::size_t varint_size_of_first(std::uint8_t first) noexcept {
  return std::size_t{1} << (first >> 6);
}

/// The bytes that `value` (at most kMaxVarint) takes.
constexpr std::size_t varint_size(std::uint64_t value) noexcept {
  return value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x40000000 ? 4 : 8;
}

/// Writes `value` (at most kMaxVarint) and returns the byte behind it.
inline std::uint8_t* put_varint(std::uint8_t* out, std::uint64_t value) noexcept {
  const std::size_t size = varint_size(value);
  for (std::size_t i = size; i-- > 0; value >>= 8) out[i] = static_cast<std::uint8_t>(value);
  constexpr std::uint8_t kPrefix[] = {0, 0x00, 0x40, 0, 0x80, 0, 0, 0, 0xc0};
  out[0] = static_cast<std::uint8_t>(out[0] | kPrefix[size]);
  return out + size;
}

inline void append_varint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  std::uint8_t bytes[8];
  out.insert(out.end(), bytes, put_varint(bytes, value));
}

/// Reads one varint at the front of `bytes`; returns its size, or 0 if `bytes` ends before it does.
inline std::size_t read_varint(ByteView bytes, std::uint64_t& value) noexcept {
  if (bytes.empty()) return 0;
  const std::size_t size = varint_size_of_first(bytes[0]);
  if (bytes.size() < size) return 0;
  value = bytes[0] & 0x3f;
  for (std::size_t i = 1; i < size; ++i) value = value << 8 | bytes[i];
  return size;
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
        left_ = static_cast<std::uint8_t>(varint_size_of_first(byte));
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

}  // namespace tern::http3
