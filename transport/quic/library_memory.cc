#include "transport/quic/library_memory.h"

#include <bit>

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

void* LibraryMemory::reallocate(void* block, std::size_t size) noexcept {
  // What a shared payload buffer grows to is shared as well, and needs nothing of what was in it.
  // A header buffer's successor could be taken for the payload's: it is the connection's own.
  const bool may_share =
      block == nullptr ? sharing_ : MemoryPool::is_for_good(block) && block != header_;
  if (may_share) {
    if (void* common = shared(size)) return common;
  }
  return pool_.reallocate(block, size);
}

}  // namespace tern::quic
