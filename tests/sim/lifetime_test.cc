#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"

namespace tern::sim {
namespace {

TEST(Lifetime, IdleConnectionsEndOnBothSides) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.idle_timeout(5s);
  scene.serve(std::move(options));
  ASSERT_TRUE(scene.fetch("/hello").ok());
  EXPECT_TRUE(scene.connection().open);
  scene.world.run_for(4s);
  EXPECT_TRUE(scene.connection().open);
  EXPECT_EQ(scene.server_counter("quic.connections_open"), 1u);
  scene.world.run_for(2s);
  EXPECT_FALSE(scene.connection().open);
  EXPECT_EQ(scene.server_counter("quic.connections_open"), 0u);
  ASSERT_TRUE(scene.fetch("/hello").ok()) << "a new connection is opened when it is needed";
}

TEST(Lifetime, KeepAliveHoldsTheConnection) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.idle_timeout(5s);
  scene.serve(std::move(options));
  ClientOptions lively = scene.client_options();
  lively.transport().keep_alive = 2s;
  scene.use_client(std::move(lively));
  ASSERT_TRUE(scene.fetch("/hello").ok());
  const std::uint64_t before = link.up().stats().packets_in;
  scene.world.run_for(60s);
  EXPECT_TRUE(scene.connection().open);
  EXPECT_EQ(scene.server_counter("quic.connections_open"), 1u);
  EXPECT_LE(link.up().stats().packets_in - before, 80u) << "a PING every two seconds, its ACKs";
}

TEST(Lifetime, ADeadPeerIsNoticed) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms).mbps(10));
  scene.serve();
  const Fetch& fetch = scene.download(10'000'000);
  scene.world.run_for(1s);
  link.cut();
  ASSERT_TRUE(scene.wait(fetch, 60s));
  ASSERT_TRUE(fetch.error.has_value());
  EXPECT_TRUE(fetch.error->is(Code::timed_out)) << fetch.error->to_string();
  scene.world.run_for(60s);
  EXPECT_EQ(scene.server_counter("quic.connections_open"), 0u);
}

TEST(Lifetime, ARestartedServerResetsItsOldConnections) {
  // RFC 9000 §10.3: the key for reset tokens outlives the process.
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  const std::string folder = testing::TempDir() + "/sim_stateless_reset";
  const auto options = [&] {
    ServerOptions with_key = scene.server_options();
    with_key.state_dir(folder);
    return with_key;
  };
  scene.serve(options());
  ASSERT_TRUE(scene.fetch("/hello").ok());
  scene.crash_server();
  scene.serve(options());
  const Fetch& fetch = scene.get("/hello");
  ASSERT_TRUE(scene.wait(fetch));
  ASSERT_TRUE(fetch.error.has_value());
  EXPECT_TRUE(fetch.error->is(Code::stateless_reset)) << fetch.error->to_string();
  EXPECT_LE(fetch.took(), 100ms);
  EXPECT_GE(scene.server_counter("quic.stateless_resets_sent"), 1u);
  ASSERT_TRUE(scene.fetch("/hello").ok());
}

TEST(Lifetime, StatelessResetsAreNoReflector) {
  // RFC 9000 §10.3.3: smaller than what caused it, so two endpoints cannot play ping-pong.
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.serve();
  Meter sent(1);
  scene.world.observe(sent);
  std::vector<std::uint8_t> stray(300, 0x5a);
  stray[0] = 0x40;
  const udp::Address from = link.v4(scene.client_host, 999);
  link.up().inject(from, scene.server_host.v4(443), stray);
  scene.world.run_for(1s);
  EXPECT_EQ(sent.datagrams, 1u);
  EXPECT_LT(sent.largest, 300u);
  link.up().inject(from, scene.server_host.v4(443), ByteView(stray).first(30));
  scene.world.run_for(1s);
  EXPECT_LE(sent.datagrams, 2u);
}

TEST(Lifetime, StoppingTellsTheClients) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(10));
  scene.serve();
  const Fetch& fetch = scene.download(10'000'000);
  scene.world.run_for(500ms);
  const Duration stopped = scene.world.elapsed();
  scene.stop_server();
  ASSERT_TRUE(scene.wait(fetch));
  ASSERT_TRUE(fetch.error.has_value());
  EXPECT_LE(fetch.ended - stopped, 200ms) << "at once, not after an idle timeout";
}

TEST(Lifetime, DrainingLetsRequestsFinish) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(10));
  scene.serve();
  const Fetch& fetch = scene.download(2'000'000);
  scene.world.run_for(500ms);
  ASSERT_GT(fetch.bytes, 0u);
  scene.server().drain();
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_TRUE(scene.world.run_until([&] { return scene.server().stopped(); }, 15s));
  EXPECT_FALSE(scene.connection().open);
}

TEST(Lifetime, DrainingRefusesNewRequests) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(10));
  scene.serve();
  const Fetch& running = scene.download(2'000'000);
  scene.world.run_for(500ms);
  scene.server().drain();
  // RFC 9114 §5.2: until the client has heard of it, its requests are still taken.
  ASSERT_TRUE(
      scene.world.run_until([&] { return scene.events.back().type == ClientEvent::Type::goaway; }));
  ASSERT_FALSE(running.done);
  const Fetch& late = scene.get("/hello");
  ASSERT_TRUE(scene.wait(late));
  ASSERT_TRUE(late.error.has_value()) << "the new connection it takes is refused";
  ASSERT_TRUE(scene.wait(running));
  EXPECT_TRUE(running.ok());
}

TEST(Lifetime, AnAbandonedRequestIsCancelled) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(10));
  scene.serve();
  ASSERT_TRUE(scene.fetch("/hello").ok());
  scene.download(50'000'000);
  scene.world.run_for(500ms);
  scene.abandon_all();
  scene.world.run_for(500ms);
  const std::uint64_t sent = scene.server_counter("quic.bytes_sent");
  scene.world.run_for(5s);
  EXPECT_LE(scene.server_counter("quic.bytes_sent") - sent, 2000u) << "the server has stopped";
  EXPECT_TRUE(scene.fetch("/hello").ok()) << "and the connection goes on";
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
}

}  // namespace
}  // namespace tern::sim
