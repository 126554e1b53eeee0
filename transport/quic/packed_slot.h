#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace tern::quic {

/// What a connection's slot held, compressed (slot_packer.h).
class PackedSlot {
 public:
  PackedSlot() = default;
  PackedSlot(ByteView bytes, std::size_t unpacked_size);
  PackedSlot(PackedSlot&& other) noexcept = default;
  PackedSlot& operator=(PackedSlot&& other) noexcept = default;

  bool empty() const noexcept { return bytes_ == nullptr; }
  ByteView bytes() const noexcept { return {bytes_.get(), size_}; }
  std::size_t unpacked_size() const noexcept { return unpacked_size_; }
  /// Not of an empty one.
  void clear() noexcept;

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::uint32_t size_ = 0;
  std::uint32_t unpacked_size_ = 0;
};

}  // namespace tern::quic
