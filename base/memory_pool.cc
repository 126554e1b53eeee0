#include "base/memory_pool.h"

#include <bit>
#include <cstdlib>
#include <cstring>

namespace tern {

namespace {
constexpr std::size_t kUnpooled = SIZE_MAX;
constexpr std::size_t kQuantum = 16;
/// Classes 0…15 hold 16, 32, … 256 bytes; then four for each doubling up to kMaxPooled.
constexpr std::size_t kLinear = 16;
constexpr std::size_t kLinearMax = kQuantum * kLinear;
}  // namespace

MemoryPool::~MemoryPool() {
  for (void* slab : slabs_) std::free(slab);
}

std::size_t MemoryPool::class_of(std::size_t size) noexcept {
  if (size <= kLinearMax) return size == 0 ? 0 : (size - 1) / kQuantum;
  const auto log = static_cast<std::size_t>(std::bit_width(size - 1)) - 1;  // 8 for 257…512
  const std::size_t quarter = (size - 1 - (std::size_t{1} << log)) >> (log - 2);
  return kLinear + (log - 8) * 4 + quarter;
}

std::size_t MemoryPool::capacity_of(std::size_t size_class) noexcept {
  if (size_class < kLinear) return (size_class + 1) * kQuantum;
  const std::size_t log = 8 + (size_class - kLinear) / 4;
  const std::size_t quarter = (size_class - kLinear) % 4;
  return (std::size_t{1} << log) + ((quarter + 1) << (log - 2));
}

bool MemoryPool::refill(std::size_t size_class) noexcept {
  const std::size_t stride = sizeof(Header) + capacity_of(size_class);
  void* slab = std::malloc(kSlabSize);
  if (slab == nullptr) return false;
  slabs_.push_back(slab);
  auto* cursor = static_cast<std::uint8_t*>(slab);
  for (std::size_t left = kSlabSize; left >= stride; left -= stride, cursor += stride) {
    auto* header = reinterpret_cast<Header*>(cursor);
    header->size_class = size_class;
    header->capacity = capacity_of(size_class);
    auto* block = reinterpret_cast<Free*>(header + 1);
    block->next = free_[size_class];
    free_[size_class] = block;
  }
  return true;
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
  if (free_[size_class] == nullptr && !refill(size_class)) return nullptr;
  Free* block = free_[size_class];
  free_[size_class] = block->next;
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
  free_block->next = free_[header->size_class];
  free_[header->size_class] = free_block;
}

}  // namespace tern
