#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/handoff/batch.h"
#include "tools/handoff/body.h"
#include "tools/handoff/figures.h"
#include "tools/handoff/qlog_follower.h"
#include "tools/handoff/run.h"

/// The checks find what they are for.

namespace tern::handoff {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Transfer, TakesItsBytesInOrderAndOnce) {
  Transfer transfer(3, Transfer::Kind::download, 100'000);
  EXPECT_TRUE(transfer.deliver(1s, body_bytes(3, 0, 70'000)));
  EXPECT_FALSE(transfer.deliver(2s, body_bytes(3, 69'999, 100))) << "a byte twice";
  EXPECT_FALSE(transfer.deliver(2s, body_bytes(3, 70'001, 100))) << "a byte lost";
  EXPECT_FALSE(transfer.deliver(2s, body_bytes(4, 70'000, 100))) << "another transfer's";
  EXPECT_FALSE(transfer.deliver(2s, body_bytes(3, 70'000, 30'001))) << "too many";
  EXPECT_EQ(transfer.delivered(), 70'000u);
  EXPECT_TRUE(transfer.deliver(2s, body_bytes(3, 70'000, 30'000)));
  EXPECT_TRUE(transfer.complete());
}

TEST(Transfer, CountsGapsBetweenPieces) {
  Transfer transfer(1, Transfer::Kind::download, 4);
  transfer.begun = 1s;
  for (const Duration when : {Duration(3s), Duration(3050ms), Duration(3450ms), Duration(3600ms)}) {
    ASSERT_TRUE(transfer.deliver(when, body_bytes(1, transfer.delivered(), 1)));
  }
  EXPECT_EQ(transfer.longest_stall(), 400ms) << "the wait for the first piece is none";
  EXPECT_EQ(transfer.longest_stall_at(), 3050ms);
  EXPECT_EQ(transfer.stalled(), 550ms) << "50 ms nobody notices";
}

TEST(Spread, IsByRankAndNamesTheFirstWorstSeed) {
  std::vector<Sample> samples;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    samples.push_back({static_cast<double>(std::min<std::uint64_t>(seed, 199)), seed});
  }
  const Spread less = spread(samples, false);
  EXPECT_EQ(less.p50, 100);
  EXPECT_EQ(less.p90, 180);
  EXPECT_EQ(less.p99, 198);
  EXPECT_EQ(less.worst, 199);
  EXPECT_EQ(less.worst_seed, 199u);
  const Spread more = spread(samples, true);
  EXPECT_EQ(more.worst, 1);
  EXPECT_EQ(more.worst_seed, 1u);
}

/// A client's qlog of one download, as ngtcp2 writes it, with deliveries in between.
struct Download {
  Download() : transfer(stage.add_transfer(Transfer::Kind::download, 100'000)) {
    transfer.attempts = 1;
    follower.write(
        R"({"time":1.0,"name":"http3:frame_created","data":{"stream_id":4,"frame":)"
        R"({"frame_type":"headers","headers":[{"name":":path","value":"/down/1/1/0"}]}}})");
  }
  void packet(int offset, int length) {
    follower.write(R"({"time":2,"name":"transport:packet_received","data":{"frames":[)"
                   R"({"frame_type":"stream","stream_id":4,"offset":)" +
                   std::to_string(offset) + R"(,"length":)" + std::to_string(length) + "}]}}");
  }
  void deliver(std::size_t bytes) {
    ASSERT_TRUE(stage.deliver(transfer, body_bytes(1, transfer.delivered(), bytes)));
  }
  void wait() { stage.world().run_for(1ms); }

  Stage stage{1, CarrierKind::quic};
  Transfer& transfer;
  QlogFollower follower{stage, false, nullptr};
};

TEST(LateStreams, InTimeIsFine) {
  Download download;
  download.packet(0, 1200);
  download.deliver(1100);
  download.wait();
  download.packet(1200, 1200);
  download.deliver(1195);
  download.wait();
  download.packet(3600, 1200);  // the one before it is missing: nothing to deliver
  download.wait();
  download.packet(2400, 1200);
  download.deliver(2400);
  download.wait();
  download.packet(4800, 10);
  EXPECT_THAT(download.stage.violations(), IsEmpty());
}

TEST(LateStreams, AStreamThatWaitsForNoPacketOfItsOwnIsFound) {
  Download download;
  download.packet(0, 1200);
  download.deliver(1100);
  download.wait();
  download.packet(1200, 1200);  // whole, but the application does not get it in this instant
  download.wait();
  download.packet(2400, 1200);
  ASSERT_THAT(download.stage.violations(), SizeIs(1));
  EXPECT_THAT(download.stage.violations().front(), HasSubstr("download 1: at 0.001"));
}

TEST(LateStreams, RetransmissionsAreCountedOverAttempts) {
  Stage stage(1, CarrierKind::quic);
  stage.add_transfer(Transfer::Kind::download, 100'000);
  const auto request = [](QlogFollower& follower, int offset) {
    follower.write(R"({"time":1.0,"name":"http3:frame_parsed","data":{"stream_id":0,"frame":)"
                   R"({"frame_type":"headers","headers":[{"name":":path","value":"/down/1/1/)" +
                   std::to_string(offset) + R"("}]}}})");
  };
  const auto send = [](QlogFollower& follower, int offset, int length) {
    follower.write(R"({"time":2,"name":"transport:packet_sent","data":{"frames":[)"
                   R"({"frame_type":"stream","stream_id":0,"offset":)" +
                   std::to_string(offset) + R"(,"length":)" + std::to_string(length) + "}]}}");
  };
  QlogFollower first(stage, true, nullptr);
  request(first, 0);
  send(first, 0, 1000);
  send(first, 1000, 1000);
  EXPECT_EQ(stage.retransmitted(), 0u);
  send(first, 500, 1000);
  EXPECT_EQ(stage.retransmitted(), 1000u);
  QlogFollower second(stage, true, nullptr);
  request(second, 1500);
  send(second, 0, 1000);
  EXPECT_EQ(stage.retransmitted(), 1500u) << "500 bytes were on their way on the first";
}

TEST(Service, ARequestThatArrivesTwiceIsFound) {
  Stage stage(1, CarrierKind::quic);
  stage.service().arrived("download", 1, 1);
  stage.service().arrived("download", 1, 2);
  EXPECT_THAT(stage.violations(), IsEmpty());
  stage.service().arrived("download", 1, 2);
  EXPECT_THAT(stage.violations(), SizeIs(1));
}

void nothing_gets_through(Stage& stage) {
  Phone& phone = stage.phone();
  Access& wifi = phone.wifi();
  phone.download(1'000'000);
  stage.at(200ms, "cut for good", [&] { wifi.cut(); });
}

TEST(Run, PromisesAreChecked) {
  Scenario scenario = *find_scenario("nat-rebinding-upload");
  scenario.handshakes = 2;
  EXPECT_THAT(run(scenario, CarrierKind::quic, 1).violations,
              Contains(HasSubstr("1 handshakes instead of 2")));
  scenario.play = nothing_gets_through;
  scenario.handshakes = 0;
  EXPECT_THAT(run(scenario, CarrierKind::quic, 1).violations,
              Contains(HasSubstr("of 1000000 bytes after")));
}

TEST(Run, ThreadsChangeNothing) {
  const Scenario& scenario = *find_scenario("sudden-cut");
  std::vector<Job> jobs;
  for (std::uint64_t seed = 1; seed <= 6; ++seed)
    jobs.push_back({&scenario, CarrierKind::quic, seed});
  const std::vector<Outcome> outcomes = run_all(jobs, {}, [](std::size_t) { return true; });
  ASSERT_EQ(outcomes.size(), jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(outcomes[i].seed, jobs[i].seed);
    EXPECT_EQ(outcomes[i].trace_hash, run(scenario, CarrierKind::quic, jobs[i].seed).trace_hash);
  }
}

TEST(Run, TcpSendersTellWhatTheyKnowToTheEnd) {
  const Scenario& scenario = *find_scenario("sudden-cut");
  RunOptions options;
  options.timeline = true;
  for (const CarrierKind kind : {CarrierKind::tcp_reconnect, CarrierKind::http2}) {
    SCOPED_TRACE(type_of(kind).name);
    const Outcome outcome = run(scenario, kind, 7, options);
    EXPECT_EQ(outcome.trace_hash, run(scenario, kind, 7).trace_hash);
    ASSERT_TRUE(outcome.timeline);
    for (const auto& samples : {outcome.timeline->rtt, outcome.timeline->window}) {
      ASSERT_FALSE(samples.empty());
      EXPECT_GT(samples.back().when, outcome.figures.last_byte - 200ms);
    }
  }
}

TEST(Run, ATimelineIsDrawnUpAndChangesNothing) {
  const Scenario& scenario = *find_scenario("sudden-cut");
  RunOptions options;
  options.timeline = true;
  const Outcome outcome = run(scenario, CarrierKind::quic, 7, options);
  EXPECT_EQ(outcome.trace_hash, run(scenario, CarrierKind::quic, 7).trace_hash);
  ASSERT_TRUE(outcome.timeline);
  std::uint64_t bytes = 0;
  for (const std::uint64_t step : outcome.timeline->delivered) bytes += step;
  EXPECT_EQ(bytes, outcome.figures.bytes_delivered);
  ASSERT_THAT(outcome.timeline->paths, SizeIs(2));
  EXPECT_EQ(outcome.timeline->paths[0].name, "wifi");
  EXPECT_EQ(outcome.timeline->stall_end - outcome.timeline->stall_begin, outcome.figures.stall);
}

}  // namespace
}  // namespace tern::handoff
