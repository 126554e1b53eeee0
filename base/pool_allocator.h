#pragma once

#include <cstddef>

#include "base/memory_pool.h"

namespace tern {

/// A MemoryPool as a C library takes an allocator: laid out like `nghttp2_mem` and `nghttp3_mem`,
/// which headers need not name. The pool outlives it; the library may keep a pointer to it.
struct PoolAllocator {
  explicit PoolAllocator(MemoryPool& pool) noexcept : user_data(&pool) {}

  /// As the library's own type.
  template <typename Native>
  Native* as() noexcept {
    static_assert(sizeof(Native) == sizeof(PoolAllocator));
    return reinterpret_cast<Native*>(this);
  }

  void* user_data;
  void* (*malloc)(std::size_t, void*) = [](std::size_t size, void* pool) {
    return static_cast<MemoryPool*>(pool)->allocate(size);
  };
  void (*free)(void*, void*) = [](void* block, void* pool) {
    static_cast<MemoryPool*>(pool)->release(block);
  };
  void* (*calloc)(std::size_t, std::size_t, void*) = [](std::size_t count, std::size_t size,
                                                        void* pool) {
    return static_cast<MemoryPool*>(pool)->allocate_zeroed(count, size);
  };
  void* (*realloc)(void*, std::size_t, void*) = [](void* block, std::size_t size, void* pool) {
    return static_cast<MemoryPool*>(pool)->reallocate(block, size);
  };
};

}  // namespace tern
