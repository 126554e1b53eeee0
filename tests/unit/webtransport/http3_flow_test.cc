#include "webtransport/http3_flow.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "webtransport/capsule_type.h"
#include "webtransport/capsule_writer.h"

namespace tern::webtransport {
namespace {

using namespace std::chrono_literals;
using D = Direction;

constexpr Duration kRoundTrip = 50ms;
constexpr std::uint64_t kWindow = Http3Flow::kData;

std::string capsule_of(std::uint64_t type, std::uint64_t value) {
  return std::string(write_capsule(type, {value}).text());
}

Http3Flow::Limits limits(std::uint64_t data, std::uint64_t bidi, std::uint64_t uni) {
  Http3Flow::Limits limits;
  limits.data = data;
  limits.streams = {bidi, uni};
  return limits;
}

TEST(Http3Flow, SendsNoMoreThanThePeerAllows) {
  Http3Flow flow(limits(1000, 2, 0), 100);
  EXPECT_EQ(flow.credit(), 1000u);
  flow.spend(700);
  EXPECT_EQ(flow.credit(), 300u);
  flow.refund(100);  // of a stream that was reset with so much still queued
  EXPECT_EQ(flow.credit(), 400u);
  EXPECT_TRUE(flow.on_max_data(1500));
  EXPECT_EQ(flow.credit(), 900u);
  EXPECT_TRUE(flow.may_open(D::bidirectional));
  flow.opened(D::bidirectional);
  flow.opened(D::bidirectional);
  EXPECT_FALSE(flow.may_open(D::bidirectional));
  EXPECT_FALSE(flow.may_open(D::unidirectional));
  EXPECT_TRUE(flow.on_max_streams(D::bidirectional, 3));
  EXPECT_TRUE(flow.may_open(D::bidirectional));
}

TEST(Http3Flow, LimitsOnlyGrow) {
  Http3Flow flow(limits(1000, 5, 5), 100);
  EXPECT_FALSE(flow.on_max_data(999));
  EXPECT_FALSE(flow.on_max_data(1000));
  EXPECT_TRUE(flow.on_max_data(1001));
  EXPECT_FALSE(flow.on_max_data(1001));
  for (const D direction : {D::bidirectional, D::unidirectional}) {
    EXPECT_FALSE(flow.on_max_streams(direction, 4));
    EXPECT_FALSE(flow.on_max_streams(direction, 5));
    EXPECT_TRUE(flow.on_max_streams(direction, 6));
    EXPECT_FALSE(flow.on_max_streams(direction, (std::uint64_t{1} << 60) + 1));
    EXPECT_TRUE(flow.on_max_streams(direction, std::uint64_t{1} << 60));
  }
}

TEST(Http3Flow, SaysOnceWhatIsInItsWay) {
  Http3Flow flow(limits(1000, 5, 5), 100);
  flow.spend(1000);
  flow.blocked();
  flow.blocked();
  ASSERT_TRUE(flow.has_due());
  EXPECT_EQ(flow.take_due(Timestamp(1s), kRoundTrip), capsule_of(capsule_type::kDataBlocked, 1000));
  flow.blocked();
  EXPECT_FALSE(flow.has_due());
  EXPECT_TRUE(flow.on_max_data(2000));
  flow.spend(1000);
  flow.blocked();
  EXPECT_EQ(flow.take_due(Timestamp(2s), kRoundTrip), capsule_of(capsule_type::kDataBlocked, 2000));
}

TEST(Http3Flow, MoreThanWasAllowedIsSeen) {
  Http3Flow flow(limits(1, 1, 1), 100);
  EXPECT_TRUE(flow.received(kWindow));
  EXPECT_FALSE(flow.received(1));
  for (const D direction : {D::bidirectional, D::unidirectional}) {
    for (std::uint64_t i = 0; i < Http3Flow::kStreams; ++i) EXPECT_TRUE(flow.accepted(direction));
    EXPECT_FALSE(flow.accepted(direction));
  }
}

TEST(Http3Flow, CreditComesBackWhenHalfIsTaken) {
  Http3Flow flow(limits(1, 1, 1), 100);
  ASSERT_TRUE(flow.received(kWindow));
  flow.consumed(kWindow / 2 - 1);
  EXPECT_FALSE(flow.has_due());
  flow.consumed(1);
  ASSERT_TRUE(flow.has_due());
  EXPECT_EQ(flow.take_due(Timestamp(1s), kRoundTrip),
            capsule_of(capsule_type::kMaxData, kWindow / 2 + kWindow));
  EXPECT_TRUE(flow.received(kWindow / 2));
  EXPECT_FALSE(flow.received(1));
  // Slowly: the window stays as it is.
  flow.consumed(kWindow / 2);
  EXPECT_EQ(flow.take_due(Timestamp(2s), kRoundTrip),
            capsule_of(capsule_type::kMaxData, kWindow + kWindow));
}

TEST(Http3Flow, TheWindowGrowsWithAnApplicationThatKeepsUp) {
  Http3Flow flow(limits(1, 1, 1), 100);
  std::uint64_t total = 0;
  std::uint64_t window = kWindow;
  Timestamp now(1s);
  for (int round = 0; round < 12; ++round) {
    ASSERT_TRUE(flow.received(window));
    flow.consumed(window);
    total += window;
    ASSERT_TRUE(flow.has_due());
    const std::uint64_t next = round == 0 ? window : std::min(2 * window, Http3Flow::kMaxData);
    EXPECT_EQ(flow.take_due(now, kRoundTrip), capsule_of(capsule_type::kMaxData, total + next));
    window = next;
    now += kRoundTrip;
  }
  EXPECT_EQ(window, Http3Flow::kMaxData);
}

TEST(Http3Flow, StreamsAreAllowedAnewWhenHalfAreOver) {
  Http3Flow flow(limits(1, 1, 1), 100);
  for (int i = 0; i < 49; ++i) flow.ended(D::unidirectional);
  EXPECT_FALSE(flow.has_due());
  flow.ended(D::unidirectional);
  EXPECT_EQ(flow.take_due(Timestamp(1s), kRoundTrip),
            capsule_of(capsule_type::kMaxStreamsUnidirectional, 150));
  EXPECT_FALSE(flow.has_due());
}

TEST(Http3Flow, OptionsMayAllowMoreStreams) {
  Http3Flow flow(limits(1, 1, 1), 300);
  EXPECT_EQ(flow.take_due(Timestamp(1s), kRoundTrip),
            capsule_of(capsule_type::kMaxStreamsBidirectional, 300) +
                capsule_of(capsule_type::kMaxStreamsUnidirectional, 300));
  Http3Flow fewer(limits(1, 1, 1), 10);
  EXPECT_FALSE(fewer.has_due()) << "SETTINGS have promised more";
}

}  // namespace
}  // namespace tern::webtransport
