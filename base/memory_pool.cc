#include "base/memory_pool.h"

#include <cstdlib>
#include <cstring>

namespace tern {

MemoryPool::~MemoryPool() {
  for (void* slab : slabs_) std::free(slab);
}

void* MemoryPool::allocate_fresh(std::size_t size_class) noexcept {
  Class& blocks = classes_[size_class];
  const std::size_t stride = stride_of(size_class);
  if (blocks.left < stride) {
    auto* slab = static_cast<std::uint8_t*>(std::malloc(kSlabSize));
    if (slab == nullptr) return nullptr;
    slabs_.push_back(slab);
    // Blocks are aligned, and their tags lie in front of them.
    blocks.fresh = slab + kStep;
    blocks.left = kSlabSize - sizeof(Tag);
  }
  std::uint8_t* block = blocks.fresh;
  tag_of(block) = size_class;
  blocks.fresh += stride;
  blocks.left -= stride;
  return block;
}

void* MemoryPool::allocate(std::size_t size) noexcept {
  if (size > kMaxPooled) {
    auto* words = static_cast<std::size_t*>(std::malloc(kStep + size));
    if (words == nullptr) return nullptr;
    words[0] = size;
    words[1] = kUnpooled;
    return words + 2;
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

std::size_t MemoryPool::capacity_of(void* block) noexcept {
  const Tag tag = tag_of(block);
  return tag < kClasses ? stride_of(tag) - sizeof(Tag) : static_cast<std::size_t*>(block)[-2];
}

void* MemoryPool::reallocate(void* block, std::size_t size) noexcept {
  if (block == nullptr) return allocate(size);
  const std::size_t capacity = capacity_of(block);
  if (size <= capacity) return block;
  void* larger = allocate(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, capacity);
  release(block);
  return larger;
}

void MemoryPool::release(void* block) noexcept {
  if (block == nullptr) return;
  const Tag tag = tag_of(block);
  if (tag >= kClasses) [[unlikely]] {
    if (tag == kUnpooled) std::free(static_cast<std::size_t*>(block) - 2);
    return;
  }
  auto* free_block = static_cast<Free*>(block);
  Free*& free = classes_[tag].free;
  free_block->next = free;
  free = free_block;
}

void* MemoryPool::allocate_for_good(std::size_t size) noexcept {
  auto* words = static_cast<std::size_t*>(std::malloc(kStep + size));
  if (words == nullptr) return nullptr;
  slabs_.push_back(words);
  words[0] = size;
  words[1] = kForGood;
  return words + 2;
}

}  // namespace tern
