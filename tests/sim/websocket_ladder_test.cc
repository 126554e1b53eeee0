#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/event_stream.h"
#include "tests/sim/scene.h"

/// Which way a client's WebSocket takes: HTTP/3, HTTP/2 or HTTP/1.1 (docs/fallback.md); and how a
/// server that drains lets go of its WebSockets, whichever way they came.

namespace tern::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Type = ClientEvent::Type;

Task<void> echo_messages(http::WebSocket& socket) {
  while (auto message = co_await socket.receive()) {
    const Result<void> sent = co_await socket.send(std::move(*message));
    if (!sent) break;
  }
}

struct SocketVisit {
  bool open = false;
  bool done = false;
  std::optional<Error> refused;
  std::size_t echoed = 0;
  std::string carrier;
  http::WebSocketClose end;
};

/// Echoes `count` messages, waits for `stay`, closes.
Task<void> visit_socket(Client& client, ClientRequest request, std::size_t count, Duration stay,
                        SocketVisit& seen) {
  auto opened = co_await client.websocket(std::move(request));
  if (!opened) {
    seen.refused = opened.error();
    seen.done = true;
    co_return;
  }
  http::WebSocket& socket = **opened;
  seen.carrier = socket.carrier();
  seen.open = true;
  for (; seen.echoed < count; ++seen.echoed) {
    const std::string text(100 * seen.echoed, 'x');
    const Result<void> sent = co_await socket.send_text(text);
    if (!sent) break;
    const auto message = co_await socket.receive();
    if (!message || message->data != text) break;
  }
  if (stay > Duration::zero()) co_await socket.runtime().sleep(stay);
  co_await socket.close();
  seen.end = socket.closed();
  seen.done = true;
}

struct Doors : Scene {
  Doors() : wire(link(LinkOptions().delay(10ms).mbps(50))) {
    router.websocket("/ws", echo_messages);
  }

  ServerOptions doors(bool h3, bool h2) {
    ServerOptions options = server_options();
    options.http3().extended_connect = h3;
    fallback::SessionOptions tcp;
    tcp.extended_connect = h2;
    options.fallback(tcp);
    return options;
  }
  void use(ClientProtocols protocols) { use_client(client_options().protocols(protocols)); }

  SocketVisit& begin(std::string url, std::size_t count = 10, Duration stay = 0s) {
    visits_.emplace_back();
    scope_.spawn(
        visit_socket(client(), ClientRequest(std::move(url)), count, stay, visits_.back()));
    return visits_.back();
  }
  SocketVisit& go(const std::string& url = "wss://server/ws") {
    SocketVisit& seen = begin(url);
    EXPECT_TRUE(world.run_until([&] { return seen.done; }));
    return seen;
  }
  /// What it ran over, or why it did not.
  std::string carrier(const std::string& url = "wss://server/ws") {
    const SocketVisit& seen = go(url);
    if (seen.refused) return seen.refused->to_string();
    EXPECT_EQ(seen.echoed, 10U);
    EXPECT_TRUE(seen.end.clean);
    return seen.carrier;
  }
  std::vector<std::string> open_connections() {
    std::vector<std::string> all;
    for (const auto& info : client().connections()) {
      if (info.open) all.push_back(info.handshake.alpn);
    }
    return all;
  }
  std::vector<std::string> falls() const {
    std::vector<std::string> all;
    for (const ClientEvent& event : events) {
      if (event.type == Type::falling_back) all.push_back(event.text);
    }
    return all;
  }

  Link& wire;

 private:
  std::deque<SocketVisit> visits_;
  Scope scope_{client_host.runtime().ready()};
};

