#include "transport/quic/library_memory.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace tern::quic {
namespace {

/// As a connection of ngtcp2's would call it.
struct Caller {
  explicit Caller(LibraryMemory& memory) : mem(*memory.native()) {}
  void* grow(void* block, std::size_t size) { return mem.realloc(block, size, mem.user_data); }
  void free(void* block) { mem.free(block, mem.user_data); }
  ngtcp2_mem mem;
};

TEST(LibraryMemory, SharesTheBuffersOfThePacketBeingOpened) {
  ASSERT_EQ(ngtcp2_version(0)->version_num, 0x010b00)
      << "does this version still use realloc as library_memory.h says?";
  MemoryPool pool;
  LibraryMemory memory(pool);
  Caller one(memory);
  for (const std::size_t size : {256u, 2048u, 4096u, 16384u, 65536u}) {
    void* first = one.grow(nullptr, size);
    std::memset(first, 1, size);
    EXPECT_EQ(one.grow(nullptr, size), first) << size;
    one.free(first);
    EXPECT_EQ(one.grow(nullptr, size), first) << size;
  }
  void* small = one.grow(nullptr, 2048);
  EXPECT_EQ(one.grow(small, 16384), one.grow(nullptr, 16384));
}

TEST(LibraryMemory, ButNothingElse) {
  MemoryPool pool;
  LibraryMemory memory(pool);
  Caller one(memory);
  for (const std::size_t size : {32u, 64u, 255u, 512u, 1024u, 2000u, 3000u, 131072u}) {
    void* first = one.grow(nullptr, size);
    void* second = one.grow(nullptr, size);
    EXPECT_NE(first, second) << size;
    // Nor what a queue that was small grows to.
    void* third = one.grow(first, 65536);
    EXPECT_NE(third, one.grow(nullptr, 65536));
    one.free(second);
    one.free(third);
  }
  // A header's buffer that grows.
  void* header = one.grow(nullptr, 256);
  void* payload = one.grow(nullptr, 2048);
  void* longer = one.grow(header, 2048);
  EXPECT_NE(longer, payload);
  one.free(longer);
  // A first header that is large.
  memory.share(false);
  longer = one.grow(nullptr, 2048);
  EXPECT_NE(longer, payload);
  one.free(longer);
  memory.share(true);
  EXPECT_EQ(one.grow(nullptr, 2048), payload);
}

TEST(LibraryMemory, CountsWhatASlotHasNoRoomFor) {
  MemoryPool pool;
  LibraryMemory memory(pool);
  ConnectionSlot& slot = *memory.take_slot();
  const ngtcp2_mem& mem = *slot.native();
  const auto grow = [&](void* block, std::size_t size) {
    return mem.realloc(block, size, mem.user_data);
  };
  std::vector<void*> blocks;
  while (slot.blocks_beyond() < 3) blocks.push_back(mem.malloc(1000, mem.user_data));
  EXPECT_GT(blocks.size(), 50u);
  blocks.push_back(mem.calloc(10, 100, mem.user_data));
  EXPECT_EQ(slot.blocks_beyond(), 4u);
  blocks.back() = grow(blocks.back(), 5000);
  EXPECT_EQ(slot.blocks_beyond(), 4u) << "the same in another place";
  blocks.front() = grow(blocks.front(), 2000);
  EXPECT_EQ(slot.blocks_beyond(), 5u) << "from the slot";
  // The shared buffers are nobody's; what a header's grows to is this one's.
  void* const header = grow(nullptr, LibraryMemory::kHeader);
  void* const payload = grow(nullptr, LibraryMemory::kFirstPayload);
  EXPECT_EQ(slot.blocks_beyond(), 5u);
  blocks.push_back(grow(header, LibraryMemory::kFirstPayload));
  EXPECT_EQ(slot.blocks_beyond(), 6u);
  for (void* const block : {payload, static_cast<void*>(nullptr)}) mem.free(block, mem.user_data);
  EXPECT_EQ(slot.blocks_beyond(), 6u);
  for (void* const block : blocks) mem.free(block, mem.user_data);
  EXPECT_EQ(slot.blocks_beyond(), 0u);
  memory.give_back(slot);
}

}  // namespace
}  // namespace tern::quic
