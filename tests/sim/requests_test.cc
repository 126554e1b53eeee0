#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/cookie_jar.h"
#include "http/uri.h"
#include "tests/sim/scene.h"

/// What a client does about its requests: sending them again, codings, cookies.

namespace tern::sim {
namespace {

using Type = ClientEvent::Type;

struct Requests : Scene {
  Requests() : wire(link(LinkOptions().delay(5ms).mbps(50))) {}

  Result<ClientResponse> send(ClientRequest request) {
    return client_host.runtime().block_on(client().send(std::move(request)));
  }
  Result<ClientResponse> get(const std::string& path) {
    return send(ClientRequest("https://server" + path));
  }
  std::vector<std::string> retried() const {
    std::vector<std::string> texts;
    for (const ClientEvent& event : events) {
      if (event.type == Type::retried) texts.push_back(event.text);
    }
    return texts;
  }

  Link& wire;
};

/// Answers 503 until it has been asked `failures` times.
http::Handler failing(int failures, int& asked, std::string retry_after = {}) {
  return [failures, &asked, retry_after](http::Exchange& exchange) -> Task<void> {
    http::Response response(++asked > failures ? http::Status::ok
                                               : http::Status::service_unavailable);
    if (asked <= failures && !retry_after.empty()) response.field("retry-after", retry_after);
    response.text("asked " + std::to_string(asked));
    co_await exchange.respond(std::move(response));
  };
}

Task<Result<std::string>> body_of(http::ClientExchange& exchange) {
  co_await exchange.finish();
  const Result<http::Response> head = co_await exchange.response();
  if (!head) co_return fail(head.error());
  co_return co_await exchange.read_all();
}

TEST(TryOpen, WhereAConnectionTakesTheRequestAtOnce) {
  Requests scene;
  int asked = 0;
  scene.router.get("/busy", failing(0, asked));
  scene.serve();
  const http::Url url = *http::Url::parse("https://server");
  http::RequestHead head;
  head.authority = url.authority();
  head.path = "/busy";
  const auto try_it = [&] { return scene.client().try_open(url, url.origin(), head); };
  EXPECT_FALSE(try_it()) << "there is no connection yet";
  ASSERT_TRUE(scene.get("/busy"));
  for (int i = 2; i < 6; ++i) {
    auto opened = try_it();
    ASSERT_TRUE(opened && *opened);
    const auto body = scene.client_host.runtime().block_on(body_of(*(*opened)->exchange));
    ASSERT_TRUE(body);
    EXPECT_EQ(*body, "asked " + std::to_string(i));
  }
  EXPECT_EQ(scene.connection().requests, 5u);
  head.path = "no path";
  const auto wrong = try_it();
  ASSERT_TRUE(wrong && !*wrong);
  EXPECT_TRUE(wrong->error().is(Code::invalid));
  head.path = "/busy";
  scene.stop_server();
  EXPECT_FALSE(try_it()) << "the connection is over";
}

TEST(TryOpen, NotPastWhatTheOptionsAskFor) {
  Requests scene;
  int asked = 0;
  scene.router.get("/busy", failing(0, asked));
  scene.serve();
  scene.use_client(scene.client_options().decode(true));
  ASSERT_TRUE(scene.get("/busy"));
  const http::Url url = *http::Url::parse("https://server/busy");
  http::RequestHead head;
  head.authority = url.authority();
  EXPECT_FALSE(scene.client().try_open(url, url.origin(), head));
}

TEST(Retries, AStatusThatMayBeOverSoon) {
  Requests scene;
  int asked = 0;
  scene.router.get("/busy", failing(2, asked));
  scene.serve();
  EXPECT_EQ(scene.get("/busy")->status(), http::Status::service_unavailable)
      << "not unless that is wanted";
  asked = 0;
  scene.use_client(scene.client_options().retry(RetryPolicy().on_transient(true)));
  const Duration begun = scene.world.elapsed();
  const auto response = scene.get("/busy");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body(), "asked 3");
  EXPECT_EQ(response->attempts(), 3u);
  const Duration took = scene.world.elapsed() - begun;
  EXPECT_GE(took, 150ms) << "100 ms and 200 ms, of each at least half";
  EXPECT_LE(took, 300ms + 100ms);
  const auto texts = scene.retried();
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_TRUE(texts[0].starts_with("GET https://server/busy in ")) << texts[0];
  EXPECT_TRUE(texts[0].ends_with(" ms: status 503")) << texts[0];
  EXPECT_EQ(scene.client_counter("client.retries"), 2u);
}

TEST(Retries, RetryAfterIsWaitedForWithinReason) {
  Requests scene;
  int asked = 0;
  int again = 0;
  int dated = 0;
  scene.router.get("/soon", failing(1, asked, "7"));
  scene.router.get("/late", failing(1, again, "31"));
  scene.router.get("/date", failing(1, dated, "Thu, 01 Jan 2026 00:00:20 GMT"));
  scene.serve();
  scene.use_client(scene.client_options().retry(RetryPolicy().on_transient(true)));
  Duration begun = scene.world.elapsed();
  EXPECT_EQ(scene.get("/soon")->attempts(), 2u);
  EXPECT_GE(scene.world.elapsed() - begun, 7s);
  EXPECT_LE(scene.world.elapsed() - begun, 7s + 200ms);
  EXPECT_EQ(scene.get("/late")->status(), http::Status::service_unavailable);
  EXPECT_EQ(again, 1);
  EXPECT_EQ(scene.get("/date")->attempts(), 2u);
  EXPECT_GE(scene.world.elapsed(), 19s);
  EXPECT_LE(scene.world.elapsed(), 21s);
}

TEST(Retries, NotWhatIsNotIdempotent) {
  Requests scene;
  int asked = 0;
  scene.router.post("/busy", failing(1, asked));
  scene.serve();
  scene.use_client(scene.client_options().retry(RetryPolicy().on_transient(true)));
  ClientRequest request("https://server/busy");
  request.method("POST").body(std::string("x"));
  EXPECT_EQ(scene.send(std::move(request))->status(), http::Status::service_unavailable);
  EXPECT_EQ(asked, 1);
}

TEST(Retries, TheBudgetIsSharedAndRunsOut) {
  Requests scene;
  int asked = 0;
  scene.router.get("/down", failing(1'000'000, asked));
  scene.serve();
  RetryPolicy policy;
  policy.on_transient(true).tries(3).budget(4, 0.5).wait(1ms, 1ms);
  scene.use_client(scene.client_options().retry(policy));
  // 4 to begin with (no more fits), and a half with each request.
  std::vector<std::size_t> attempts;
  for (int i = 0; i < 6; ++i) attempts.push_back(scene.get("/down")->attempts());
  EXPECT_EQ(attempts[0], 3u);
  EXPECT_EQ(attempts[1], 3u);
  EXPECT_LT(attempts[5], 3u);
  const auto sent = static_cast<std::uint64_t>(asked);
  EXPECT_LE(sent, 6u + 4u + 3u) << "no more than the budget allows";
  EXPECT_GT(scene.client_counter("client.retries_unpaid"), 0u);
  EXPECT_EQ(scene.client_counter("client.retries"), sent - 6);
}

TEST(Retries, NobodyThereYet) {
  Requests scene;
  scene.use_client(scene.client_options()
                       .protocols(ClientProtocols::http2)
                       .retry(RetryPolicy().on_transient(true).wait(1s, 1s)));
  scene.world.after(1200ms, [&] { scene.serve(); });
  ClientRequest request("https://server/count");
  request.method("POST").body(std::string("x"));
  const auto response = scene.send(std::move(request));
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->protocol(), "h2");
  EXPECT_GE(response->attempts(), 2u) << "nothing was sent, so even a POST goes again";
}

