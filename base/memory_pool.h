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
  void release(void* block) noexcept;

 private:
  struct Header {
    std::size_t size_class;  // kUnpooled: malloc's
    std::size_t capacity;
  };
  static_assert(sizeof(Header) == 16);
  struct Free {
    Free* next;
  };
  /// 16, 32, … 256 bytes, then 320, 384, … kMaxPooled: what a connection keeps for its life is in
  /// blocks of a few kilobytes, which coarser classes would round up by a tenth.
  static constexpr std::size_t kSmallStep = 16;
  static constexpr std::size_t kSmallMax = 256;
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kSmallClasses = kSmallMax / kSmallStep;
  static constexpr std::size_t kClasses = kSmallClasses + (kMaxPooled - kSmallMax) / kStep;
  static constexpr std::size_t kSlabSize = 64 * 1024;

  struct Class {
    Free* free = nullptr;
    // What was not handed out yet of the newest slab; not touched, so not resident either.
    std::uint8_t* fresh = nullptr;
    std::size_t left = 0;
  };

  static std::size_t class_of(std::size_t size) noexcept {
    if (size <= kSmallMax) return size == 0 ? 0 : (size - 1) / kSmallStep;
    return kSmallClasses + (size - kSmallMax - 1) / kStep;
  }
  static std::size_t capacity_of(std::size_t size_class) noexcept {
    if (size_class < kSmallClasses) return (size_class + 1) * kSmallStep;
    return kSmallMax + (size_class - kSmallClasses + 1) * kStep;
  }
  void* allocate_fresh(std::size_t size_class) noexcept;

  std::array<Class, kClasses> classes_{};
  std::vector<void*> slabs_;
};

}  // namespace tern
