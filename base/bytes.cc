#include "base/bytes.h"

#include <array>
#include <cstdlib>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/recycled_memory.h"

namespace tern {

namespace {

/// Gives a moved-in container the block header that `Bytes` counts on. The header comes first, so
/// that the block's address is the holder's address.
template <typename Base, typename Container>
struct Holder : Base {
  explicit Holder(Container&& taken) : container(std::move(taken)) {}
  static void* operator new(std::size_t size) { return allocate_recycled(size); }
  static void operator delete(void* memory, std::size_t size) noexcept {
    free_recycled(memory, size);
  }
  Container container;
};

/// Small blocks come and go with every message; their sizes are rounded up, so that what frees one
/// knows how large it was.
constexpr std::size_t kStep = detail::RecycledLists::kStep;

template <typename Block, std::size_t kSize>
void destroy_recycled(Block* dying) noexcept {
  dying->~Block();
  free_recycled(dying, kSize);
}

template <typename Block, std::size_t... kIndices>
constexpr auto destroyers(std::index_sequence<kIndices...>) {
  using Destroy = void (*)(Block*) noexcept;
  return std::array<Destroy, sizeof...(kIndices)>{
      &destroy_recycled<Block, (kIndices + 1) * kStep>...};
}

}  // namespace

Bytes::Block* Bytes::allocate(std::size_t payload_size) {
  const std::size_t size = sizeof(Block) + payload_size;
  if (size <= kMaxRecycled) {
    static constexpr auto kDestroyers =
        destroyers<Block>(std::make_index_sequence<kMaxRecycled / kStep>());
    const std::size_t index = detail::RecycledLists::index_of(size);
    auto* block = new (allocate_recycled((index + 1) * kStep)) Block;
    block->destroy = kDestroyers[index];
    return block;
  }
  void* memory = std::malloc(size);
  TERN_CHECK(memory != nullptr);
  auto* block = new (memory) Block;
  block->destroy = [](Block* dying) noexcept {
    dying->~Block();
    std::free(dying);
  };
  return block;
}

Bytes Bytes::copy(ByteView view) {
  if (view.empty()) return {};
  Block* block = allocate(view.size());
  std::memcpy(block->payload(), view.data(), view.size());
  return Bytes(block, block->payload(), view.size());
}

Bytes Bytes::take(std::string&& text) {
  if (text.empty()) return {};
  auto* holder = new Holder<Block, std::string>(std::move(text));
  holder->destroy = [](Block* dying) noexcept {
    delete static_cast<Holder<Block, std::string>*>(dying);
  };
  return Bytes(holder, reinterpret_cast<const std::uint8_t*>(holder->container.data()),
               holder->container.size());
}

Bytes Bytes::take(std::vector<std::uint8_t>&& bytes) {
  if (bytes.empty()) return {};
  auto* holder = new Holder<Block, std::vector<std::uint8_t>>(std::move(bytes));
  holder->destroy = [](Block* dying) noexcept {
    delete static_cast<Holder<Block, std::vector<std::uint8_t>>*>(dying);
  };
  return Bytes(holder, holder->container.data(), holder->container.size());
}

Bytes ChunkArena::copy(ByteView view) {
  if (view.empty()) return {};
  if (view.size() > chunk_size_ / 2) return Bytes::copy(view);
  if (capacity_ - used_ < view.size()) {
    Bytes::Block* block = Bytes::allocate(chunk_size_);
    chunk_ = Bytes(block, block->payload(), chunk_size_);
    capacity_ = chunk_size_;
    used_ = 0;
  }
  // The bytes past used_ have never been handed out: writing them races with nobody.
  std::memcpy(const_cast<std::uint8_t*>(chunk_.data()) + used_, view.data(), view.size());
  Bytes part = chunk_.slice(used_, view.size());
  used_ += view.size();
  return part;
}

bool ChunkArena::extend(Bytes& tail, ByteView view) noexcept {
  if (tail.owner_ == nullptr || tail.owner_ != chunk_.owner_) return false;
  if (tail.data_ + tail.size_ != chunk_.data() + used_) return false;
  if (capacity_ - used_ < view.size()) return false;
  if (view.empty()) return true;
  std::memcpy(const_cast<std::uint8_t*>(chunk_.data()) + used_, view.data(), view.size());
  used_ += view.size();
  tail.size_ += view.size();
  return true;
}

}  // namespace tern
