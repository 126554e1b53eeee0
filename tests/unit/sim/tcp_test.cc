// The simulator's TCP: connections, their ends, windows, limits.

#include <cerrno>

#include "tests/unit/sim/tcp_pair.h"

namespace tern::sim {
namespace {

const LinkOptions kWire = LinkOptions().delay(10ms).mbps(100);

TEST(SimTcp, BytesGoBothWaysAndBothEndsClose) {
  TcpPair pair(kWire);
  pair.server.on_accept = [](TcpEnd& end) { end.send(200'000); };
  ASSERT_TRUE(pair.connect());
  pair.client.send(300'000);
  ASSERT_TRUE(pair.world.run_until(
      [&] { return pair.client.ended && !pair.server.ends.empty() && pair.accepted().ended; }));
  EXPECT_EQ(pair.client.received, 200'000U);
  EXPECT_EQ(pair.accepted().received, 300'000U);
  EXPECT_FALSE(pair.client.damaged || pair.accepted().damaged);
  EXPECT_EQ(pair.accepted().stream->remote(), pair.client.stream->local());
  EXPECT_EQ(pair.client.stream->info().bytes_retransmitted, 0U);
  EXPECT_EQ(pair.client.stream->info().mss, 1448U);
  pair.client.stream.reset();
  pair.accepted().stream.reset();
  pair.server.listener.reset();
  EXPECT_TRUE(pair.world.run(10s)) << "nothing is left to happen";
  EXPECT_TRUE(pair.world.leaks().empty());
}

TEST(SimTcp, TheHandshakeTakesARoundTrip) {
  TcpPair pair(LinkOptions().delay(50ms));
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.is_connected; }));
  EXPECT_EQ(pair.world.elapsed(), 100ms);
  EXPECT_EQ(pair.client.stream->info().rtt, 100ms);
}

TEST(SimTcp, IPv6AndLoopback) {
  TcpPair pair(kWire);
  tcp::ListenOptions any;
  any.bind = *udp::Address::parse("[::]:8443");
  Host& server = pair.world.host("server");
  TcpServer second(server, any);
  TcpEnd six(pair.world), local(pair.world);
  tcp::ConnectOptions options;
  options.remote = server.v6(8443);
  six.own(std::move(*pair.world.host("client").network().tcp().connect(options, six)));
  options.remote = *udp::Address::parse("127.0.0.1:8443");
  local.own(std::move(*server.network().tcp().connect(options, local)));
  six.send(100'000);
  local.send(1'000'000);
  ASSERT_TRUE(pair.world.run_until(
      [&] { return second.ends.size() == 2 && second.ends[0].ended && second.ends[1].ended; }));
  EXPECT_EQ(six.stream->info().mss, 1428U);
  EXPECT_EQ(second.ends[0].received + second.ends[1].received, 1'100'000U);
  second.ends.clear();
}

TEST(SimTcp, NobodyListens) {
  TcpPair pair(kWire);
  auto options = pair.to_server();
  options.remote.set_port(444);
  ASSERT_TRUE(pair.connect(options));
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.over(); }));
  EXPECT_EQ(pair.client.failure(), ECONNREFUSED);
  EXPECT_EQ(pair.client.error->origin, Origin::remote);
  EXPECT_FALSE(pair.client.is_connected);
  EXPECT_LT(pair.client.failed_at, 21ms);
}

TEST(SimTcp, SynsAreRepeatedAfterOneThreeAndSevenSeconds) {
  std::vector<Duration> syns;
  TcpPair pair(LinkOptions().delay(10ms));
  pair.link.cut();
  ASSERT_TRUE(pair.connect());
  std::uint64_t seen = 0;
  pair.world.check([&] {
    const std::uint64_t now = pair.link.up().stats().packets_in;
    if (now != seen) syns.push_back(pair.world.elapsed());
    seen = now;
  });
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.over(); }));
  EXPECT_EQ(syns, (std::vector<Duration>{0s, 1s, 3s, 7s}));
  EXPECT_EQ(pair.client.failure(), ETIMEDOUT);
  EXPECT_EQ(pair.client.failed_at, 10s) << "ConnectOptions::timeout";
}

TEST(SimTcp, ALostSynAckIsRepeated) {
  TcpPair pair(LinkOptions().delay(10ms));
  pair.link.down().drop(1);
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.is_connected; }));
  EXPECT_GE(pair.world.elapsed(), 1s);
  EXPECT_LE(pair.world.elapsed(), 1100ms);
  pair.client.send(1000);
  ASSERT_TRUE(
      pair.world.run_until([&] { return !pair.server.ends.empty() && pair.accepted().ended; }));
}

