#include "transport/sim/rate_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

using testing::HasSubstr;

std::shared_ptr<const RateTrace> shared(std::vector<std::uint32_t> times) {
  return std::make_shared<const RateTrace>(std::move(times));
}

TEST(RateTrace, ReadsWhatItWrites) {
  const auto trace = RateTrace::parse("0\n5\r\n5\n20\n", "cell");
  ASSERT_TRUE(trace) << trace.error().detail;
  EXPECT_EQ(trace->text(), "0\n5\n5\n20\n");
  EXPECT_EQ(trace->opportunities(), 4u);
  EXPECT_EQ(trace->period(), 20ms);
  EXPECT_DOUBLE_EQ(trace->mean_bits_per_second(), 4 * 1500 * 8 / 0.020);
}

TEST(RateTrace, ErrorsNameTheLine) {
  const auto detail = [](std::string_view text) {
    const auto trace = RateTrace::parse(text, "cell.trace");
    return trace ? std::string() : trace.error().detail;
  };
  EXPECT_THAT(detail("1\n2\nthree\n"), HasSubstr("cell.trace:3: a time in whole milliseconds"));
  EXPECT_THAT(detail("1\n\n2\n"), HasSubstr("cell.trace:2: "));
  EXPECT_THAT(detail("1 \n"), HasSubstr("cell.trace:1: "));
  EXPECT_THAT(detail("-1\n"), HasSubstr("cell.trace:1: "));
  EXPECT_THAT(detail("5\n4\n"), HasSubstr("cell.trace:2: this time is before"));
  EXPECT_THAT(detail("99999999999\n"), HasSubstr("cell.trace:1: "));
  EXPECT_THAT(detail("86400001\n"), HasSubstr("cell.trace:1: a trace may be a day long"));
  EXPECT_THAT(detail("0\n0\n"), HasSubstr("has no length"));
  EXPECT_THAT(detail(""), HasSubstr("has no length"));
}

TEST(RateTrace, GoesRound) {
  const auto trace = shared({0, 5, 5, 20});
  EXPECT_EQ(trace->at(3), 20ms);
  EXPECT_EQ(trace->at(4), 20ms);
  EXPECT_EQ(trace->at(6), 25ms);
  EXPECT_EQ(trace->first_from(Duration::zero()), 0u);
  EXPECT_EQ(trace->first_from(1ms), 1u);
  EXPECT_EQ(trace->first_from(5ms), 1u);
  EXPECT_EQ(trace->first_from(5ms + 1ns), 3u);
  EXPECT_EQ(trace->first_from(20ms), 3u) << "the end of a round is the beginning of the next";
  EXPECT_EQ(trace->first_from(21ms), 5u);
  // The same by search.
  for (auto since = 0us; since < 100ms; since += 250us) {
    std::uint64_t index = 0;
    while (trace->at(index) < since) ++index;
    EXPECT_EQ(trace->first_from(since), index) << since.count();
  }
}

TEST(RateTrace, PacketsLeaveAtTheOpportunities) {
  // 1472 + 28 bytes: one opportunity each.
  Pair pair(LinkOptions().rate_trace(shared({10, 20, 20, 50})));
  pair.world.host("client").slabs(8);
  for (int i = 0; i < 5; ++i) pair.send(1472);
  pair.world.run_for(1s);
  std::vector<Duration> times;
  for (const auto& datagram : pair.server.received) times.push_back(datagram.at);
  EXPECT_THAT(times, testing::ElementsAre(10ms, 20ms, 20ms, 50ms, 60ms));
}

TEST(RateTrace, SmallPacketsShareAnOpportunityAndLargeOnesTakeTwo) {
  Pair pair(LinkOptions().rate_trace(shared({10, 20, 30})).mtu(9000).interface_mtu(9000));
  pair.world.host("client").slabs(8);
  for (int i = 0; i < 3; ++i) pair.send(472);  // 500 bytes of IP each
  pair.send(1972);                             // 2000
  pair.send(972);                              // 1000: what is left of the third
  pair.world.run_for(1s);
  std::vector<Duration> times;
  for (const auto& datagram : pair.server.received) times.push_back(datagram.at);
  EXPECT_THAT(times, testing::ElementsAre(10ms, 10ms, 10ms, 30ms, 30ms));
}

TEST(RateTrace, WhatNobodyUsesIsLost) {
  Pair pair(LinkOptions().rate_trace(shared({10, 20, 30, 40})));
  pair.world.at(25ms, [&] {
    pair.send(1472);
    pair.send(1472);
  });
  pair.world.run_for(1s);
  ASSERT_EQ(pair.server.received.size(), 2u);
  EXPECT_EQ(pair.server.received[0].at, 30ms);
  EXPECT_EQ(pair.server.received[1].at, 40ms);
}

TEST(RateTrace, MayBeChangedForAConstantRate) {
  Pair pair(LinkOptions().rate_trace(shared({1000})));
  pair.world.at(1s, [&] { pair.link.rate_trace(nullptr).mbps(12); });
  pair.world.at(2s, [&] { pair.send(1472); });
  pair.world.run_for(5s);
  ASSERT_EQ(pair.server.received.size(), 1u);
  EXPECT_EQ(pair.server.received[0].at, 2s + 1ms);
}

TEST(CellularTrace, HasTheMeanAskedForAndItsOwnFaceForEachSeed) {
  double sum = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    sum +=
        CellularTrace().length(60s).mean_mbps(10).spread(0.5).make(random).mean_bits_per_second();
  }
  EXPECT_NEAR(sum / 20, 10e6, 1e6);
  Random one(1), again(1), other(2);
  const std::string text = CellularTrace().make(one).text();
  EXPECT_EQ(CellularTrace().make(again).text(), text);
  EXPECT_NE(CellularTrace().make(other).text(), text);
  EXPECT_TRUE(RateTrace::parse(text, "made"));
}

TEST(CellularTrace, OutagesAreThere) {
  Random random(3);
  const RateTrace trace =
      CellularTrace().length(60s).mean_mbps(10).spread(0.1).outages(5s, 400ms).make(random);
  int long_gaps = 0;
  for (std::uint64_t i = 1; i < trace.opportunities(); ++i) {
    if (trace.at(i) - trace.at(i - 1) > 150ms) ++long_gaps;
  }
  EXPECT_GE(long_gaps, 5);
  EXPECT_LE(long_gaps, 25);
}

}  // namespace
}  // namespace tern::sim
