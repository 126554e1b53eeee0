#include "tools/handoff/body.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace tern::handoff {
namespace {

/// A prime: no packet, frame or buffer size divides it, so that a shift by any of them shows.
constexpr std::size_t kPeriod = 65'521;

/// One period of noise, and the beginning once more so that a piece never wraps within a compare.
const std::vector<std::uint8_t>& noise() {
  static const std::vector<std::uint8_t> bytes = [] {
    std::vector<std::uint8_t> made(2 * kPeriod);
    std::uint32_t state = 0x7465726e;
    for (std::size_t i = 0; i < kPeriod; ++i) {
      state = state * 1664525 + 1013904223;
      made[i] = made[i + kPeriod] = static_cast<std::uint8_t>(state >> 24);
    }
    return made;
  }();
  return bytes;
}

std::size_t place(std::uint64_t id, std::uint64_t offset) noexcept {
  return static_cast<std::size_t>((id * 7919 + offset) % kPeriod);
}

}  // namespace

Bytes body_bytes(std::uint64_t id, std::uint64_t offset, std::size_t size) {
  return Bytes::make(size, [&](MutableBytes out) {
    for (std::size_t done = 0; done < size;) {
      const std::size_t length = std::min(size - done, kPeriod);
      std::memcpy(out.data() + done, noise().data() + place(id, offset + done), length);
      done += length;
    }
    return size;
  });
}

bool is_body(std::uint64_t id, std::uint64_t offset, ByteView bytes) noexcept {
  while (!bytes.empty()) {
    const std::size_t length = std::min(bytes.size(), kPeriod);
    if (std::memcmp(bytes.data(), noise().data() + place(id, offset), length) != 0) return false;
    bytes = bytes.subspan(length);
    offset += length;
  }
  return true;
}

}  // namespace tern::handoff
