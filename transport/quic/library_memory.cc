#include "transport/quic/library_memory.h"

#include <bit>
#include <cstring>
#include <new>

#include "transport/quic/poison.h"

namespace tern::quic {

namespace {
constexpr int kKnownVersion = 0x010b00;
}  // namespace

LibraryMemory::LibraryMemory(MemoryPool& pool) noexcept
    : pool_(pool),
      native_{this,
              [](std::size_t size, void* self) noexcept {
                return static_cast<LibraryMemory*>(self)->pool_.allocate(size);
              },
              [](void* block, void* self) noexcept {
                static_cast<LibraryMemory*>(self)->pool_.release(block);
              },
              [](std::size_t count, std::size_t size, void* self) noexcept {
                return static_cast<LibraryMemory*>(self)->pool_.allocate_zeroed(count, size);
              },
              [](void* block, std::size_t size, void* self) noexcept {
                return static_cast<LibraryMemory*>(self)->reallocate(block, size);
              }},
      known_version_(ngtcp2_version(0)->version_num == kKnownVersion),
      sharing_(known_version_) {}

ConnectionSlot* LibraryMemory::take_slot() noexcept {
  void* const space = regions_.take();
  if (space == nullptr) return nullptr;
  return new (space) ConnectionSlot(
      *this, {nullptr, slot_allocate, slot_release, slot_allocate_zeroed, slot_reallocate});
}

void LibraryMemory::give_back(ConnectionSlot& slot) noexcept { regions_.give_back(&slot); }

PackedSlot LibraryMemory::pack(ConnectionSlot& slot) {
  if (packer_ == nullptr) packer_ = std::make_unique<SlotPacker>();
  slot.clear_free_blocks();
  PackedSlot packed = packer_->pack(slot.used());
  if (packed.empty()) {
    slot.poison_free_blocks();
  } else {
    ++packed_;
    SlotRegions::drop_pages(&slot);
  }
  return packed;
}

void LibraryMemory::unpack(ConnectionSlot& slot, PackedSlot& packed) noexcept {
  --packed_;
  unpoison(&slot, packed.unpacked_size());
  packer_->unpack(packed, &slot);
  packed.clear();
  slot.poison_free_blocks();
}

void* LibraryMemory::slot_allocate(std::size_t size, void* self) noexcept {
  auto& slot = *static_cast<ConnectionSlot*>(self);
  if (void* const block = slot.allocate(size)) return block;
  void* const block = slot.memory().pool_.allocate(size);
  if (block != nullptr) slot.gave_beyond();
  return block;
}

void LibraryMemory::slot_release(void* block, void* self) noexcept {
  auto& slot = *static_cast<ConnectionSlot*>(self);
  if (block == nullptr) return;
  if (slot.holds(block)) {
    slot.release(block);
  } else if (!MemoryPool::is_for_good(block)) {
    slot.took_beyond();
    slot.memory().pool_.release(block);
  }
}

void* LibraryMemory::slot_allocate_zeroed(std::size_t count, std::size_t size,
                                          void* self) noexcept {
  if (size != 0 && count > SIZE_MAX / 2 / size) return nullptr;
  void* const block = slot_allocate(count * size, self);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}

void* LibraryMemory::slot_reallocate(void* block, std::size_t size, void* self) noexcept {
  auto& slot = *static_cast<ConnectionSlot*>(self);
  return slot.memory().reallocate(slot, block, size);
}

/// The shared block of that size; nullptr if there is none of such a size.
void* LibraryMemory::shared(std::size_t size) noexcept {
  if (size != kHeader &&
      (size < kFirstPayload || size > kLastPayload || !std::has_single_bit(size)))
    return nullptr;
  void*& block = size == kHeader
                     ? header_
                     : payloads_[static_cast<std::size_t>(std::countr_zero(size / kFirstPayload))];
  if (block == nullptr) block = pool_.allocate_for_good(size);
  return block;
}

/// What `block` of the pool's, or none, grows to, if that is a shared one.
void* LibraryMemory::shared_instead(const void* block, std::size_t size) noexcept {
  // What a shared payload buffer grows to is shared as well, and needs nothing of what was in it.
  // A header buffer's successor could be taken for the payload's: it is the connection's own.
  const bool may_share =
      block == nullptr ? sharing_ : MemoryPool::is_for_good(block) && block != header_;
  return may_share ? shared(size) : nullptr;
}

void* LibraryMemory::reallocate(void* block, std::size_t size) noexcept {
  if (void* const common = shared_instead(block, size)) return common;
  return pool_.reallocate(block, size);
}

void* LibraryMemory::reallocate(ConnectionSlot& slot, void* block, std::size_t size) noexcept {
  if (block != nullptr && slot.holds(block)) {
    const std::size_t capacity = ConnectionSlot::capacity_of(block);
    if (size <= capacity) return block;
    void* const larger = slot_allocate(size, &slot);
    if (larger == nullptr) return nullptr;
    std::memcpy(larger, block, capacity);
    slot.release(block);
    return larger;
  }
  if (void* const common = shared_instead(block, size)) return common;
  if (block == nullptr) return slot_allocate(size, &slot);
  const bool was_shared = MemoryPool::is_for_good(block);
  void* const larger = pool_.reallocate(block, size);
  if (was_shared && larger != nullptr) slot.gave_beyond();
  return larger;
}

}  // namespace tern::quic
