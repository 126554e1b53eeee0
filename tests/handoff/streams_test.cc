#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/handoff/body.h"
#include "tools/handoff/run.h"
#include "tools/handoff/tcp_follower.h"
#include "tools/handoff/tcp_wire.h"

/// How long streams wait for each other.

namespace tern::handoff {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST(HeldUp, IsCountedOnceWhereTimesOverlap) {
  Transfer transfer(1, Transfer::Kind::download, 1000);
  transfer.held_up(100ms, 150ms);
  transfer.held_up(120ms, 150ms);
  transfer.held_up(140ms, 180ms);  // goes on
  EXPECT_EQ(transfer.held(), 80ms);
  transfer.held_up(300ms, 310ms);
  EXPECT_EQ(transfer.held(), 90ms);
  EXPECT_EQ(transfer.longest_held(), 80ms);
}

TEST(LiveTransfer, HasAMessageEachPeriod) {
  Transfer transfer(1, Transfer::Kind::download, 2500);
  transfer.live(1000, 100ms, 1s);
  EXPECT_EQ(transfer.made(1s), 1000u);
  EXPECT_EQ(transfer.more_at(1s), 1100ms);
  EXPECT_EQ(transfer.made(1099ms), 1000u);
  EXPECT_EQ(transfer.made(1100ms), 2000u);
  EXPECT_EQ(transfer.more_at(1150ms), 1200ms);
  EXPECT_EQ(transfer.made(1200ms), 2500u);
  EXPECT_EQ(transfer.more_at(1200ms), Duration::max());
  for (const Duration when : {Duration(1020ms), Duration(1150ms), Duration(1220ms)}) {
    const auto size = std::min<std::size_t>(1000, 2500 - transfer.delivered());
    ASSERT_TRUE(transfer.deliver(when, body_bytes(1, transfer.delivered(), size)));
  }
  EXPECT_EQ(transfer.longest_stall(), 30ms) << "100 ms of it nothing was due";
}

/// Segments of the TCP model's server to one phone, each in an instant of its own.
class Segments {
 public:
  Segments() {
    for (int i = 0; i < 2; ++i) stage.add_transfer(Transfer::Kind::download, 10'000);
    sim::TcpHeader syn;
    syn.flags = sim::TcpHeader::kSyn | sim::TcpHeader::kAck;
    syn.sequence = kFirst - 1;
    see(syn, {});
  }
  /// A data frame as the server writes it.
  void write(std::uint32_t transfer, std::size_t size) {
    WireFrame frame;
    frame.type = WireType::data;
    frame.stream = frame.transfer = transfer;
    for (const Bytes& part : {wire_header(frame, size), body_bytes(transfer, 0, size)}) {
      sent_.insert(sent_.end(), part.begin(), part.end());
    }
  }
  /// That part of it arrives.
  void arrive(std::size_t begin, std::size_t end) {
    sim::TcpHeader header;
    header.flags = sim::TcpHeader::kAck;
    header.sequence = kFirst + static_cast<std::uint32_t>(begin);
    see(header, ByteView(sent_).subspan(begin, end - begin));
  }
  void wait(Duration time) { stage.world().run_for(time); }
  Duration held(std::uint64_t transfer) { return stage.transfer(transfer)->held(); }

  Stage stage{1, CarrierKind::tcp_reconnect};

 private:
  static constexpr std::uint32_t kFirst = 0xFFFFFF00;  // it wraps
  void see(const sim::TcpHeader& header, ByteView payload) {
    sim::TraceEvent event;
    event.source = *udp::Address::parse_ip("192.0.2.1", 443);
    event.destination = *udp::Address::parse_ip("192.0.2.2", 5000);
    event.payload = payload;
    event.tcp = &header;
    follower_.observe(event);
  }
  std::vector<std::uint8_t> sent_;
  TcpFollower follower_{stage};
};

constexpr std::size_t kFrame = 1000 + kWireHeader;

TEST(TcpFollower, AStreamIsHeldUpByAnothersLoss) {
  Segments segments;
  segments.write(1, 1000);
  segments.write(2, 1000);
  segments.arrive(kFrame, 2 * kFrame);  // the second one's, whole
  segments.wait(40ms);
  EXPECT_EQ(segments.held(2), 0ms) << "nobody could read it yet";
  segments.arrive(0, kFrame);
  EXPECT_EQ(segments.held(2), 40ms);
  EXPECT_EQ(segments.held(1), 0ms) << "it waited for itself";
  segments.wait(10ms);
  segments.arrive(0, 2 * kFrame);  // once more
  EXPECT_EQ(segments.held(2), 40ms);
}

TEST(TcpFollower, NotByItsOwn) {
  Segments segments;
  segments.write(1, 1000);
  segments.write(2, 1000);
  segments.arrive(0, kFrame);
  segments.wait(5ms);
  // Its beginning is missing, in its header or behind it.
  segments.arrive(kFrame + 20, 2 * kFrame);
  segments.wait(40ms);
  segments.arrive(kFrame, kFrame + 20);
  EXPECT_EQ(segments.held(1), 0ms);
  EXPECT_EQ(segments.held(2), 0ms);
}

TEST(TcpFollower, NorLongerThanItsOwnLastByteHasBeenThere) {
  Segments segments;
  segments.write(1, 1000);
  segments.write(2, 1000);
  segments.arrive(kFrame + 500, 2 * kFrame);
  segments.wait(30ms);
  segments.arrive(kFrame, kFrame + 500);
  segments.wait(10ms);
  segments.arrive(0, kFrame);
  EXPECT_EQ(segments.held(2), 10ms);
}

class Isolation : public testing::TestWithParam<std::string_view> {};

/// The promise, and what it is compared with. The checks of the run say the same of QUIC.
TEST_P(Isolation, HoldsOnQuicAlone) {
  const Scenario& scenario = *find_scenario(GetParam());
  const auto streams = [&](CarrierKind carrier) {
    const Outcome outcome = run(scenario, carrier, 5);
    EXPECT_THAT(outcome.violations, IsEmpty()) << replay_line(scenario, outcome);
    return outcome.streams;
  };
  const auto held_up = [](const std::vector<StreamFigures>& all) {
    return std::count_if(all.begin(), all.end(),
                         [](const StreamFigures& one) { return one.held > Duration::zero(); });
  };
  const std::vector<StreamFigures> quic = streams(CarrierKind::quic);
  EXPECT_THAT(quic, SizeIs(100));
  EXPECT_EQ(held_up(quic), 0);
  for (const CarrierKind carrier : {CarrierKind::tcp_reconnect, CarrierKind::http2}) {
    const std::vector<StreamFigures> tcp = streams(carrier);
    EXPECT_THAT(tcp, SizeIs(100));
    EXPECT_GT(held_up(tcp), 10) << type_of(carrier).name;
  }
  EXPECT_THAT(streams(CarrierKind::webtransport), IsEmpty()) << "not followed";
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Isolation, testing::Values("loss-isolation", "live-streams"),
                         [](const auto& scenario) {
                           std::string name(scenario.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(StreamReport, IsOverTheStreamsOfAllSeeds) {
  std::vector<Outcome> outcomes(2);
  EXPECT_FALSE(stream_report(outcomes));
  for (std::size_t i = 0; i < 2; ++i) {
    outcomes[i].seed = i + 1;
    outcomes[i].streams.assign(50, StreamFigures{10ms, 0ms, 0ms});
  }
  outcomes[1].streams[7] = {300ms, 200ms, 150ms};
  const auto report = stream_report(outcomes);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->streams, 100u);
  EXPECT_EQ(report->held_up, 1u);
  EXPECT_DOUBLE_EQ(report->stall.p99, 0.01);
  EXPECT_DOUBLE_EQ(report->stall.worst, 0.3);
  EXPECT_DOUBLE_EQ(report->held.worst, 0.2);
  EXPECT_DOUBLE_EQ(report->longest_held.worst, 0.15);
  EXPECT_EQ(report->held.worst_seed, 2u);
}

}  // namespace
}  // namespace tern::handoff
