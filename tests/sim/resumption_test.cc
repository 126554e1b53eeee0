#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "tests/unit/temporary_folder.h"
#include "transport/tls/key_ring.h"

namespace tern::sim {
namespace {

/// Visits the server once, so that `cache` holds tickets.
void first_visit(Scene& scene, const std::shared_ptr<SessionCache>& cache) {
  ClientOptions options = scene.client_options();
  options.sessions(cache);
  scene.use_client(std::move(options));
  ASSERT_TRUE(scene.fetch("/hello").ok());
  scene.world.run_for(1s);
  ASSERT_GT(cache->size(), 0u);
}

void come_back(Scene& scene, const std::shared_ptr<SessionCache>& cache, bool early_data) {
  ClientOptions options = scene.client_options();
  options.sessions(cache).early_data(early_data);
  scene.use_client(std::move(options));
}

TEST(Resumption, SendsNoCertificate) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(50ms));
  scene.serve();
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  const std::uint64_t full = link.down().stats().bytes_delivered;
  come_back(scene, cache, false);
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.took(), 200ms);
  EXPECT_TRUE(scene.connection().handshake.resumed);
  EXPECT_FALSE(fetch.early_data);
  EXPECT_EQ(scene.server_counter("quic.handshakes_resumed"), 1u);
  EXPECT_LT(link.down().stats().bytes_delivered - full, full);
}

TEST(Resumption, EarlyDataSavesARoundTrip) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  scene.serve();
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  come_back(scene, cache, true);
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_LT(fetch.took(), 110ms) << "the answer comes with the server's first flight";
  EXPECT_TRUE(fetch.early_data);
  EXPECT_TRUE(scene.connection().handshake.early_data_accepted);
  scene.world.run_for(100ms);  // the server's handshake is complete with the client's Finished
  EXPECT_EQ(scene.server_counter("quic.early_data_accepted"), 1u);
}

TEST(Resumption, EarlyDataSurvivesLoss) {
  for (std::uint64_t i = 0; i < 20; ++i) {
    Scene scene(seed() + i);
    Link& link = scene.link(LinkOptions().delay(20ms));
    scene.serve();
    auto cache = std::make_shared<SessionCache>();
    first_visit(scene, cache);
    come_back(scene, cache, true);
    link.loss(0.2).reorder(0.2, 10ms);
    EXPECT_TRUE(scene.fetch("/hello", 120s).ok()) << "SIM_SEED=" << scene.world.seed();
  }
}

TEST(Resumption, RejectedEarlyDataIsSentAgain) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  scene.serve();
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  // A server that restarted without its old secrets cannot read the ticket.
  scene.stop_server();
  scene.serve();
  come_back(scene, cache, true);
  const std::uint64_t before = scene.server_counter("http3.requests");
  const Fetch& one = scene.get("/hello");
  const Fetch& two = scene.get("/bytes/50000");
  ASSERT_TRUE(scene.wait_all());
  EXPECT_TRUE(one.ok());
  EXPECT_TRUE(two.ok());
  EXPECT_EQ(one.took(), 200ms) << "no worse than a full handshake";
  EXPECT_FALSE(scene.connection().handshake.resumed);
  EXPECT_EQ(scene.server_counter("http3.requests") - before, 2u) << "each was processed once";
}

TEST(Resumption, EarlyDataIsRejectedWhenTheServerWantsNone) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  const std::string folder = testing::TempDir() + "/sim_early_data_rejected";
  const auto with_secrets = [&] {
    ServerOptions options = scene.server_options();
    options.state_dir(folder);
    return options;
  };
  scene.serve(with_secrets());
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  scene.stop_server();
  ServerOptions strict = with_secrets();
  strict.early_data(false);
  scene.serve(std::move(strict));
  come_back(scene, cache, true);
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_TRUE(scene.connection().handshake.resumed) << "the ticket is still good";
  EXPECT_TRUE(scene.connection().handshake.early_data_rejected);
}

TEST(Resumption, UnsafeRequestsWaitForTheHandshake) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  scene.serve();
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  come_back(scene, cache, true);
  const Fetch& fetch = scene.upload(1000);
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_FALSE(fetch.early_data);
  EXPECT_EQ(fetch.took(), 200ms);
}

TEST(Resumption, TokenSparesTheRetry) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  ServerOptions options = scene.server_options();
  options.retry(quic::RetryPolicy::always);
  scene.serve(std::move(options));
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  EXPECT_EQ(scene.server_counter("quic.retries_sent"), 1u);
  come_back(scene, cache, false);
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.took(), 200ms) << "NEW_TOKEN proves the address (RFC 9000 §8.1.3)";
  EXPECT_EQ(scene.server_counter("quic.retries_sent"), 1u);
}

TEST(Resumption, TicketsExpire) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  scene.serve();
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  scene.world.run_for(std::chrono::hours(24 * 8));
  come_back(scene, cache, true);
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_FALSE(scene.connection().handshake.resumed);
}

/// Whether a client that was there `age` ago is resumed.
bool resumes_after(Duration age, Duration key_rotation) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  ServerOptions options = scene.server_options();
  options.key_rotation(key_rotation);
  scene.serve(std::move(options));
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  scene.world.run_for(age);
  come_back(scene, cache, false);
  EXPECT_TRUE(scene.fetch("/hello").ok());
  return scene.connection().handshake.resumed;
}

TEST(Resumption, TicketsAreGoodForThreeRotationsOfTheKeys) {
  EXPECT_TRUE(resumes_after(2h + 50min, 1h));
  EXPECT_FALSE(resumes_after(3h + 10min, 1h));
  EXPECT_TRUE(resumes_after(29h, 10h)) << "longer than by default";
  EXPECT_FALSE(resumes_after(31h, 10h));
}

TEST(Resumption, KeysRotateInTheSharedFolder) {
  test::TemporaryFolder folder;
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  const auto with_keys = [&] {
    ServerOptions options = scene.server_options();
    options.state_dir(folder.path().string()).key_rotation(1h);
    return options;
  };
  const auto load = [&] { return *tls::KeyRing::load(folder / "keys"); };
  scene.serve(with_keys());
  const tls::RingKey first = load()->snapshot()->front();
  scene.world.run_for(1h + 61s);
  ASSERT_EQ(load()->snapshot()->size(), 2u);
  EXPECT_NE(load()->snapshot()->front().id, first.id);
  EXPECT_EQ(load()->snapshot()->back().id, first.id);

  // Another machine is ahead of this one by so much that nothing of what this one has is left.
  Random random(1);
  const auto ahead = load();
  for (std::size_t i = 0; i < tls::KeyRing::kMaxKeys; ++i) {
    ahead->rotate(random, scene.server_host.runtime().unix_seconds());
  }
  ASSERT_TRUE(ahead->save(folder / "keys"));
  scene.world.run_for(61s);
  auto cache = std::make_shared<SessionCache>();
  first_visit(scene, cache);
  scene.stop_server();
  scene.serve(with_keys());
  come_back(scene, cache, false);
  EXPECT_TRUE(scene.fetch("/hello").ok());
  EXPECT_TRUE(scene.connection().handshake.resumed) << "by a key of the other machine's";
}

}  // namespace
}  // namespace tern::sim
