// Server and Client together, in virtual time: pool, redirects, limits, time-outs, repetition.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/client.h"
#include "gateway/server.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"
#include "transport/udp/forwarding_network.h"
#include "webtransport/server.h"

namespace tern {
namespace {

using namespace std::chrono_literals;

const tls::Identity& authority() {
  static const tls::Identity made = *tls::make_authority(
      tls::DevelopmentOptions(sim::World::kUnixEpoch).key_type(tls::KeyType::ed25519).days(3650));
  return made;
}

tls::Certificate leaf() {
  static const tls::Identity made =
      *tls::make_leaf(authority(), tls::DevelopmentOptions(sim::World::kUnixEpoch)
                                       .key_type(tls::KeyType::ed25519)
                                       .days(365)
                                       .names({"server", "other"}));
  return *tls::Certificate::parse(made.certificate, made.key);
}

Task<void> hello(http::Exchange& exchange) { co_await exchange.respond(http::Status::ok, "hello"); }

Task<void> slow(http::Exchange& exchange) {
  co_await exchange.runtime().sleep(5s);
  co_await exchange.respond(http::Status::ok, "at last");
}

Task<void> big(http::Exchange& exchange) {
  std::string text(100'000, 'x');
  co_await exchange.respond(http::Status::ok, std::move(text));
}

Task<void> there(http::Exchange& exchange) {
  http::Response response(http::Status::found);
  response.field("location", "/hello");
  co_await exchange.respond(std::move(response));
}

Task<void> round(http::Exchange& exchange) {
  http::Response response(http::Status::found);
  response.field("location", "/round");
  co_await exchange.respond(std::move(response));
}

http::Router site() {
  http::Router router;
  router.get("/hello", hello);
  router.get("/slow", slow);
  router.get("/big", big);
  router.get("/there", there);
  router.get("/round", round);
  return router;
}

class Pair {
 public:
  explicit Pair(http::Router router = site())
      : router_(std::move(router)),
        world_(sim::seed()),
        server_host_(world_.host("server")),
        client_host_(world_.host("client")) {
    world_.alias("other", server_host_);
    world_.link(server_host_, client_host_, sim::LinkOptions().delay(10ms));
    start_server();
  }

  void start_server() {
    server_.reset();
    server_.emplace(ServerOptions().certificate(leaf()).listen("[::]:443"));
    const Result<void> started =
        server_->start(server_host_.runtime(), server_host_.network(), router_);
    TERN_CHECK(started.has_value());
  }
  Server& server() { return *server_; }
  sim::World& world() { return world_; }

  ClientOptions options() const { return ClientOptions().ca_pem(authority().certificate); }
  Client& client(ClientOptions options) {
    return client_.emplace(client_host_.runtime(), client_host_.network(), std::move(options));
  }
  Client& client() { return client(options()); }
  Runtime& runtime() { return client_host_.runtime(); }

  Result<ClientResponse> get(const std::string& url) {
    return runtime().block_on(client_->get(url));
  }

 private:
  http::Router router_;
  sim::World world_;
  sim::Host& server_host_;
  sim::Host& client_host_;
  std::optional<Server> server_;
  std::optional<Client> client_;
};

TEST(Client, FetchesAndKeepsTheConnection) {
  Pair pair;
  Client& client = pair.client();
  for (int i = 0; i < 3; ++i) {
    const auto response = pair.get("https://server/hello");
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_TRUE(response->ok());
    EXPECT_EQ(response->body(), "hello");
    EXPECT_EQ(response->protocol(), "h3");
    EXPECT_EQ(response->timings().connected > Duration::zero(), i == 0);
  }
  ASSERT_EQ(client.connections().size(), 1u);
  EXPECT_EQ(client.connections()[0].requests, 3u);
}

Task<void> fetch_into(Client& client, std::string url, std::optional<Result<ClientResponse>>& out) {
  out.emplace(co_await client.get(url));
}

TEST(Client, OneConnectionForAnOriginHoweverManyAsk) {
  Pair pair;
  Client& client = pair.client();
  std::optional<Result<ClientResponse>> results[20];
  {
    Scope scope(pair.runtime().ready());
    for (int i = 0; i < 20; ++i) {
      scope.spawn(fetch_into(client, i % 2 == 0 ? "https://server/hello" : "https://other/hello",
                             results[i]));
    }
    EXPECT_TRUE(pair.world().run_until([&] {
      for (const auto& result : results) {
        if (!result) return false;
      }
      return true;
    }));
  }
  for (const auto& result : results) {
    ASSERT_TRUE(result && *result);
    EXPECT_EQ((*result)->body(), "hello");
  }
  const auto connections = client.connections();
  ASSERT_EQ(connections.size(), 2u);
  EXPECT_EQ(connections[0].requests, 10u);
  EXPECT_EQ(connections[1].requests, 10u);
}

TEST(Client, FollowsRedirectsOnlyWhenAsked) {
  Pair pair;
  pair.client();
  EXPECT_EQ(http::code(pair.get("https://server/there")->status()), 302);
  ClientOptions options = pair.options();
  pair.client(options.redirects(3));
  const auto followed = pair.get("https://server/there");
  ASSERT_TRUE(followed);
  EXPECT_EQ(followed->body(), "hello");
  EXPECT_EQ(followed->redirects(), 1u);
  EXPECT_EQ(followed->url(), "https://server/hello");
  const auto endless = pair.get("https://server/round");
  ASSERT_FALSE(endless);
  EXPECT_TRUE(endless.error().is(Code::limit));
}

TEST(Client, Limits) {
  Pair pair;
  ClientOptions options = pair.options();
  pair.client(options.max_body(1000).timeout(2s));
  const auto too_big = pair.get("https://server/big");
  ASSERT_FALSE(too_big);
  EXPECT_TRUE(too_big.error().is(Code::limit)) << too_big.error().to_string();
  const auto too_slow = pair.get("https://server/slow");
  ASSERT_FALSE(too_slow);
  EXPECT_TRUE(too_slow.error().is(Code::timed_out)) << too_slow.error().to_string();
  EXPECT_EQ(pair.get("https://server/hello")->body(), "hello") << "the connection goes on";
}

TEST(Client, SaysWhatItCannotReach) {
  Pair pair;
  ClientOptions options = pair.options();
  pair.client(options.connect_timeout(3s).protocols(ClientProtocols::http3_only));
  EXPECT_TRUE(pair.get("ftp://server/").error().is(Code::invalid));
  EXPECT_TRUE(pair.get("http://server/").error().is(Code::invalid));
  EXPECT_TRUE(pair.get("https://nobody/").error().is(Code::not_found));
  const Timestamp begun = pair.runtime().now();
  EXPECT_TRUE(pair.get("https://server:9/").error().is(Code::timed_out));
  EXPECT_EQ(pair.runtime().now() - begun, 3s);
  pair.client(ClientOptions().ca_pem(
      tls::make_authority(tls::DevelopmentOptions(sim::World::kUnixEpoch).days(100))->certificate));
  EXPECT_TRUE(pair.get("https://server/hello").error().is(Code::certificate));
}

TEST(Client, OpensAnotherConnectionWhenTheServerDrains) {
  Pair pair;
  Client& client = pair.client();
  ASSERT_TRUE(pair.get("https://server/hello"));
  pair.server().drain();
  pair.world().run_for(1s);
  EXPECT_TRUE(pair.server().stopped());
  pair.start_server();
  const auto again = pair.get("https://server/hello");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(client.connections().size(), 2u) << "the closed one is still remembered";
}

TEST(Client, RepeatsARequestOnceIfAllowed) {
  for (const bool allowed : {false, true}) {
    Pair pair;
    ClientOptions options = pair.options();
    pair.client(options.retry_on_close(allowed));
    ASSERT_TRUE(pair.get("https://server/hello"));
    pair.world().after(1s, [&] {
      pair.server().stop();
      // The client hears of it after 10 ms; its next first packet needs 10 ms more.
      pair.world().after(15ms, [&] { pair.start_server(); });
    });
    const auto response = pair.get("https://server/slow");
    EXPECT_EQ(response.has_value(), allowed) << response.error().to_string();
  }
}

TEST(Server, DrainLetsRequestsFinish) {
  Pair pair;
  pair.client();
  ASSERT_TRUE(pair.get("https://server/hello"));
  pair.world().after(1s, [&] { pair.server().drain(); });
  const auto response = pair.get("https://server/slow");
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body(), "at last");
  EXPECT_TRUE(pair.world().run_until([&] { return pair.server().stopped(); }, 2s));
}

/// Has no room for packets for a while, as an engine whose socket is full of those before.
class Hesitating final : public udp::ForwardingNetwork {
 public:
  using ForwardingNetwork::ForwardingNetwork;
  udp::Slab* acquire() override {
    return now() < until ? nullptr : udp::ForwardingNetwork::acquire();
  }
  Timestamp until{};
};

TEST(Server, HasStoppedWhenItsLastWordsHaveLeft) {
  sim::World world(1);
  sim::Host& server_host = world.host("server");
  sim::Host& client_host = world.host("client");
  world.link(server_host, client_host, sim::LinkOptions().delay(10ms));
  Hesitating network(server_host.network());
  std::optional<Server> server(std::in_place,
                               ServerOptions().certificate(leaf()).listen("[::]:443"));
  ASSERT_TRUE(server->start(server_host.runtime(), network, site()));
  Client client(client_host.runtime(), client_host.network(),
                ClientOptions().ca_pem(authority().certificate));
  ASSERT_TRUE(client_host.runtime().block_on(client.get("https://server/hello")));
  network.until = server_host.runtime().now() + 50ms;
  server->stop();
  ASSERT_TRUE(world.run_until([&] { return server->stopped(); }, 1s));
  server.reset();
  world.run_for(1s);
  EXPECT_FALSE(client.connections().front().open) << "it was not told";
}

/// SIGTERM may come while the workers are being made.
TEST(Server, EndsWhenItWasToldToBeforeItStood) {
  for (const bool drains : {true, false}) {
    sim::World world(1);
    sim::Host& host = world.host("server");
    Server server(ServerOptions().certificate(leaf()).listen("[::]:443"));
    drains ? server.drain() : server.stop();
    ASSERT_TRUE(server.start(host.runtime(), host.network(), site()));
    EXPECT_FALSE(server.stopped());
    EXPECT_TRUE(world.run_until([&] { return server.stopped(); }, 1s)) << drains;
  }
}

TEST(Server, SaysWhatIsWrongWithItsOptions) {
  sim::World world(1);
  sim::Host& host = world.host("server");
  const auto start = [&](ServerOptions options) {
    Server server(std::move(options));
    return server.start(host.runtime(), host.network(), site());
  };
  EXPECT_TRUE(start(ServerOptions()).error().is(Code::invalid)) << "no certificate";
  EXPECT_TRUE(
      start(ServerOptions().certificate(leaf()).listen("server:443")).error().is(Code::invalid));
  EXPECT_FALSE(start(ServerOptions().certificate("missing.pem", "missing.key")));
  EXPECT_TRUE(
      start(ServerOptions().certificate(leaf()).key_rotation(999ms)).error().is(Code::invalid));
  EXPECT_TRUE(start(ServerOptions().certificate(leaf()).listen(":443").preferred_address(":444"))
                  .error()
                  .is(Code::invalid));
  EXPECT_TRUE(start(ServerOptions()
                        .certificate(leaf())
                        .preferred_address("10.0.0.1:444")
                        .preferred_address("10.0.0.2:444"))
                  .error()
                  .is(Code::invalid))
      << "two for one family";
  EXPECT_TRUE(start(ServerOptions().certificate(leaf()).listen(":443")));
}

// ---- sessions -----------------------------------------------------------------------------------

Task<void> stay(webtransport::Session& session) { co_await session.wait_until_ended(); }

http::Router sessions() {
  http::Router router = site();
  webtransport::route(router, "/wt", stay);
  router.connect("webtransport", "/silent", [](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(1h);
  });
  return router;
}

using Opened = Result<std::unique_ptr<webtransport::Session>>;

Opened open(Pair& pair, Client& client, std::string url,
            webtransport::Carrier carrier = webtransport::Carrier::automatic) {
  return pair.runtime().block_on(client.webtransport(
      ClientRequest(std::move(url)), webtransport::ClientOptions().carrier(carrier)));
}

/// They and requests share the connections of their origin, whatever carries them.
TEST(Client, SessionsArePooled) {
  Pair pair(sessions());
  Client& client = pair.client();
  std::vector<std::unique_ptr<webtransport::Session>> open_ones;
  for (const auto carrier : {webtransport::Carrier::http3, webtransport::Carrier::http2}) {
    for (int i = 0; i < 5; ++i) {
      Opened session = open(pair, client, "https://server/wt", carrier);
      ASSERT_TRUE(session) << session.error().to_string();
      open_ones.push_back(std::move(*session));
    }
  }
  ASSERT_TRUE(pair.get("https://server/hello"));
  const std::vector<ClientConnectionInfo> all = client.connections();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].requests, 6u);
  EXPECT_EQ(all[1].requests, 5u);
  EXPECT_TRUE(all[1].over_tcp);
}

TEST(Client, ASessionThatNobodyAnswersTimesOut) {
  Pair pair(sessions());
  Client& client = pair.client(pair.options().timeout(2s));
  const Opened session = open(pair, client, "https://server/silent");
  ASSERT_FALSE(session);
  EXPECT_TRUE(session.error().is(Code::timed_out)) << session.error().to_string();
  EXPECT_EQ(session.error().detail, "no WebTransport session with https://server/silent in time");
}

TEST(Client, SessionsWantAUrlThatHasThem) {
  Pair pair(sessions());
  Client& client = pair.client();
  for (const char* url : {"ftp://server/wt", "wt://", "http://server/wt"}) {
    const Opened session = open(pair, client, url, webtransport::Carrier::http3);
    ASSERT_FALSE(session) << url;
    EXPECT_TRUE(session.error().is(Code::invalid)) << session.error().to_string();
  }
}

}  // namespace
}  // namespace tern
