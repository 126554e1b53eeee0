#include "transport/quic/connection_slot.h"

#include <cstring>
#include <sys/mman.h>

#include "transport/quic/poison.h"

namespace tern::quic {

namespace {
/// The slots of a region begin at multiples of their size.
constexpr std::size_t kReserved = (SlotRegions::kSlots + 1) * ConnectionSlot::kSize;
}  // namespace

ConnectionSlot::ConnectionSlot(LibraryMemory& memory, const ngtcp2_mem& native) noexcept
    : memory_(memory), native_(native), used_(unused_size()) {
  native_.user_data = this;
  poison(at(0) + used_, kSize - used_);
}

void* ConnectionSlot::allocate(std::size_t size) noexcept {
  const std::size_t size_class = (size + sizeof(Tag) - 1) / kStep;
  if (size_class < kClasses) [[likely]] {
    if (const std::uint16_t step = free_[size_class]; step != 0) {
      std::uint8_t* const block = at(step);
      free_[size_class] = reinterpret_cast<Tag*>(block - sizeof(Tag))->next;
      unpoison(block, stride_of(size_class) - sizeof(Tag));
      return block;
    }
  } else if (used_ != unused_size()) {
    return nullptr;
  }
  const std::size_t stride = stride_of(size_class);
  if (size > kSize || stride > kSize - used_) return nullptr;
  std::uint8_t* const tag = at(0) + used_;
  used_ += static_cast<std::uint32_t>(stride);
  unpoison(tag, stride);
  new (tag) Tag{static_cast<std::uint16_t>(size_class), 0, 0};
  return tag + sizeof(Tag);
}

void ConnectionSlot::release(void* block) noexcept {
  auto& tag = static_cast<Tag*>(block)[-1];
  if (tag.size_class >= kClasses) return;  // it goes with the slot
  tag.next = free_[tag.size_class];
  free_[tag.size_class] = static_cast<std::uint16_t>(
      static_cast<std::size_t>(static_cast<std::uint8_t*>(block) - at(0)) / kStep);
  poison(block, stride_of(tag.size_class) - sizeof(Tag));
}

std::size_t ConnectionSlot::capacity_of(const void* block) noexcept {
  return stride_of(static_cast<const Tag*>(block)[-1].size_class) - sizeof(Tag);
}

template <typename Do>
void ConnectionSlot::each_free_block(Do&& act) noexcept {
  for (std::size_t size_class = 0; size_class < kClasses; ++size_class) {
    for (std::uint16_t step = free_[size_class]; step != 0;) {
      std::uint8_t* const block = at(step);
      act(block, stride_of(size_class) - sizeof(Tag));
      step = reinterpret_cast<Tag*>(block - sizeof(Tag))->next;
    }
  }
}

void ConnectionSlot::clear_free_blocks() noexcept {
  unpoison(this, used_);
  each_free_block([](std::uint8_t* block, std::size_t size) { std::memset(block, 0, size); });
}

void ConnectionSlot::poison_free_blocks() noexcept {
  each_free_block([](std::uint8_t* block, std::size_t size) { poison(block, size); });
}

SlotRegions::~SlotRegions() {
  for (void* region : regions_) {
    const bool last = region == regions_.back();
    unpoison(region, last ? static_cast<std::size_t>(fresh_ - static_cast<std::uint8_t*>(region))
                          : kReserved);
    munmap(region, kReserved);
  }
}

bool SlotRegions::reserve() noexcept {
  void* const region = mmap(nullptr, kReserved, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) return false;
  // A huge page would be all of 32 slots.
  madvise(region, kReserved, MADV_NOHUGEPAGE);
  regions_.push_back(region);
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(region);
  const std::uintptr_t aligned = (begin + ConnectionSlot::kSize - 1) & ~(ConnectionSlot::kSize - 1);
  fresh_ = reinterpret_cast<std::uint8_t*>(aligned);
  fresh_left_ = kSlots;
  return true;
}

void* SlotRegions::take() noexcept {
  for (auto* const list : {&warm_, &cold_}) {
    if (list->empty()) continue;
    void* const slot = list->back();
    list->pop_back();
    unpoison(slot, ConnectionSlot::kSize);
    return slot;
  }
  if (fresh_left_ == 0 && !reserve()) return nullptr;
  --fresh_left_;
  void* const slot = fresh_;
  fresh_ += ConnectionSlot::kSize;
  return slot;
}

void SlotRegions::give_back(void* slot) noexcept {
  if (warm_.size() < kWarm) {
    poison(slot, ConnectionSlot::kSize);
    warm_.push_back(slot);
    return;
  }
  drop_pages(slot);
  cold_.push_back(slot);
}

void SlotRegions::drop_pages(void* slot) noexcept {
  madvise(slot, ConnectionSlot::kSize, MADV_DONTNEED);
  poison(slot, ConnectionSlot::kSize);
}

}  // namespace tern::quic
