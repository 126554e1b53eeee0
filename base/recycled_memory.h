#pragma once

#include <cstddef>

namespace tern {

/// Memory for objects that come and go with every request: coroutine frames, exchanges, field
/// lines. Each thread keeps what it freed, by size, and hands it out again in a few instructions;
/// malloc's own thread cache holds seven blocks of a size, and a burst of a hundred requests is
/// beyond it. At most kMaxRecycledPerSize bytes of each of the 16 sizes are kept a thread, and all
/// go back to malloc when the thread ends. Any thread may free a block. With AddressSanitizer
/// everything is malloc's, so that it sees what is used after it was freed.
inline constexpr std::size_t kMaxRecycled = 1024;  ///< larger blocks are malloc's
inline constexpr std::size_t kMaxRecycledPerSize = 256 * 1024;

/// Aligned like operator new's. Throws std::bad_alloc.
void* allocate_recycled(std::size_t size);
/// `size` as it was asked for.
void free_recycled(void* block, std::size_t size) noexcept;

/// Base of classes whose objects (and coroutine promises whose frames) lie in such memory.
class Recycled {
 public:
  static void* operator new(std::size_t size) { return allocate_recycled(size); }
  static void operator delete(void* block, std::size_t size) noexcept {
    free_recycled(block, size);
  }

 protected:
  ~Recycled() = default;
};

/// The same for containers.
template <typename T>
class RecyclingAllocator {
 public:
  static_assert(alignof(T) <= alignof(std::max_align_t));
  using value_type = T;

  RecyclingAllocator() = default;
  template <typename U>
  RecyclingAllocator(const RecyclingAllocator<U>&) noexcept {}

  T* allocate(std::size_t count) { return static_cast<T*>(allocate_recycled(count * sizeof(T))); }
  void deallocate(T* block, std::size_t count) noexcept { free_recycled(block, count * sizeof(T)); }
  friend bool operator==(const RecyclingAllocator&, const RecyclingAllocator&) noexcept {
    return true;
  }
};

}  // namespace tern
