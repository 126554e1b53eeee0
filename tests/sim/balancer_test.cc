#include <array>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "transport/quic/balanced_relay.h"

namespace tern::sim {
namespace {

/// Two machines behind a balancer, and a client behind a NAT that changes.
class BalancedScene : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::size_t kWorkers = 2;

  BalancedScene()
      : balancer_host(scene.world.host("balancer")),
        second_host(scene.world.host("second")),
        uplink(
            scene.world.link(scene.client_host, balancer_host, LinkOptions().delay(15ms).mbps(20))),
        nat(scene.world.nat(scene.client_host, uplink)) {
    scene.world.link(balancer_host, scene.server_host, LinkOptions().delay(100us).mbps(1000));
    scene.world.link(balancer_host, second_host, LinkOptions().delay(100us).mbps(1000));
    for (Host* host : {&scene.server_host, &second_host}) {
      while (host->workers() < kWorkers) host->add_worker();
    }
    scene.serve(scene.server_options().cids(cids({1})));
    second = std::make_unique<Server>(scene.server_options().cids(cids({2})));
    for (std::size_t i = 0; i < kWorkers; ++i) {
      auto started = second->start(second_host.runtime(i), second_host.network(i), scene.router, i);
      EXPECT_TRUE(started);
    }
    auto balancer = quic::LoadBalancer::create(
        cids({1}), {quic::ConnectionId(Octets{1}), quic::ConnectionId(Octets{2})});
    EXPECT_TRUE(balancer);
    auto created = quic::BalancedRelay::create(
        balancer_host.runtime(), balancer_host.network(), std::move(*balancer),
        *udp::Address::parse("[::]:443"), {scene.server_host.v6(443), second_host.v6(443)});
    EXPECT_TRUE(created);
    relay = std::move(*created);
  }
  ~BalancedScene() override {
    second->stop();
    scene.world.run_until([&] { return second->stopped(); }, 10s);
    second.reset();
    scene.abandon_all();
    scene.world.run_for(1s);
    relay.reset();
  }

  using Octets = std::vector<std::uint8_t>;
  static quic::CidConfig cids(const Octets& machine) {
    quic::CidConfig config;
    config.machine_id(machine);
    quic::CidCodec::Key key{};
    key.fill(0x2b);
    if (GetParam()) config.key(key);
    return config;
  }

  void new_client() {
    ClientOptions options = scene.client_options();
    options.transport().keep_alive = 100ms;
    options.resolve("server", 443, balancer_host.v6(443));
    scene.use_client(std::move(options));
  }

  static std::uint64_t count(Server& server, std::string_view name) {
    for (const auto& [key, value] : server.counters()) {
      if (key == name) return value;
    }
    return 0;
  }

  Scene scene;
  Host& balancer_host;
  Host& second_host;
  Link& uplink;
  Nat& nat;
  std::unique_ptr<Server> second;
  std::unique_ptr<quic::BalancedRelay> relay;
};

INSTANTIATE_TEST_SUITE_P(Cids, BalancedScene, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Encrypted" : "Plain"; });

TEST_P(BalancedScene, AMigratedClientStaysWithItsMachine) {
  constexpr int kClients = 8;
  for (int i = 0; i < kClients; ++i) {
    new_client();
    const Duration begun = scene.world.elapsed();
    const Fetch& fetch = scene.download(2'000'000);
    for (int move = 1; move <= 3; ++move) {
      scene.world.at(begun + move * 200ms, [&] { nat.rebind_address(); });
    }
    ASSERT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    EXPECT_LE(fetch.longest_stall(), 1s);
  }
  const std::array<std::uint64_t, 2> accepted{count(scene.server(), "quic.connections_accepted"),
                                              count(*second, "quic.connections_accepted")};
  EXPECT_EQ(accepted[0] + accepted[1], static_cast<std::uint64_t>(kClients));
  EXPECT_THAT(accepted, testing::Each(testing::Ge(1u))) << "both machines had some";
  for (Server* server : {&scene.server(), second.get()}) {
    EXPECT_EQ(count(*server, "quic.dropped.no_connection"), 0u);
    EXPECT_EQ(count(*server, "quic.stateless_resets_sent"), 0u);
    EXPECT_EQ(count(*server, "quic.paths_changed"),
              3 * count(*server, "quic.connections_accepted"));
  }
}

TEST_P(BalancedScene, ABalancerThatIsReplacedLosesNobody) {
  new_client();
  const Fetch& fetch = scene.download(2'000'000);
  scene.world.run_for(500ms);
  relay.reset();  // its table with it
  auto balancer = quic::LoadBalancer::create(
      cids({1}), {quic::ConnectionId(Octets{1}), quic::ConnectionId(Octets{2})});
  auto created = quic::BalancedRelay::create(balancer_host.runtime(), balancer_host.network(),
                                             std::move(*balancer), *udp::Address::parse("[::]:443"),
                                             {scene.server_host.v6(443), second_host.v6(443)}, 1);
  ASSERT_TRUE(created);
  relay = std::move(*created);
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(relay->clients(), 1u);
}

}  // namespace
}  // namespace tern::sim
