#include <cerrno>

#include <gtest/gtest.h>

#include "tests/unit/relay/tcp_stage.h"

namespace tern::relay {
namespace {

using sim::TcpEnd;

TEST(TcpRelay, AConnectionHasTheLinksRoundTrips) {
  TcpStage stage(both(lossy(10ms, 0)));
  stage.connect();
  stage.client.send(5, false);
  ASSERT_TRUE(
      stage.until([&] { return !stage.server->ends.empty() && stage.accepted().received == 5; }));
  // SYN, SYN-ACK, data.
  EXPECT_GE(stage.world.elapsed(), 30ms);
  EXPECT_LE(stage.world.elapsed(), 32ms);
  EXPECT_EQ(stage.relay->stats().connections_seen, 1u);
  EXPECT_EQ(stage.relay->stats().connections_open, 1u);
}

TEST(TcpRelay, BytesGetThroughALossyLinkBothWays) {
  TcpStage stage(both(lossy(5ms, 0.02)));
  stage.server->on_accept = [](TcpEnd& end) { end.send(1'000'000); };
  stage.connect();
  stage.client.send(500'000);
  ASSERT_TRUE(stage.until(
      [&] { return stage.client.ended && !stage.server->ends.empty() && stage.accepted().ended; }));
  EXPECT_EQ(stage.client.received, 1'000'000u);
  EXPECT_EQ(stage.accepted().received, 500'000u);
  EXPECT_FALSE(stage.client.damaged || stage.accepted().damaged);
  EXPECT_TRUE(stage.until([&] { return stage.relay->stats().connections_open == 0; }));
  const RelayStats stats = stage.relay->stats();
  EXPECT_GT(stats.segments_retransmitted, 10u);
  EXPECT_GT(stats.to_client.dropped_for(sim::Verdict::loss), 5u);
}

TEST(TcpRelay, OneDirectionMayEndFirst) {
  TcpStage stage(both(lossy(5ms, 0)));
  stage.connect();
  stage.client.send(100);
  ASSERT_TRUE(stage.until([&] { return !stage.server->ends.empty() && stage.accepted().ended; }));
  EXPECT_FALSE(stage.client.over());
  stage.accepted().send(200'000);
  ASSERT_TRUE(stage.until([&] { return stage.client.ended; }));
  EXPECT_EQ(stage.client.received, 200'000u);
}

TEST(TcpRelay, WhoDoesNotReadHoldsTheOtherUp) {
  constexpr std::uint64_t kMuch = 8'000'000;
  TcpStage stage(both(lossy(1ms, 0)));
  stage.server->on_accept = [&](TcpEnd& end) {
    end.on_receive = [&end] {
      end.on_receive = nullptr;
      end.stream->pause();
    };
  };
  stage.connect();
  stage.client.send(kMuch);
  stage.world.run_for(5s);
  // Four TCP buffers, and what the pipes hold.
  EXPECT_LT(stage.client.written, kMuch - 1'000'000);
  const std::uint64_t stuck = stage.client.written;
  stage.world.run_for(1s);
  EXPECT_EQ(stage.client.written, stuck);
  stage.accepted().stream->resume();
  ASSERT_TRUE(stage.until([&] { return stage.accepted().ended; }));
  EXPECT_EQ(stage.accepted().received, kMuch);
  EXPECT_FALSE(stage.accepted().damaged);
}

TEST(TcpRelay, AnOutageIsSurvived) {
  RelayOptions options = both(lossy(10ms, 0));
  Action cut;
  cut.kind = Action::Kind::cut;
  Action restore;
  restore.kind = Action::Kind::restore;
  options.timeline(Timeline().at(50ms, cut).at(1s, restore));
  TcpStage stage(options);
  stage.server->on_accept = [](TcpEnd& end) { end.send(3'000'000); };
  stage.connect();
  ASSERT_TRUE(stage.until([&] { return stage.client.over(); }));
  EXPECT_TRUE(stage.client.ended);
  EXPECT_EQ(stage.client.received, 3'000'000u);
  EXPECT_GT(stage.client.ended_at, 1s);
}

TEST(TcpRelay, ARebindingBreaksWhatIsUnderWay) {
  TcpStage stage(both(lossy(10ms, 0)));
  stage.connect();
  stage.client.send(100, false);
  ASSERT_TRUE(stage.until([&] { return !stage.server->ends.empty(); }));
  Action rebind;
  rebind.kind = Action::Kind::rebind;
  stage.relay->perform(rebind);
  stage.world.run_for(1s);
  stage.client.send(100, false);
  ASSERT_TRUE(stage.until([&] { return stage.client.over(); }));
  EXPECT_EQ(stage.client.failure(), ECONNRESET);
}

TEST(TcpRelay, AServerThatIsNotThereIsAReset) {
  TcpStage stage(both(lossy(1ms, 0)), false);
  stage.connect();
  ASSERT_TRUE(stage.until([&] { return stage.client.over(); }));
  EXPECT_EQ(stage.client.failure(), ECONNRESET);
  EXPECT_EQ(stage.relay->stats().connections_refused, 1u);
  EXPECT_EQ(stage.relay->stats().connections_open, 0u);
}

TEST(TcpRelay, ResetsArePassedOn) {
  for (const bool by_client : {true, false}) {
    TcpStage stage(both(lossy(1ms, 0)));
    stage.connect();
    stage.client.send(100, false);
    ASSERT_TRUE(stage.until(
        [&] { return !stage.server->ends.empty() && stage.accepted().received == 100; }));
    TcpEnd& breaks = by_client ? stage.client : stage.accepted();
    TcpEnd& hears = by_client ? stage.accepted() : stage.client;
    breaks.stream->reset();
    ASSERT_TRUE(stage.until([&] { return hears.over(); }));
    EXPECT_EQ(hears.failure(), ECONNRESET);
    EXPECT_TRUE(stage.until([&] { return stage.relay->stats().connections_open == 0; }));
  }
}

TEST(TcpRelay, UdpAndTcpCanBeHadAlone) {
  for (const bool udp : {true, false}) {
    TcpStage stage(RelayOptions().udp(udp).tcp(!udp));
    stage.connect();
    stage.world.run_for(5s);
    EXPECT_EQ(stage.client.is_connected, !udp);
    EXPECT_EQ(stage.relay->addresses().at(0), stage.middle.v4(9000));
  }
}

}  // namespace
}  // namespace tern::relay
