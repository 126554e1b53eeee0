#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "tests/sim/server_qlog.h"

/// What a server does when a client's address changes, seen on the wire: each datagram's path, and
/// its frames from the server's qlog.

namespace tern::sim {
namespace {

constexpr Duration kDelay = 20ms;

/// Outlives the server that uses it.
struct Watches {
  std::vector<std::unique_ptr<WatchedNetwork>> networks;
  ServerQlog qlog;
};

/// A server with its network and its qlog watched, and a client behind a NAT.
class WatchedScene : public Watches, public Scene {
 public:
  explicit WatchedScene(std::size_t workers = 1, bool encrypted = false)
      : link(Scene::link(LinkOptions().delay(kDelay).mbps(20).queue_bytes(4'000'000))),
        nat(world.nat(client_host, link)) {
    while (server_host.workers() < workers) server_host.add_worker();
    for (std::size_t i = 0; i < workers; ++i) {
      networks.push_back(std::make_unique<WatchedNetwork>(server_host.network(i)));
    }
    server_network = [this](std::size_t worker) -> udp::Network& { return *networks[worker]; };
    router.post("/echo", echo_datagrams);
    ServerOptions options = server_options();
    options.qlog(qlog.opener());
    if (encrypted) {
      quic::CidCodec::Key key{};
      key.fill(0x17);
      options.cids(quic::CidConfig().key(key));
    }
    serve(std::move(options));
    // See Path.SurvivesNatRebindingInADownload.
    ClientOptions client = client_options();
    client.transport().keep_alive = 100ms;
    use_client(std::move(client));
  }

  static Task<void> echo_datagrams(http::Exchange& exchange) {
    http::Response head(http::Status::ok);
    co_await exchange.start(std::move(head));
    for (;;) {
      Result<Bytes> datagram = co_await exchange.receive_datagram();
      if (!datagram) break;
      exchange.send_datagram(*datagram);
    }
    co_await exchange.finish();
  }

  /// Of the worker that has the connection.
  const WatchedNetwork& network() const {
    return **std::max_element(networks.begin(), networks.end(), [](const auto& a, const auto& b) {
      return a->sent().size() < b->sent().size();
    });
  }
  std::vector<SentDatagram> sent() const { return qlog.explain(network().sent()); }

