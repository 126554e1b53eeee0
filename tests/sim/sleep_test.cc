#include <cstdint>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "tests/sim/scene.h"

/// Connections that go to sleep (docs/decisions/0031) behave like those that never do: the same
/// datagrams at the same times, whatever wakes them up.

namespace tern::sim {
namespace {

/// A server and a client whose connections sleep after `rest_after` without a packet; 0: never.
struct Sleepers : Scene {
  explicit Sleepers(Duration rest, Duration keep_alive = Duration(),
                    const LinkOptions& path = LinkOptions().delay(20ms).mbps(20))
      : rest_after(rest), nat(world.nat(client_host, link(path))) {
    std::filesystem::remove_all(state_dir);
    router.get("/later", later);
    start_server();
    ClientOptions options = client_options();
    options.transport().rest_after = rest_after;
    options.transport().keep_alive = keep_alive;
    use_client(std::move(options));
  }

  void start_server() {
    ServerOptions options = server_options();
    options.transport().rest_after = rest_after;
    options.idle_timeout(20s).state_dir(state_dir);
    serve(std::move(options));
  }

  static Task<void> later(http::Exchange& exchange) {
    co_await exchange.runtime().sleep(4s);
    co_await exchange.respond(http::Status::ok, "here it is");
  }

  /// After seconds of silence. Who falls asleep after a second has been woken up too often here.
  void expect_asleep(const char* when) {
    if (rest_after >= 1s) return;
    const std::uint64_t sleepers = rest_after > Duration() ? 1 : 0;
    EXPECT_EQ(server_counter("quic.connections_asleep"), sleepers) << when;
    EXPECT_EQ(client_counter("quic.connections_asleep"), sleepers) << when;
  }

  const Duration rest_after;
  const std::string state_dir = testing::TempDir() + "/sim_sleep";
  Nat& nat;
};

struct Trace {
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  bool operator==(const Trace&) const = default;
};

void expect_the_same(Trace (*run)(Duration rest_after)) {
  const Trace awake = run(Duration());
  EXPECT_GT(awake.events, 10U);
  for (const Duration rest_after : {Duration(1), Duration(5ms), Duration(1s)}) {
    const Trace sleeping = run(rest_after);
    EXPECT_EQ(sleeping.events, awake.events) << rest_after.count();
    EXPECT_EQ(sleeping.hash, awake.hash) << rest_after.count();
  }
}

TEST(Sleep, RequestsKeepAliveAndAnswersWakeConnections) {
  expect_the_same([](Duration rest_after) {
    Sleepers scene(rest_after, 6s);
    EXPECT_TRUE(scene.fetch("/hello").ok());
    scene.world.run_for(3s);
    scene.expect_asleep("after the first request");
    EXPECT_TRUE(scene.fetch("/hello").ok());
    scene.world.run_for(40s);
    scene.expect_asleep("between two keep-alive PINGs");
    EXPECT_TRUE(scene.connection().open);
    const Fetch& later = scene.get("/later");
    scene.world.run_for(3s);
    scene.expect_asleep("with a request under way");
    EXPECT_TRUE(scene.wait(later));
    EXPECT_EQ(later.text, "here it is");
    EXPECT_TRUE(scene.fetch("/bytes/400000").ok());
    scene.world.run_for(3s);
    scene.expect_asleep("after a download");
    Fetch& up = scene.upload(200'000);
    EXPECT_TRUE(scene.wait(up));
    EXPECT_EQ(up.text, "200000");
    EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1U);
    return Trace{scene.world.trace_hash(), scene.world.trace_events()};
  });
}

TEST(Sleep, NewPathsNewKeysAndNewCertificatesWakeConnections) {
  expect_the_same([](Duration rest_after) {
    Sleepers scene(rest_after, 6s);
    EXPECT_TRUE(scene.fetch("/hello").ok());
    for (const bool new_address : {false, true}) {
      scene.world.run_for(3s);
      scene.expect_asleep("before the NAT rebinds");
      new_address ? scene.nat.rebind_address() : scene.nat.rebind();
      scene.world.run_for(10s);
    }
    EXPECT_GE(scene.server_counter("quic.paths_changed"), 2U);
    scene.expect_asleep("on the new path");
    EXPECT_TRUE(scene.client().update_keys().has_value());
    scene.world.run_for(3s);
    scene.expect_asleep("with new keys");
    EXPECT_TRUE(scene.fetch("/hello").ok());
    scene.world.run_for(3s);
    EXPECT_TRUE(scene.server().reload_certificates().has_value());
    scene.expect_asleep("a new certificate is for new connections");
    EXPECT_TRUE(scene.fetch("/bytes/100000").ok());
    EXPECT_EQ(scene.connection().stats.key_updates, 1U);
    EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1U);
    return Trace{scene.world.trace_hash(), scene.world.trace_events()};
  });
}

TEST(Sleep, NapsBetweenThePacketsOfTransfersChangeNothing) {
  expect_the_same([](Duration rest_after) {
    Sleepers scene(rest_after, 100ms, LinkOptions().delay(20ms).mbps(20).loss(0.02));
    const Fetch& down = scene.download(1'000'000);
    const Fetch& up = scene.upload(500'000);
    scene.world.at(200ms, [&] { scene.nat.rebind(); });
    scene.world.at(500ms, [&] { scene.nat.rebind_address(); });
    EXPECT_TRUE(scene.wait_all());
    EXPECT_TRUE(down.ok());
    EXPECT_TRUE(up.ok());
    if (rest_after == Duration(1)) {
      EXPECT_GT(scene.server_counter("quic.connections_woken"), 200U);
      EXPECT_GT(scene.client_counter("quic.connections_woken"), 200U);
    }
    return Trace{scene.world.trace_hash(), scene.world.trace_events()};
  });
}

TEST(Sleep, DrainingWakesConnections) {
  expect_the_same([](Duration rest_after) {
    Sleepers scene(rest_after);
    EXPECT_TRUE(scene.fetch("/hello").ok());
    scene.world.run_for(3s);
    scene.expect_asleep("before");
    scene.server().drain();
    scene.world.run_for(3s);
    EXPECT_EQ(scene.server_counter("quic.connections_open"), 0U);
    return Trace{scene.world.trace_hash(), scene.world.trace_events()};
  });
}

TEST(Sleep, IdleTimeoutsAndResetsEndSleepers) {
  expect_the_same([](Duration rest_after) {
    Sleepers scene(rest_after);
    EXPECT_TRUE(scene.fetch("/hello").ok());
    scene.world.run_for(15s);
    scene.expect_asleep("shortly before its end");
    scene.world.run_for(6s);
    EXPECT_EQ(scene.server_counter("quic.connections_open"), 0U);
    EXPECT_EQ(scene.server_counter("quic.connections_asleep"), 0U);
    EXPECT_EQ(scene.client_counter("quic.connections_asleep"), 0U);
    EXPECT_TRUE(scene.fetch("/hello").ok()) << "by a new connection";
    scene.world.run_for(3s);
    scene.crash_server();
    scene.start_server();
    const Fetch& fetch = scene.get("/hello");
    EXPECT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.error.has_value() && fetch.error->is(Code::stateless_reset));
    EXPECT_TRUE(scene.fetch("/hello").ok());
    return Trace{scene.world.trace_hash(), scene.world.trace_events()};
  });
}

}  // namespace
}  // namespace tern::sim