/// Refuses until it has been asked `times` times: H3_REQUEST_REJECTED, REFUSED_STREAM.
http::Handler refusing(int times, std::vector<std::string>& bodies) {
  return [times, &bodies](http::Exchange& exchange) -> Task<void> {
    const auto body = co_await exchange.read_all();
    bodies.push_back(body ? *body : body.error().to_string());
    if (static_cast<int>(bodies.size()) <= times) {
      exchange.abort(http::Abort::rejected);
      co_return;
    }
    co_await exchange.respond(http::Status::ok, "at last");
  };
}

TEST(Retries, WhatIsRefusedGoesAgainAlikeOnEachProtocol) {
  for (const auto protocol : {ClientProtocols::http3_only, ClientProtocols::http2_only}) {
    Requests scene;
    std::vector<std::string> bodies;
    scene.router.post("/full", refusing(2, bodies));
    scene.serve();
    scene.use_client(scene.client_options().protocols(protocol));
    ClientRequest request("https://server/full");
    request.method("POST").body(std::string("order"));
    const Duration begun = scene.world.elapsed();
    const auto response = scene.send(std::move(request));
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_EQ(response->body(), "at last");
    EXPECT_EQ(response->attempts(), 3u);
    EXPECT_EQ(bodies, std::vector<std::string>(3, "order"));
    EXPECT_GE(scene.world.elapsed() - begun, 50ms) << "the second time it waits";
    EXPECT_EQ(scene.client_counter("client.retries"), 2u) << "paid for";
    EXPECT_EQ(scene.client_counter("client.moves"), 0u);
  }
}

