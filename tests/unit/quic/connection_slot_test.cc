#include "transport/quic/connection_slot.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <sys/resource.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "transport/quic/library_memory.h"
#include "transport/quic/poison.h"

namespace tern::quic {
namespace {

constexpr std::size_t kConnection = 9312;  // about what ngtcp2 1.11's takes

/// A connection of ngtcp2's, as its allocator sees it.
class Caller {
 public:
  explicit Caller(LibraryMemory& memory)
      : slot(*memory.take_slot()), memory_(memory), mem_(*slot.native()) {}
  void* allocate(std::size_t size) { return mem_.malloc(size, mem_.user_data); }
  void* allocate_zeroed(std::size_t size) { return mem_.calloc(1, size, mem_.user_data); }
  void* grow(void* block, std::size_t size) { return mem_.realloc(block, size, mem_.user_data); }
  void release(void* block) { mem_.free(block, mem_.user_data); }
  bool sleep() {
    packed_ = memory_.pack(slot);
    return !packed_.empty();
  }
  void wake() { memory_.unpack(slot, packed_); }
  std::size_t packed_size() const { return packed_.bytes().size(); }

  ConnectionSlot& slot;

 private:
  LibraryMemory& memory_;
  const ngtcp2_mem mem_;
  PackedSlot packed_;
};

class ConnectionSlotTest : public testing::Test {
 protected:
  MemoryPool pool;
  LibraryMemory memory{pool};
};

TEST_F(ConnectionSlotTest, ReleasedBlocksAreUsedAgain) {
  Caller caller(memory);
  std::set<void*> blocks;
  for (const std::size_t size : {0u, 1u, 8u, 9u, 24u, 100u, 4096u}) {
    void* const block = caller.allocate(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
    EXPECT_TRUE(caller.slot.holds(block));
    EXPECT_GE(ConnectionSlot::capacity_of(block), size);
    std::memset(block, 1, size);
    caller.release(block);
    EXPECT_EQ(caller.allocate(size), block);
    blocks.insert(block);
  }
  EXPECT_EQ(blocks.size(), 7u);
  void* const zeroed = caller.allocate_zeroed(100);
  EXPECT_EQ(std::count(static_cast<char*>(zeroed), static_cast<char*>(zeroed) + 100, 0), 100);
}

TEST_F(ConnectionSlotTest, ThePoolHasWhatDoesNotFit) {
  Caller caller(memory);
  void* const connection = caller.allocate_zeroed(kConnection);
  EXPECT_TRUE(caller.slot.holds(connection)) << "the first may be large";
  void* const large = caller.allocate(5000);
  EXPECT_FALSE(caller.slot.holds(large));
  std::vector<void*> in, out;
  while (out.size() < 10) {
    void* const block = caller.allocate(1000);
    std::memset(block, 1, 1000);
    (caller.slot.holds(block) ? in : out).push_back(block);
  }
  EXPECT_GT(in.size() * 1024, ConnectionSlot::kSize - kConnection - 3 * 1024);
  caller.release(in.back());
  EXPECT_EQ(caller.allocate(1000), in.back()) << "there is room again";
  for (void* const block : in) caller.release(block);
  for (void* const block : out) caller.release(block);
  caller.release(large);
  EXPECT_EQ(caller.allocate(1000), in.back()) << "the last to be released";
}

TEST_F(ConnectionSlotTest, BlocksGrowOutOfTheSlotAndInThePool) {
  Caller caller(memory);
  caller.allocate_zeroed(kConnection);
  auto* block = static_cast<std::uint8_t*>(caller.grow(nullptr, 20));
  EXPECT_TRUE(caller.slot.holds(block));
  EXPECT_EQ(caller.grow(block, 24), block);
  for (std::size_t size = 20; size < 100'000; size *= 2) {
    for (std::size_t i = size / 2; i < size; ++i) block[i] = static_cast<std::uint8_t>(i);
    block = static_cast<std::uint8_t*>(caller.grow(block, size * 2));
    for (std::size_t i = 10; i < size; ++i) ASSERT_EQ(block[i], static_cast<std::uint8_t>(i));
  }
  EXPECT_FALSE(caller.slot.holds(block));
  caller.release(block);
}

TEST_F(ConnectionSlotTest, ConnectionsShareTheBuffersOfThePacketBeingOpened) {
  Caller one(memory);
  Caller other(memory);
  for (const std::size_t size : {256u, 2048u, 16384u}) {
    void* const shared = one.grow(nullptr, size);
    EXPECT_EQ(other.grow(nullptr, size), shared);
    one.release(shared);
  }
  EXPECT_NE(one.grow(nullptr, 512), other.grow(nullptr, 512));
  EXPECT_EQ(one.grow(one.grow(nullptr, 2048), 4096), other.grow(nullptr, 4096));
}

TEST_F(ConnectionSlotTest, WhatWasPackedComesBackToItsPlace) {
  Caller caller(memory);
  auto* const connection = static_cast<std::uint8_t*>(caller.allocate_zeroed(kConnection));
  auto* const block = static_cast<std::uint8_t*>(caller.allocate(3000));
  void* const released = caller.allocate(500);
  for (std::size_t i = 0; i < 3000; ++i) block[i] = static_cast<std::uint8_t>(i * i);
  connection[17] = 4;
  caller.release(released);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(memory.packed(), 0u);
    ASSERT_TRUE(caller.sleep());
    EXPECT_EQ(memory.packed(), 1u);
    EXPECT_LT(caller.packed_size(), 2500u);
    caller.wake();
    for (std::size_t i = 0; i < 3000; ++i) ASSERT_EQ(block[i], static_cast<std::uint8_t>(i * i));
    EXPECT_EQ(connection[17], 4);
    EXPECT_EQ(caller.allocate(500), released) << "the free list is back as well";
    caller.release(released);
  }
}

TEST_F(ConnectionSlotTest, WhatWouldSaveLittleStays) {
  std::mt19937_64 random(1);
  Caller caller(memory);
  auto* const noise = static_cast<std::uint8_t*>(caller.allocate(4000));
  for (std::size_t i = 0; i < 4000; ++i) noise[i] = static_cast<std::uint8_t>(random());
  const std::vector<std::uint8_t> before(noise, noise + 4000);
  EXPECT_FALSE(caller.sleep());
  EXPECT_EQ(memory.packed(), 0u);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), noise));
  caller.release(noise);
  EXPECT_TRUE(caller.sleep()) << "what was released costs nothing";
  caller.wake();
}

