#include "http/websocket.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/event_stream.h"
#include "http/event_stream_reader.h"
#include "tests/sim/scene.h"

/// WebSockets and server-sent events between the public `Server` and `Client`, over networks.

namespace tern::sim {
namespace {

Task<void> echo_socket(http::WebSocket& socket) {
  while (auto message = co_await socket.receive()) {
    const Result<void> sent = co_await socket.send(std::move(*message));
    if (!sent) break;
  }
}

/// What a client saw.
struct Socket {
  bool done = false;
  std::optional<Error> refused;
  std::size_t echoed = 0;
  bool intact = true;
  std::string subprotocol;
  std::string carrier;
  bool compressed = false;
  http::WebSocketClose end;
  std::optional<Error> error;
  http::WebSocketStats stats;
};

std::string text_of_round(std::size_t round) {
  std::string text;
  const std::size_t size = round % 7 == 6 ? 60'000 : 10 + round * 3 % 400;
  while (text.size() < size) text += std::to_string(round * 7919 + text.size()) + " ";
  return text;
}

Task<void> send_all(http::WebSocket& socket, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Result<void> sent = co_await socket.send_text(text_of_round(i));
    if (!sent) co_return;
  }
}

/// Sends `count` messages as fast as it goes, and wants them back in order.
Task<void> converse(Client& client, ClientRequest request, http::WebSocketOptions options,
                    std::size_t count, Socket& seen) {
  Result<std::unique_ptr<http::WebSocket>> opened =
      co_await client.websocket(std::move(request), std::move(options));
  if (!opened) {
    seen.refused = opened.error();
    seen.done = true;
    co_return;
  }
  http::WebSocket& socket = **opened;
  seen.subprotocol = socket.subprotocol();
  seen.carrier = socket.carrier();
  seen.compressed = socket.compressed();
  {
    Scope sending(socket.runtime().ready());
    sending.spawn(send_all(socket, count));
    while (seen.echoed < count) {
      const auto message = co_await socket.receive();
      if (!message) break;
      seen.intact = seen.intact && message->text && message->data == text_of_round(seen.echoed);
      ++seen.echoed;
    }
  }
  co_await socket.close();
  seen.end = socket.closed();
  seen.error = socket.error();
  seen.stats = socket.stats();
  seen.done = true;
}

ClientRequest to(std::string path) { return ClientRequest("wss://server" + path); }

bool wait_for(Scene& scene, const bool& done, Duration limit = 60s) {
  return scene.world.run_until([&] { return done; }, limit);
}

TEST(WebSocketOverHttp3, EchoesOverABadNetwork) {
  for (const bool deflate : {true, false}) {
    Scene scene;
    scene.link(LinkOptions().delay(20ms).mbps(20).queue_bytes(60'000).loss(0.02));
    scene.router.websocket("/ws", echo_socket);
    scene.serve();
    Socket seen;
    Scope scope(scene.client_host.runtime().ready());
    http::WebSocketOptions options;
    options.deflate(http::WebSocketDeflateOptions().enabled(deflate));
    scope.spawn(converse(scene.client(), to("/ws"), options, 300, seen));
    ASSERT_TRUE(wait_for(scene, seen.done));
    EXPECT_FALSE(seen.refused) << seen.refused->to_string();
    EXPECT_EQ(seen.echoed, 300U);
    EXPECT_TRUE(seen.intact);
    EXPECT_EQ(seen.carrier, "h3");
    EXPECT_EQ(seen.compressed, deflate);
    EXPECT_EQ(seen.end.code, 1000);
    EXPECT_TRUE(seen.end.clean);
    EXPECT_FALSE(seen.error) << seen.error->to_string();
    EXPECT_EQ(seen.stats.messages_sent, 300U);
    if (deflate) {
      EXPECT_LT(seen.stats.wire_sent, seen.stats.bytes_sent * 3 / 4);
    }
  }
}

TEST(WebSocketOverHttp3, ManyShareAConnection) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(50).loss(0.005));
  scene.router.websocket("/ws", echo_socket, http::WebSocketOptions().protocol("echo"));
  scene.serve();
  std::vector<Socket> visits(50);
  Scope scope(scene.client_host.runtime().ready());
  for (Socket& seen : visits) {
    scope.spawn(
        converse(scene.client(), to("/ws"), http::WebSocketOptions().protocol("echo"), 20, seen));
  }
  for (const Socket& seen : visits) {
    ASSERT_TRUE(wait_for(scene, seen.done));
    EXPECT_EQ(seen.echoed, 20U);
    EXPECT_EQ(seen.subprotocol, "echo");
    EXPECT_TRUE(seen.end.clean);
  }
  scene.world.run_for(1s);
  EXPECT_EQ(scene.server_counter("websocket.opened"), 50U);
  EXPECT_EQ(scene.server_counter("websocket.closed"), 50U);
  EXPECT_EQ(scene.server_counter("websocket.failed"), 0U);
}

TEST(WebSocketOverHttp3, RefusesAStrangersPage) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.router.websocket("/ws", echo_socket);
  scene.serve();
  struct Row {
    std::string origin;
    std::uint64_t status;
  };
  for (const Row& row :
       std::vector<Row>{{"https://evil.example", 403}, {"null", 403}, {"https://server", 0}}) {
    Socket seen;
    Scope scope(scene.client_host.runtime().ready());
    scope.spawn(converse(scene.client(), to("/ws").field("origin", row.origin),
                         http::WebSocketOptions(), 1, seen));
    ASSERT_TRUE(wait_for(scene, seen.done));
    EXPECT_EQ(seen.refused ? seen.refused->code : 0, row.status) << row.origin;
  }
  Socket missing;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(converse(scene.client(), to("/nowhere"), http::WebSocketOptions(), 1, missing));
  ASSERT_TRUE(wait_for(scene, missing.done));
  ASSERT_TRUE(missing.refused);
  EXPECT_EQ(missing.refused->code, 404U);
}

