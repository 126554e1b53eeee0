#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "transport/quic/path_monitor.h"

namespace tern::sim {
namespace {

/// Its PINGs come sooner than those of a client that finds its download standing still.
void use_lively_client(Scene& scene) {
  ClientOptions options = scene.client_options();
  options.transport().keep_alive = 100ms;
  scene.use_client(std::move(options));
}

TEST(Path, SurvivesNatRebindingInADownload) {
  for (const bool new_address : {false, true}) {
    Scene scene;
    Link& link = scene.link(LinkOptions().delay(20ms).mbps(10));
    Nat& nat = scene.world.nat(scene.client_host, link);
    scene.serve();
    use_lively_client(scene);
    const Fetch& fetch = scene.download(3'000'000);
    for (int i = 1; i <= 5; ++i) {
      scene.world.at(i * 400ms, [&] { new_address ? nat.rebind_address() : nat.rebind(); });
    }
    ASSERT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
    EXPECT_GE(scene.server_counter("quic.paths_changed"), 5u);
    EXPECT_LE(fetch.longest_stall(), 1s);
  }
}

TEST(Path, SaysWhereItIsWhenADownloadStandsStill) {
  // A client that only receives has nothing to send when its mapping is gone, and the server sends
  // into the void. Nobody has asked for keep-alive PINGs here.
  for (std::uint64_t i = 0; i < 8; ++i) {
    Scene scene(seed() + i);
    Link& link = scene.link(LinkOptions().delay(20ms).mbps(10));
    Nat& nat = scene.world.nat(scene.client_host, link);
    scene.serve();
    const Fetch& fetch = scene.download(7'000'000);
    for (int change = 1; change <= 5; ++change) {
      scene.world.at(change * 1s + i * 3ms, [&] { nat.rebind(); });
    }
    ASSERT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
    EXPECT_GE(scene.server_counter("quic.paths_changed"), 5u);
    // The server's challenge waits for its own probe timeout, as its window is full.
    EXPECT_LE(fetch.longest_stall(), 3s);
  }
}

TEST(Path, AnAnswerComesThroughAMappingThatWasForgottenMeanwhile) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(20ms));
  scene.world.nat(scene.client_host, link, NatOptions().timeout(5s));
  const auto slow = [&](http::Exchange& exchange) -> Task<void> {
    co_await scene.server_host.runtime().sleep(50s);
    co_await exchange.respond(http::Status::ok, std::string("slow"));
  };
  scene.router.get("/slow", slow);
  scene.serve();
  const Fetch& fetch = scene.get("/slow");
  ASSERT_TRUE(scene.wait(fetch, 120s));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
  // The server hears of the new mapping by the next PING.
  EXPECT_LE(fetch.took(), 50s + quic::PathMonitor::kMaxQuiet + 1s);
  EXPECT_LE(link.up().stats().packets_in, 60u);
}

TEST(Path, SurvivesNatRebindingInAnUpload) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(20ms).mbps(10));
  Nat& nat = scene.world.nat(scene.client_host, link);
  scene.serve();
  const Fetch& fetch = scene.upload(3'000'000);
  for (int i = 1; i <= 5; ++i) scene.world.at(i * 400ms, [&] { nat.rebind(); });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.text, "3000000");
  EXPECT_GE(scene.server_counter("quic.paths_changed"), 5u);
}

TEST(Path, ARebindingWhileMostIsLostIsNotForever) {
  // Challenges, their answers and probes among it: whatever is left of what may be sent to the new
  // port, loss recovery goes on (transport/quic/path_credit.h).
  for (std::uint64_t i = 0; i < 12; ++i) {
    Scene scene(seed() + i);
    Link& link = scene.link(LinkOptions().delay(20ms).mbps(10));
    Nat& nat = scene.world.nat(scene.client_host, link);
    scene.serve();
    use_lively_client(scene);
    const Fetch& fetch = scene.download(2'000'000);
    scene.world.at(500ms, [&] {
      nat.rebind();
      link.down().loss(0.7);
    });
    scene.world.at(2s, [&] { link.down().loss(0); });
    ASSERT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
    // Twelve seconds: loss recovery's timer has doubled a few times by then.
    EXPECT_LE(fetch.longest_stall(), 12s);
  }
}

TEST(Path, AnIdleNatMappingIsReplaced) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(20ms));
  scene.world.nat(scene.client_host, link, NatOptions().timeout(5s));
  scene.serve();
  ASSERT_TRUE(scene.fetch("/hello").ok());
  scene.world.run_for(20s);
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  // The request itself announces the new address. Until that is validated the server may send three
  // times the request's bytes (RFC 9000 §8.2.1): at worst the answer waits for one round trip more.
  EXPECT_LE(fetch.took(), 80ms);
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
}