TEST(WebSocketLadder, EachDoorByItself) {
  Doors scene;
  scene.serve();
  struct Row {
    ClientProtocols protocols;
    std::string carrier;
  };
  for (const Row& row : std::vector<Row>{{ClientProtocols::automatic, "h3"},
                                         {ClientProtocols::http3_only, "h3"},
                                         {ClientProtocols::http2, "h2"},
                                         {ClientProtocols::http2_only, "h2"},
                                         {ClientProtocols::http1, "http/1.1"}}) {
    scene.use(row.protocols);
    EXPECT_EQ(scene.carrier(), row.carrier);
    EXPECT_EQ(scene.carrier(), row.carrier) << "the second one";
  }
  EXPECT_EQ(scene.server_counter("websocket.failed"), 0U);
}

TEST(WebSocketLadder, Http2WhereUdpIsBlocked) {
  Doors scene;
  scene.wire.block_udp();
  scene.serve();
  scene.use(ClientProtocols::automatic);
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_THAT(scene.open_connections(), ElementsAre("h2"));
}

/// Requests and their WebSockets go different ways, each the best that the server has.
TEST(WebSocketLadder, Http2BesideAnHttp3ThatHasNone) {
  Doors scene;
  scene.serve(scene.doors(false, true));
  scene.use(ClientProtocols::automatic);
  EXPECT_EQ(scene.fetch("/hello").text, "hello over h3");
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_EQ(scene.fetch("/hello").text, "hello over h3");
  EXPECT_THAT(scene.open_connections(), ElementsAre("h3", "h2"));
  EXPECT_THAT(scene.falls(), ElementsAre("the server has no WebSockets over HTTP/3",
                                         "the server has no WebSockets over HTTP/3"));
}

TEST(WebSocketLadder, ManyAtOnceShareTheOneBeside) {
  Doors scene;
  scene.serve(scene.doors(false, true));
  scene.use(ClientProtocols::automatic);
  std::vector<SocketVisit*> visits;
  for (int i = 0; i < 30; ++i) visits.push_back(&scene.begin("wss://server/ws"));
  for (const SocketVisit* seen : visits) {
    ASSERT_TRUE(scene.world.run_until([&] { return seen->done; }));
    EXPECT_EQ(seen->carrier, "h2");
    EXPECT_EQ(seen->echoed, 10U);
  }
  EXPECT_THAT(scene.open_connections(), ElementsAre("h3", "h2"));
}

TEST(WebSocketLadder, Http1WhereNeitherHasAny) {
  Doors scene;
  scene.serve(scene.doors(false, false));
  scene.use(ClientProtocols::automatic);
  EXPECT_EQ(scene.carrier(), "http/1.1");
  EXPECT_THAT(scene.falls(), ElementsAre("the server has no WebSockets over HTTP/3",
                                         "the server has no WebSockets over HTTP/2"));
  // The second time it knows.
  scene.events.clear();
  EXPECT_EQ(scene.carrier(), "http/1.1");
  EXPECT_THAT(scene.falls(), ElementsAre("the server has no WebSockets over HTTP/3"));
  scene.world.run_for(1s);
  EXPECT_THAT(scene.open_connections(), ElementsAre("h3")) << "nothing is left of the others";
  EXPECT_EQ(scene.fetch("/hello").text, "hello over h3");
}

/// The server takes extended CONNECT to an application that looks for GET and `upgrade`.
TEST(WebSocketLadder, Http1WhereTheApplicationKnowsNothingElse) {
  Doors scene;
  const http::Handler upgraded = http::websocket(echo_messages);
  for (const auto& [path, status] : std::vector<std::pair<std::string, http::Status>>{
           {"/400", http::Status::bad_request},
           {"/405", http::Status::method_not_allowed},
           {"/426", http::Status::upgrade_required}}) {
    scene.router.connect("websocket", path,
                         [status, &upgraded](http::Exchange& exchange) -> Task<void> {
                           if (exchange.protocol() == "http/1.1") {
                             co_await upgraded(exchange);
                             co_return;
                           }
                           http::Response response(status);
                           co_await exchange.respond(std::move(response));
                         });
  }
  scene.serve();
  for (const char* path : {"/400", "/405", "/426"}) {
    scene.use(ClientProtocols::automatic);
    EXPECT_EQ(scene.carrier(std::string("wss://server") + path), "http/1.1") << path;
    scene.use(ClientProtocols::http2);
    EXPECT_EQ(scene.carrier(std::string("wss://server") + path), "http/1.1") << path;
    scene.use(ClientProtocols::http3_only);
    const SocketVisit& seen = scene.go(std::string("wss://server") + path);
    ASSERT_TRUE(seen.refused);
    EXPECT_EQ(std::to_string(seen.refused->code), path + 1);
  }
}