Task<void> count_answer(Client& client, std::size_t& answered, std::size_t& failed) {
  Result<ClientResponse> response = co_await client.send(ClientRequest("https://server/hello"));
  ++(response && response->status() == http::Status::ok ? answered : failed);
}

/// Servers of HTTP/1.0 do so, and many small ones.
TEST(Retries, HundredsAtOnceWhereEachConnectionAnswersOne) {
  Requests scene;
  ServerOptions options = scene.server_options();
  fallback::SessionOptions tcp;
  tcp.max_requests_per_connection = 1;
  options.fallback(tcp);
  scene.serve(std::move(options));
  scene.use_client(scene.client_options().protocols(ClientProtocols::http1));
  constexpr std::size_t kRequests = 300;
  std::size_t answered = 0;
  std::size_t failed = 0;
  Scope scope(scene.client_host.runtime().ready());
  for (std::size_t i = 0; i < kRequests; ++i) {
    scope.spawn(count_answer(scene.client(), answered, failed));
  }
  ASSERT_TRUE(scene.world.run_until([&] { return answered + failed == kRequests; }));
  EXPECT_EQ(failed, 0U);
  EXPECT_EQ(scene.client_counter("client.retries"), 0U) << "nothing was paid for";
}

TEST(Retries, WhatIsRefusedStaysSoWithoutABudget) {
  for (const auto protocol : {ClientProtocols::http3_only, ClientProtocols::http2_only}) {
    Requests scene;
    std::vector<std::string> bodies;
    scene.router.post("/full", refusing(1, bodies));
    scene.serve();
    scene.use_client(scene.client_options().protocols(protocol).retry(RetryPolicy().budget(0, 0)));
    ClientRequest request("https://server/full");
    request.method("POST").body(std::string("order"));
    const auto response = scene.send(std::move(request));
    ASSERT_FALSE(response);
    EXPECT_TRUE(response.error().is(Code::rejected)) << response.error().to_string();
    EXPECT_EQ(bodies.size(), 1u);
    EXPECT_EQ(scene.client_counter("client.retries_unpaid"), 1u);
  }
}

// ---- content codings ----------------------------------------------------------------------------

/// "hello" by gzip.
const std::string& coded_hello() {
  static const std::string text(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00"
      "\x00\x00",
      25);
  return text;
}

Task<void> coded(http::Exchange& exchange) {
  const auto accepted = exchange.request().fields.joined("accept-encoding").value_or("nothing");
  const bool gzip = accepted.find("gzip") != std::string::npos;
  http::Response response(http::Status::ok);
  response.field("x-accepted", accepted);
  if (gzip) response.field("content-encoding", "gzip");
  response.body(Bytes::copy(gzip ? coded_hello() : "plain"));
  co_await exchange.respond(std::move(response));
}

Task<void> cut_short(http::Exchange& exchange) {
  http::Response response(http::Status::ok);
  response.field("content-encoding", "gzip").body(Bytes::copy(coded_hello().substr(0, 15)));
  co_await exchange.respond(std::move(response));
}

Task<void> unknown_coding(http::Exchange& exchange) {
  http::Response response(http::Status::ok);
  response.field("content-encoding", "rot13").body(Bytes::copy("uryyb"));
  co_await exchange.respond(std::move(response));
}

TEST(Codings, AreAskedForAndUndone) {
  Requests scene;
  scene.router.get("/coded", coded);
  scene.router.get("/cut", cut_short);
  scene.router.get("/unknown", unknown_coding);
  scene.serve();
  auto response = scene.get("/coded");
  EXPECT_EQ(response->body(), "plain");
  EXPECT_EQ(response->fields().find("x-accepted"), "nothing");
  scene.use_client(scene.client_options().decode(true));
  response = scene.get("/coded");
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body(), "hello");
  EXPECT_EQ(response->fields().find("x-accepted"), "gzip, br, zstd");
  // Who asks by himself decodes by himself; a range is one of the coded body.
  ClientRequest own("https://server/coded");
  own.field("accept-encoding", "gzip");
  EXPECT_EQ(scene.send(std::move(own))->body(), coded_hello());
  ClientRequest range("https://server/coded");
  range.field("range", "bytes=0-3");
  EXPECT_EQ(scene.send(std::move(range))->fields().find("x-accepted"), "nothing");
  ClientRequest head("https://server/coded");
  head.method("HEAD");
  response = scene.send(std::move(head));
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body(), "");
  response = scene.get("/cut");
  ASSERT_FALSE(response);
  EXPECT_TRUE(response.error().is(Code::invalid)) << response.error().to_string();
  response = scene.get("/unknown");
  ASSERT_FALSE(response);
  EXPECT_TRUE(response.error().is(Code::unsupported)) << response.error().to_string();
}

