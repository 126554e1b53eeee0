#include "transport/quic/stream_allowance.h"

#include <gtest/gtest.h>

namespace tern::quic {
namespace {

TEST(StreamAllowance, GivesPortions) {
  StreamAllowance allowance;
  allowance.begin(128);
  std::uint64_t raises = 0;
  std::uint64_t total = 0;
  for (StreamId stream = 0; stream < 4 * 1600; stream += 4) {  // one after the other
    allowance.opened(stream);
    allowance.closed();
    const std::uint64_t more = allowance.take();
    raises += more > 0 ? 1 : 0;
    total += more;
  }
  EXPECT_EQ(raises, 100U);
  EXPECT_EQ(total, 1600U);
}

/// Who is at its limit is owed nothing, whatever the limit is and in whatever order streams end.
TEST(StreamAllowance, NeverHoldsUpAPeer) {
  for (const std::uint64_t limit : {1U, 2U, 3U, 7U, 8U, 9U, 16U, 100U, 128U}) {
    StreamAllowance allowance;
    allowance.begin(limit);
    std::uint64_t granted = limit;
    std::uint64_t opened = 0;
    std::uint64_t closed = 0;
    for (int step = 0; step < 5000; ++step) {
      const bool open = (step * 7919 / 13) % 3 != 0;
      if (open && opened < granted) {
        allowance.opened(static_cast<StreamId>(4 * opened++));
      } else if (closed < opened) {
        allowance.closed();
        ++closed;
      }
      granted += allowance.take();
      ASSERT_LE(granted - closed, limit);
      if (opened == granted) {
        ASSERT_EQ(opened - closed, limit) << "held up";
      }
    }
    EXPECT_GT(closed, 1000U);
  }
}

/// A stream opens every lower one of its kind (RFC 9000 §3.2).
TEST(StreamAllowance, CountsSkippedStreamsAsOpened) {
  StreamAllowance allowance;
  allowance.begin(8);
  allowance.opened(7 * 4);
  allowance.closed();
  EXPECT_EQ(allowance.take(), 1U);
  EXPECT_EQ(allowance.take(), 0U);
}

}  // namespace
}  // namespace tern::quic
