#include "transport/quic/old_path_first.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/varint.h"
#include "transport/quic/frames.h"

namespace tern::quic {
namespace {

using namespace std::chrono_literals;
using Payload = std::vector<std::uint8_t>;
/// Of packet numbers, both ends, highest first.
using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

void put(Payload& out, std::uint64_t value) {
  std::uint8_t bytes[kMaxVarintSize];
  const std::uint8_t* end = write_varint(bytes, value);
  out.insert(out.end(), bytes, bytes + (end - bytes));
}

Payload ack(const Ranges& ranges, std::uint64_t ect0 = 0) {
  Payload out{ect0 != 0 ? kAckEcn : kAck};
  put(out, ranges[0].second);
  put(out, 1000);
  put(out, ranges.size() - 1);
  put(out, ranges[0].second - ranges[0].first);
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    put(out, ranges[i - 1].first - ranges[i].second - 2);
    put(out, ranges[i].second - ranges[i].first);
  }
  if (ect0 != 0) {
    put(out, ect0);
    put(out, 0);
    put(out, 7);
  }
  return out;
}

struct Ack {
  Ranges ranges;
  std::uint64_t ect0 = 0;
  std::size_t size = 0;
};

/// Of an ACK frame that is whole.
Ack read(ByteView frame) {
  Ack ack;
  ByteView rest = frame;
  const auto next = [&] {
    const auto varint = read_varint(rest);
    EXPECT_TRUE(varint.has_value());
    rest = rest.subspan(varint->size);
    return varint->value;
  };
  const bool ecn = rest[0] == kAckEcn;
  rest = rest.subspan(1);
  const std::uint64_t largest = next();
  EXPECT_EQ(next(), 1000u) << "the delay";
  const std::uint64_t count = next();
  ack.ranges.emplace_back(largest - next(), largest);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t high = ack.ranges.back().first - next() - 2;
    ack.ranges.emplace_back(high - next(), high);
  }
  if (ecn) {
    ack.ect0 = next();
    EXPECT_EQ(next(), 0u);
    EXPECT_EQ(next(), 7u);
  }
  ack.size = frame.size() - rest.size();
  return ack;
}

Ranges below(const Ranges& ranges, std::uint64_t limit) {
  Ranges out;
  for (const auto& [low, high] : ranges) {
    if (low < limit) out.emplace_back(low, std::min(high, limit - 1));
  }
  return out;
}

