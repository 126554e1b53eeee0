#include "base/memory_pool.h"

#include <cstdlib>
#include <cstring>

namespace tern {

namespace {
constexpr std::size_t kUnpooled = SIZE_MAX;
}  // namespace

MemoryPool::~MemoryPool() {
  for (void* slab : slabs_) std::free(slab);
}

void* MemoryPool::allocate_fresh(std::size_t size_class) noexcept {
  Class& blocks = classes_[size_class];
  const std::size_t stride = sizeof(Header) + capacity_of(size_class);
  if (blocks.left < stride) {
    auto* slab = static_cast<std::uint8_t*>(std::malloc(kSlabSize));
    if (slab == nullptr) return nullptr;
    slabs_.push_back(slab);
    blocks.fresh = slab;
    blocks.left = kSlabSize;
  }
  auto* header = reinterpret_cast<Header*>(blocks.fresh);
  header->size_class = size_class;
  header->capacity = capacity_of(size_class);
  blocks.fresh += stride;
  blocks.left -= stride;
  return header + 1;
}

void* MemoryPool::allocate(std::size_t size) noexcept {
  if (size > kMaxPooled) {
    auto* header = static_cast<Header*>(std::malloc(sizeof(Header) + size));
    if (header == nullptr) return nullptr;
    header->size_class = kUnpooled;
    header->capacity = size;
    return header + 1;
  }
  const std::size_t size_class = class_of(size);
  Free*& free = classes_[size_class].free;
  if (free == nullptr) return allocate_fresh(size_class);
  Free* block = free;
  free = block->next;
  return block;
}

void* MemoryPool::allocate_zeroed(std::size_t count, std::size_t size) noexcept {
  if (size != 0 && count > SIZE_MAX / 2 / size) return nullptr;
  void* block = allocate(count * size);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}

void* MemoryPool::reallocate(void* block, std::size_t size) noexcept {
  if (block == nullptr) return allocate(size);
  const Header* header = static_cast<Header*>(block) - 1;
  if (size <= header->capacity) return block;
  void* larger = allocate(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, header->capacity);
  release(block);
  return larger;
}

void MemoryPool::release(void* block) noexcept {
  if (block == nullptr) return;
  Header* header = static_cast<Header*>(block) - 1;
  if (header->size_class == kUnpooled) {
    std::free(header);
    return;
  }
  auto* free_block = static_cast<Free*>(block);
  Free*& free = classes_[header->size_class].free;
  free_block->next = free;
  free = free_block;
}

}  // namespace tern
