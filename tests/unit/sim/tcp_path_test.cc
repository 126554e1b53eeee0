// The simulator's TCP over bad links: loss, order, outages, NATs, and how fast it is.

#include <cerrno>
#include <cmath>
#include <sstream>

#include "tests/unit/sanitizers.h"
#include "tests/unit/sim/tcp_pair.h"
#include "transport/sim/capture.h"

namespace tern::sim {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Bits per second of a download of `bytes`.
double goodput(TcpPair& pair, std::uint64_t bytes, Duration limit = 600s) {
  pair.server.on_accept = [bytes](TcpEnd& end) { end.send(bytes); };
  EXPECT_TRUE(pair.connect());
  EXPECT_TRUE(pair.world.run_until([&] { return pair.client.over(); }, limit));
  EXPECT_TRUE(pair.client.ended);
  EXPECT_EQ(pair.client.received, bytes);
  EXPECT_FALSE(pair.client.damaged);
  return 8.0 * static_cast<double>(bytes) / seconds(pair.client.ended_at);
}

TEST(SimTcpPath, ACleanLinkIsFilled) {
  constexpr double kSeconds = test::kSanitized ? 4 : 10;
  for (const double mbps : {5.0, 50.0}) {
    TcpPair pair(LinkOptions().delay(20ms).mbps(mbps).queue_bytes(256 * 1024));
    const double rate = goodput(pair, static_cast<std::uint64_t>(mbps * 1e6 / 8 * kSeconds));
    // 1448 of 1500 bytes are payload; slow start takes a little.
    EXPECT_GT(rate, 0.88 * mbps * 1e6) << mbps;
    EXPECT_LT(rate, 0.966 * mbps * 1e6) << mbps;
  }
}

TEST(SimTcpPath, SlowStartDoublesEachRoundTrip) {
  // 10 + 20 + 40 + 80 segments: the handshake, then four flights.
  TcpPair pair(LinkOptions().delay(50ms));
  pair.server.on_accept = [](TcpEnd& end) { end.send(150 * 1448); };
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  EXPECT_GE(seconds(pair.client.ended_at), 0.1 + 3 * 0.1 + 0.04);
  EXPECT_LE(seconds(pair.client.ended_at), 0.1 + 4 * 0.1 + 0.1);
}

/// Mathis et al. 1997: MSS / RTT × sqrt(3/2) / sqrt(p), for Reno; timeouts make it less.
double mathis(double loss, double rtt) { return 8 * 1448 / rtt * std::sqrt(1.5 / loss); }

TEST(SimTcpPath, RenoAtTwoPercentLossIsAsFastAsTheFormulaSays) {
  double sum = 0;
  constexpr int kSeeds = test::kSanitized ? 2 : 8;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    TcpPair pair(LinkOptions().down(ChannelOptions().loss(0.02)).delay(50ms), seed);
    TcpModel model;
    model.algorithm = TcpAlgorithm::reno;
    pair.world.host("server").tcp(model);
    sum += goodput(pair, 4'000'000);
  }
  const double formula = mathis(0.02, 0.1);
  EXPECT_GT(sum / kSeeds, 0.6 * formula);
  EXPECT_LT(sum / kSeeds, 1.4 * formula);
}

TEST(SimTcpPath, CubicIsNotSlowerThanReno) {
  // RFC 9438 §4.3: where Reno would be faster, CUBIC grows as Reno does; on a longer path with less
  // loss it is much faster.
  constexpr std::uint64_t kSeeds = test::kSanitized ? 1 : 6;
  const auto average = [](TcpAlgorithm algorithm, double loss, Duration delay) {
    double sum = 0;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      TcpPair pair(LinkOptions().down(ChannelOptions().loss(loss)).delay(delay), seed);
      TcpModel model;
      model.algorithm = algorithm;
      pair.world.host("server").tcp(model);
      sum += goodput(pair, 8'000'000);
    }
    return sum;
  };
  EXPECT_GT(average(TcpAlgorithm::cubic, 0.02, 50ms),
            0.8 * average(TcpAlgorithm::reno, 0.02, 50ms));
  EXPECT_GT(average(TcpAlgorithm::cubic, 0.0005, 100ms),
            1.1 * average(TcpAlgorithm::reno, 0.0005, 100ms));
}