TEST(CutAck, LeavesWhatIsBelowTheLimit) {
  const Ranges cases[] = {
      {{0, 0}},
      {{10, 20}},
      {{10, 20}, {0, 8}},
      {{100, 100}, {90, 95}, {60, 80}, {3, 50}},
      {{20'000, 20'100}, {19'000, 19'900}, {70, 18'000}, {0, 1}},
      {{5'000'000'000, 5'000'000'003}, {4'999'999'990, 4'999'999'995}, {1, 4'000'000'000}},
  };
  for (const Ranges& ranges : cases) {
    for (const auto& [low, high] : ranges) {
      for (const std::uint64_t limit : {low, low + 1, high, high + 1, high + 2}) {
        for (const std::uint64_t count : {0u, 60u, 100'000u}) {
          SCOPED_TRACE(limit);
          Payload payload = ack(ranges, count);
          const std::size_t size = payload.size();
          payload.push_back(kPing);
          std::uint64_t ect0 = 0;
          const CutAck cut = cut_ack(payload, limit, ect0);
          EXPECT_EQ(cut.length, size);
          EXPECT_EQ(payload.back(), kPing);
          const Ranges left = below(ranges, limit);
          EXPECT_EQ(cut.any, !left.empty());
          if (left.empty()) {
            EXPECT_EQ(payload, [&] {
              Payload padding(size);
              padding.push_back(kPing);
              return padding;
            }());
            continue;
          }
          EXPECT_EQ(cut.highest, left[0].second);
          const Ack now = read(payload);
          EXPECT_EQ(now.ranges, left);
          EXPECT_LE(now.ect0, count);
          EXPECT_EQ(ect0, now.ect0);
          for (std::size_t i = now.size; i < size; ++i) EXPECT_EQ(payload[i], kPadding);
        }
      }
    }
  }
}

TEST(CutAck, CountsOfEcnDoNotFall) {
  std::uint64_t ect0 = 0;
  Payload payload = ack({{90, 99}}, 95);
  cut_ack(payload, 95, ect0);
  EXPECT_EQ(read(payload).ect0, 90u) << "five were taken out";
  EXPECT_EQ(ect0, 90u);
  payload = ack({{90, 109}}, 96);
  cut_ack(payload, 95, ect0);
  EXPECT_EQ(read(payload).ect0, 90u);
}

TEST(CutAck, WhatIsMalformedIsForNgtcp2ToRefuse) {
  const Payload whole = ack({{100, 100}, {90, 95}, {60, 80}}, 30);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    Payload cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const Payload before = cut;
    std::uint64_t ect0 = 0;
    EXPECT_EQ(cut_ack(cut, 70, ect0).length, 0u) << size;
    EXPECT_EQ(cut, before);
  }
  for (Payload wrong : {Payload{kAck, 5, 0, 0, 6}, Payload{kAck, 5, 0, 1, 2, 2, 0},
                        Payload{kAck, 5, 0, 1, 2, 0, 2}}) {
    std::uint64_t ect0 = 0;
    EXPECT_EQ(cut_ack(wrong, 3, ect0).length, 0u);
  }
}

struct Moved {
  Moved() {
    first.may_move(160ms, 250ms, now);
    first.moved(true);
    first.sealing(100, true);
    first.sealing(101, false);
  }
  /// The ranges of an ACK that comes then.
  Ranges ack_of(const Ranges& ranges) {
    Payload payload{kPing, kStream | kStreamLength, 4, 2, 'h', 'i'};
    const Payload frame = ack(ranges);
    payload.insert(payload.end(), frame.begin(), frame.end());
    first.at(now);
    first.opened(payload);
    const ByteView left = ByteView(payload).subspan(6);
    return left[0] == kPadding ? Ranges() : read(left).ranges;
  }

  Timestamp now{5s};
  OldPathFirst first;
};

TEST(OldPathFirst, TheNewPathsAcknowledgementsWaitForTheOldOnes) {
  Moved moved;
  EXPECT_EQ(moved.ack_of({{60, 70}}), (Ranges{{60, 70}}));
  moved.now += 15ms;
  EXPECT_EQ(moved.ack_of({{100, 103}, {60, 75}}), (Ranges{{60, 75}}));
  EXPECT_EQ(moved.ack_of({{100, 105}}), Ranges());
  moved.now += 15ms;
  EXPECT_EQ(moved.ack_of({{100, 109}, {60, 94}}), (Ranges{{60, 94}}));
  moved.now += 15ms;
  EXPECT_TRUE(moved.first.active());
  const Ranges all{{100, 109}, {97, 97}, {60, 95}};
  EXPECT_EQ(moved.ack_of(all), all) << "the last ones may be lost";
  EXPECT_FALSE(moved.first.active());
}

TEST(OldPathFirst, NorDoesAnAnswerToAProbeOvertakeThem) {
  Moved moved;
  moved.first.end();
  moved.first.sealing(80, true);
  moved.first.sealing(81, true);
  moved.first.probing(160ms, 250ms, moved.now);
  EXPECT_EQ(moved.ack_of({{80, 81}, {40, 50}}), (Ranges{{40, 50}}));
  moved.now += 15ms;
  moved.first.may_move(160ms, 250ms, moved.now);
  moved.first.moved(true);
  EXPECT_EQ(moved.ack_of({{80, 80}, {40, 60}}), (Ranges{{40, 60}}));
  moved.first.sealing(90, true);
  moved.now += 15ms;
  EXPECT_EQ(moved.ack_of({{90, 91}, {80, 81}, {40, 70}}), (Ranges{{40, 70}}));
  moved.now += 15ms;
  EXPECT_EQ(moved.ack_of({{90, 92}, {40, 83}}), (Ranges{{40, 83}}));
}

TEST(OldPathFirst, UnlessTheOldOneIsDead) {
  Moved moved;
  EXPECT_EQ(moved.ack_of({{100, 101}, {60, 70}}), (Ranges{{60, 70}}));
  moved.now += 15ms;
  EXPECT_EQ(moved.ack_of({{100, 103}, {60, 70}}), (Ranges{{60, 70}}));
  EXPECT_TRUE(moved.first.waits(moved.now));
  moved.now += 26ms;
  EXPECT_FALSE(moved.first.waits(moved.now));
  EXPECT_EQ(moved.ack_of({{100, 104}, {60, 70}}), (Ranges{{100, 104}, {60, 70}}));
  EXPECT_FALSE(moved.first.active());
}

// The peer forgets what its acknowledgements said once they are acknowledged.
TEST(OldPathFirst, SettlesForHalfOfTheOldRoundTripWhereTheOldPathHasDelivered) {
  Moved dead;
  dead.now += 41ms;
  dead.ack_of({{100, 104}, {60, 70}});
  EXPECT_FALSE(dead.first.active());
  EXPECT_FALSE(dead.first.settling(dead.now)) << "what it knows of round trips is the new path's";

  Moved moved;
  EXPECT_FALSE(moved.first.settling(moved.now));
  moved.now += 10ms;
  moved.ack_of({{100, 109}, {60, 98}});
  EXPECT_FALSE(moved.first.active());
  EXPECT_TRUE(moved.first.settling(moved.now));
  EXPECT_TRUE(moved.first.settling(moved.now + 79ms));
  EXPECT_FALSE(moved.first.settling(moved.now + 81ms));
}

TEST(OldPathFirst, WhatWasTakenOutComesBack) {
  Moved moved;
  EXPECT_EQ(moved.ack_of({{100, 103}, {60, 75}}), (Ranges{{60, 75}}));
  EXPECT_EQ(moved.ack_of({{106, 107}}), Ranges());
  EXPECT_EQ(moved.ack_of({{106, 109}, {60, 97}}), (Ranges{{106, 109}, {100, 103}}))
      << "what the old path's lost ranges made room for";
  EXPECT_FALSE(moved.first.active());
}

TEST(OldPathFirst, InSeveralFramesTheLowestFirst) {
  Moved moved;
  EXPECT_EQ(moved.ack_of({{109, 110}, {106, 107}, {103, 104}, {100, 101}, {60, 75}}),
            (Ranges{{60, 75}}));
  EXPECT_EQ(moved.ack_of({{60, 97}}), (Ranges{{100, 101}}));
  EXPECT_TRUE(moved.first.active());
  EXPECT_FALSE(moved.first.waits(moved.now)) << "new packets may go";
  EXPECT_EQ(moved.ack_of({{113, 113}, {60, 98}}), (Ranges{{106, 107}, {103, 104}}));
  EXPECT_EQ(moved.ack_of({{113, 114}, {97, 98}}), (Ranges{{113, 114}, {109, 110}}));
  EXPECT_FALSE(moved.first.active());
  EXPECT_EQ(moved.ack_of({{113, 115}}), (Ranges{{113, 115}}));
}

TEST(AckRanges, AreTheUnionOfWhatWasAdded) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    AckRanges ranges;
    std::set<std::uint64_t> numbers;
    for (int i = 0; i < 30; ++i) {
      const std::uint64_t low = random.below(150);
      const std::uint64_t high = low + random.below(4);
      ranges.add(low, high);
      for (std::uint64_t n = low; n <= high; ++n) numbers.insert(n);
      std::set<std::uint64_t> found;
      for (std::size_t k = 0; k < ranges.count; ++k) {
        const auto& range = ranges.all[k];
        ASSERT_LE(range.low, range.high);
        if (k > 0) {
          ASSERT_LT(range.high + 1, ranges.all[k - 1].low) << "they do not touch";
        }
        for (std::uint64_t n = range.low; n <= range.high; ++n) found.insert(n);
      }
      ASSERT_EQ(found, numbers);
    }
  }
}

TEST(AckRanges, KeepTheHighestOfTooMany) {
  AckRanges ranges;
  for (std::uint64_t i = 0; i < 2 * AckRanges::kMax; ++i) ranges.add(10 * i, 10 * i + 1);
  ASSERT_EQ(ranges.count, AckRanges::kMax);
  EXPECT_EQ(ranges.all[0].high, 10 * (2 * AckRanges::kMax - 1) + 1);
  EXPECT_EQ(ranges.all[AckRanges::kMax - 1].low, 10 * AckRanges::kMax);
  ranges.add(5, 6);
  EXPECT_EQ(ranges.count, AckRanges::kMax);
}

// Whatever an authenticated peer may send: what is left is frames, as long as before.
TEST(OldPathFirst, TakesAnyBytes) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    Moved moved;
    for (int i = 0; i < 60 && moved.first.active(); ++i) {
      Ranges ranges;
      for (std::uint64_t high = 90 + random.below(40); high > 10 && ranges.size() < 70;) {
        const std::uint64_t low = high - random.below(6);
        ranges.emplace_back(low, high);
        high = low > 12 ? low - 2 - random.below(4) : 0;
      }
      Payload payload = ack(ranges, random.below(2) * (1 + random.below(100)));
      const bool whole = random.below(4) != 0;
      if (!whole) {
        payload[random.below(payload.size())] = static_cast<std::uint8_t>(random.next());
        payload.resize(1 + random.below(payload.size()));
      }
      payload.push_back(kPing);
      const std::size_t size = payload.size();
      moved.now += std::chrono::milliseconds(random.below(9));
      moved.first.at(moved.now);
      moved.first.opened(payload);
      ASSERT_EQ(payload.size(), size);
      if (!whole) continue;
      ByteView rest = payload;
      while (rest.size() > 1) ASSERT_TRUE(skip_frame(rest)) << seed;
      ASSERT_EQ(payload.back(), kPing);
      AckRanges left;
      ASSERT_TRUE(payload[0] == kPadding || read_ack(payload, left)) << seed;
    }
  }
}

TEST(OldPathFirst, AndNotForEver) {
  Moved moved;
  for (std::uint64_t number = 10; moved.first.active(); ++number) {
    ASSERT_LT(number, 90u);
    moved.ack_of({{100, 101}, {5, number}});
    moved.now += 10ms;
  }
  EXPECT_LE(moved.now - Timestamp(5s), 270ms);
}

}  // namespace
}  // namespace tern::quic
