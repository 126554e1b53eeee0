#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "transport/quic/packed_slot.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace tern::quic {

/// Compresses what is in slots, one at a time, with zstd: 0.3 MiB for all connections of an
/// endpoint. Internal to transport/quic.
class SlotPacker {
 public:
  SlotPacker();
  SlotPacker(const SlotPacker&) = delete;
  SlotPacker& operator=(const SlotPacker&) = delete;
  ~SlotPacker();

  /// Empty where that does not save half of it.
  PackedSlot pack(ByteView used);
  void unpack(const PackedSlot& packed, void* slot) noexcept;

 private:
  ZSTD_CCtx_s* compression_;
  ZSTD_DCtx_s* decompression_;
  std::vector<std::uint8_t> room_;
};

}  // namespace tern::quic
