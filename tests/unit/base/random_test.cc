#include "base/random.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

TEST(Random, IsChaCha20) {
  // D. J. Bernstein's vector: key, nonce and counter zero.
  Random random(Random::Key{});
  std::array<std::uint8_t, 64> block{};
  random.fill(block);
  EXPECT_EQ(hex(block),
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
  random.fill(block);
  EXPECT_EQ(hex(block).substr(0, 64),
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed");
}

TEST(Random, TheSizeOfFillsDoesNotMatter) {
  Random whole(42);
  std::vector<std::uint8_t> expected(1000);
  whole.fill(expected);
  Random parts(42);
  std::vector<std::uint8_t> actual(1000);
  std::size_t done = 0;
  for (std::size_t step = 1; done < actual.size(); step = step * 3 % 97 + 1) {
    const std::size_t size = std::min(step, actual.size() - done);
    parts.fill(MutableBytes(actual).subspan(done, size));
    done += size;
  }
  EXPECT_EQ(actual, expected);
}

TEST(Random, SeedsReplayAndDiffer) {
  Random a(7);
  Random b(7);
  Random c(8);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t value = a.next();
    EXPECT_EQ(value, b.next());
    EXPECT_NE(value, c.next());
    seen.insert(value);
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(Random, BelowStaysBelowAndHitsAll) {
  Random random(1);
  std::array<int, 7> hits{};
  for (int i = 0; i < 7000; ++i) ++hits[random.below(7)];
  for (const int count : hits) {
    EXPECT_GT(count, 800);
    EXPECT_LT(count, 1200);
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.below(1), 0U);
  const std::uint64_t huge = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.below(huge), huge);
}

TEST(Random, UnitIsInItsInterval) {
  Random random(3);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double value = random.unit();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

}  // namespace
}  // namespace tern
