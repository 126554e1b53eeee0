#pragma once

#include <array>
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

namespace detail {

/// What one thread has freed: a list for each size.
struct RecycledLists {
  static constexpr std::size_t kStep = 64;

  struct Free {
    Free* next;
  };
  struct List {
    Free* first = nullptr;
    std::size_t room = 0;  // so many blocks more may be kept; 0 until the thread frees its first
  };

  static constexpr std::size_t index_of(std::size_t size) noexcept {
    return size == 0 ? 0 : (size - 1) / kStep;
  }

  std::array<List, kMaxRecycled / kStep> lists{};
};
extern constinit thread_local RecycledLists recycled_lists;

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kRecycle = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kRecycle = false;
#else
inline constexpr bool kRecycle = true;
#endif
#else
inline constexpr bool kRecycle = true;
#endif

void* allocate_unrecycled(std::size_t size);
void free_unrecycled(void* block, std::size_t size) noexcept;

}  // namespace detail

/// Aligned like operator new's. Throws std::bad_alloc.
inline void* allocate_recycled(std::size_t size) {
  using Lists = detail::RecycledLists;
  if (!detail::kRecycle || size > kMaxRecycled) return detail::allocate_unrecycled(size);
  Lists::List& list = detail::recycled_lists.lists[Lists::index_of(size)];
  Lists::Free* block = list.first;
  if (block == nullptr) return detail::allocate_unrecycled(size);
  list.first = block->next;
  ++list.room;
  return block;
}

/// `size` as it was asked for.
inline void free_recycled(void* block, std::size_t size) noexcept {
  using Lists = detail::RecycledLists;
  if (block == nullptr) return;
  if (!detail::kRecycle || size > kMaxRecycled) return detail::free_unrecycled(block, size);
  Lists::List& list = detail::recycled_lists.lists[Lists::index_of(size)];
  if (list.room == 0) return detail::free_unrecycled(block, size);
  --list.room;
  auto* free_block = static_cast<Lists::Free*>(block);
  free_block->next = list.first;
  list.first = free_block;
}

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
