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
  static constexpr std::size_t kClasses = 32;
  static constexpr std::size_t kSlabSize = 64 * 1024;

  static std::size_t class_of(std::size_t size) noexcept;
  static std::size_t capacity_of(std::size_t size_class) noexcept;
  bool refill(std::size_t size_class) noexcept;

  std::array<Free*, kClasses> free_{};
  std::vector<void*> slabs_;
};

}  // namespace tern