TEST(SimTcp, ALostThirdPacketIsMadeUpForByData) {
  TcpPair pair(LinkOptions().delay(10ms));
  pair.link.up().drop(2);
  ASSERT_TRUE(pair.connect());
  pair.client.send(5000);
  ASSERT_TRUE(
      pair.world.run_until([&] { return !pair.server.ends.empty() && pair.accepted().ended; }));
  EXPECT_LT(pair.world.elapsed(), 100ms);
}

TEST(SimTcp, AResetReachesThePeer) {
  TcpPair pair(kWire);
  pair.establish();
  pair.client.stream->reset();
  EXPECT_TRUE(pair.client.stream->write(Bytes::copy("x")).error().is(Code::closed));
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().over(); }));
  EXPECT_EQ(pair.accepted().failure(), ECONNRESET);
  EXPECT_FALSE(pair.client.over());
}

TEST(SimTcp, DestructionWithoutFinishIsAReset) {
  TcpPair pair(kWire);
  pair.establish();
  pair.client.send(100'000, false);
  pair.client.stream.reset();
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().over(); }));
  EXPECT_FALSE(pair.accepted().ended);
  EXPECT_EQ(pair.accepted().failure(), ECONNRESET);
}

TEST(SimTcp, AFinishedStreamMayBeDroppedWithItsBytesInFlight) {
  TcpPair pair(LinkOptions().delay(40ms).mbps(10).loss(0.02));
  pair.establish();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(pair.client.stream->write(Bytes::copy(std::string(50'000, 'x'))));
  }
  pair.client.stream->finish();
  pair.client.stream.reset();
  pair.accepted().send(10'000, false);  // to a stream that nobody reads any more
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().over(); }));
  EXPECT_TRUE(pair.accepted().ended);
  EXPECT_EQ(pair.accepted().received, 1'000'000U);
}

TEST(SimTcp, LingeringEnds) {
  TcpPair pair(kWire);
  auto options = pair.to_server();
  options.stream.linger(3s);
  pair.establish(options);
  pair.client.stream->finish();
  pair.client.stream.reset();
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().ended; }));
  pair.world.run_for(2s);
  EXPECT_FALSE(pair.accepted().error) << "the peer may still write, into the void";
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().error.has_value(); }));
  EXPECT_NEAR(std::chrono::duration<double>(pair.accepted().failed_at).count(), 3.03, 0.02);
}

TEST(SimTcp, OneHalfMayEndWhileTheOtherGoesOn) {
  TcpPair pair(kWire);
  pair.establish();
  pair.client.send(1000);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().ended; }));
  pair.accepted().send(500'000);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  EXPECT_EQ(pair.client.received, 500'000U);
}

TEST(SimTcp, WhoClosesFirstAnswersForAMinute) {
  TcpPair pair(LinkOptions().delay(10ms));
  pair.establish();
  pair.client.send(0);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().ended; }));
  // The last acknowledgment is lost: the peer's FIN comes again, and is answered again.
  pair.link.up().cut();
  pair.accepted().send(0);
  pair.world.run_for(100ms);
  pair.link.up().restore();
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.ended; }));
  pair.world.run_for(2s);
  EXPECT_FALSE(pair.accepted().error);
  EXPECT_EQ(pair.accepted().stream->info().in_flight, 0U);
}

TEST(SimTcp, AReaderThatStopsClosesTheWindow) {
  TcpPair pair(kWire);
  pair.establish();
  pair.accepted().stream->pause();
  pair.client.send(4'000'000);
  pair.world.run_for(5s);
  const std::uint64_t stuck_at = pair.client.written;
  EXPECT_EQ(pair.accepted().received, 0U);
  // 64 KiB there, as nothing was read; the little that TCP takes ahead and the queue here.
  EXPECT_LT(stuck_at, 400'000U);
  EXPECT_EQ(pair.client.stream->info().in_flight, 0U);
  pair.world.run_for(60s);
  EXPECT_EQ(pair.client.written, stuck_at);
  EXPECT_FALSE(pair.client.error) << "a shut window that is answered for is no failure";

  pair.accepted().stream->resume();
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().ended; }));
  EXPECT_EQ(pair.accepted().received, 4'000'000U);
  EXPECT_FALSE(pair.accepted().damaged);
  EXPECT_LE(pair.client.most_queued, 64 * 1024 + 16 * 1024U);
}

