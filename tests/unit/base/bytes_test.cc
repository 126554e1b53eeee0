#include "base/bytes.h"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(Bytes, CopyOwnsWhatItCopied) {
  std::string text = "arctic tern";
  const Bytes bytes = Bytes::copy(text);
  text.assign(text.size(), '-');
  EXPECT_EQ(bytes.text(), "arctic tern");
  EXPECT_NE(reinterpret_cast<const char*>(bytes.data()), text.data());
}

TEST(Bytes, TakeKeepsTheMemoryOfStringsAndVectors) {
  std::string text(1000, 's');  // beyond the small-string buffer
  const auto* where = text.data();
  const Bytes from_text = Bytes::take(std::move(text));
  EXPECT_EQ(reinterpret_cast<const char*>(from_text.data()), where);
  EXPECT_EQ(from_text.size(), 1000U);

  std::vector<std::uint8_t> vector{1, 2, 3};
  const auto* data = vector.data();
  const Bytes from_vector = Bytes::take(std::move(vector));
  EXPECT_EQ(from_vector.data(), data);
  EXPECT_THAT(from_vector.view(), testing::ElementsAre(1, 2, 3));

  // A short string's bytes move with the object that holds them.
  EXPECT_EQ(Bytes::take(std::string("short")).text(), "short");
}

TEST(Bytes, MakeKeepsWhatWasWritten) {
  const Bytes bytes = Bytes::make(16, [](MutableBytes room) {
    EXPECT_EQ(room.size(), 16U);
    room[0] = 'a';
    room[1] = 'b';
    return std::size_t{2};
  });
  EXPECT_EQ(bytes.text(), "ab");
}

TEST(Bytes, EmptyIsEmptyHoweverMade) {
  for (const Bytes& bytes : {Bytes(), Bytes::copy(""), Bytes::take(std::string()),
                             Bytes::take(std::vector<std::uint8_t>()), Bytes::literal("")}) {
    EXPECT_TRUE(bytes.empty());
    EXPECT_EQ(bytes.size(), 0U);
    EXPECT_TRUE(bytes.slice(0, 10).empty());
  }
}

TEST(Bytes, SlicesShareTheBlockAndOutliveTheWhole) {
  Bytes slice;
  const std::uint8_t* where = nullptr;
  {
    const Bytes whole = Bytes::copy("0123456789");
    where = whole.data() + 3;
    slice = whole.slice(3, 4);
  }
  EXPECT_EQ(slice.data(), where);
  EXPECT_EQ(slice.text(), "3456");
  const Bytes inner = slice.slice(slice.view().subspan(1, 2));
  slice = Bytes();
  EXPECT_EQ(inner.text(), "45");
}

TEST(Bytes, SlicesAreClamped) {
  const Bytes bytes = Bytes::copy("abc");
  EXPECT_EQ(bytes.slice(1).text(), "bc");
  EXPECT_EQ(bytes.slice(1, 100).text(), "bc");
  EXPECT_TRUE(bytes.slice(3).empty());
  EXPECT_TRUE(bytes.slice(4, 1).empty());
  EXPECT_TRUE(bytes.slice(SIZE_MAX, SIZE_MAX).empty());
  Bytes rest = bytes;
  rest.remove_prefix(2);
  EXPECT_EQ(rest.text(), "c");
  rest.remove_prefix(5);
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(bytes.text(), "abc");
}

TEST(Bytes, CopiesAndMovesKeepTheBytesAlive) {
  Bytes a = Bytes::copy("one");
  Bytes b = a;
  EXPECT_EQ(a.data(), b.data());
  Bytes c = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT: the moved-from state is documented
  b = c;
  c = Bytes::copy("two");
  EXPECT_EQ(b.text(), "one");
  b.swap(c);
  EXPECT_EQ(b.text(), "two");
  EXPECT_EQ(c.text(), "one");
  Bytes& self = c;
  c = self;
  EXPECT_EQ(c.text(), "one");
  c = std::move(self);
  EXPECT_EQ(c.text(), "one");
}

TEST(Bytes, LiteralsAreNotCopied) {
  static constexpr std::string_view kText = "static";
  const Bytes bytes = Bytes::literal(kText);
  EXPECT_EQ(reinterpret_cast<const char*>(bytes.data()), kText.data());
  EXPECT_EQ(bytes.slice(2).text(), "atic");
}

TEST(Bytes, ThreadsMayShareABlock) {
  const Bytes shared = Bytes::take(std::string(10'000, 'x'));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([copy = shared] {
      for (std::size_t n = 0; n < 2000; ++n) {
        const Bytes part = copy.slice(n, 5);
        ASSERT_EQ(part.text(), "xxxxx");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared.size(), 10'000U);
}

TEST(ChunkArena, PutsSmallPiecesIntoOneBlock) {
  ChunkArena arena(64);
  const Bytes a = arena.copy(as_bytes("first"));
  const Bytes b = arena.copy(as_bytes("second"));
  EXPECT_EQ(a.text(), "first");
  EXPECT_EQ(b.text(), "second");
  EXPECT_EQ(b.data(), a.data() + a.size());
}

TEST(ChunkArena, StartsANewChunkWhenFullAndLeavesTheOldOneAlone) {
  ChunkArena arena(16);
  std::vector<Bytes> pieces;
  for (int i = 0; i < 100; ++i) {
    pieces.push_back(arena.copy(as_bytes(std::string(1 + i % 8, static_cast<char>('a' + i % 26)))));
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(pieces[static_cast<std::size_t>(i)].text(),
              std::string(static_cast<std::size_t>(1 + i % 8), static_cast<char>('a' + i % 26)));
  }
}

TEST(ChunkArena, LargePiecesGetBlocksOfTheirOwn) {
  ChunkArena arena(64);
  const Bytes small = arena.copy(as_bytes("small"));
  const Bytes large = arena.copy(as_bytes(std::string(100, 'L')));
  const Bytes next = arena.copy(as_bytes("next"));
  EXPECT_EQ(large.size(), 100U);
  EXPECT_EQ(next.data(), small.data() + small.size());
  EXPECT_TRUE(arena.copy({}).empty());
}

TEST(ChunkArena, ExtendsOnlyTheLatestSliceAndOnlyWhereThereIsRoom) {
  ChunkArena arena(16);
  Bytes tail = arena.copy(as_bytes("abc"));
  const Bytes before = tail;
  EXPECT_TRUE(arena.extend(tail, as_bytes("def")));
  EXPECT_EQ(tail.text(), "abcdef");
  EXPECT_EQ(before.text(), "abc");  // other holders see what they had

  Bytes older = tail;
  const Bytes latest = arena.copy(as_bytes("x"));
  EXPECT_FALSE(arena.extend(older, as_bytes("y")));
  EXPECT_EQ(older.text(), "abcdef");
  EXPECT_EQ(latest.text(), "x");

  Bytes end = arena.copy(as_bytes("12345678"));
  EXPECT_TRUE(arena.extend(end, as_bytes("9")));  // 16 of 16 bytes
  EXPECT_FALSE(arena.extend(end, as_bytes("!")));
  EXPECT_EQ(end.text(), "123456789");

  Bytes foreign = Bytes::copy("foreign");
  EXPECT_FALSE(arena.extend(foreign, as_bytes("y")));
  Bytes nothing;
  EXPECT_FALSE(arena.extend(nothing, as_bytes("y")));
}

}  // namespace
}  // namespace tern