TEST(WebSocketOverHttp3, HoldsBackAFastSender) {
  Scene scene;
  scene.link(LinkOptions().delay(5ms).mbps(1000));
  std::size_t taken = 0;
  // Takes a message a second.
  scene.router.websocket("/slow", [&](http::WebSocket& socket) -> Task<void> {
    while (taken < 20) {
      const auto message = co_await socket.receive();
      if (!message) break;
      ++taken;
      co_await socket.runtime().sleep(1s);
    }
  });
  scene.serve();
  bool done = false;
  std::size_t sent = 0;
  const auto flood = [&]() -> Task<void> {
    http::WebSocketOptions options;
    options.deflate(http::WebSocketDeflateOptions().enabled(false));
    auto opened = co_await scene.client().websocket(to("/slow"), std::move(options));
    if (!opened) co_return;
    http::WebSocket& socket = **opened;
    for (int i = 0; i < 20; ++i) {
      const Result<void> queued = co_await socket.send_binary(pattern_bytes(0, 1'000'000));
      if (!queued) break;
      ++sent;
    }
    co_await socket.receive();
    co_await socket.close();
    done = true;
  };
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(flood());
  scene.world.run_for(5s);
  EXPECT_LE(taken, 6U);
  EXPECT_LE(sent, taken + 5) << "windows and queues hold a few messages, no more";
  ASSERT_TRUE(wait_for(scene, done));
  EXPECT_EQ(sent, 20U);
  EXPECT_EQ(taken, 20U);
}

TEST(WebSocketOverHttp3, SeesThatThePeerIsGone) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.router.websocket("/ws", echo_socket);
  scene.serve();
  std::optional<Error> error;
  http::WebSocketClose end;
  bool open = false;
  bool done = false;
  const auto idle = [&]() -> Task<void> {
    auto opened = co_await scene.client().websocket(
        to("/ws"), http::WebSocketOptions().ping_interval(5s).pong_timeout(5s));
    if (!opened) co_return;
    open = true;
    co_await (*opened)->receive();
    error = (*opened)->error();
    end = (*opened)->closed();
    done = true;
  };
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(idle());
  ASSERT_TRUE(wait_for(scene, open));
  scene.world.run_for(60s);
  EXPECT_FALSE(done) << "a silent one lives on by its pings";
  link.cut();
  ASSERT_TRUE(wait_for(scene, done, 30s));
  EXPECT_EQ(end.code, 1006);
  EXPECT_TRUE(error);
  link.restore();
}

Task<void> count(http::Exchange& exchange) {
  http::EventStream events(exchange);
  co_await events.start();
  for (int i = 1; co_await events.pause(100ms); ++i) {
    const http::ServerEvent event = http::ServerEvent(std::to_string(i)).id(std::to_string(i));
    const Result<void> sent = co_await events.send(event);
    if (!sent) break;
  }
  exchange.runtime().counters().at("test.ended").add();
}

TEST(EventStreamOverHttp3, ArrivesEventByEventAndEndsWithTheClient) {
  Scene scene;
  scene.link(LinkOptions().delay(20ms).loss(0.05));
  scene.router.get("/events", count);
  scene.serve();
  std::vector<std::string> seen;
  bool done = false;
  const auto listen = [&]() -> Task<void> {
    auto stream = co_await scene.client().open(ClientRequest("https://server/events"));
    if (!stream) co_return;
    auto head = co_await stream->exchange().response();
    if (!head) co_return;
    http::EventStreamReader reader;
    while (seen.size() < 50) {
      auto piece = co_await stream->exchange().read();
      if (!piece || piece->empty()) break;
      reader.feed(*piece);
      for (auto event = reader.next(); event && *event; event = reader.next()) {
        seen.push_back((*event)->data);
      }
    }
    done = true;
  };
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(listen());
  ASSERT_TRUE(wait_for(scene, done));
  ASSERT_GE(seen.size(), 50U);
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], std::to_string(i + 1));
  // The client has cancelled its request.
  scene.world.run_for(1s);
  EXPECT_EQ(scene.server_counter("test.ended"), 1U);
}

}  // namespace
}  // namespace tern::sim
