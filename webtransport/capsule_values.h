#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/varint.h"

namespace tern::webtransport {

/// The varints a payload consists of; nothing when there are not `count`, or more than that.
template <std::size_t count>
std::optional<std::array<std::uint64_t, count>> read_values(ByteView payload) noexcept {
  std::array<std::uint64_t, count> values{};
  for (std::uint64_t& value : values) {
    const auto varint = read_varint(payload);
    if (!varint) return std::nullopt;
    value = varint->value;
    payload = payload.subspan(varint->size);
  }
  if (!payload.empty()) return std::nullopt;
  return values;
}

}  // namespace tern::webtransport