TEST(SimTcp, ALostWindowUpdateIsAskedFor) {
  TcpPair pair(kWire);
  pair.establish();
  pair.accepted().stream->pause();
  pair.client.send(2'000'000);
  pair.world.run_for(5s);
  pair.link.down().cut();
  pair.accepted().stream->resume();
  pair.world.run_for(1ms);
  pair.link.down().restore();
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().ended; }, 130s));
}

TEST(SimTcp, ASlowReaderGetsAllOfIt) {
  TcpPair pair(kWire);
  pair.establish();
  TcpEnd& reader = pair.accepted();
  reader.on_receive = [&] {
    reader.stream->pause();
    pair.world.after(5ms, [&] { reader.stream->resume(); });
  };
  pair.client.send(3'000'000);
  ASSERT_TRUE(pair.world.run_until([&] { return reader.ended; }, 600s));
  EXPECT_EQ(reader.received, 3'000'000U);
  EXPECT_FALSE(reader.damaged);
}

TEST(SimTcp, UserTimeoutEndsASilentConnection) {
  TcpPair pair(kWire);
  auto options = pair.to_server();
  options.stream.user_timeout(5s);
  pair.establish(options);
  const Duration before = pair.world.elapsed();
  pair.link.cut();
  pair.client.send(1000, false);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.over(); }, 100s));
  EXPECT_EQ(pair.client.failure(), ETIMEDOUT);
  EXPECT_EQ(pair.client.error->origin, Origin::local);
  EXPECT_EQ(pair.client.failed_at - before, 5s);
}

TEST(SimTcp, WithoutAUserTimeoutItTakesAQuarterOfAnHour) {
  TcpPair pair(kWire);
  pair.establish();
  pair.link.cut();
  pair.client.send(1000, false);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.over(); }, 2000s));
  EXPECT_EQ(pair.client.failure(), ETIMEDOUT);
  EXPECT_GT(pair.client.failed_at, 800s);
  EXPECT_LT(pair.client.failed_at, 1000s);
}

TEST(SimTcp, KeepAliveFindsADeadPeer) {
  TcpPair pair(kWire);
  auto options = pair.to_server();
  options.stream.keep_alive({.idle = 30s, .interval = 5s, .probes = 3});
  pair.establish(options);
  pair.world.run_for(100s);
  EXPECT_FALSE(pair.client.over()) << "the peer answers";
  pair.world.host("server").power_off();
  const Duration before = pair.world.elapsed();
  ASSERT_TRUE(pair.world.run_until([&] { return pair.client.over(); }, 200s));
  EXPECT_EQ(pair.client.failure(), ETIMEDOUT);
  EXPECT_LE(pair.client.failed_at - before, 30s + 3 * 5s);
}

TEST(SimTcp, FurtherClientsWaitUntilOneGoes) {
  tcp::ListenOptions options = TcpPair::listen_on_443();
  options.bind.set_port(8443);
  options.max_streams = 2;
  options.backlog = 2;
  TcpPair pair(kWire);
  TcpServer server(pair.world.host("server"), options);
  auto to = pair.to_server();
  to.remote.set_port(8443);
  std::deque<TcpEnd> clients;
  for (int i = 0; i < 6; ++i) {
    TcpEnd& end = clients.emplace_back(pair.world);
    end.own(std::move(*pair.world.host("client").network().tcp().connect(to, end)));
  }
  pair.world.run_for(500ms);
  EXPECT_EQ(server.ends.size(), 2U);
  EXPECT_EQ(server.listener->open_streams(), 2U);
  for (std::size_t i = 0; i < 4; ++i) {
    server.ends[i].stream.reset();
    ASSERT_TRUE(pair.world.run_until([&] { return server.ends.size() == 3 + i; }, 10s)) << i;
    EXPECT_EQ(server.listener->open_streams(), 2U);
  }
  server.ends.clear();
}