/// Random blocks of three connections, which sleep now and then.
TEST_F(ConnectionSlotTest, NothingIsLost) {
  struct Block {
    std::uint8_t* bytes;
    std::size_t size;
    std::uint8_t value;
  };
  struct Connection {
    explicit Connection(LibraryMemory& memory) : caller(memory) {}
    Caller caller;
    std::vector<Block> blocks;
    bool asleep = false;
  };
  std::mt19937_64 random(7);
  Connection connections[] = {Connection(memory), Connection(memory), Connection(memory)};
  int slept = 0;
  for (int step = 0; step < 20'000; ++step) {
    Connection& one = connections[random() % 3];
    if (std::exchange(one.asleep, false)) one.caller.wake();
    const std::uint64_t what = random() % 16;
    if (what == 0) {
      one.asleep = one.caller.sleep();
      slept += one.asleep ? 1 : 0;
    } else if (what < 8 && one.blocks.size() < 120) {
      const std::size_t size = random() % (what == 1 ? 6000 : 700) + 1;
      auto* const bytes = static_cast<std::uint8_t*>(one.caller.allocate(size));
      const auto value = static_cast<std::uint8_t>(random());
      std::memset(bytes, value, size);
      one.blocks.push_back({bytes, size, value});
    } else if (!one.blocks.empty()) {
      Block& block = one.blocks[random() % one.blocks.size()];
      ASSERT_EQ(std::count(block.bytes, block.bytes + block.size, block.value),
                static_cast<std::ptrdiff_t>(block.size))
          << step;
      if (what < 10) {
        const std::size_t size = block.size + random() % 300;
        block.bytes = static_cast<std::uint8_t*>(one.caller.grow(block.bytes, size));
        std::memset(block.bytes + block.size, block.value, size - block.size);
        block.size = size;
      } else {
        one.caller.release(block.bytes);
        block = one.blocks.back();
        one.blocks.pop_back();
      }
    }
  }
  EXPECT_GT(slept, 500);
  for (Connection& one : connections) {
    if (one.asleep) one.caller.wake();
    for (const Block& block : one.blocks) {
      EXPECT_EQ(std::count(block.bytes, block.bytes + block.size, block.value),
                static_cast<std::ptrdiff_t>(block.size));
      one.caller.release(block.bytes);
    }
  }
}

TEST_F(ConnectionSlotTest, SlotsAreUsedAgain) {
  constexpr std::size_t kMany = SlotRegions::kSlots + SlotRegions::kWarm + 10;
  std::vector<ConnectionSlot*> slots;
  for (std::size_t i = 0; i < kMany; ++i) {
    slots.push_back(memory.take_slot());
    ASSERT_NE(slots.back(), nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slots.back()) % ConnectionSlot::kSize, 0u);
    std::memset(slots.back()->allocate(2000), 1, 2000);
  }
  const std::set<ConnectionSlot*> all(slots.begin(), slots.end());
  EXPECT_EQ(all.size(), kMany);
  for (ConnectionSlot* const slot : slots) memory.give_back(*slot);
  for (std::size_t i = 0; i < kMany; ++i) {
    ConnectionSlot* const slot = memory.take_slot();
    EXPECT_TRUE(all.contains(slot));
    EXPECT_NE(slot->allocate(2000), nullptr);
  }
  EXPECT_FALSE(all.contains(memory.take_slot()));
}

TEST_F(ConnectionSlotTest, NoAddressSpaceNoSlot) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit none{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
  ConnectionSlot* const refused = memory.take_slot();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_EQ(refused, nullptr);
  EXPECT_NE(memory.take_slot(), nullptr) << "and then there was some";
}

#ifdef TERN_ADDRESS_SANITIZER
TEST_F(ConnectionSlotTest, AddressSanitizerTellsOfWhoeverTouchesASleeper) {
  Caller caller(memory);
  auto* const block = static_cast<volatile std::uint8_t*>(caller.allocate_zeroed(100));
  EXPECT_EQ(block[50], 0);
  ASSERT_TRUE(caller.sleep());
  EXPECT_DEATH(static_cast<void>(block[50]), "use-after-poison");
  caller.wake();
  EXPECT_EQ(block[50], 0);
  caller.release(const_cast<std::uint8_t*>(block));
  EXPECT_DEATH(static_cast<void>(block[50]), "use-after-poison");
}
#endif

}  // namespace
}  // namespace tern::quic