TEST(WebSocketLadder, NothingElseIsTriedByThoseWhoWantOne) {
  Doors scene;
  scene.serve(scene.doors(false, false));
  for (const ClientProtocols only : {ClientProtocols::http3_only, ClientProtocols::http2_only}) {
    scene.use(only);
    const SocketVisit& seen = scene.go();
    ASSERT_TRUE(seen.refused);
    EXPECT_TRUE(seen.refused->is(Code::unsupported)) << seen.refused->to_string();
  }
  scene.use(ClientProtocols::http2);
  EXPECT_EQ(scene.carrier(), "http/1.1");
}

/// Over HTTP/1.1 each has a connection of its own, and requests have theirs.
TEST(WebSocketLadder, Http1ConnectionsAreNobodyElses) {
  Doors scene;
  scene.serve();
  scene.use(ClientProtocols::http1);
  std::vector<SocketVisit*> visits;
  for (int i = 0; i < 10; ++i) visits.push_back(&scene.begin("wss://server/ws", 3, 10s));
  for (int i = 0; i < 10; ++i) scene.get("/hello");
  ASSERT_TRUE(scene.wait_all());
  for (const SocketVisit* seen : visits) {
    ASSERT_TRUE(scene.world.run_until([&] { return seen->open; }));
  }
  EXPECT_EQ(scene.fetch("/hello").text, "hello over http/1.1");
  EXPECT_GE(scene.open_connections().size(), 11U);
  EXPECT_LE(scene.open_connections().size(), 16U) << "ten, and at most six for requests";
  for (const SocketVisit* seen : visits) {
    ASSERT_TRUE(scene.world.run_until([&] { return seen->done; }));
    EXPECT_EQ(seen->echoed, 3U);
    EXPECT_TRUE(seen->end.clean);
  }
  scene.world.run_for(1s);
  EXPECT_LE(scene.open_connections().size(), 6U);
}

TEST(WebSocketLadder, WithoutTls) {
  Doors scene;
  ServerOptions options = scene.server_options();
  options.cleartext("[::]:80");
  scene.serve(std::move(options));
  for (const auto& [protocols, carrier] : std::vector<std::pair<ClientProtocols, std::string>>{
           {ClientProtocols::automatic, "http/1.1"},
           {ClientProtocols::http1, "http/1.1"},
           {ClientProtocols::http2, "h2"},
           {ClientProtocols::http2_only, "h2"}}) {
    scene.use(protocols);
    EXPECT_EQ(scene.carrier("ws://server/ws"), carrier);
  }
  scene.use(ClientProtocols::http3_only);
  const SocketVisit& seen = scene.go("ws://server/ws");
  ASSERT_TRUE(seen.refused);
  EXPECT_THAT(seen.refused->detail, HasSubstr("wss://"));
}