TEST(Path, AForgedSourceAddressDoesNotMoveTheConnection) {
  // RFC 9000 §9.3.2: somebody on the way sends a copy of the client's packet from elsewhere.
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(20ms).mbps(10));
  scene.serve();
  const Fetch& fetch = scene.download(2'000'000);
  scene.world.run_for(500ms);
  bool forged = false;
  const udp::Address elsewhere = *udp::Address::parse("[2001:db8:ffff::1]:999");
  const udp::Address server = scene.server_host.v6(443);
  link.up().filter([&](ByteView payload) {
    if (forged) return true;
    forged = true;  // before inject() comes back here
    link.up().inject(elsewhere, server, payload);
    return true;
  });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(forged);
  EXPECT_TRUE(fetch.ok());
  EXPECT_LE(fetch.longest_stall(), 2s);
}

TEST(Path, MigratesToAnotherNetwork) {
  Scene scene;
  Link& wifi = scene.link(LinkOptions().name("wifi").delay(10ms).mbps(20));
  Link& cellular = scene.link(LinkOptions().name("cellular").delay(40ms).mbps(10));
  scene.serve();
  const Fetch& fetch = scene.download(4'000'000);
  scene.world.at(700ms, [&] {
    auto moved = scene.client().migrate(cellular.v6(scene.client_host));
    ASSERT_TRUE(moved) << moved.error().to_string();
  });
  scene.world.at(1s, [&] { wifi.cut(); });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_LE(fetch.longest_stall(), 300ms) << "make before break";
  EXPECT_TRUE(scene.connection().path.local.same_ip(cellular.v6(scene.client_host)));
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
  EXPECT_GE(scene.server_counter("quic.paths_changed"), 1u);
}

TEST(Path, MigratesAtOnceWhenTheOldPathIsDead) {
  Scene scene;
  Link& wifi = scene.link(LinkOptions().name("wifi").delay(10ms).mbps(20));
  Link& cellular = scene.link(LinkOptions().name("cellular").delay(40ms).mbps(10));
  scene.serve();
  const Fetch& fetch = scene.download(4'000'000);
  scene.world.at(700ms, [&] {
    wifi.cut();
    auto moved = scene.client().migrate(cellular.v6(scene.client_host), true);
    ASSERT_TRUE(moved) << moved.error().to_string();
  });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_LE(fetch.longest_stall(), 1s);
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
}

TEST(Path, UsesAFreshConnectionIdOnEveryPath) {
  // RFC 9000 §9.5: nobody on the way may link the two paths by their connection IDs.
  class Ids final : public TraceObserver {
   public:
    void observe(const TraceEvent& event) override {
      if (event.direction != 0 || event.payload.size() < 9 || (event.payload[0] & 0x80) != 0)
        return;
      auto& seen = ids[event.link == 0 ? 0 : 1];
      seen.insert(std::string(as_text(event.payload.subspan(1, 8))));
    }
    std::set<std::string> ids[2];
  } watcher;  // outlives the scene, whose last packets it sees
  Scene scene;
  scene.link(LinkOptions().name("wifi").delay(10ms).mbps(20));
  Link& cellular = scene.link(LinkOptions().name("cellular").delay(40ms).mbps(20));
  scene.serve();
  scene.world.observe(watcher);
  const Fetch& fetch = scene.download(3'000'000);
  for (int i = 1; i <= 2; ++i) {
    scene.world.at(i * 500ms,
                   [&] { EXPECT_TRUE(scene.client().migrate(cellular.v6(scene.client_host))); });
  }
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_FALSE(watcher.ids[0].empty());
  EXPECT_FALSE(watcher.ids[1].empty());
  for (const std::string& id : watcher.ids[0]) {
    EXPECT_FALSE(watcher.ids[1].contains(id)) << "a connection ID was used on both paths";
  }
}