TEST(Codings, MaxBodyCountsWhatIsDecoded) {
  Requests scene;
  scene.router.get("/coded", coded);
  scene.serve();
  scene.use_client(scene.client_options().decode(true).max_body(4));
  const auto response = scene.get("/coded");
  ASSERT_FALSE(response);
  EXPECT_TRUE(response.error().is(Code::limit)) << response.error().to_string();
}

// ---- cookies ------------------------------------------------------------------------------------

Task<void> set_cookies(http::Exchange& exchange) {
  http::Response response(http::Status::found);
  response.field("location", "/cookies")
      .field("set-cookie", "a=1; Secure")
      .field("set-cookie", "b=2; Path=/elsewhere")
      .field("set-cookie", "c=3; Max-Age=60; HttpOnly");
  co_await exchange.respond(std::move(response));
}

Task<void> show_cookies(http::Exchange& exchange) {
  std::string text = exchange.request().fields.joined("cookie").value_or("none");
  co_await exchange.respond(http::Status::ok, std::move(text));
}

TEST(Cookies, OnlyWithAJar) {
  Requests scene;
  scene.router.get("/set", set_cookies);
  scene.router.get("/cookies", show_cookies);
  scene.serve();
  scene.use_client(scene.client_options().redirects(3));
  EXPECT_EQ(scene.get("/set")->body(), "none");
  EXPECT_EQ(scene.get("/cookies")->body(), "none");
  const auto jar = std::make_shared<http::CookieJar>();
  scene.use_client(scene.client_options().redirects(3).cookies(jar));
  EXPECT_EQ(scene.get("/set")->body(), "a=1; c=3");
  ClientRequest own("https://server/cookies");
  own.field("cookie", "mine=0");
  EXPECT_EQ(scene.send(std::move(own))->body(), "mine=0; a=1; c=3");
  scene.world.run_for(61s);
  EXPECT_EQ(scene.get("/cookies")->body(), "a=1");
  EXPECT_EQ(jar->size(), 2u);
}

TEST(Cookies, GoWithWebSocketsAndComeFromThem) {
  for (const auto protocol :
       {ClientProtocols::http3_only, ClientProtocols::http2_only, ClientProtocols::http1}) {
    Requests scene;
    std::vector<std::string> seen;
    scene.router.get("/set", set_cookies);
    const http::Handler greet =
        http::websocket([](http::WebSocket& socket) -> Task<void> { co_await socket.receive(); });
    scene.router.connect("websocket", "/ws", [&](http::Exchange& exchange) -> Task<void> {
      seen.push_back(exchange.request().fields.joined("cookie").value_or("none"));
      co_await greet(exchange);
    });
    scene.router.connect("websocket", "/refused", [](http::Exchange& exchange) -> Task<void> {
      http::Response response(http::Status::forbidden);
      response.field("set-cookie", "d=4");
      co_await exchange.respond(std::move(response));
    });
    scene.serve();
    const auto jar = std::make_shared<http::CookieJar>();
    scene.use_client(scene.client_options().protocols(protocol).cookies(jar));
    ASSERT_TRUE(scene.get("/set"));
    ClientRequest request("wss://server/ws");
    request.field("cookie", "mine=0");
    ASSERT_TRUE(scene.client_host.runtime().block_on(scene.client().websocket(std::move(request))));
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0], "mine=0; a=1; c=3");
    const auto refused = scene.client_host.runtime().block_on(
        scene.client().websocket(ClientRequest("wss://server/refused")));
    ASSERT_FALSE(refused);
    EXPECT_EQ(jar->size(), 4u) << "what a refusal sets counts, too";
    ASSERT_TRUE(scene.client_host.runtime().block_on(
        scene.client().websocket(ClientRequest("wss://server/ws"))));
    EXPECT_EQ(seen.back(), "a=1; c=3; d=4");
  }
}

}  // namespace
}  // namespace tern::sim
