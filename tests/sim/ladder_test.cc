#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "gateway/http3_knowledge.h"
#include "tests/sim/scene.h"

/// The client's way down from HTTP/3 to HTTP/2 and HTTP/1.1, and up again (docs/fallback.md).

namespace tern::sim {
namespace {

using Type = ClientEvent::Type;

constexpr Duration kRtt = 20ms;

Task<void> get_into(Client& client, std::string url, std::optional<Result<ClientResponse>>& out) {
  out.emplace(co_await client.get(std::move(url)));
}

struct Ladder : Scene {
  explicit Ladder(const LinkOptions& options = LinkOptions().delay(kRtt / 2).mbps(50))
      : wire(link(options)) {}

  ClientOptions any() { return client_options().protocols(ClientProtocols::automatic); }
  /// A GET through Client::send, to its end.
  Result<ClientResponse> get(const std::string& path) {
    std::optional<Result<ClientResponse>> response;
    Scope scope(client_host.runtime().ready());
    scope.spawn(get_into(client(), "https://server" + path, response));
    EXPECT_TRUE(world.run_until([&] { return response.has_value(); }));
    return *response;
  }
  std::string protocol(const std::string& path = "/hello") {
    const Result<ClientResponse> response = get(path);
    return response ? response->protocol() : response.error().to_string();
  }
  std::ptrdiff_t told(Type type) const {
    return std::count_if(events.begin(), events.end(),
                         [&](const ClientEvent& event) { return event.type == type; });
  }
  std::size_t open_connections() {
    const auto all = client().connections();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& info) { return info.open; }));
  }

  Link& wire;
};

const LinkOptions& without_udp() {
  static const LinkOptions options = LinkOptions().delay(kRtt / 2).mbps(50).block_udp();
  return options;
}

TEST(Ladder, Http3WhereUdpPasses) {
  Ladder scene;
  scene.serve();
  scene.use_client(scene.any());
  EXPECT_EQ(scene.protocol(), "h3");
  EXPECT_EQ(scene.told(Type::falling_back), 0);
  EXPECT_EQ(scene.open_connections(), 1u);
}

TEST(Ladder, Http2WhereUdpIsBlocked) {
  Ladder scene(without_udp());
  scene.serve();
  scene.use_client(scene.any());
  const Duration begun = scene.world.elapsed();
  const Result<ClientResponse> response = scene.get("/hello");
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->protocol(), "h2");
  // The head start; TCP, TLS and the request take a round trip each.
  EXPECT_LE(scene.world.elapsed() - begun, 300ms + 3 * kRtt + 20ms);
  EXPECT_EQ(scene.told(Type::falling_back), 1);
  // The next one has its connection.
  const Duration again = scene.world.elapsed();
  EXPECT_EQ(scene.protocol(), "h2");
  EXPECT_LE(scene.world.elapsed() - again, kRtt + 5ms);
}

TEST(Ladder, WhereUdpFailedItIsNotTriedForAWhileAndThenAgain) {
  Ladder scene(without_udp());
  scene.serve();
  scene.use_client(scene.any().connect_timeout(3s));
  EXPECT_EQ(scene.protocol(), "h2");
  scene.world.run_for(5s);      // QUIC has given up by now
  scene.wire.block_udp(false);  // UDP is back
  const std::uint64_t before = scene.server_counter("quic.connections_accepted");
  EXPECT_EQ(scene.protocol(), "h2");
  scene.world.run_for(1s);
  EXPECT_EQ(scene.protocol(), "h2") << "it failed a moment ago";
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), before);
  scene.world.run_for(Http3Knowledge::kAvoidFirst);
  scene.protocol();  // whichever: it sets HTTP/3 going, if the server has offered it
  scene.world.run_for(1s);
  EXPECT_EQ(scene.protocol(), "h3");
  EXPECT_EQ(scene.connection().handshake.alpn, "h3");
}

TEST(Ladder, ClimbsWhenSlowUdpGetsThroughAfterAll) {
  Ladder scene;
  scene.serve();
  scene.use_client(scene.any().tcp_delay(1ms));
  EXPECT_EQ(scene.protocol(), "h3") << "QUIC has fewer round trips";
  // A second client, whose first packets are lost.
  scene.wire.block_udp();
  scene.use_client(scene.any().tcp_delay(1ms));
  EXPECT_EQ(scene.protocol(), "h2");
  scene.wire.block_udp(false);
  scene.world.run_for(5s);
  EXPECT_EQ(scene.told(Type::climbed), 1);
  EXPECT_EQ(scene.protocol(), "h3");
  EXPECT_EQ(scene.open_connections(), 1u) << "the one over TCP was closed";
}

