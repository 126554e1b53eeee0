// Bytes in any order and any number of times come out once and in order.

#include "transport/sim/tcp_receiver.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace tern::sim {
namespace {

constexpr std::size_t kSegment = 100;

std::string text_of(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 256);
  return text;
}

std::string take_all(TcpReceiver& receiver, std::uint64_t now) {
  std::vector<std::uint8_t> out;
  receiver.take(out, SIZE_MAX, Timestamp(std::chrono::milliseconds(now)),
                std::chrono::milliseconds(10));
  return std::string(as_text(out));
}

TEST(TcpReceiver, PiecesThatOverlapMakeTheWhole) {
  const std::string all = text_of(20'000);
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    TcpReceiver receiver(1 << 20, kSegment);
    std::string got;
    while (!receiver.finished()) {
      const std::uint64_t near = receiver.next() - 1;
      const std::uint64_t begin = near + random.below(1000) - std::min<std::uint64_t>(near, 300);
      const auto at = static_cast<std::size_t>(std::min<std::uint64_t>(begin, all.size()));
      const std::size_t size = std::min<std::size_t>(random.below(250), all.size() - at);
      const bool fin = at + size == all.size();
      receiver.receive(1 + at, as_bytes(std::string_view(all).substr(at, size)), fin);
      got += take_all(receiver, got.size());
      for (const auto& range : receiver.missing_before(3)) {
        ASSERT_GT(range.begin, receiver.next());
        ASSERT_GT(range.end, range.begin);
      }
    }
    got += take_all(receiver, got.size());
    ASSERT_TRUE(got == all) << seed;
    ASSERT_EQ(receiver.next(), all.size() + 2) << "SYN and FIN count";
    ASSERT_FALSE(receiver.has_gaps());
  }
}

TEST(TcpReceiver, TheRangeThatGrewLastComesFirst) {
  TcpReceiver receiver(1 << 20, kSegment);
  const std::string bytes(100, 'x');
  EXPECT_EQ(receiver.receive(201, as_bytes(bytes), false), TcpReceiver::Outcome::gap);
  receiver.receive(601, as_bytes(bytes), false);
  receiver.receive(401, as_bytes(bytes), false);
  auto ranges = receiver.missing_before(3);
  ASSERT_EQ(ranges.size(), 3U);
  EXPECT_EQ(ranges[0].begin, 401U);
  EXPECT_EQ(ranges[1].begin, 601U);
  receiver.receive(301, as_bytes(bytes), false);  // joins two
  ranges = receiver.missing_before(3);
  ASSERT_EQ(ranges.size(), 2U);
  EXPECT_EQ(ranges[0].begin, 201U);
  EXPECT_EQ(ranges[0].end, 501U);
  receiver.receive(1, as_bytes(bytes + bytes), false);
  EXPECT_EQ(receiver.next(), 501U);
  EXPECT_EQ(receiver.receive(1, as_bytes(bytes), false), TcpReceiver::Outcome::duplicate);
  const auto duplicate = receiver.duplicate();
  ASSERT_TRUE(duplicate);
  EXPECT_EQ(duplicate->begin, 1U);
  EXPECT_EQ(duplicate->end, 101U);
  EXPECT_FALSE(receiver.duplicate());
}

TEST(TcpReceiver, TheWindowNeverMovesBackAndOpensAsBytesAreTaken) {
  TcpReceiver receiver(10'000, kSegment);
  const std::string bytes(5000, 'x');
  const std::uint64_t edge = receiver.window_end();
  EXPECT_EQ(edge, 10'001U);
  receiver.receive(1, as_bytes(bytes), false);
  EXPECT_EQ(receiver.window_end(), edge);
  receiver.receive(5001, as_bytes(bytes), false);
  EXPECT_EQ(receiver.window_end(), receiver.next()) << "shut";
  EXPECT_EQ(receiver.receive(10'001, as_bytes(bytes), false), TcpReceiver::Outcome::outside);
  receiver.announced(receiver.window_end());
  std::vector<std::uint8_t> out;
  receiver.take(out, 50, Timestamp(std::chrono::seconds(1)), std::chrono::milliseconds(10));
  EXPECT_EQ(receiver.window_end(), edge) << "too little to tell of";
  EXPECT_FALSE(receiver.window_opened());
  take_all(receiver, 2000);
  EXPECT_TRUE(receiver.window_opened());
  EXPECT_EQ(receiver.window_end(), edge + 10'000);
}

}  // namespace
}  // namespace tern::sim
