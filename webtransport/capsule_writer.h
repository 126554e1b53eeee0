#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/varint.h"
#include "webtransport/capsule_type.h"

namespace tern::webtransport {

/// A capsule whose payload is varints and, after them, `tail`; with `more` bytes that somebody else
/// sends behind it.
inline Bytes write_capsule(std::uint64_t type, std::initializer_list<std::uint64_t> values,
                           ByteView tail = {}, std::uint64_t more = 0) {
  std::uint64_t length = tail.size() + more;
  for (const std::uint64_t value : values) length += varint_size(value);
  const std::size_t size =
      varint_size(type) + varint_size(length) + static_cast<std::size_t>(length - more);
  return Bytes::make(size, [&](MutableBytes out) {
    std::uint8_t* at = write_varint(write_varint(out.data(), type), length);
    for (const std::uint64_t value : values) at = write_varint(at, value);
    for (const std::uint8_t byte : tail) *at++ = byte;
    return size;
  });
}

/// WT_CLOSE_SESSION: the code in four bytes, then the reason.
inline Bytes write_close(std::uint32_t code, std::string_view reason) {
  std::string payload;
  for (int shift = 24; shift >= 0; shift -= 8) payload.push_back(static_cast<char>(code >> shift));
  payload += reason;
  return write_capsule(capsule_type::kCloseSession, {}, as_bytes(payload));
}

}  // namespace tern::webtransport
