#include "http/websocket_handshake.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/access_log.h"
#include "http/websocket.h"
#include "tests/unit/http/recording_carrier.h"

namespace tern::http {
namespace {

using test::answer;
using test::request;
using test::with;
using test::World;
using ::testing::HasSubstr;
using ::testing::Not;

RequestHead opening() {
  RequestHead head = request("CONNECT", "/chat");
  head.protocol = "websocket";
  head.authority = "example.org:4433";
  head.fields.add("sec-websocket-version", "13");
  return head;
}

int status_of(const RequestHead& head, const WebSocketOptions& options = {}) {
  return code(answer_websocket(head, options).response.status());
}

TEST(WebSocketHandshake, AcceptsVersion13Alone) {
  EXPECT_EQ(status_of(opening()), 200);
  RequestHead head = opening();
  head.fields.set("sec-websocket-version", "8");
  EXPECT_EQ(status_of(head), 426);
  EXPECT_EQ(answer_websocket(head, {}).response.fields().find("sec-websocket-version"), "13");
  head.fields.remove("sec-websocket-version");
  EXPECT_EQ(status_of(head), 400);
  EXPECT_EQ(status_of(request("GET", "/chat")), 405);
  head = opening();
  head.protocol = "webtransport";
  EXPECT_EQ(status_of(head), 405);
}

TEST(WebSocketHandshake, LetsItsOwnOriginIn) {
  struct Row {
    std::string origin;
    int status;
  };
  for (const Row& row : std::vector<Row>{
           {"https://example.org:4433", 200},
           {"https://EXAMPLE.org:4433", 200},
           {"https://example.org", 403},
           {"http://example.org:4433", 403},
           {"https://evil.example:4433", 403},
           {"https://example.org:4433.evil.example", 403},
           {"https://example.org:4433@evil.example", 403},
           {"https://example.org:4433/", 403},
           {"https://example.org:4433/path", 403},
           {"https://example.org:4433, https://evil.example", 403},
           {"null", 403},
           {"", 403},
           {"example.org:4433", 403},
           {"file://", 403},
           {"chrome-extension://abcdef", 403},
       }) {
    EXPECT_EQ(status_of(with(opening(), "origin", row.origin)), row.status) << row.origin;
  }
  // Two lines are two origins.
  EXPECT_EQ(status_of(with(with(opening(), "origin", "https://example.org:4433"), "origin",
                           "https://example.org:4433")),
            403);
  RequestHead standard = opening();
  standard.authority = "example.org";
  EXPECT_EQ(status_of(with(standard, "origin", "https://example.org")), 200);
  EXPECT_EQ(status_of(with(standard, "origin", "https://example.org:443")), 200);
}

TEST(WebSocketHandshake, LetsOtherOriginsInByName) {
  const auto options = WebSocketOptions()
                           .allow_origin("https://app.example")
                           .allow_origin("http://localhost:3000")
                           .allow_origin("not an origin");
  EXPECT_EQ(status_of(with(opening(), "origin", "https://app.example"), options), 200);
  EXPECT_EQ(status_of(with(opening(), "origin", "http://localhost:3000"), options), 200);
  EXPECT_EQ(status_of(with(opening(), "origin", "https://example.org:4433"), options), 200);
  EXPECT_EQ(status_of(with(opening(), "origin", "https://sub.app.example"), options), 403);
  EXPECT_EQ(status_of(with(opening(), "origin", "not an origin"), options), 403);
  const auto any = WebSocketOptions().allow_any_origin();
  EXPECT_EQ(status_of(with(opening(), "origin", "null"), any), 200);
}

TEST(WebSocketHandshake, MayDemandAnOrigin) {
  const auto options = WebSocketOptions().require_origin();
  EXPECT_EQ(status_of(opening()), 200);
  EXPECT_EQ(status_of(opening(), options), 403);
  EXPECT_EQ(status_of(with(opening(), "origin", "https://example.org:4433"), options), 200);
}

TEST(WebSocketHandshake, ChoosesASubprotocol) {
  const auto options = WebSocketOptions().protocol("chat.v2").protocol("chat.v1");
  struct Row {
    std::string offered;
    std::string chosen;  // "": none; "400"
  };
  for (const Row& row : std::vector<Row>{
           {"chat.v1", "chat.v1"},
           {"chat.v1, chat.v2", "chat.v2"},
           {"chat.v3", ""},
           {"Chat.v1", ""},
           {"bearer.abc, chat.v1", "chat.v1"},
           {"bearer.abc", ""},
           {"chat.v1, chat.v1", "400"},
           {"chat v1", "400"},
           {"\"chat\"", "400"},
           {",", "400"},
       }) {
    const WebSocketAnswer answered =
        answer_websocket(with(opening(), "sec-websocket-protocol", row.offered), options);
    if (row.chosen == "400") {
      EXPECT_EQ(code(answered.response.status()), 400) << row.offered;
      continue;
    }
    EXPECT_EQ(answered.terms.protocol, row.chosen) << row.offered;
    EXPECT_EQ(answered.response.fields().find("sec-websocket-protocol").value_or(""), row.chosen);
  }
}

TEST(WebSocketHandshake, FindsTokens) {
  EXPECT_EQ(bearer_token(opening()), "");
  EXPECT_EQ(bearer_token(with(opening(), "authorization", "Bearer a.b.c")), "a.b.c");
  EXPECT_EQ(bearer_token(with(opening(), "authorization", "bearer a.b.c")), "a.b.c");
  EXPECT_EQ(bearer_token(with(opening(), "authorization", "Basic YTpi")), "");
  EXPECT_EQ(bearer_token(with(opening(), "sec-websocket-protocol", "chat, bearer.x.y, more")),
            "x.y");
  RequestHead query = opening();
  query.path = "/chat?token=abc&access_token=def";
  EXPECT_EQ(bearer_token(query), "");
}

Task<void> nothing(WebSocket&) { co_return; }

TEST(WebSocketHandshake, LogsNoToken) {
  World world;
  RequestHead head = opening();
  head.path = "/chat?room=1&token=secret-a";
  head.fields.add("sec-websocket-protocol", "bearer.secret-b");
  head.fields.add("authorization", "Bearer secret-c");
  // Malformed as well, so that the refusal is logged.
  for (const char* more : {"", "bearer.secret-b"}) {
    RequestHead copy = head;
    if (*more != '\0') copy.fields.add("sec-websocket-protocol", more);
    test::RecordingCarrier carrier;
    auto exchange = std::make_unique<Exchange>(world.runtime, carrier, std::move(copy));
    exchange->incoming().finish();
    const AccessLog log(world.log, AccessLogFormat::json);
    world.run(serve(websocket(nothing), std::move(exchange), log));
    EXPECT_EQ(carrier.status, *more == '\0' ? 200 : 400);
    EXPECT_THAT(carrier.body, Not(HasSubstr("secret")));
  }
  ASSERT_EQ(world.log.lines.size(), 3U);
  for (const std::string& line : world.log.lines) {
    EXPECT_THAT(line, HasSubstr("/chat"));
    EXPECT_THAT(line, Not(HasSubstr("secret")));
  }
}

TEST(WebSocketHandshake, AsksTheApplication) {
  const auto options = WebSocketOptions().authorize([](const Exchange& exchange) {
    return bearer_token(exchange.request()) == "right" ? Status::ok : Status::unauthorized;
  });
  World world;
  const Handler handler = websocket(nothing, options);
  EXPECT_EQ(answer(world, handler, opening())->status, 401);
  EXPECT_EQ(answer(world, handler, with(opening(), "authorization", "Bearer wrong"))->status, 401);
  EXPECT_EQ(answer(world, handler, with(opening(), "authorization", "Bearer right"))->status, 200);
}

TEST(WebSocketHandshake, AClientOffersAndConfirms) {
  RequestHead head;
  head.authority = "example.org";
  const auto options = WebSocketOptions().protocol("a").protocol("b");
  ASSERT_TRUE(complete_websocket_request(head, options));
  EXPECT_EQ(head.method, "CONNECT");
  EXPECT_EQ(head.protocol, "websocket");
  EXPECT_EQ(head.fields.find("sec-websocket-version"), "13");
  EXPECT_EQ(head.fields.find("sec-websocket-protocol"), "a, b");
  EXPECT_EQ(head.fields.find("sec-websocket-extensions"), offer_deflate(options.deflate()));
  RequestHead wrong;
  EXPECT_FALSE(complete_websocket_request(wrong, WebSocketOptions().protocol("a b")));
  EXPECT_FALSE(complete_websocket_request(wrong, WebSocketOptions().protocol("a").protocol("a")));

  Response response(Status::ok);
  response.field("sec-websocket-protocol", "b");
  const auto terms = confirm_websocket(response, options);
  ASSERT_TRUE(terms);
  EXPECT_EQ(terms->protocol, "b");
  EXPECT_FALSE(terms->deflate);
  response.fields().set("sec-websocket-protocol", "c");
  EXPECT_FALSE(confirm_websocket(response, options));
  Response extension(Status::ok);
  extension.field("sec-websocket-extensions", "x-unknown");
  EXPECT_FALSE(confirm_websocket(extension, options));
  const auto refused = confirm_websocket(Response(Status::forbidden), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().domain, Domain::http);
  EXPECT_EQ(refused.error().code, 403U);
}

}  // namespace
}  // namespace tern::http
