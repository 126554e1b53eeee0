#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/connection_age.h"
#include "tests/sim/scene.h"

/// `ServerOptions::max_connection_age`: connections that grow old under clients that go on.

namespace tern::sim {
namespace {

constexpr std::uint64_t kDrip = 1000;  // bytes a second

Task<void> drip(http::Exchange& exchange) {
  const int seconds = std::stoi(std::string(exchange.parameter("seconds")));
  http::Response head(http::Status::ok);
  Result<void> sent = co_await exchange.start(std::move(head));
  for (std::uint64_t i = 0; sent && i < static_cast<std::uint64_t>(seconds); ++i) {
    Bytes piece = pattern_bytes(i * kDrip, kDrip);
    sent = co_await exchange.write(std::move(piece));
    co_await exchange.runtime().sleep(1s);
  }
  if (sent) co_await exchange.finish();
}

struct Aging : Scene {
  explicit Aging(std::string carrier = "http3", std::uint64_t seed = sim::seed())
      : Scene(seed), wire(std::move(carrier)) {
    link(LinkOptions().delay(10ms));
    router.get("/drip/{seconds}", drip);
  }
  void begin(ServerOptions options) {
    serve(std::move(options));
    ClientOptions client = client_options();
    client.protocols(wire == "http3"   ? ClientProtocols::http3_only
                     : wire == "http2" ? ClientProtocols::http2_only
                                       : ClientProtocols::http1);
    use_client(std::move(client));
  }
  std::uint64_t aged() const { return server_counter(wire + ".aged"); }
  std::uint64_t sessions() const { return server_counter(wire + ".sessions"); }

  std::string wire;
};

class AgingOver : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Wires, AgingOver, ::testing::Values("http3", "http2", "http1"),
                         [](const auto& wire) { return wire.param; });

TEST_P(AgingOver, RequestsAndALongStreamLoseNothing) {
  Aging scene(GetParam());
  ServerOptions options = scene.server_options();
  options.max_connection_age(5s);
  scene.begin(std::move(options));
  const Fetch& stream = scene.get("/drip/60");
  std::size_t answers = 0;
  while (!stream.done) {
    const Fetch& next = answers % 2 == 0 ? scene.get("/hello") : scene.upload(100);
    ASSERT_TRUE(scene.wait(next));
    ASSERT_TRUE(next.ok()) << "after " << answers << " answers";
    ++answers;
    // Of all lengths, so that requests meet every moment of an end.
    scene.world.run_for(1ms * (answers * 7 % 120));
  }
  EXPECT_TRUE(stream.ok());
  EXPECT_EQ(stream.bytes, 60 * kDrip);
  EXPECT_GT(answers, 500u);
  EXPECT_EQ(scene.client_counter("client.moves"), 0u) << "no request met a closed door";
  // A new one every 4.5 to 5.5 s, and, on HTTP/1.1, the stream's.
  EXPECT_GE(scene.aged(), 10u);
  EXPECT_LE(scene.aged(), 15u);
  EXPECT_GE(scene.sessions(), scene.aged());
  EXPECT_LE(scene.sessions(), scene.aged() + 2);
}

TEST_P(AgingOver, TheGraceEndsAStuckStream) {
  Aging scene(GetParam());
  scene.router.get("/stuck", [](http::Exchange& exchange) -> Task<void> {
    http::Response head(http::Status::ok);
    co_await exchange.start(std::move(head));
    co_await exchange.runtime().sleep(1h);
  });
  ServerOptions options = scene.server_options();
  options.max_connection_age(5s).max_connection_age_grace(2s);
  scene.begin(std::move(options));
  const Fetch& stuck = scene.get("/stuck");
  const Fetch& slow = scene.get("/drip/6");
  ASSERT_TRUE(scene.wait(stuck));
  ASSERT_TRUE(stuck.error.has_value());
  EXPECT_EQ(stuck.status, 200);
  EXPECT_GE(stuck.took(), 6500ms);
  EXPECT_LE(stuck.took(), 7700ms);
  EXPECT_TRUE(slow.ok()) << "it needed less than age and grace";
  EXPECT_TRUE(scene.fetch("/hello").ok());
}

TEST_P(AgingOver, ByDefaultConnectionsMayBeAsOldAsTheyLike) {
  Aging scene(GetParam());
  scene.begin(scene.server_options());
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(scene.fetch("/hello").ok());
    scene.world.run_for(20s);
  }
  EXPECT_EQ(scene.sessions(), 1u);
  EXPECT_EQ(scene.aged(), 0u);
}

/// How old each of some connections got.
std::vector<Duration> ages(std::uint64_t seed) {
  Aging scene("http3", seed);
  ServerOptions options = scene.server_options();
  options.max_connection_age(10s);
  scene.begin(std::move(options));
  std::vector<Duration> all;
  for (std::uint64_t i = 0; i < 6; ++i) {
    const Duration begun = scene.world.elapsed();
    EXPECT_TRUE(scene.fetch("/hello").ok());
    EXPECT_TRUE(scene.world.run_until([&] { return scene.aged() > i; }, 20s));
    all.push_back(scene.world.elapsed() - begun);
    scene.world.run_for(1s);
    EXPECT_EQ(scene.server_counter("quic.connections_open"), 0u) << "nothing was under way";
  }
  return all;
}

TEST(Aging, EachHasAnAgeOfItsOwnWhichTheSeedGives) {
  const std::vector<Duration> first = ages(7);
  for (const Duration age : first) {
    EXPECT_GE(age, 9s);
    EXPECT_LE(age, 11100ms);
  }
  for (std::size_t i = 1; i < first.size(); ++i) EXPECT_NE(first[i], first[i - 1]);
  EXPECT_EQ(ages(7), first);
  EXPECT_NE(ages(8), first);
}

TEST(Aging, LessThanNothingIsRefused) {
  Aging scene;
  for (const bool grace : {false, true}) {
    ServerOptions options = scene.server_options();
    grace ? options.max_connection_age_grace(-1s) : options.max_connection_age(-1s);
    Server server(std::move(options));
    const auto started =
        server.start(scene.server_host.runtime(), scene.server_host.network(0), scene.router, 0);
    ASSERT_FALSE(started);
    EXPECT_TRUE(started.error().is(Code::invalid)) << started.error().to_string();
  }
}

TEST(Aging, TheLongestAgesAreNoOverflow) {
  Random random(1);
  http::AgeClock clock;
  http::ConnectionAge allowed;
  allowed.limit = Duration::max();
  clock.start(allowed, Timestamp(1h), random);
  constexpr Duration kYear = 365 * 24h;
  EXPECT_GT(clock.next(), Timestamp(60 * kYear));
  allowed.grace = Duration::max();
  const Timestamp old = clock.next();
  EXPECT_EQ(clock.pass(allowed, old - 1ns), http::AgeClock::Step::nothing);
  EXPECT_EQ(clock.pass(allowed, old), http::AgeClock::Step::drain);
  EXPECT_GT(clock.next(), old + 60 * kYear);
  EXPECT_EQ(clock.pass(allowed, clock.next()), http::AgeClock::Step::close);
  EXPECT_EQ(clock.next(), kNever);
}

}  // namespace
}  // namespace tern::sim