TEST(SimTcp, AListenerThatClosesResetsWhoWaits) {
  tcp::ListenOptions options = TcpPair::listen_on_443();
  options.bind.set_port(8443);
  options.max_streams = 1;
  TcpPair pair(kWire);
  std::optional<TcpServer> server(std::in_place, pair.world.host("server"), options);
  auto to = pair.to_server();
  to.remote.set_port(8443);
  TcpEnd first(pair.world), second(pair.world);
  first.own(std::move(*pair.world.host("client").network().tcp().connect(to, first)));
  pair.world.run_for(1ms);
  second.own(std::move(*pair.world.host("client").network().tcp().connect(to, second)));
  pair.world.run_for(100ms);
  EXPECT_TRUE(second.is_connected);
  server->listener.reset();
  pair.world.run_for(100ms);
  EXPECT_EQ(second.failure(), ECONNRESET);
  EXPECT_FALSE(first.over());
  first.send(10'000);
  ASSERT_TRUE(pair.world.run_until([&] { return server->ends[0].ended; }));
}

TEST(SimTcp, AGroupOfListenersSharesThePort) {
  TcpPair pair(kWire);
  Host& host = pair.world.host("server");
  host.add_worker();
  tcp::ListenOptions options = TcpPair::listen_on_443();
  options.bind.set_port(8443);
  options.reuse_port = {.index = 0, .count = 2};
  TcpServer one(host, options, 0);
  options.reuse_port.index = 1;
  TcpServer two(host, options, 1);
  tcp::ListenOptions alone = options;
  alone.reuse_port = {};
  EXPECT_THROW(TcpServer(host, alone), std::runtime_error);
  auto to = pair.to_server();
  to.remote.set_port(8443);
  std::deque<TcpEnd> clients;
  for (int i = 0; i < 40; ++i) {
    TcpEnd& end = clients.emplace_back(pair.world);
    end.own(std::move(*pair.world.host("client").network().tcp().connect(to, end)));
  }
  pair.world.run_for(1s);
  EXPECT_EQ(one.ends.size() + two.ends.size(), 40U);
  EXPECT_GT(one.ends.size(), 5U);
  EXPECT_GT(two.ends.size(), 5U);
}

TEST(SimTcp, NagleWaitsForMore) {
  const auto packets = [](bool no_delay) {
    TcpPair pair(LinkOptions().delay(20ms));
    auto options = pair.to_server();
    options.stream.no_delay(no_delay);
    pair.establish(options);
    for (int i = 0; i < 20; ++i) {
      pair.world.after(i * 1ms,
                       [&pair] { EXPECT_TRUE(pair.client.stream->write(Bytes::copy("x"))); });
    }
    pair.world.run_for(1s);
    EXPECT_EQ(pair.accepted().received, 20U);
    return pair.link.up().stats().packets_in;
  };
  EXPECT_GE(packets(true), 20U);
  EXPECT_LE(packets(false), 8U);
}

TEST(SimTcp, ConnectChoosesTheLink) {
  World world(1);
  Host& phone = world.host("phone");
  Host& server = world.host("server");
  Link& wifi = world.link(phone, server, LinkOptions().name("wifi").delay(5ms));
  Link& cell = world.link(phone, server, LinkOptions().name("cell").delay(40ms));
  TcpServer listener(server, TcpPair::listen_on_443());
  tcp::ConnectOptions options;
  options.remote = server.v4(443);
  options.device = "cell";
  TcpEnd one(world), two(world), three(world);
  one.own(std::move(*phone.network().tcp().connect(options, one)));
  EXPECT_TRUE(one.stream->local().same_ip(cell.v4(phone)));
  options.device.clear();
  options.local = cell.v4(phone);
  two.own(std::move(*phone.network().tcp().connect(options, two)));
  options.local = {};
  three.own(std::move(*phone.network().tcp().connect(options, three)));
  EXPECT_TRUE(three.stream->local().same_ip(wifi.v4(phone)));
  ASSERT_TRUE(world.run_until([&] { return one.is_connected && two.is_connected; }));
  EXPECT_EQ(one.stream->info().rtt, 80ms);
  EXPECT_EQ(two.stream->info().rtt, 80ms);
  EXPECT_EQ(three.stream->info().rtt, 10ms);

  options.device = "wire";
  EXPECT_EQ(phone.network().tcp().connect(options, one).error().code,
            static_cast<std::uint64_t>(ENODEV));
  options.device.clear();
  wifi.take_down(phone);
  cell.take_down(phone);
  EXPECT_EQ(phone.network().tcp().connect(options, one).error().code,
            static_cast<std::uint64_t>(ENETUNREACH));
  options.local = udp::Address::v4(0x01020304, 0);
  EXPECT_EQ(phone.network().tcp().connect(options, one).error().code,
            static_cast<std::uint64_t>(EADDRNOTAVAIL));
}

}  // namespace
}  // namespace tern::sim
