#include "base/recycled_memory.h"

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(RecycledMemory, EverySizeIsAlignedAndWritable) {
  std::vector<std::uint8_t*> blocks;
  constexpr std::size_t kLargest = 2 * kMaxRecycled;
  for (int round = 0; round < 2; ++round) {  // the second time from what was freed
    for (std::size_t size = 0; size <= kLargest; ++size) {
      auto* block = static_cast<std::uint8_t*>(allocate_recycled(size));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t), 0U) << size;
      std::memset(block, static_cast<int>(size & 0xff), size);
      blocks.push_back(block);
    }
    for (std::size_t size = 0; size <= kLargest; ++size) {
      for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(blocks[size][i], size & 0xff) << size;
      free_recycled(blocks[size], size);
    }
    blocks.clear();
  }
}

TEST(RecycledMemory, ABlockMayBeFreedByAnotherThread) {
  void* block = allocate_recycled(100);
  std::memset(block, 1, 100);
  std::thread other([block] {
    free_recycled(block, 100);
    void* again = allocate_recycled(100);
    std::memset(again, 2, 100);
    free_recycled(again, 100);
  });
  other.join();  // what it kept goes back to malloc, else LeakSanitizer and valgrind tell
  void* ours = allocate_recycled(100);
  std::memset(ours, 3, 100);
  free_recycled(ours, 100);
}

TEST(RecycledMemory, ContainersLieInIt) {
  std::vector<int, RecyclingAllocator<int>> numbers;
  for (int i = 0; i < 10'000; ++i) numbers.push_back(i);
  std::vector<int, RecyclingAllocator<int>> moved(std::move(numbers));
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(moved[static_cast<std::size_t>(i)], i);
}

}  // namespace
}  // namespace tern
