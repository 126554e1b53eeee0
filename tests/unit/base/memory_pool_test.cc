#include "base/memory_pool.h"

#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace tern {
namespace {

TEST(MemoryPool, EverySizeIsAlignedAndWritable) {
  MemoryPool pool;
  std::vector<std::pair<std::uint8_t*, std::size_t>> blocks;
  for (std::size_t size = 0; size < 2 * MemoryPool::kMaxPooled; size += size < 300 ? 1 : 61) {
    auto* block = static_cast<std::uint8_t*>(pool.allocate(size));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0U) << size;
    std::memset(block, static_cast<int>(size & 0xff), size);
    blocks.emplace_back(block, size);
  }
  for (const auto& [block, size] : blocks) {
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(block[i], size & 0xff) << size;
    pool.release(block);
  }
}

TEST(MemoryPool, ReusesWhatWasReleased) {
  MemoryPool pool;
  void* first = pool.allocate(100);
  pool.release(first);
  EXPECT_EQ(pool.allocate(100), first);
  EXPECT_NE(pool.allocate(100), first);
}

TEST(MemoryPool, ZeroesAndRefusesOverflow) {
  MemoryPool pool;
  auto* dirty = static_cast<std::uint8_t*>(pool.allocate(64));
  std::memset(dirty, 0xff, 64);
  pool.release(dirty);
  auto* clean = static_cast<std::uint8_t*>(pool.allocate_zeroed(8, 8));
  for (int i = 0; i < 64; ++i) ASSERT_EQ(clean[i], 0);
  EXPECT_EQ(pool.allocate_zeroed(SIZE_MAX / 2, 3), nullptr);
  EXPECT_NE(pool.allocate_zeroed(0, SIZE_MAX), nullptr);
  pool.release(nullptr);
}

TEST(MemoryPool, ReallocateKeepsTheContent) {
  MemoryPool pool;
  auto* block = static_cast<std::uint8_t*>(pool.reallocate(nullptr, 3));
  std::memcpy(block, "abc", 3);
  for (std::size_t size = 4; size < 20'000; size = size * 2 + 1) {
    block = static_cast<std::uint8_t*>(pool.reallocate(block, size));
    ASSERT_EQ(std::memcmp(block, "abc", 3), 0) << size;
    block[size - 1] = 1;
  }
  block = static_cast<std::uint8_t*>(pool.reallocate(block, 2));
  EXPECT_EQ(std::memcmp(block, "ab", 2), 0);
  pool.release(block);
}

TEST(MemoryPool, WhatIsForGoodStays) {
  MemoryPool pool;
  for (const std::size_t size : {1u, 100u, 5000u}) {
    void* block = pool.allocate_for_good(size);
    std::memset(block, 0x5a, size);
    EXPECT_TRUE(MemoryPool::is_for_good(block));
    pool.release(block);
    void* other = pool.allocate(size);
    EXPECT_NE(other, block);
    EXPECT_FALSE(MemoryPool::is_for_good(other));
    EXPECT_EQ(static_cast<std::uint8_t*>(block)[size - 1], 0x5a);
    auto* larger = static_cast<std::uint8_t*>(pool.reallocate(block, size + 1));
    EXPECT_NE(larger, block);
    EXPECT_EQ(larger[size - 1], 0x5a);
    pool.release(larger);
    pool.release(other);
  }
}

TEST(MemoryPool, RandomUseNeverOverlaps) {
  MemoryPool pool;
  Random random(5);
  std::map<std::uint8_t*, std::size_t> live;
  for (int i = 0; i < 20'000; ++i) {
    if (live.size() < 200 && random.below(5) < 3) {
      const std::size_t size = 1 + random.below(random.below(10) == 0 ? 9000 : 600);
      auto* block = static_cast<std::uint8_t*>(pool.allocate(size));
      const auto after = live.lower_bound(block);
      if (after != live.end()) {
        ASSERT_LE(block + size, after->first);
      }
      if (after != live.begin()) {
        const auto before = std::prev(after);
        ASSERT_LE(before->first + before->second, block);
      }
      live.emplace(block, size);
    } else if (!live.empty()) {
      auto chosen = live.begin();
      std::advance(chosen, static_cast<std::ptrdiff_t>(random.below(live.size())));
      pool.release(chosen->first);
      live.erase(chosen);
    }
  }
  for (const auto& [block, size] : live) pool.release(block);
}

}  // namespace
}  // namespace tern
