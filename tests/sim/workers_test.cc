#include <algorithm>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"

namespace tern::sim {
namespace {

constexpr std::size_t kWorkers = 4;

void add_workers(Scene& scene) {
  while (scene.server_host.workers() < kWorkers) scene.server_host.add_worker();
}

/// See Path.SurvivesNatRebindingInADownload.
ClientOptions lively(const Scene& scene) {
  ClientOptions options = scene.client_options();
  options.transport().keep_alive = 50ms;
  return options;
}

/// Connections that each worker has accepted.
std::vector<std::uint64_t> accepted(Scene& scene) {
  std::vector<std::uint64_t> counts;
  for (std::size_t i = 0; i < kWorkers; ++i) {
    for (const auto& [name, value] : scene.server_host.runtime(i).counters().snapshot()) {
      if (name == "quic.connections_accepted") counts.push_back(value);
    }
  }
  return counts;
}

TEST(Workers, ShareThePort) {
  Scene scene;
  add_workers(scene);
  scene.link(LinkOptions().delay(5ms));
  scene.serve();
  constexpr int kConnections = 40;
  for (int i = 0; i < kConnections; ++i) {
    scene.use_client(scene.client_options());
    ASSERT_TRUE(scene.fetch("/hello").ok());
  }
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), kConnections);
  EXPECT_THAT(accepted(scene), testing::Each(testing::Ge(1u)));
}

TEST(Workers, ConnectionIdsSteerAReboundConnectionHome) {
  Scene scene;
  add_workers(scene);
  Link& link = scene.link(LinkOptions().delay(10ms).mbps(20));
  Nat& nat = scene.world.nat(scene.client_host, link);
  scene.serve();
  scene.use_client(lively(scene));
  const Fetch& fetch = scene.download(5'000'000);
  for (int i = 1; i <= 5; ++i) scene.world.at(i * 300ms, [&] { nat.rebind(); });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_GE(scene.server_counter("quic.paths_changed"), 5u);
  EXPECT_EQ(scene.server_counter("server.handed_over"), 0u)
      << "the kernel reads the worker out of the connection ID";
}

TEST(Workers, StraysAreHandedToTheirOwner) {
  // Encrypted connection IDs tell the kernel nothing: it hashes addresses and ports, so a rebound
  // connection's packets reach some other worker.
  Scene scene;
  add_workers(scene);
  Link& link = scene.link(LinkOptions().delay(10ms).mbps(20));
  Nat& nat = scene.world.nat(scene.client_host, link);
  ServerOptions options = scene.server_options();
  quic::CidConfig cids;
  quic::CidCodec::Key key{};
  key.fill(0x17);
  cids.key(key);
  options.cids(cids);
  scene.serve(std::move(options));
  scene.use_client(lively(scene));
  const Fetch& down = scene.download(3'000'000);
  const Fetch& up = scene.upload(3'000'000);
  for (int i = 1; i <= 5; ++i) scene.world.at(i * 300ms, [&] { nat.rebind(); });
  ASSERT_TRUE(scene.wait_all());
  EXPECT_TRUE(down.ok());
  EXPECT_TRUE(up.ok());
  EXPECT_GT(scene.server_counter("server.handed_over"), 0u);
  EXPECT_EQ(scene.server_counter("server.handed_over_dropped"), 0u);
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
}

TEST(Workers, RetryTokensAndTicketsAreGoodOnEveryWorker) {
  Scene scene;
  add_workers(scene);
  scene.link(LinkOptions().delay(5ms));
  ServerOptions options = scene.server_options();
  options.retry(quic::RetryPolicy::always);
  scene.serve(std::move(options));
  auto cache = std::make_shared<SessionCache>();
  int resumed = 0;
  for (int i = 0; i < 20; ++i) {
    ClientOptions again = scene.client_options();
    again.sessions(cache).early_data(true);
    scene.use_client(std::move(again));
    ASSERT_TRUE(scene.fetch("/hello").ok());
    resumed += scene.connection().handshake.resumed ? 1 : 0;
    scene.world.run_for(100ms);
  }
  EXPECT_EQ(resumed, 19);
}

TEST(Workers, ManyClientsReboundWhileDownloading) {
  Scene scene;
  add_workers(scene);
  Host& home = scene.world.router("home");
  constexpr int kClients = 20;
  std::vector<std::unique_ptr<Client>> clients;
  struct Download {
    bool done = false;
    bool good = false;
  };
  std::vector<Download> downloads(kClients);
  scene.world.link(scene.client_host, home, LinkOptions().delay(1ms));
  Link& uplink = scene.world.link(home, scene.server_host, LinkOptions().delay(10ms).mbps(40));
  Nat& nat = scene.world.nat(home, uplink);
  scene.serve();
  struct Fetcher {
    static Task<void> run(Client& client, Download& download) {
      Result<ClientResponse> response = co_await client.get("https://server/bytes/300000");
      download.done = true;
      download.good = response && response->body().size() == 300'000 &&
                      is_pattern(as_bytes(response->body()), 0);
    }
  };
  Runtime& runtime = scene.client_host.runtime();
  Scope scope(runtime.ready());
  for (Download& download : downloads) {
    clients.push_back(
        std::make_unique<Client>(runtime, scene.client_host.network(), lively(scene)));
    scope.spawn(Fetcher::run(*clients.back(), download));
  }
  for (int i = 1; i <= 5; ++i) scene.world.at(i * 200ms, [&] { nat.rebind(); });
  EXPECT_TRUE(scene.world.run_until([&] {
    return std::all_of(downloads.begin(), downloads.end(),
                       [](const Download& d) { return d.done; });
  }));
  for (const Download& download : downloads) EXPECT_TRUE(download.good);
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), kClients);
}

}  // namespace
}  // namespace tern::sim
