#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <ngtcp2/ngtcp2.h>

#include "base/memory_pool.h"
#include "transport/quic/connection_slot.h"
#include "transport/quic/slot_packer.h"

namespace tern::quic {

/// What the connections of an endpoint allocate from: ngtcp2's allocators, one of each connection
/// on a ConnectionSlot, and one for all on a MemoryPool, which also has what no slot has room for.
/// Internal to transport/quic.
///
/// Each connection of ngtcp2 1.11's holds two buffers for its life that it needs only within
/// `ngtcp2_conn_read_pkt`: for the header (256 bytes) and the payload (from 2 KiB, with jumbo
/// frames 16) of the packet being opened. One call ends before another begins, so all connections
/// share them: they are what ngtcp2 allocates with realloc at those sizes. With another version,
/// which may use realloc otherwise, each connection has its own.
class LibraryMemory {
 public:
  explicit LibraryMemory(MemoryPool& pool) noexcept;
  LibraryMemory(const LibraryMemory&) = delete;
  LibraryMemory& operator=(const LibraryMemory&) = delete;

  /// On the pool alone.
  const ngtcp2_mem* native() const noexcept { return &native_; }

  /// For a new connection; nullptr when the system has no address space left: then it takes
  /// `native`.
  ConnectionSlot* take_slot() noexcept;
  /// The connection is gone. Not while the slot is packed.
  void give_back(ConnectionSlot& slot) noexcept;

  /// Packs what is in `slot`, whose pages are the system's again. Empty where that does not save
  /// half of it: then nothing has happened.
  PackedSlot pack(ConnectionSlot& slot);
  /// Everything is again where it was, and `packed` empty.
  void unpack(ConnectionSlot& slot, PackedSlot& packed) noexcept;
  /// How many slots are packed.
  std::size_t packed() const noexcept { return packed_; }

  /// Whether buffers made from now on are shared. A header above 1 KiB would get the payload's, so
  /// not for the first packet of a connection whose token is longer than any of ours.
  void share(bool on) noexcept { sharing_ = on && known_version_; }

  /// For each size once.
  static constexpr std::size_t kHeader = 256;
  static constexpr std::size_t kFirstPayload = 2048;
  static constexpr std::size_t kLastPayload = 64 * 1024;

 private:
  void* reallocate(void* block, std::size_t size) noexcept;
  void* reallocate(ConnectionSlot& slot, void* block, std::size_t size) noexcept;
  void* shared(std::size_t size) noexcept;
  void* shared_instead(const void* block, std::size_t size) noexcept;

  static void* slot_allocate(std::size_t size, void* self) noexcept;
  static void slot_release(void* block, void* self) noexcept;
  static void* slot_allocate_zeroed(std::size_t count, std::size_t size, void* self) noexcept;
  static void* slot_reallocate(void* block, std::size_t size, void* self) noexcept;

  MemoryPool& pool_;
  ngtcp2_mem native_;
  SlotRegions regions_;
  std::unique_ptr<SlotPacker> packer_;  // since something was packed
  std::size_t packed_ = 0;
  void* header_ = nullptr;
  std::array<void*, 6> payloads_{};  // by size: 2, 4, … 64 KiB
  bool known_version_;
  bool sharing_;
};

}  // namespace tern::quic