TEST(SimTcpPath, NoByteIsLostOrDoubledWhateverTheLinkDoes) {
  const std::uint64_t first = sim::seed() * 1000;
  for (std::uint64_t seed = first; seed < first + 60; ++seed) {
    Random random(seed);
    LinkOptions options;
    options.delay(Duration(random.below(60'000'000)))
        .mbps(1 + static_cast<double>(random.below(40)))
        .queue_bytes(20'000 + random.below(200'000))
        .loss(0.05 * random.unit())
        .reorder(0.1 * random.unit(), Duration(random.below(40'000'000)))
        .duplicate(0.05 * random.unit())
        .corrupt(0.02 * random.unit());
    TcpPair pair(options, seed);
    pair.server.on_accept = [&](TcpEnd& end) { end.send(150'000); };
    ASSERT_TRUE(pair.connect());
    pair.client.send(400'000);
    ASSERT_TRUE(pair.world.run_until(
        [&] { return pair.client.over() && !pair.server.ends.empty() && pair.accepted().over(); },
        600s))
        << seed;
    ASSERT_TRUE(pair.client.ended && pair.accepted().ended) << seed;
    ASSERT_EQ(pair.client.received, 150'000U) << seed;
    ASSERT_EQ(pair.accepted().received, 400'000U) << seed;
    ASSERT_FALSE(pair.client.damaged || pair.accepted().damaged) << seed;
    pair.client.stream.reset();
    pair.accepted().stream.reset();
    pair.server.listener.reset();
    ASSERT_TRUE(pair.world.run(200s)) << seed;
    ASSERT_TRUE(pair.world.leaks().empty()) << seed;
  }
}

TEST(SimTcpPath, OneSeedGivesOneTrace) {
  const auto run = [](std::uint64_t seed) {
    TcpPair pair(LinkOptions().delay(15ms).mbps(8).loss(0.03).reorder(0.02, 10ms), seed);
    goodput(pair, 500'000);
    return std::pair(pair.world.trace_hash(), pair.world.trace_events());
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(SimTcpPath, OneLossIsRepairedInARoundTrip) {
  TcpPair pair(LinkOptions().delay(50ms));
  pair.link.down().drop(4);  // SYN-ACK, then the third data segment of ten
  pair.server.on_accept = [](TcpEnd& end) { end.send(10 * 1448); };
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  // Handshake until the server may send, data, acknowledgments, retransmission: six ways.
  EXPECT_EQ(pair.client.ended_at, 300ms);
  const tcp::StreamInfo info = pair.accepted().stream->info();
  EXPECT_EQ(info.segments_retransmitted, 1U);
  EXPECT_EQ(info.bytes_retransmitted, 1448U);
}

TEST(SimTcpPath, ALostTailIsProbedForBeforeTheTimeout) {
  TcpPair pair(LinkOptions().delay(50ms));
  pair.link.down().drop(11);  // the last of ten
  pair.server.on_accept = [](TcpEnd& end) { end.send(10 * 1448); };
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  // Two round trips after the last acknowledgment the probe goes, with its worst delay at most.
  EXPECT_GT(pair.client.ended_at, 300ms);
  EXPECT_LT(pair.client.ended_at, 800ms);
  EXPECT_EQ(pair.accepted().stream->info().segments_retransmitted, 1U);
}

TEST(SimTcpPath, ReorderingIsNotTakenForLoss) {
  TcpPair pair(LinkOptions().delay(50ms).mbps(20).queue_bytes(1'000'000).reorder(0.01, 8ms));
  goodput(pair, 5'000'000);
  const tcp::StreamInfo info = pair.accepted().stream->info();
  EXPECT_LT(info.bytes_retransmitted, 5'000'000U / 50);
}

TEST(SimTcpPath, AnOutageEndsWithTheNextOfEverRarerTries) {
  TcpPair pair(LinkOptions().delay(20ms).mbps(20));
  pair.server.on_accept = [](TcpEnd& end) { end.send(5'000'000); };
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.received > 2'000'000; }));
  const Duration cut_at = pair.world.elapsed();
  pair.link.cut();
  std::vector<double> tries;
  std::uint64_t seen = pair.link.down().stats().packets_in;
  pair.world.check([&] {
    const std::uint64_t now = pair.link.down().stats().packets_in;
    if (now != seen && pair.world.elapsed() > cut_at + 100ms) {
      tries.push_back(seconds(pair.world.elapsed() - cut_at));
    }
    seen = now;
  });
  pair.world.run_for(2s);
  ASSERT_GE(tries.size(), 3U);
  ASSERT_LE(tries.size(), 6U);
  for (std::size_t i = 2; i < tries.size(); ++i) {
    EXPECT_NEAR((tries[i] - tries[i - 1]) / (tries[i - 1] - tries[i - 2]), 2.0, 0.1);
  }
  const std::uint64_t before = pair.client.received;
  pair.link.restore();
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.received > before; }));
  const double stall = seconds(pair.world.elapsed() - cut_at);
  EXPECT_GT(stall, 2.0);
  EXPECT_LT(stall, 4.2) << "twice the outage";
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  EXPECT_FALSE(pair.client.damaged);
}

TEST(SimTcpPath, ADelaySpikeIsRecognisedAsNone) {
  TcpPair pair(LinkOptions().delay(20ms).mbps(20).queue_bytes(2'000'000));
  pair.server.on_accept = [](TcpEnd& end) { end.send(10'000'000); };
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.received > 3'000'000; }));
  const std::uint64_t before = pair.accepted().stream->info().congestion_window;
  pair.link.down().delay(1s);  // everything arrives, late
  pair.world.run_for(900ms);
  EXPECT_LT(pair.accepted().stream->info().congestion_window, before / 4) << "timed out";
  pair.link.down().delay(20ms);
  pair.world.run_for(400ms);
  EXPECT_GT(pair.accepted().stream->info().congestion_window, before / 2) << "taken back";
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  EXPECT_FALSE(pair.client.damaged);
}

