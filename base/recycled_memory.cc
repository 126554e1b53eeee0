#include "base/recycled_memory.h"

#include <new>

namespace tern::detail {

// Without a destructor: frames of static objects are freed after the thread's own objects have
// gone.
constinit thread_local RecycledLists recycled_lists;

namespace {

using List = RecycledLists::List;

enum class Phase : unsigned char { unused, open, emptied };
constinit thread_local Phase phase = Phase::unused;

struct Emptier {
  ~Emptier() {
    phase = Phase::emptied;
    for (List& list : recycled_lists.lists) {
      list.room = 0;
      while (RecycledLists::Free* block = list.first) {
        list.first = block->next;
        ::operator delete(block);
      }
    }
  }
};

void open_lists() noexcept {
  thread_local Emptier emptier;
  static_cast<void>(emptier);
  phase = Phase::open;
  for (std::size_t i = 0; i < recycled_lists.lists.size(); ++i) {
    recycled_lists.lists[i].room = kMaxRecycledPerSize / ((i + 1) * RecycledLists::kStep);
  }
}

}  // namespace

void* allocate_unrecycled(std::size_t size) {
  if (!kRecycle || size > kMaxRecycled) return ::operator new(size);
  // The list is empty; whole steps, since the block may come into it.
  return ::operator new((RecycledLists::index_of(size) + 1) * RecycledLists::kStep);
}

void free_unrecycled(void* block, std::size_t size) noexcept {
  if (kRecycle && size <= kMaxRecycled && phase == Phase::unused) {
    open_lists();
    return free_recycled(block, size);
  }
  ::operator delete(block);
}

}  // namespace tern::detail
