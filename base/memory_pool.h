#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tern {

/// malloc for libraries that take an allocator (ngtcp2, nghttp3): free lists by size class, so that
/// the small objects of requests and packets cost a few instructions. Single-threaded. Blocks go
/// back to the system when the pool dies, which must be after everything that was allocated from
/// it. A block above kMaxPooled is malloc's. Memory cached for reuse is bounded by what was once in
/// use at the same time.
class MemoryPool {
  // In front of each block: its size class, or one of these.
  using Tag = std::size_t;
  static_assert(sizeof(Tag) == 8);
  static constexpr Tag kUnpooled = SIZE_MAX;  // malloc's; its size is in front of the tag
  static constexpr Tag kForGood = SIZE_MAX - 1;

 public:
  static constexpr std::size_t kMaxPooled = 4096;

  MemoryPool() = default;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  ~MemoryPool();

  /// 16-byte aligned; nullptr only when the system has no memory. allocate(0) gives a valid block.
  void* allocate(std::size_t size) noexcept;
  void* allocate_zeroed(std::size_t count, std::size_t size) noexcept;
  void* reallocate(void* block, std::size_t size) noexcept;
  /// A block that `release` leaves alone and that goes with the pool; it may be of any size.
  void* allocate_for_good(std::size_t size) noexcept;
  static bool is_for_good(const void* block) noexcept {
    return static_cast<const Tag*>(block)[-1] == kForGood;
  }
  void release(void* block) noexcept;

 private:
  struct Free {
    Free* next;
  };
  /// A block of class n takes 16 (n + 1) bytes, its tag among them: like malloc's, so that what a
  /// connection keeps for its life is hardly rounded up.
  static constexpr std::size_t kStep = 16;
  static constexpr std::size_t kClasses = (kMaxPooled + sizeof(Tag) - 1) / kStep + 1;
  static constexpr std::size_t kSlabSize = 64 * 1024;

  struct Class {
    Free* free = nullptr;
    // What was not handed out yet of the newest slab; not touched, so not resident either.
    std::uint8_t* fresh = nullptr;
    std::size_t left = 0;
  };

  static constexpr std::size_t class_of(std::size_t size) noexcept {
    return (size + sizeof(Tag) - 1) / kStep;
  }
  static constexpr std::size_t stride_of(std::size_t size_class) noexcept {
    return kStep * (size_class + 1);
  }
  static Tag& tag_of(void* block) noexcept { return static_cast<Tag*>(block)[-1]; }
  static std::size_t capacity_of(void* block) noexcept;
  void* allocate_fresh(std::size_t size_class) noexcept;

  std::array<Class, kClasses> classes_{};
  std::vector<void*> slabs_;
};

}  // namespace tern