TEST(Ladder, WhatWasBegunOverTcpEndsThere) {
  Ladder scene(without_udp());
  scene.serve();
  scene.use_client(scene.any().tcp_delay(1ms));
  Fetch& fetch = scene.download(20'000'000);
  ASSERT_TRUE(scene.world.run_until([&] { return fetch.bytes > 100'000; }));
  scene.wire.block_udp(false);
  ASSERT_TRUE(scene.world.run_until([&] { return scene.told(Type::climbed) == 1; }));
  EXPECT_FALSE(fetch.done);
  EXPECT_EQ(scene.protocol(), "h3");
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
}

TEST(Ladder, Http1HasSixConnectionsAtMost) {
  Ladder scene;
  scene.serve();
  scene.use_client(scene.any().protocols(ClientProtocols::http1));
  EXPECT_EQ(scene.protocol(), "http/1.1");
  for (int i = 0; i < 20; ++i) scene.download(200'000);
  ASSERT_TRUE(scene.wait_all());
  EXPECT_LE(scene.open_connections(), 6u);
  EXPECT_GE(scene.open_connections(), 2u);
}

Task<void> get_in_turn(Client& client, std::string url, int count, int& done) {
  for (int i = 0; i < count; ++i) {
    const Result<ClientResponse> response = co_await client.get(url);
    if (response && response->ok()) ++done;
  }
}

TEST(Ladder, Http1RequestsOneAfterTheOtherHaveOneConnection) {
  Ladder scene;
  scene.serve();
  scene.use_client(scene.any().protocols(ClientProtocols::http1));
  int done = 0;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(get_in_turn(scene.client(), "https://server/hello", 5, done));
  ASSERT_TRUE(scene.world.run_until([&] { return done == 5; }));
  EXPECT_EQ(scene.told(Type::connected), 1);
}

Task<void> echo_body(http::Exchange& exchange) {
  co_await exchange.start(http::Response(http::Status::ok));
  while (true) {
    Result<Bytes> piece = co_await exchange.read();
    if (!piece || piece->empty()) break;
    Bytes bytes = *std::move(piece);
    co_await exchange.write(std::move(bytes));
  }
  co_await exchange.finish();
}

Task<void> post(Client& client, std::size_t size, std::optional<Result<ClientResponse>>& out) {
  ClientRequest request("https://server/echo");
  request.method("POST").body(Bytes::copy(std::string(size, 'x')));
  out.emplace(co_await client.send(std::move(request)));
}

/// The server has room for little of what it cannot send back yet.
TEST(Ladder, AnEchoMayBeLargerThanAllWindows) {
  for (const ClientProtocols protocols :
       {ClientProtocols::http1, ClientProtocols::http2, ClientProtocols::http3_only}) {
    Ladder scene;
    scene.router.post("/echo", echo_body);
    scene.serve();
    scene.use_client(scene.any().protocols(protocols));
    std::optional<Result<ClientResponse>> response;
    Scope scope(scene.client_host.runtime().ready());
    scope.spawn(post(scene.client(), 30'000'000, response));
    ASSERT_TRUE(scene.world.run_until([&] { return response.has_value(); }, 120s));
    ASSERT_TRUE(*response) << response->error().to_string();
    EXPECT_EQ((*response)->body().size(), 30'000'000u);
  }
}

/// The server has restarted, or ended a connection that was idle for too long, as the request was
/// on its way.
TEST(Ladder, AConnectionThatTheServerHasForgottenIsReplaced) {
  for (const ClientProtocols protocols : {ClientProtocols::http1, ClientProtocols::http2}) {
    Ladder scene;
    scene.serve();
    scene.use_client(scene.any().protocols(protocols));
    EXPECT_TRUE(scene.get("/hello"));
    scene.crash_server();
    scene.serve();
    const Result<ClientResponse> again = scene.get("/hello");
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(again->attempts(), 2u);
    EXPECT_EQ(scene.told(Type::retried), 1);
  }
}

/// A connection's first request is not repeated: nothing says that the next one would fare better.
TEST(Ladder, AServerThatNeverAnswersIsNotAskedAgain) {
  Ladder scene;
  scene.router.get("/hang", [](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(1h);
  });
  scene.serve();
  scene.use_client(scene.any().protocols(ClientProtocols::http2));
  std::optional<Result<ClientResponse>> response;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(get_into(scene.client(), "https://server/hang", response));
  scene.world.run_for(1s);
  scene.server().stop();
  ASSERT_TRUE(scene.world.run_until([&] { return response.has_value(); }));
  EXPECT_FALSE(*response);
  EXPECT_EQ(scene.told(Type::retried), 0);
}

TEST(Ladder, NothingAnswers) {
  Ladder scene;
  scene.use_client(scene.any().connect_timeout(2s));  // no server at all
  const Result<ClientResponse> response = scene.get("/hello");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().domain, Domain::os) << response.error().to_string();
  EXPECT_LT(scene.world.elapsed(), 3s);
}

TEST(Ladder, BothWaysMayFailAtOnce) {
  Ladder scene;
  scene.serve();
  // From IPv4 to an IPv6 literal: neither UDP nor TCP gets as far as a packet.
  scene.use_client(scene.any().local_address(scene.client_host.v4()));
  const std::string url = "https://[" + scene.server_host.v6(443).ip_string() + "]/hello";
  for (int i = 0; i < 2; ++i) {
    std::optional<Result<void>> outcome;
    const auto run = [](Client& with, std::string to,
                        std::optional<Result<void>>& out) -> Task<void> {
      out.emplace(co_await with.connect(std::move(to)));
    };
    Scope scope(scene.client_host.runtime().ready());
    scope.spawn(run(scene.client(), url, outcome));
    ASSERT_TRUE(scene.world.run_until([&] { return outcome.has_value(); }));
    ASSERT_FALSE(*outcome);
    EXPECT_EQ(outcome->error().domain, Domain::os) << outcome->error().to_string();
    EXPECT_EQ(outcome->error().code, EAFNOSUPPORT);
  }
}

TEST(Ladder, ACertificateThatIsNotTrustedIsSaidSo) {
  Ladder scene;
  scene.serve();
  scene.use_client(ClientOptions().ca_pem(
      tls::make_authority(tls::DevelopmentOptions(World::kUnixEpoch).days(10))->certificate));
  const Result<ClientResponse> response = scene.get("/hello");
  ASSERT_FALSE(response);
  EXPECT_TRUE(response.error().is(Code::certificate)) << response.error().to_string();
}

TEST(Http3KnowledgeTest, FailuresDoubleAndSuccessForgets) {
  Http3Knowledge knowledge;
  const Timestamp now = Timestamp{} + 1h;
  EXPECT_LE(knowledge.avoid_until("wifi", "https://a"), now);
  knowledge.failed("wifi", "https://a", now);
  EXPECT_EQ(knowledge.avoid_until("wifi", "https://a"), now + 5min);
  EXPECT_LE(knowledge.avoid_until("cellular", "https://a"), now);
  EXPECT_LE(knowledge.avoid_until("wifi", "https://b"), now);
  for (int i = 0; i < 12; ++i) knowledge.failed("wifi", "https://a", now);
  EXPECT_EQ(knowledge.avoid_until("wifi", "https://a"), now + 24h);
  knowledge.worked("wifi", "https://a");
  EXPECT_LE(knowledge.avoid_until("wifi", "https://a"), now);
}

TEST(Http3KnowledgeTest, OffersExpireAndMostDieWithTheNetwork) {
  Http3Knowledge knowledge;
  const Timestamp now = Timestamp{} + 1h;
  knowledge.heard("https://a", "h2=\":1\", h3=\":444\"; ma=60, h3=\"other:5\"", now);
  ASSERT_TRUE(knowledge.offer("https://a", now + 59s));
  EXPECT_EQ(knowledge.offer("https://a", now + 59s)->port, 444);
  EXPECT_FALSE(knowledge.offer("https://a", now + 60s));
  knowledge.heard("https://a", "h3=\":444\"", now);
  knowledge.heard("https://b", "h3=\":444\"; persist=1", now);
  knowledge.network_changed();
  EXPECT_FALSE(knowledge.offer("https://a", now));
  EXPECT_TRUE(knowledge.offer("https://b", now));
  knowledge.heard("https://b", "clear", now);
  EXPECT_FALSE(knowledge.offer("https://b", now));
  for (int i = 0; i < 3000; ++i) {
    knowledge.heard("https://" + std::to_string(i), "h3=\":1\"", now);
    knowledge.failed("wifi", "https://" + std::to_string(i), now);
  }
  EXPECT_FALSE(knowledge.offer("https://1", now));
  EXPECT_TRUE(knowledge.offer("https://2999", now));
}

}  // namespace
}  // namespace tern::sim