TEST(SimTcpPath, AnIdleConnectionStartsSlowlyAgain) {
  TcpPair pair(LinkOptions().delay(50ms).mbps(50).queue_bytes(1'000'000));
  pair.establish();
  pair.client.send(5'000'000, false);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().received == 5'000'000; }));
  const std::uint64_t busy = pair.client.stream->info().congestion_window;
  EXPECT_GT(busy, 200'000U);
  pair.world.run_for(30s);
  pair.client.send(1000, false);
  pair.world.run_for(1ms);
  EXPECT_LE(pair.client.stream->info().congestion_window, 10 * 1448U);
}

TEST(SimTcpPath, ADamagedSegmentIsDroppedByItsChecksum) {
  TcpPair pair(LinkOptions().delay(10ms).mbps(10).corrupt(0.05));
  goodput(pair, 500'000);
  pair.world.run_for(1s);  // the last ones are on their way
  const std::uint64_t found = pair.world.host("client").dropped_for(Verdict::checksum) +
                              pair.world.host("server").dropped_for(Verdict::checksum);
  EXPECT_EQ(found, pair.link.up().stats().corrupted + pair.link.down().stats().corrupted);
  EXPECT_GT(found, 5U);
}

TEST(SimTcpPath, ASmallerMtuShrinksTheSegments) {
  TcpPair pair(LinkOptions().delay(10ms).interface_mtu(1280).mtu(1280));
  goodput(pair, 200'000);
  EXPECT_EQ(pair.accepted().stream->info().mss, 1228U);
  EXPECT_EQ(pair.link.down().stats().dropped_for(Verdict::too_big), 0U);
}

struct NatScene {
  NatScene()
      : home(world.router("home")),
        inside(world.link(world.host("phone"), home, LinkOptions().delay(5ms))),
        outside(world.link(home, world.host("server"), LinkOptions().delay(15ms).mbps(20))),
        nat(world.nat(home, outside)),
        server(world.host("server"), TcpPair::listen_on_443()) {
    tcp::ConnectOptions options;
    options.remote = world.host("server").v4(443);
    client.own(std::move(*world.host("phone").network().tcp().connect(options, client)));
  }
  World world{1};
  Host& home;
  Link& inside;
  Link& outside;
  Nat& nat;
  TcpServer server;
  TcpEnd client{world};
};

TEST(SimTcpPath, ANatTranslates) {
  NatScene scene;
  scene.client.send(100'000);
  ASSERT_TRUE(scene.world.run_until(
      [&] { return !scene.server.ends.empty() && scene.server.ends[0].ended; }));
  EXPECT_TRUE(scene.server.ends[0].stream->remote().same_ip(scene.nat.outside_v4()));
  EXPECT_EQ(scene.nat.mappings(), 1U);
}

TEST(SimTcpPath, ANatThatRebindsKillsAnUpload) {
  NatScene scene;
  scene.client.send(10'000'000);
  ASSERT_TRUE(scene.world.run_until(
      [&] { return !scene.server.ends.empty() && scene.server.ends[0].received > 1'000'000; }));
  scene.nat.rebind();
  // What comes from the new port belongs to no connection: the server resets it.
  ASSERT_TRUE(scene.world.run_until([&] { return scene.client.over(); }));
  EXPECT_EQ(scene.client.failure(), ECONNRESET);
  EXPECT_FALSE(scene.server.ends[0].over()) << "the server has not noticed";
}

TEST(SimTcpPath, ANatThatRebindsSilencesADownload) {
  NatScene scene;
  scene.server.on_accept = [](TcpEnd& end) { end.send(50'000'000); };
  ASSERT_TRUE(scene.world.run_until([&] { return scene.client.received > 1'000'000; }));
  scene.world.run_for(1ms);
  scene.nat.rebind();
  const std::uint64_t before = scene.client.received;
  scene.world.run_for(20s);
  // What was already past the NAT arrives, and its acknowledgments are reset by the server …
  EXPECT_LT(scene.client.received, before + 200'000);
  EXPECT_TRUE(scene.client.failure() == ECONNRESET || scene.client.failure() == 0);
  EXPECT_FALSE(scene.server.ends[0].ended);
}

TEST(SimTcpPath, ANatForgetsIdleConnections) {
  NatScene scene;
  ASSERT_TRUE(scene.world.run_until([&] { return scene.client.is_connected; }));
  scene.world.run_for(3600s);
  EXPECT_EQ(scene.nat.mappings(), 1U) << "TCP's are kept for two hours";
  scene.world.run_for(4000s);
  EXPECT_EQ(scene.nat.mappings(), 0U);
}

TEST(SimTcpPath, AnInterfaceThatGoesTakesItsConnectionsAlong) {
  World world(1);
  Host& phone = world.host("phone");
  Host& server = world.host("server");
  Link& wifi = world.link(phone, server, LinkOptions().name("wifi").delay(10ms).mbps(20));
  world.link(phone, server, LinkOptions().name("cell").delay(40ms).mbps(20));
  TcpServer listener(server, TcpPair::listen_on_443());
  listener.on_accept = [](TcpEnd& end) { end.send(50'000'000); };
  tcp::ConnectOptions options;
  options.remote = server.v4(443);
  options.stream.user_timeout(8s);
  TcpEnd client(world);
  client.own(std::move(*phone.network().tcp().connect(options, client)));
  client.send(50'000'000);
  ASSERT_TRUE(world.run_until([&] { return client.received > 1'000'000; }));
  wifi.take_down(phone);
  const std::uint64_t before = client.received;
  ASSERT_TRUE(world.run_until([&] { return client.over(); }));
  EXPECT_EQ(client.received, before) << "the other interface is of no use to it";
  EXPECT_EQ(client.failure(), ETIMEDOUT);
  // The application's way out: a new connection.
  TcpEnd again(world);
  again.own(std::move(*phone.network().tcp().connect(options, again)));
  ASSERT_TRUE(world.run_until([&] { return again.received > 1'000'000; }));
}

TEST(SimTcpPath, AnInterfaceThatComesBackInTimeSavesIt) {
  TcpPair pair(LinkOptions().delay(10ms).mbps(20));
  Host& client = pair.world.host("client");
  pair.server.on_accept = [](TcpEnd& end) { end.send(5'000'000); };
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.received > 500'000; }));
  pair.link.take_down(client);
  pair.world.run_for(3s);
  pair.link.bring_up(client);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  EXPECT_EQ(pair.client.received, 5'000'000U);
}

TEST(SimTcpPath, TheCaptureHasSegmentsWithRightChecksums) {
  std::ostringstream file;
  Capture capture(file);
  TcpPair pair(LinkOptions().delay(10ms));
  pair.world.observe(capture);
  pair.link.down().drop(3);
  pair.server.on_accept = [](TcpEnd& end) { end.send(20'000); };
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  pair.world.stop_observing(capture);
  // Every IPv4 packet in the file: blocks of type 6, lengths in the machine's order.
  const std::string bytes = file.str();
  std::size_t segments = 0, syns = 0, sacks = 0;
  for (std::size_t at = 0; at + 12 <= bytes.size();) {
    std::uint32_t type = 0, length = 0, size = 0;
    std::memcpy(&type, bytes.data() + at, 4);
    std::memcpy(&length, bytes.data() + at + 4, 4);
    if (type == 6) {
      std::memcpy(&size, bytes.data() + at + 20, 4);
      const auto* ip = reinterpret_cast<const std::uint8_t*>(bytes.data()) + at + 28;
      ASSERT_EQ(ip[9], 6);
      ASSERT_EQ(ip[2] << 8 | ip[3], static_cast<int>(size));
      std::uint32_t sum = 6 + size - 20;
      for (std::size_t i = 12; i < size; ++i) sum += i % 2 == 0 ? ip[i] << 8 : ip[i];
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
      EXPECT_EQ(sum, 0xffffU);
      const std::size_t header = (ip[32] >> 4) * 4U;
      ASSERT_GE(header, 20U);
      ASSERT_LE(20 + header, size);
      ++segments;
      if ((ip[33] & 2) != 0) ++syns;
      if (header == 44) ++sacks;  // timestamps and one block
    }
    at += length;
  }
  EXPECT_GT(segments, 20U);
  EXPECT_EQ(syns, 2U);
  EXPECT_GT(sacks, 3U);
}

}  // namespace
}  // namespace tern::sim