TEST(Path, EcnMarksAreReportedAndSlowTheSenderDown) {
  const auto run = [](bool marks) {
    Scene scene;
    LinkOptions options;
    options.delay(20ms).mbps(20).queue_bytes(2'000'000);
    if (marks) options.ecn_threshold(30'000);
    Link& link = scene.link(options);
    scene.serve();
    const Fetch& fetch = scene.download(8'000'000);
    EXPECT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    EXPECT_EQ(link.down().stats().dropped_total(), 0u);
    EXPECT_EQ(link.down().stats().marked > 0, marks);
    return link.down().stats().peak_queue_bytes;
  };
  const std::uint64_t with = run(true);
  const std::uint64_t without = run(false);
  EXPECT_LT(with, without / 2) << "the queue stays short without losing anything";
}

TEST(Path, EcnThatIsBleachedOrMangledDoesNoHarm) {
  for (int kind = 0; kind < 3; ++kind) {
    Scene scene;
    LinkOptions options;
    options.delay(20ms).mbps(20);
    if (kind == 0) options.ecn_bleach();
    if (kind == 1) options.ecn_mark(1);
    if (kind == 2) options.ecn_mark(0.1);
    scene.link(options);
    scene.serve();
    const Fetch& fetch = scene.download(1'000'000);
    EXPECT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok()) << kind;
  }
}

TEST(Path, PmtudFindsTheFullSize) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(20).v6_only());
  scene.serve();
  const Fetch& fetch = scene.download(1'000'000);
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(scene.connection().stats.max_udp_payload, 1452u);
}

TEST(Path, JumboFramesAreForShortPaths) {
  const auto found = [](Duration delay) {
    Scene scene;
    scene.link(LinkOptions().delay(delay).mbps(1000).mtu(9000).interface_mtu(9000).v6_only());
    scene.serve();
    const Fetch& fetch = scene.upload(10'000'000);
    EXPECT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    return scene.connection().stats.max_udp_payload;
  };
  EXPECT_EQ(found(100us), 8952u);
  EXPECT_EQ(found(10ms), 1452u);
}

TEST(Path, PmtudLivesWithABlackHole) {
  for (const std::size_t mtu : {1280u, 1400u}) {
    Scene scene;
    Link& link = scene.link(LinkOptions().delay(10ms).mbps(20).mtu(mtu));
    scene.serve();
    Meter meter(1);
    scene.world.observe(meter);
    const Fetch& fetch = scene.download(2'000'000);
    ASSERT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    EXPECT_GT(link.down().stats().dropped_for(Verdict::too_big), 0u) << "it did probe";
    EXPECT_LT(link.down().stats().dropped_for(Verdict::too_big), 20u) << "and stopped";
    EXPECT_LE(fetch.took(), 2s);
    scene.world.stop_observing(meter);
  }
}

TEST(Path, SurvivesAnMtuThatShrinks) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms).mbps(20).v6_only());
  scene.serve();
  const Fetch& fetch = scene.download(6'000'000);
  scene.world.run_for(1s);
  ASSERT_GT(fetch.bytes, 500'000u);
  link.mtu(1280);
  ASSERT_TRUE(scene.wait(fetch, 120s));
  EXPECT_TRUE(fetch.ok()) << "RFC 8899 §4.3: black hole detection falls back to 1200";
}

TEST(Path, InterfaceMtuBelowEthernet) {
  // Sends above it fail with EMSGSIZE, as on a tunnel.
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(20).interface_mtu(1300));
  scene.serve();
  const Fetch& down = scene.download(1'000'000);
  const Fetch& up = scene.upload(1'000'000);
  ASSERT_TRUE(scene.wait_all());
  EXPECT_TRUE(down.ok());
  EXPECT_TRUE(up.ok());
}

TEST(Path, KeyUpdatesGoUnnoticed) {
  Scene scene;
  scene.link(LinkOptions().delay(20ms).mbps(10).loss(0.01).reorder(0.02, 10ms));
  scene.serve();
  const Fetch& fetch = scene.download(3'000'000);
  int updates = 0;
  for (int i = 1; i <= 4; ++i) {
    scene.world.at(i * 500ms, [&] {
      if (scene.client().update_keys()) ++updates;
    });
  }
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_GE(updates, 2) << "RFC 9001 §6.1: not before the last one is acknowledged";
  EXPECT_GE(scene.connection().stats.key_updates, 2u);
}

TEST(Path, PreferredAddressIsTaken) {
  Scene scene;
  scene.link(LinkOptions().name("anycast").delay(30ms).mbps(20).v6_only());
  Link& direct = scene.link(LinkOptions().name("unicast").delay(10ms).mbps(20).v6_only());
  ServerOptions options = scene.server_options();
  options.preferred_address(direct.v6(scene.server_host, 443).to_string());
  scene.serve(std::move(options));
  ClientOptions client = scene.client_options();
  client.network_policy(NetworkPolicy::never());  // which binds to no interface: it would need both
  scene.use_client(std::move(client));
  const Fetch& fetch = scene.download(2'000'000);
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(scene.connection().path.remote, direct.v6(scene.server_host, 443));
}

}  // namespace
}  // namespace tern::sim
