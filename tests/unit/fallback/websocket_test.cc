#include "http/websocket.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/scope.h"
#include "http/router.h"
#include "tests/unit/fallback/http1_rig.h"

/// The WebSocket of HTTP/3's tests through the other two doors: Upgrade (RFC 6455) and extended
/// CONNECT on HTTP/2 (RFC 8441), between sessions on the simulator's TCP.

namespace tern::fallback {
namespace {

using http1_testing::RawStream;
using http1_testing::request;
using http1_testing::Rig;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using namespace std::chrono_literals;
using namespace std::string_literals;

Task<void> echo(http::WebSocket& socket) {
  while (auto message = co_await socket.receive()) {
    const Result<void> sent = co_await socket.send(std::move(*message));
    if (!sent) break;
  }
}

http::Router router() {
  http::Router router;
  router.websocket("/ws", echo, http::WebSocketOptions().protocol("echo"));
  return router;
}

struct Visit {
  bool done = false;
  std::optional<Error> refused;
  std::size_t echoed = 0;
  std::string carrier;
  std::string subprotocol;
  bool compressed = false;
  http::WebSocketClose end;
  std::optional<Error> error;
};

std::string payload(std::size_t i) {
  return std::string(i * i * 10, static_cast<char>('a' + i % 26));
}

Task<void> visit(std::unique_ptr<http::ClientExchange> exchange, http::RequestHead head,
                 std::size_t count, Visit& seen) {
  http::WebSocketOptions options;
  options.protocol("echo");
  auto opened =
      co_await http::open_websocket(std::move(exchange), std::move(head), std::move(options));
  if (!opened) {
    seen.refused = opened.error();
    seen.done = true;
    co_return;
  }
  http::WebSocket& socket = **opened;
  seen.carrier = socket.carrier();
  seen.subprotocol = socket.subprotocol();
  seen.compressed = socket.compressed();
  for (std::size_t i = 0; i < count; ++i) {
    const Result<void> sent = co_await socket.send_text(payload(i));
    if (!sent) break;
    const auto message = co_await socket.receive();
    if (!message || message->data != payload(i)) break;
    ++seen.echoed;
  }
  co_await socket.close(4000, "bye");
  seen.end = socket.closed();
  seen.error = socket.error();
  seen.done = true;
}

void echoes(Protocol protocol, const std::string& carrier) {
  Rig rig(router(), {}, {}, protocol);
  Session* const session = rig.connect(protocol);
  ASSERT_NE(session, nullptr);
  auto exchange = session->open();
  ASSERT_TRUE(exchange);
  Visit seen;
  Scope scope(rig.runtime().ready());
  scope.spawn(visit(std::move(*exchange), request("GET", "/ws"), 100, seen));
  ASSERT_TRUE(rig.world.run_until([&] { return seen.done; }));
  EXPECT_FALSE(seen.refused) << seen.refused->to_string();
  EXPECT_EQ(seen.echoed, 100U);
  EXPECT_EQ(seen.carrier, carrier);
  EXPECT_EQ(seen.subprotocol, "echo");
  EXPECT_TRUE(seen.compressed);
  EXPECT_EQ(seen.end.code, 4000);
  EXPECT_TRUE(seen.end.clean);
  EXPECT_FALSE(seen.error) << seen.error->to_string();
  rig.world.run_for(1s);
  EXPECT_THAT(rig.served, ::testing::ElementsAre("CONNECT /ws 200"));
}

TEST(WebSocketOverHttp1, Echoes) { echoes(Protocol::http1, "http/1.1"); }
TEST(WebSocketOverHttp2, Echoes) { echoes(Protocol::http2, "h2"); }

void refuses(Protocol protocol) {
  Rig rig(router(), {}, {}, protocol);
  Session* const session = rig.connect(protocol);
  ASSERT_NE(session, nullptr);
  auto exchange = session->open();
  ASSERT_TRUE(exchange);
  http::RequestHead head = request("GET", "/ws");
  head.fields.add("origin", "https://evil.example");
  Visit seen;
  Scope scope(rig.runtime().ready());
  scope.spawn(visit(std::move(*exchange), std::move(head), 1, seen));
  ASSERT_TRUE(rig.world.run_until([&] { return seen.done; }));
  ASSERT_TRUE(seen.refused);
  EXPECT_EQ(seen.refused->domain, Domain::http) << seen.refused->to_string();
  EXPECT_EQ(seen.refused->code, 403U);
}

TEST(WebSocketOverHttp1, RefusesAStrangersPage) { refuses(Protocol::http1); }
TEST(WebSocketOverHttp2, RefusesAStrangersPage) { refuses(Protocol::http2); }

constexpr std::string_view kHandshake =
    "GET /ws HTTP/1.1\r\n"
    "host: server\r\n"
    "upgrade: websocket\r\n"
    "connection: Upgrade\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "sec-websocket-version: 13\r\n"
    "\r\n";
// "Hello", masked, and a close with 1000.
const std::string kFrames =
    "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s + "\x88\x82\x01\x02\x03\x04\x02\xea"s;

/// RFC 6455's own example, whole, with the frames right behind the handshake, cut anywhere.
TEST(WebSocketOverHttp1, TakesFramesRightBehindTheHandshake) {
  const std::string all = std::string(kHandshake) + kFrames;
  for (std::size_t cut = 0; cut < all.size(); cut += cut < kHandshake.size() - 4 ? 31 : 1) {
    Rig rig(router());
    const std::string answer = rig.talk(all, cut);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 101 ")) << "cut at " << cut;
    EXPECT_THAT(answer, HasSubstr("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n\x81\x05Hello\x88\x02\x03\xe8")) << cut;
    EXPECT_TRUE(rig.last_closed) << cut;
  }
}

/// What breaks the rules is told so in a close frame, which arrives.
TEST(WebSocketOverHttp1, SaysWhatIsWrongBeforeItCloses) {
  Rig rig(router());
  const std::string answer = rig.talk(
      std::string(kHandshake) + "\x83\x80\x01\x02\x03\x04"s + std::string(100'000, 'x'), 0, 10s);
  EXPECT_THAT(answer, HasSubstr("\x88\x16\x03\xea"
                                "opcode 3 is reserved"));
  EXPECT_TRUE(rig.last_closed);
}

TEST(WebSocketOverHttp1, SeesAConnectionThatBreaksOff) {
  http::WebSocketClose end;
  http::Router one;
  one.websocket("/ws", [&](http::WebSocket& socket) -> Task<void> {
    co_await socket.receive();
    end = socket.closed();
  });
  Rig rig(one);
  RawStream& client = rig.dial();
  client.say(kHandshake);
  rig.world.run_for(1s);
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 101 "));
  rig.raw.pop_back();
  rig.world.run_for(1s);
  EXPECT_EQ(end.code, 1006);
}

}  // namespace
}  // namespace tern::fallback