  Link& link;
  Nat& nat;
};

/// The first datagram that was sent on each path, in order.
std::vector<SentDatagram> first_on_each_path(const std::vector<SentDatagram>& sent) {
  std::vector<SentDatagram> first;
  for (const SentDatagram& datagram : sent) {
    const bool known = std::any_of(first.begin(), first.end(), [&](const SentDatagram& other) {
      return other.path == datagram.path;
    });
    if (!known) first.push_back(datagram);
  }
  return first;
}

struct Rebinding {
  bool new_address;
  bool upload;
  std::size_t workers;
  bool encrypted;
};

void transfer_while_the_nat_rebinds(WatchedScene& scene, const Rebinding& how, int times) {
  const Fetch& fetch = how.upload ? scene.upload(8'000'000) : scene.download(5'000'000);
  for (int i = 1; i <= times; ++i) {
    scene.world.at(i * (how.upload ? 600ms : 350ms),
                   [&] { how.new_address ? scene.nat.rebind_address() : scene.nat.rebind(); });
  }
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
}

class ServerPath : public testing::TestWithParam<Rebinding> {};

TEST_P(ServerPath, BeginsOnEveryNewPathWithAChallenge) {
  const Rebinding& how = GetParam();
  WatchedScene scene(how.workers, how.encrypted);
  transfer_while_the_nat_rebinds(scene, how, 5);
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
  EXPECT_EQ(scene.server_counter("quic.handshakes_completed"), 1u);
  const std::vector<SentDatagram> paths = first_on_each_path(scene.sent());
  ASSERT_EQ(paths.size(), 6u);
  for (std::size_t i = 1; i < paths.size(); ++i) {
    EXPECT_TRUE(paths[i].has("path_challenge")) << "path " << i << ": " << paths[i].frames;
  }
  if (!how.upload) {
    EXPECT_GE(scene.network().largest_batch(), 10u) << "GSO was at work";
  }
}

TEST_P(ServerPath, SendsThreeTimesWhatCameUntilThePathIsValidated) {
  const Rebinding& how = GetParam();
  WatchedScene scene(how.workers, how.encrypted);
  transfer_while_the_nat_rebinds(scene, how, 4);
  const std::vector<SentDatagram> sent = scene.sent();
  const std::vector<SentDatagram> paths = first_on_each_path(sent);
  ASSERT_EQ(paths.size(), 5u);
  for (std::size_t i = 1; i < paths.size(); ++i) {
    // No answer to a challenge is back within a round trip.
    const Timestamp unproven = paths[i].when + 2 * kDelay;
    std::uint64_t came = 0;
    for (const auto& worker : scene.networks) {
      for (const WatchedNetwork::Received& datagram : worker->received()) {
        if (datagram.path == paths[i].path && datagram.when < unproven) came += datagram.size;
      }
    }
    std::uint64_t went = 0;
    for (const SentDatagram& datagram : sent) {
      if (datagram.path == paths[i].path && datagram.when < unproven) went += datagram.size;
    }
    EXPECT_GT(went, 0u);
    EXPECT_LE(went, 3 * came) << "RFC 9000 §8.1, path " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rebindings, ServerPath,
    testing::Values(Rebinding{false, false, 1, false}, Rebinding{true, false, 1, false},
                    Rebinding{false, true, 1, false}, Rebinding{true, true, 1, false},
                    Rebinding{false, false, 4, false}, Rebinding{true, false, 4, false},
                    Rebinding{false, false, 4, true}, Rebinding{true, true, 4, true}),
    [](const auto& test) {
      const Rebinding& how = test.param;
      return std::string(how.new_address ? "Address" : "Port") +
             (how.upload ? "Upload" : "Download") + std::to_string(how.workers) +
             (how.encrypted ? "Encrypted" : "");
    });

TEST(ServerPaths, ANewPortKeepsTheCongestionStateAndANewAddressDoesNot) {
  // RFC 9000 §9.4.
  constexpr std::uint64_t kInitialWindow = 14'720;  // RFC 9002 §7.2
  for (const bool new_address : {false, true}) {
    WatchedScene scene;
    const Fetch& fetch = scene.download(5'000'000);
    scene.world.at(700ms, [&] { new_address ? scene.nat.rebind_address() : scene.nat.rebind(); });
    ASSERT_TRUE(scene.wait(fetch));
    EXPECT_TRUE(fetch.ok());
    const Timestamp moved = first_on_each_path(scene.sent())[1].when;
    const Duration at = moved - scene.network().received().front().when;
    std::uint64_t before = 0;
    std::uint64_t least_after = UINT64_MAX;
    for (const ServerQlog::Metric& window : scene.qlog.metric("congestion_window")) {
      if (window.when < at - 5ms) before = window.value;
      if (window.when > at && window.when < at + 200ms) {
        least_after = std::min(least_after, window.value);
      }
    }
    EXPECT_GT(before, 4 * kInitialWindow);
    if (new_address) {
      EXPECT_LE(least_after, 2 * kInitialWindow) << "slow start begins again";
    } else {
      EXPECT_GE(least_after, before / 2) << "at most what the lost packets cost";
    }
  }
}

TEST(ServerPaths, TheOldPathIsAskedTooBeforeItIsGivenUp) {
  // RFC 9000 §9.3.3: the packet may be a copy that somebody forwarded faster than the network.
  WatchedScene scene;
  const Fetch& fetch = scene.download(3'000'000);
  scene.world.at(500ms, [&] { scene.nat.rebind(); });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  const std::vector<SentDatagram> sent = scene.sent();
  const std::vector<SentDatagram> paths = first_on_each_path(sent);
  ASSERT_EQ(paths.size(), 2u);
  std::size_t challenges = 0;
  for (const SentDatagram& datagram : sent) {
    if (datagram.when > paths[1].when && datagram.path == paths[0].path) {
      EXPECT_TRUE(datagram.has("path_challenge")) << "nothing else goes there: " << datagram.frames;
      ++challenges;
    }
  }
  EXPECT_GE(challenges, 1u);
}

TEST(ServerPaths, AProbedPathIsChallengedBeforeItCarriesData) {
  // A client that probes has its PATH_RESPONSE first (what transport/quic/return_challenge.h puts
  // beside it is not in the qlog); when its traffic comes, a challenge goes before the data.
  WatchedScene scene;
  Link& cellular = scene.Scene::link(LinkOptions().delay(30ms).mbps(10).queue_bytes(4'000'000));
  const Fetch& fetch = scene.download(3'000'000);
  scene.world.at(500ms,
                 [&] { EXPECT_TRUE(scene.client().migrate(cellular.v6(scene.client_host))); });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  const std::vector<SentDatagram> sent = scene.sent();
  const std::vector<SentDatagram> paths = first_on_each_path(sent);
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_TRUE(paths[1].has("path_response")) << paths[1].frames;
  bool challenged = false;
  for (const SentDatagram& datagram : sent) {
    if (!(datagram.path == paths[1].path)) continue;
    challenged = challenged || datagram.has("path_challenge");
    if (!challenged) {
      EXPECT_FALSE(datagram.has("stream")) << datagram.frames;
    }
  }
  EXPECT_TRUE(challenged);
}

TEST(ServerPaths, AForgedCopyCostsLittleAndTheConnectionGoesBack) {
  // RFC 9000 §9.3.2, from the attacker's side: what the victim of reflection gets.
  WatchedScene scene;
  const Fetch& fetch = scene.download(3'000'000);
  scene.world.run_for(500ms);
  const udp::Address elsewhere = *udp::Address::parse("[2001:db8:ffff::1]:999");
  const udp::Address server = scene.server_host.v6(443);
  // Somebody on the way sends it on from elsewhere, and keeps the true ones for a while.
  std::size_t seen = 0;
  Duration begun{};
  scene.link.up().filter([&](ByteView payload) {
    if (++seen == 1) {
      begun = scene.world.elapsed();
      scene.link.up().inject(elsewhere, server, payload);
      return false;
    }
    return seen == 2 || scene.world.elapsed() > begun + 100ms;  // the second is the forged one
  });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  std::uint64_t came = 0;
  std::uint64_t went = 0;
  for (const auto& datagram : scene.network().received()) {
    if (datagram.path.remote == elsewhere) came += datagram.size;
  }
  for (const SentDatagram& datagram : scene.network().sent()) {
    if (datagram.path.remote == elsewhere) went += datagram.size;
  }
  EXPECT_GT(came, 0u);
  EXPECT_GT(went, 0u);
  EXPECT_LE(went, 3 * came);
}

struct Echoes {
  int sent = 0;
  std::vector<std::string> got;
  bool ended = false;
};

/// Sends one every 10 ms, whatever comes back.
Task<void> send_datagrams(http::ClientExchange& exchange, Runtime& runtime, Echoes& echoes) {
  for (int i = 0; i < 200; ++i) {
    const std::string text = std::to_string(i);
    if (exchange.send_datagram(as_bytes(text))) ++echoes.sent;
    co_await runtime.sleep(10ms);
  }
  co_await exchange.finish();
}

Task<void> receive_datagrams(http::ClientExchange& exchange, Echoes& echoes) {
  for (;;) {
    Result<Bytes> answer = co_await exchange.receive_datagram();
    if (!answer) break;
    echoes.got.emplace_back(answer->text());
  }
  echoes.ended = true;
}

Task<void> exchange_datagrams(Client& client, Runtime& runtime, Scope& scope, Echoes& echoes) {
  ClientRequest request("https://server/echo");
  request.method("POST").streaming();
  Result<ClientStream> stream = co_await client.open(std::move(request));
  if (!stream) co_return;
  http::ClientExchange& exchange = stream->exchange();
  Result<http::Response> head = co_await exchange.response();
  if (!head) co_return;
  scope.spawn(send_datagrams(exchange, runtime, echoes));
  co_await receive_datagrams(exchange, echoes);
}

TEST(ServerPaths, DatagramsGoOnAcrossRebindings) {
  for (const bool new_address : {false, true}) {
    WatchedScene scene(4, true);
    Echoes echoes;
    Runtime& runtime = scene.client_host.runtime();
    Scope scope(runtime.ready());
    scope.spawn(exchange_datagrams(scene.client(), runtime, scope, echoes));
    constexpr int kRebindings = 4;
    for (int i = 1; i <= kRebindings; ++i) {
      scene.world.at(i * 400ms,
                     [&] { new_address ? scene.nat.rebind_address() : scene.nat.rebind(); });
    }
    scene.world.run_until([&] { return echoes.ended; }, 10s);
    EXPECT_EQ(echoes.sent, 200);
    // Lost is what was on its way to the old address: less than a round trip's each time.
    EXPECT_GE(echoes.got.size(), 200u - kRebindings * 5u);
    EXPECT_TRUE(std::adjacent_find(echoes.got.begin(), echoes.got.end()) == echoes.got.end());
    EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
  }
}

}  // namespace
}  // namespace tern::sim
