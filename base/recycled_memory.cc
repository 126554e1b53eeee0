#include "base/recycled_memory.h"

#include <array>
#include <new>

namespace tern {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kRecycle = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kRecycle = false;
#else
constexpr bool kRecycle = true;
#endif
#else
constexpr bool kRecycle = true;
#endif

constexpr std::size_t kStep = 64;
constexpr std::size_t kSizes = kMaxRecycled / kStep;

/// What this thread has freed. Without a destructor: frames of static objects are freed after the
/// thread's own objects have gone.
struct Cache {
  struct Free {
    Free* next;
  };
  struct List {
    Free* first = nullptr;
    std::size_t size = 0;
  };
  std::array<List, kSizes> lists{};
  bool open = false;   // somebody will empty it
  bool ended = false;  // it has been emptied
};
constinit thread_local Cache cache;

struct Emptier {
  ~Emptier() {
    cache.open = false;
    cache.ended = true;
    for (Cache::List& list : cache.lists) {
      while (Cache::Free* block = list.first) {
        list.first = block->next;
        ::operator delete(block);
      }
    }
  }
};

void open_cache() noexcept {
  thread_local Emptier emptier;
  static_cast<void>(emptier);
  cache.open = true;
}

std::size_t index_of(std::size_t size) noexcept { return size == 0 ? 0 : (size - 1) / kStep; }

}  // namespace

void* allocate_recycled(std::size_t size) {
  if (!kRecycle || size > kMaxRecycled) return ::operator new(size);
  const std::size_t index = index_of(size);
  Cache::List& list = cache.lists[index];
  if (list.first == nullptr) return ::operator new((index + 1) * kStep);
  Cache::Free* block = list.first;
  list.first = block->next;
  --list.size;
  return block;
}

void free_recycled(void* block, std::size_t size) noexcept {
  if (block == nullptr) return;
  const std::size_t index = index_of(size);
  if (!kRecycle || size > kMaxRecycled) {
    ::operator delete(block);
    return;
  }
  if (!cache.open && !cache.ended) open_cache();
  Cache::List& list = cache.lists[index];
  if (!cache.open || (list.size + 1) * (index + 1) * kStep > kMaxRecycledPerSize) {
    ::operator delete(block);
    return;
  }
  auto* free_block = static_cast<Cache::Free*>(block);
  free_block->next = list.first;
  list.first = free_block;
  ++list.size;
}

}  // namespace tern
