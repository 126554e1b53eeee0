#include "transport/quic/library_memory.h"

#include <cstring>

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

}  // namespace
}  // namespace tern::quic
