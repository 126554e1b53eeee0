#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <ngtcp2/ngtcp2.h>

#include "base/bytes.h"

namespace tern::quic {

class LibraryMemory;

/// What one connection of ngtcp2's allocates from: kSize bytes of address space of its own, of
/// which the beginning is used. The allocator's state lies there as well, so that all of a
/// connection is `used()`, and can go elsewhere and come back to the same addresses. Blocks are
/// multiples of 16 bytes; those given back are used again for the same size. Internal to
/// transport/quic.
class ConnectionSlot {
 public:
  static constexpr std::size_t kSize = 64 * 1024;
  /// Of larger blocks a connection has one, which is there as long as itself is.
  static constexpr std::size_t kLargest = 4096;

  /// `native` is what a connection's ngtcp2 calls.
  explicit ConnectionSlot(LibraryMemory& memory, const ngtcp2_mem& native) noexcept;

  LibraryMemory& memory() const noexcept { return memory_; }
  const ngtcp2_mem* native() const noexcept { return &native_; }

  /// 16-byte aligned; nullptr where it does not fit.
  void* allocate(std::size_t size) noexcept;
  void release(void* block) noexcept;
  static std::size_t capacity_of(const void* block) noexcept;
  bool holds(const void* block) const noexcept {
    return (reinterpret_cast<std::uintptr_t>(block) ^ reinterpret_cast<std::uintptr_t>(this)) <
           kSize;
  }

  /// The slot that `block` is in; only if it is in one.
  static ConnectionSlot* of(void* block) noexcept {
    return reinterpret_cast<ConnectionSlot*>(reinterpret_cast<std::uintptr_t>(block) &
                                             ~(kSize - 1));
  }

  /// Blocks that did not fit: who has given one elsewhere, or taken it back, says so.
  void gave_beyond() noexcept { ++beyond_; }
  void took_beyond() noexcept { --beyond_; }
  std::size_t blocks_beyond() const noexcept { return beyond_; }

  MutableBytes used() noexcept { return {reinterpret_cast<std::uint8_t*>(this), used_}; }
  /// So that they compress to nothing. AddressSanitizer lets them be read.
  void clear_free_blocks() noexcept;
  /// Not any more.
  void poison_free_blocks() noexcept;

 private:
  static constexpr std::size_t kStep = 16;
  static constexpr std::size_t kClasses = (kLargest + 7) / kStep + 1;
  /// In front of each block, which takes 16 (size_class + 1) bytes with it.
  struct Tag {
    std::uint16_t size_class;
    std::uint16_t next;  // free: the next one of that class, in steps from here; 0: none
    std::uint32_t unused;
  };
  static_assert(sizeof(Tag) == 8);

  /// What is used before there is a block: the first is aligned, and its tag lies in front of it.
  static constexpr std::uint32_t unused_size() noexcept {
    return (sizeof(ConnectionSlot) + sizeof(Tag) + kStep - 1) / kStep * kStep - sizeof(Tag);
  }
  template <typename Do>
  void each_free_block(Do&& act) noexcept;

  static std::size_t stride_of(std::size_t size_class) noexcept { return kStep * (size_class + 1); }
  std::uint8_t* at(std::uint16_t step) noexcept {
    return reinterpret_cast<std::uint8_t*>(this) + kStep * step;
  }

  LibraryMemory& memory_;
  ngtcp2_mem native_;
  std::uint32_t used_;
  std::uint32_t beyond_ = 0;
  std::array<std::uint16_t, kClasses> free_{};  // in steps from here; 0: none
};

/// An endpoint's slots. Address space is reserved for many at a time; pages come when they are
/// written.
class SlotRegions {
 public:
  static constexpr std::size_t kSlots = 256;  // of a region
  /// Slots that were given back keep their pages for the next connection, so many of them.
  static constexpr std::size_t kWarm = 64;

  SlotRegions() = default;
  SlotRegions(const SlotRegions&) = delete;
  SlotRegions& operator=(const SlotRegions&) = delete;
  /// After everything that lies in them.
  ~SlotRegions();

  /// kSize bytes, aligned to as much; nullptr when the system refuses.
  void* take() noexcept;
  void give_back(void* slot) noexcept;
  /// Its pages are the system's again; the next time it reads as zeros.
  static void drop_pages(void* slot) noexcept;

 private:
  bool reserve() noexcept;

  std::vector<void*> regions_;
  std::uint8_t* fresh_ = nullptr;
  std::size_t fresh_left_ = 0;
  std::vector<void*> warm_;
  std::vector<void*> cold_;
};

}  // namespace tern::quic
