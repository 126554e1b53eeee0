#include "base/varint.h"

#include <algorithm>
#include <array>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using Raw = std::vector<std::uint8_t>;

Raw written(std::uint64_t value) {
  std::array<std::uint8_t, kMaxVarintSize> room{};
  std::uint8_t* end = write_varint(room.data(), value);
  return Raw(room.data(), end);
}

TEST(Varint, ExamplesOfRfc9000A1) {
  const Raw eight{0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c};
  const Raw four{0x9d, 0x7f, 0x3e, 0x7d};
  const Raw two{0x7b, 0xbd};
  EXPECT_EQ(written(151'288'809'941'952'652), eight);
  EXPECT_EQ(written(494'878'333), four);
  EXPECT_EQ(written(15'293), two);
  EXPECT_EQ(written(37), Raw{0x25});
  EXPECT_EQ(read_varint(eight)->value, 151'288'809'941'952'652U);
  EXPECT_EQ(read_varint(four)->value, 494'878'333U);
  EXPECT_EQ(read_varint(two)->value, 15'293U);
  const Raw long_form{0x40, 0x25};  // also 37
  EXPECT_EQ(read_varint(long_form)->value, 37U);
  EXPECT_EQ(read_varint(long_form)->size, 2U);
}

TEST(Varint, BoundariesRoundTripInTheShortestForm) {
  const std::vector<std::pair<std::uint64_t, std::size_t>> cases{
      {0, 1},        {63, 1},        {64, 2}, {16'383, 2}, {16'384, 4}, {(1u << 30) - 1, 4},
      {1u << 30, 8}, {kMaxVarint, 8}};
  for (const auto& [value, size] : cases) {
    const Raw raw = written(value);
    EXPECT_EQ(raw.size(), size) << value;
    EXPECT_EQ(varint_size(value), size);
    EXPECT_EQ(varint_size_of(raw[0]), size);
    const auto back = read_varint(raw);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->value, value);
    EXPECT_EQ(back->size, size);
    for (std::size_t cut = 0; cut < size; ++cut) {
      EXPECT_FALSE(read_varint(ByteView(raw).first(cut))) << value;
    }
  }
}

TEST(Varint, MayArriveInPieces) {
  for (const std::uint64_t value :
       {std::uint64_t{37}, std::uint64_t{15'293}, std::uint64_t{494'878'333}, kMaxVarint}) {
    Raw raw = written(value);
    const std::size_t size = raw.size();
    raw.push_back(0x25);  // the next one
    for (std::size_t piece = 1; piece <= raw.size(); ++piece) {
      VarintReader reader;
      std::vector<std::uint64_t> read;
      for (std::size_t at = 0; at < raw.size(); at += piece) {
        ByteView part = ByteView(raw).subspan(at, std::min(piece, raw.size() - at));
        while (reader.take(part)) read.push_back(reader.value());
        EXPECT_TRUE(part.empty());
        EXPECT_EQ(reader.partial(), at + piece < size) << "the rest of the first, or none";
      }
      EXPECT_THAT(read, ::testing::ElementsAre(value, 0x25));
    }
  }
}

TEST(VarintDeathTest, ValuesThatDoNotFitAreABug) {
  std::array<std::uint8_t, kMaxVarintSize> room{};
  EXPECT_DEATH(write_varint(room.data(), kMaxVarint + 1), "check failed");
}

}  // namespace
}  // namespace tern