/// What a server says instead of opening one is told in a line.
TEST(WebSocketLadder, RefusalsAreTold) {
  Doors scene;
  scene.router.connect("websocket", "/elsewhere", [](http::Exchange& exchange) -> Task<void> {
    http::Response response(http::Status::found);
    response.field("location", "/login");
    co_await exchange.respond(std::move(response));
  });
  scene.router.connect("websocket", "/secret", [](http::Exchange& exchange) -> Task<void> {
    http::Response response(http::Status::unauthorized);
    response.field("www-authenticate", "Bearer realm=\"chat\"");
    co_await exchange.respond(std::move(response));
  });
  scene.router.connect("websocket", "/old", [](http::Exchange& exchange) -> Task<void> {
    http::Response response(http::Status::upgrade_required);
    response.field("sec-websocket-version", "12");
    co_await exchange.respond(std::move(response));
  });
  scene.serve();
  for (const ClientProtocols each :
       {ClientProtocols::http3_only, ClientProtocols::http2, ClientProtocols::http1}) {
    scene.use(each);
    struct Row {
      std::string path;
      std::uint64_t status;
      std::string text;
    };
    for (const Row& row : std::vector<Row>{
             {"/elsewhere", 302,
              "the server sends the WebSocket elsewhere, which is not followed: 302 Found, to "
              "/login"},
             {"/secret", 401,
              "the server refuses the WebSocket: 401 Unauthorized (it wants Bearer "
              "authentication)"},
             {"/old", 426,
              "the server refuses the WebSocket: 426 Upgrade Required (it speaks version 12)"},
             {"/nowhere", 404, "the server refuses the WebSocket: 404 Not Found"}}) {
      const SocketVisit& seen = scene.go("wss://server" + row.path);
      ASSERT_TRUE(seen.refused) << row.path;
      EXPECT_EQ(seen.refused->domain, Domain::http);
      EXPECT_EQ(seen.refused->code, row.status);
      EXPECT_EQ(seen.refused->detail, row.text);
    }
    scene.world.run_for(1s);
    EXPECT_LE(scene.open_connections().size(), 1U) << "the refused ones have closed theirs";
  }
}

/// 1001 for each that is open, 503 for those that come too late, and the server has done.
TEST(WebSocketDrain, EndsThemWithGoingAway) {
  for (const ClientProtocols each :
       {ClientProtocols::http3_only, ClientProtocols::http2, ClientProtocols::http1}) {
    Doors scene;
    scene.serve();
    scene.use(each);
    // Who only listens hears of it, and so does who only talks.
    bool told = false;
    http::WebSocketClose end;
    const auto listen = [&](Client& client) -> Task<void> {
      auto opened = co_await client.websocket(ClientRequest("wss://server/ws"));
      if (!opened) co_return;
      co_await (*opened)->receive();
      co_await (*opened)->close();
      end = (*opened)->closed();
      told = true;
    };
    Scope scope(scene.client_host.runtime().ready());
    scope.spawn(listen(scene.client()));
    SocketVisit& talking = scene.begin("wss://server/ws", 1'000'000);
    ASSERT_TRUE(scene.world.run_until([&] { return talking.echoed > 3; }));
    const Duration begun = scene.world.elapsed();
    scene.server().drain();
    ASSERT_TRUE(scene.world.run_until([&] { return told && talking.done; }));
    EXPECT_EQ(end.code, 1001);
    EXPECT_EQ(end.reason, "the server is going away");
    EXPECT_TRUE(end.clean);
    EXPECT_EQ(talking.end.code, 1001);
    ASSERT_TRUE(scene.world.run_until([&] { return scene.server().stopped(); }));
    EXPECT_LT(scene.world.elapsed() - begun, 5s) << "long before drain_timeout";
    EXPECT_EQ(scene.server_counter("websocket.failed"), 0U);
  }
}

/// A page's EventSource connects again, elsewhere, when its stream has come to an orderly end.
TEST(WebSocketDrain, EventStreamsEndToo) {
  for (const ClientProtocols each :
       {ClientProtocols::http3_only, ClientProtocols::http2, ClientProtocols::http1}) {
    Doors scene;
    scene.router.get("/events", [](http::Exchange& exchange) -> Task<void> {
      http::EventStream events(exchange);
      co_await events.start();
      while (co_await events.pause(1h)) {
      }
    });
    scene.serve();
    scene.use(each);
    Fetch& stream = scene.get("/events");
    ASSERT_TRUE(scene.world.run_until([&] { return stream.status == 200; }));
    scene.world.run_for(1s);
    EXPECT_FALSE(stream.done);
    scene.server().drain();
    ASSERT_TRUE(scene.wait(stream, 5s));
    EXPECT_TRUE(stream.ok());
  }
}

}  // namespace
}  // namespace tern::sim
