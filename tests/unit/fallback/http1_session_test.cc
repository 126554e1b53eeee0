#include <string>

#include "tests/unit/fallback/http1_rig.h"

namespace tern::fallback::http1_testing {
namespace {

Task<void> hello(http::Exchange& exchange) { co_await exchange.respond(http::Status::ok, "hello"); }

// ---- our client against our server --------------------------------------------------------------

TEST(Http1Session, GetOverKeepAlive) {
  Rig rig(hello);
  ASSERT_NE(rig.connect(), nullptr);
  EXPECT_EQ(rig.session->protocol(), "http/1.1");
  for (int i = 0; i < 3; ++i) {
    const Reply reply = rig.ask(request("GET", "/"));
    EXPECT_FALSE(reply.error) << reply.error->to_string();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "hello");
    EXPECT_FALSE(reply.fields.contains("connection"));
  }
  EXPECT_EQ(rig.server_context->sessions(), 1u);
  EXPECT_EQ(rig.session->total_requests(), 3u);
  EXPECT_EQ(rig.session->requests(), 0u);
  EXPECT_EQ(rig.server_count("http1.requests"), 3u);
  EXPECT_EQ(rig.server_count("http1.responses"), 3u);
}

TEST(Http1Session, ManyRequestsWaitForEachOther) {
  Rig rig(echo);
  rig.connect();
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 20; ++i) {
    std::string body(static_cast<std::size_t>(i) * 1000, 'x');
    replies.push_back(rig.start(request("POST", "/" + std::to_string(i)), std::move(body)));
  }
  rig.world.run_until([&] { return replies.back()->done; });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(replies[static_cast<std::size_t>(i)]->body,
              "POST http server /" + std::to_string(i) + " [" +
                  std::string(static_cast<std::size_t>(i) * 1000, 'x') + "]");
  }
}

TEST(Http1Session, TrailersBothWays) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    auto body = co_await exchange.read_all();
    http::Response head;
    head.field("x-got", exchange.trailers().find("x-sum").value_or("none"));
    co_await exchange.start(head);
    co_await exchange.write(Bytes::copy(std::string_view(*body)));
    http::Fields trailers;
    trailers.add("x-end", "yes");
    co_await exchange.finish(trailers);
  });
  rig.connect();
  http::Fields trailers;
  trailers.add("x-sum", "17");
  const Reply reply = rig.ask(request("POST", "/"), "abc", trailers);
  EXPECT_EQ(reply.body, "abc");
  EXPECT_EQ(reply.field("x-got"), "17");
  EXPECT_EQ(reply.field("transfer-encoding"), "");
  EXPECT_EQ(reply.trailers.find("x-end").value_or(""), "yes");
}

TEST(Http1Session, BigBodiesBothWaysAtOnce) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Response head;
    co_await exchange.start(head);
    for (;;) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      auto written = co_await exchange.write(*std::move(piece));
      if (!written) co_return;
    }
    co_await exchange.finish();
  });
  rig.connect();
  std::string body(2'000'000, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 + i / 251);
  const Reply reply = rig.ask(request("POST", "/"), body);
  EXPECT_TRUE(reply.body == body);
  EXPECT_FALSE(reply.error);
  // The connection is still good.
  EXPECT_EQ(rig.ask(request("POST", "/"), "x").body, "x");
  EXPECT_EQ(rig.session->total_requests(), 2u);
}

TEST(Http1Session, AHandlerThatDoesNotReadStopsTheClient) {
  bool go = false;
  std::size_t most = 0;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    while (!go) {
      co_await exchange.runtime().sleep(10ms);
      most = std::max(most, exchange.incoming().buffered());
    }
    auto body = co_await exchange.read_all();
    co_await exchange.respond(http::Status::ok, std::to_string(body->size()));
  });
  rig.connect();
  auto reply = rig.start(request("POST", "/"), std::string(4'000'000, 'x'));
  rig.world.run_for(5s);
  EXPECT_FALSE(reply->done);
  EXPECT_GE(most, SessionOptions().max_buffered_body);
  EXPECT_LE(most, SessionOptions().max_buffered_body + 64 * 1024);
  EXPECT_TRUE(rig.server_session->stream().paused());
  go = true;
  rig.world.run_until([&] { return reply->done; });
  EXPECT_EQ(reply->body, "4000000");
}

TEST(Http1Session, AClientThatDoesNotReadStopsTheHandler) {
  std::size_t written = 0;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    http::Response head;
    co_await exchange.start(head);
    for (int i = 0; i < 100; ++i) {
      auto sent = co_await exchange.write(Bytes::take(std::string(64 * 1024, 'x')));
      if (!sent) co_return;
      written += 64 * 1024;
    }
    co_await exchange.finish();
  });
  RawStream& client = rig.dial();
  client.stream->pause();
  client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  rig.world.run_for(20s);
  EXPECT_LT(written, 4'000'000u);
  client.stream->resume();
  rig.world.run_until([&] { return client.received.ends_with("\r\n0\r\n\r\n"); });
  EXPECT_EQ(written, 100u * 64 * 1024);
  // Chunked: each byte is there once.
  const std::string_view body =
      std::string_view(client.received).substr(client.received.find("\r\n\r\n"));
  EXPECT_EQ(static_cast<std::size_t>(std::count(body.begin(), body.end(), 'x')), written);
}

TEST(Http1Session, AClientThatNeverReadsIsDropped) {
  SessionOptions options;
  options.send_timeout = 10s;
  std::optional<Error> error;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        http::Response head;
        co_await exchange.start(head);
        for (;;) {
          auto sent = co_await exchange.write(Bytes::take(std::string(64 * 1024, 'x')));
          if (sent) continue;
          error = sent.error();
          co_return;
        }
      },
      options);
  RawStream& client = rig.dial();
  client.stream->pause();
  client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  rig.world.run_until([&] { return error.has_value(); }, 60s);
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->is(Code::timed_out)) << error->to_string();
  EXPECT_EQ(rig.server_count("http1.stalled"), 1u);
  EXPECT_EQ(rig.server_context->sessions(), 0u);
}

// ---- what a response looks like -----------------------------------------------------------------

TEST(Http1Session, HeadHasALengthAndNoBody) {
  Rig rig(hello);
  const std::string both = rig.talk(
      "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(both, ::testing::HasSubstr("content-length: 5\r\n"));
  EXPECT_EQ(both.find("hello"), both.size() - 5);
  rig.connect();
  EXPECT_EQ(rig.ask(request("HEAD", "/")).field("content-length"), "5");
  EXPECT_EQ(rig.ask(request("GET", "/")).body, "hello");
}

TEST(Http1Session, NoContentAndNotModifiedHaveNoFraming) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    const bool first = exchange.request().path == "/204";
    const http::Status status = first ? http::Status::no_content : http::Status::not_modified;
    co_await exchange.respond(status);
  });
  const std::string said = rig.talk(
      "GET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\nHost: a\r\nConnection: "
      "close\r\n\r\n");
  EXPECT_THAT(said, ::testing::StartsWith("HTTP/1.1 204 No Content\r\ndate: "));
  EXPECT_THAT(said, ::testing::HasSubstr("\r\n\r\nHTTP/1.1 304 Not Modified\r\n"));
  EXPECT_EQ(said.find("content-length"), said.npos);
  EXPECT_EQ(said.find("transfer-encoding"), said.npos);
  rig.connect();
  EXPECT_EQ(rig.ask(request("GET", "/204")).status, 204);
  EXPECT_EQ(rig.ask(request("GET", "/304")).status, 304);
}

TEST(Http1Session, Http10GetsABodyThatEndsWithTheConnection) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Response head;
    co_await exchange.inform(http::Status::early_hints, http::Fields());
    co_await exchange.start(head);
    co_await exchange.write(Bytes::copy("one "));
    co_await exchange.finish(Bytes::copy("two"));
  });
  const std::string said = rig.talk("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(said, ::testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(said, ::testing::HasSubstr("connection: close\r\n"));
  EXPECT_EQ(said.find("transfer-encoding"), said.npos);
  EXPECT_TRUE(said.ends_with("\r\n\r\none two")) << said;
  EXPECT_TRUE(rig.last_closed);
}

TEST(Http1Session, ConnectionFieldsOfApplicationsStayOut) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Response head;
    head.field("transfer-encoding", "chunked").field("keep-alive", "x").field("x", "y");
    head.field("connection", "close");
    co_await exchange.respond(std::move(head).text("t"));
  });
  const std::string said = rig.talk("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(said.find("transfer-encoding"), said.npos);
  EXPECT_EQ(said.find("keep-alive"), said.npos);
  EXPECT_THAT(said, ::testing::HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(rig.last_closed);
}

TEST(Http1Session, InterimResponses) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Fields links;
    links.add("link", "</a.css>");
    co_await exchange.inform(http::Status::early_hints, links);
    co_await exchange.respond(http::Status::ok, "x");
  });
  rig.connect();
  const Reply reply = rig.ask(request("GET", "/"));
  EXPECT_EQ(reply.interim, std::vector<int>{103});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(rig.ask(request("HEAD", "/")).status, 200);
  EXPECT_EQ(rig.ask(request("GET", "/")).body, "x");
}

// ---- Expect: 100-continue -----------------------------------------------------------------------

TEST(Http1Session, ContinueIsSentWhenTheHandlerReads) {
  Rig rig(echo);
  RawStream& client = rig.dial();
  client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  rig.world.run_until([&] { return client.received.ends_with("\r\n\r\n"); });
  EXPECT_EQ(client.received, "HTTP/1.1 100 Continue\r\n\r\n");
  client.say("abc");
  rig.world.run_until([&] { return client.received.ends_with("]"); });
  EXPECT_THAT(client.received, ::testing::HasSubstr("[abc]"));
}

TEST(Http1Session, ContinueIsNotSentWhenNobodyReads) {
  Rig rig(hello);
  const std::string said =
      rig.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(said, ::testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  // The client may now send the body or not: the connection is of no use.
  EXPECT_TRUE(rig.last_closed);
}

TEST(Http1Session, TheClientHoldsItsBodyUntilContinue) {
  Rig rig(echo);
  rig.connect();
  auto head = request("POST", "/");
  head.fields.add("expect", "100-continue");
  const Reply reply = rig.ask(head, "abc");
  EXPECT_EQ(reply.interim, std::vector<int>{100});
  EXPECT_EQ(reply.body, "POST http server / [abc]");
  EXPECT_EQ(rig.ask(request("GET", "/")).status, 200);
}

TEST(Http1Session, TheClientSendsItsBodyIfContinueDoesNotCome) {
  Rig rig(hello);
  rig.accept_raw = true;
  rig.connect();
  auto head = request("POST", "/");
  head.fields.add("expect", "100-continue");
  auto reply = rig.start(head, "abc");
  rig.world.run_for(500ms);
  EXPECT_EQ(rig.raw_server.received.find("abc"), std::string::npos);
  rig.world.run_for(1s);
  EXPECT_TRUE(rig.raw_server.received.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
}

// ---- bodies that nobody wants -------------------------------------------------------------------

TEST(Http1Session, ASmallUnreadBodyKeepsTheConnection) {
  Rig rig(hello);
  const std::string said = rig.talk(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: "
      "a\r\n\r\n");
  EXPECT_NE(said.find("hello"), said.rfind("hello"));
  EXPECT_FALSE(rig.last_closed);
}

TEST(Http1Session, ALargeUnreadBodyEndsTheConnection) {
  Rig rig(hello);
  const std::string said =
      rig.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
  EXPECT_THAT(said, ::testing::HasSubstr("connection: close"));
  EXPECT_TRUE(said.ends_with("hello"));
  EXPECT_TRUE(rig.last_closed);
}

TEST(Http1Session, ALargeUnreadChunkedBodyEndsTheConnection) {
  Rig rig(hello);
  RawStream& client = rig.dial();
  client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20 && !client.over(); ++i) {
    std::string chunk = "4000\r\n" + std::string(0x4000, 'x') + "\r\n";
    if (!client.stream->write(Bytes::take(std::move(chunk)))) break;
    rig.world.run_for(20ms);
  }
  rig.world.run_until([&] { return client.over(); }, 2s);
  EXPECT_TRUE(client.over());
  EXPECT_THAT(client.received, ::testing::HasSubstr("hello"));
}

TEST(Http1Session, AChunkedBodyAboveTheLimitBreaksTheConnection) {
  SessionOptions options;
  options.max_body = 10;
  Rig rig(echo, options);
  rig.connect();
  const Reply reply = rig.ask(request("POST", "/"), std::string(20, 'x'));
  EXPECT_TRUE(reply.error);
  EXPECT_EQ(rig.server_count("http1.limit.body"), 1u);
}

// ---- tunnels and upgrades -----------------------------------------------------------------------

Task<void> tunnel(http::Exchange& exchange) {
  if (exchange.method() != "CONNECT" || exchange.request().path == "/no") {
    co_await exchange.respond(http::Status::not_found, "no");
    co_return;
  }
  http::Response head;
  head.field("x-protocol", exchange.request().protocol.empty() ? "-" : exchange.request().protocol);
  co_await exchange.start(head);
  for (;;) {
    auto piece = co_await exchange.read();
    if (!piece || piece->empty()) break;
    co_await exchange.write(*std::move(piece));
  }
  co_await exchange.finish(Bytes::copy("bye"));
}

TEST(Http1Session, ConnectIsATunnel) {
  Rig rig(tunnel);
  RawStream& client = rig.dial();
  client.say("CONNECT b:22 HTTP/1.1\r\nHost: b:22\r\n\r\nearly");
  rig.world.run_until([&] { return client.received.ends_with("early"); });
  EXPECT_THAT(client.received, ::testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(client.received.find("content-length"), std::string::npos);
  EXPECT_EQ(client.received.find("transfer-encoding"), std::string::npos);
  client.say(" more");
  client.stream->finish();
  rig.world.run_until([&] { return client.over(); });
  EXPECT_TRUE(client.received.ends_with("\r\n\r\nearly morebye"));
  EXPECT_TRUE(client.ended);
}

TEST(Http1Session, ARefusedConnectIsAResponse) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.respond(http::Status::forbidden, "no");
  });
  const std::string said = rig.talk(
      "CONNECT b:22 HTTP/1.1\r\nHost: b:22\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: "
      "close\r\n\r\n");
  EXPECT_NE(said.find("403"), said.rfind("403"));
  EXPECT_TRUE(rig.last_closed);
}

Task<void> use_tunnel(std::shared_ptr<http::ClientExchange> exchange, http::RequestHead head,
                      std::shared_ptr<Reply> reply) {
  co_await exchange->send(head, false);
  auto response = co_await exchange->response();
  if (!response) {
    reply->error = response.error();
    reply->done = true;
    co_return;
  }
  reply->status = http::code(response->status());
  reply->fields = response->fields();
  if (reply->status == 200) co_await exchange->write(Bytes::copy("ping "));
  if (reply->status == 200) co_await exchange->finish();
  for (;;) {
    auto piece = co_await exchange->read();
    if (!piece) reply->error = piece.error();
    if (!piece || piece->empty()) break;
    reply->body += piece->text();
  }
  reply->done = true;
}

Reply try_tunnel(Rig& rig, http::RequestHead head) {
  auto reply = std::make_shared<Reply>();
  std::shared_ptr<http::ClientExchange> exchange = std::move(*rig.session->open());
  rig.runtime().spawn(use_tunnel(std::move(exchange), std::move(head), reply));
  rig.world.run_until([&] { return reply->done; });
  return *reply;
}

TEST(Http1Session, TunnelsOfOurClient) {
  Rig rig(tunnel);
  rig.connect();
  auto head = request("CONNECT", "");
  head.authority = "b:22";
  const Reply reply = try_tunnel(rig, head);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "ping bye");
  rig.world.run_for(1s);
  EXPECT_TRUE(rig.closed);
}

TEST(Http1Session, AWebSocketHandshakeIsAnExtendedConnect) {
  Rig rig(tunnel);
  RawStream& client = rig.dial();
  // RFC 6455 §1.3.
  client.say(
      "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Origin: http://example.com\r\nSec-WebSocket-Version: 13\r\n\r\n");
  rig.world.run_until([&] { return client.received.ends_with("\r\n\r\n"); });
  EXPECT_THAT(client.received, ::testing::StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(client.received, ::testing::HasSubstr("x-protocol: websocket\r\n"));
  EXPECT_THAT(client.received, ::testing::HasSubstr("upgrade: websocket\r\n"));
  EXPECT_THAT(client.received, ::testing::HasSubstr("connection: Upgrade\r\n"));
  EXPECT_THAT(client.received,
              ::testing::HasSubstr("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  client.say("frames");
  rig.world.run_until([&] { return client.received.ends_with("frames"); });
  client.stream->finish();
  rig.world.run_until([&] { return client.over(); });
  EXPECT_TRUE(client.received.ends_with("framesbye"));
}

TEST(Http1Session, AWebSocketHandshakeOfOurClient) {
  Rig rig(tunnel);
  rig.connect();
  auto head = request("CONNECT", "/chat");
  head.protocol = "websocket";
  const Reply reply = try_tunnel(rig, head);
  ASSERT_FALSE(reply.error) << reply.error->to_string();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("x-protocol"), "websocket");
  EXPECT_EQ(reply.body, "ping bye");
}

TEST(Http1Session, ARefusedHandshakeLeavesTheConnection) {
  Rig rig(tunnel);
  rig.connect();
  auto head = request("CONNECT", "/no");
  head.protocol = "websocket";
  const Reply reply = try_tunnel(rig, head);
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.body, "no");
  EXPECT_EQ(rig.ask(request("GET", "/")).status, 404);
}

TEST(Http1Session, AWrongAcceptIsNoUpgrade) {
  Rig rig(hello);
  rig.accept_raw = true;
  rig.connect();
  auto head = request("CONNECT", "/chat");
  head.protocol = "websocket";
  auto reply = std::make_shared<Reply>();
  std::shared_ptr<http::ClientExchange> exchange = std::move(*rig.session->open());
  rig.runtime().spawn(use_tunnel(std::move(exchange), std::move(head), reply));
  rig.world.run_for(100ms);
  rig.raw_server.say(
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
      "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  rig.world.run_until([&] { return reply->done; });
  EXPECT_TRUE(reply->error);
}

// ---- pipelining ---------------------------------------------------------------------------------

TEST(Http1Session, SafeRequestsRunAtTheSameTimeAndAreAnsweredInOrder) {
  int running = 0;
  int most = 0;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    most = std::max(most, ++running);
    // The first takes longest.
    const int number = exchange.request().path[1] - '0';
    co_await exchange.runtime().sleep(std::chrono::milliseconds(100 - 10 * number));
    --running;
    co_await exchange.respond(http::Status::ok, exchange.request().path);
  });
  std::string sent;
  for (int i = 0; i < 5; ++i) {
    sent += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  const std::string said = rig.talk(sent);
  EXPECT_EQ(most, 5);
  std::size_t at = 0;
  for (int i = 0; i < 5; ++i) {
    at = said.find("\r\n\r\n/" + std::to_string(i), at);
    ASSERT_NE(at, said.npos) << i;
  }
}

TEST(Http1Session, OthersWaitForTheirTurn) {
  int running = 0;
  int most = 0;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    most = std::max(most, ++running);
    auto body = co_await exchange.read_all();
    co_await exchange.runtime().sleep(10ms);
    --running;
    co_await exchange.respond(http::Status::ok, *body);
  });
  std::string sent;
  for (int i = 0; i < 5; ++i) {
    sent += "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n#" + std::to_string(i);
  }
  const std::string said = rig.talk(sent);
  EXPECT_EQ(most, 1);
  EXPECT_TRUE(said.ends_with("#4"));
}

TEST(Http1Session, NoMoreArePipelinedThanTheLimit) {
  SessionOptions options;
  options.max_pipelined = 4;
  std::size_t most = 0;
  Rig* at = nullptr;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        most = std::max(most, at->server_session->requests());
        co_await exchange.runtime().sleep(10ms);
        co_await exchange.respond(http::Status::ok, "x");
      },
      options);
  at = &rig;
  std::string sent;
  for (int i = 0; i < 100; ++i) sent += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  rig.talk(sent, 0, 5s);
  EXPECT_EQ(rig.served.size(), 100u);
  EXPECT_EQ(most, 5u);
}

TEST(Http1Session, RequestsPerConnectionHaveALimit) {
  SessionOptions options;
  options.max_requests_per_connection = 2;
  Rig rig(hello, options);
  rig.connect();
  EXPECT_EQ(rig.ask(request("GET", "/")).status, 200);
  const Reply last = rig.ask(request("GET", "/"));
  EXPECT_EQ(last.body, "hello");
  rig.world.run_for(1s);
  EXPECT_TRUE(rig.closed);
  EXPECT_EQ(rig.goaways, 1);
}

// ---- time ---------------------------------------------------------------------------------------

TEST(Http1Session, AHeadThatDoesNotComeIs408) {
  Rig rig(hello);
  const std::string said = rig.talk("GET / HTTP/1.1\r\nHos", 0, 30s);
  EXPECT_THAT(said, ::testing::StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_TRUE(rig.last_closed);
  EXPECT_EQ(rig.server_count("http1.timeouts"), 1u);
}

TEST(Http1Session, AHeadThatDripsIs408) {
  Rig rig(hello);
  RawStream& client = rig.dial();
  client.say("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  for (int i = 0; i < 30 && !client.over(); ++i) {
    if (!client.stream->write(Bytes::literal("x"))) break;
    rig.world.run_for(1s);
  }
  EXPECT_THAT(client.received, ::testing::StartsWith("HTTP/1.1 408 "));
}

TEST(Http1Session, ABodyThatDoesNotGoOnIs408) {
  Rig rig(echo);
  const std::string said =
      rig.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", 0, 120s);
  EXPECT_THAT(said, ::testing::StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(rig.last_closed);
}

TEST(Http1Session, IdleConnectionsAreClosed) {
  SessionOptions options;
  options.idle_timeout = 5s;
  Rig rig(hello, options);
  EXPECT_EQ(rig.talk("", 0, 4s), "");
  EXPECT_FALSE(rig.last_closed);
  rig.talk("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 4s);
  EXPECT_FALSE(rig.last_closed);
  rig.talk("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 6s);
  EXPECT_TRUE(rig.last_closed);
}

TEST(Http1Session, ASlowHandlerIsNoIdleConnection) {
  SessionOptions options;
  options.idle_timeout = 1s;
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        co_await exchange.runtime().sleep(10s);
        co_await exchange.respond(http::Status::ok, "late");
      },
      options);
  const std::string said = rig.talk("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 20s);
  EXPECT_TRUE(said.ends_with("late"));
}

// ---- the end ------------------------------------------------------------------------------------

TEST(Http1Session, DrainClosesIdleConnectionsAndAnswersOthersFirst) {
  bool go = false;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    while (!go) co_await exchange.runtime().sleep(10ms);
    co_await exchange.respond(http::Status::ok, "x");
  });
  RawStream& idle = rig.dial();
  RawStream& busy = rig.dial();
  busy.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  rig.world.run_for(100ms);
  rig.server_context->drain_all();
  rig.world.run_for(100ms);
  EXPECT_TRUE(idle.ended);
  EXPECT_FALSE(busy.over());
  EXPECT_EQ(rig.server_context->sessions(), 1u);
  go = true;
  rig.world.run_until([&] { return busy.over(); });
  EXPECT_TRUE(busy.ended);
  EXPECT_THAT(busy.received, ::testing::HasSubstr("connection: close\r\n"));
  EXPECT_EQ(rig.server_context->sessions(), 0u);
}

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(Http1Session, AnOldConnectionEndsWithItsNextAnswer) {
  for (const Protocol protocol : {Protocol::http1, Protocol::sniffed}) {
    Rig rig(hello, {}, {}, protocol, {5s, {}});
    RawStream& client = rig.dial();
    client.say(kGet);
    rig.world.run_for(1s);
    EXPECT_THAT(client.received, ::testing::Not(::testing::HasSubstr("connection:")));
    rig.world.run_for(10s);
    EXPECT_FALSE(client.over()) << "the next request may be on its way";
    EXPECT_EQ(rig.server_count("http1.aged"), 1u);
    client.received.clear();
    client.say(kGet);
    rig.world.run_for(1s);
    EXPECT_THAT(client.received, ::testing::HasSubstr("connection: close\r\n"));
    EXPECT_TRUE(client.received.ends_with("hello"));
    EXPECT_TRUE(client.ended);
  }
}

TEST(Http1Session, AnAnswerThatWasUnderWayWhenItsConnectionGrewOldIsNotTheLast) {
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        http::Response head;
        co_await exchange.start(head);
        co_await exchange.runtime().sleep(6s);
        EXPECT_EQ(exchange.draining(), true);
        co_await exchange.finish();
      },
      {}, {}, Protocol::http1, {5s, {}});
  RawStream& client = rig.dial();
  client.say(kGet);
  rig.world.run_for(7s);
  EXPECT_TRUE(client.received.ends_with("\r\n0\r\n\r\n"));
  EXPECT_FALSE(client.over()) << "it did not say so";
  client.received.clear();
  client.say(kGet);
  rig.world.run_for(7s);
  EXPECT_THAT(client.received, ::testing::HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(client.ended);
}

TEST(Http1Session, AnOldConnectionThatNobodyUsesEndsAfterItsGrace) {
  for (const Protocol protocol : {Protocol::http1, Protocol::sniffed}) {
    Rig rig(hello, {}, {}, protocol, {5s, 2s});
    RawStream& client = rig.dial();
    rig.world.run_for(6400ms);
    EXPECT_FALSE(client.over());
    rig.world.run_for(1200ms);
    EXPECT_TRUE(client.ended);
    EXPECT_EQ(rig.server_context->sessions(), 0u);
  }
}

TEST(Http1Session, CloseAllBreaksOffWhatIsInMidMessage) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Response head;
    co_await exchange.start(head);
    co_await exchange.write(Bytes::copy("half"));
    co_await exchange.runtime().sleep(10s);
  });
  RawStream& idle = rig.dial();
  RawStream& busy = rig.dial();
  busy.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  rig.world.run_until([&] { return !busy.received.empty(); });
  rig.server_context->close_all();
  rig.world.run_for(100ms);
  EXPECT_TRUE(idle.ended);
  EXPECT_TRUE(busy.error);  // reset: half a message must not look like a whole one
}

TEST(Http1Session, AHandlerMayOutliveItsConnection) {
  bool done = false;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(5s);
    auto sent = co_await exchange.respond(http::Status::ok, "x");
    EXPECT_FALSE(sent.has_value());
    EXPECT_EQ(exchange.protocol(), "http/1.1");
    done = true;
  });
  RawStream& client = rig.dial();
  client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  rig.world.run_for(100ms);
  client.stream->reset();
  rig.world.run_until([&] { return done; });
  EXPECT_TRUE(done);
  EXPECT_EQ(rig.server_context->sessions(), 0u);
}

TEST(Http1Session, AClientThatFinishesIsStillAnswered) {
  Rig rig(hello);
  RawStream& client = rig.dial();
  client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.stream->finish();
  rig.world.run_until([&] { return client.over(); });
  EXPECT_TRUE(client.received.ends_with("hello"));
  EXPECT_TRUE(client.ended);
}

TEST(Http1Session, AnIncompleteBodyIsAnErrorToTheHandler) {
  std::optional<Error> error;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    auto body = co_await exchange.read_all();
    if (!body) error = body.error();
    co_await exchange.respond(http::Status::bad_request);
  });
  RawStream& client = rig.dial();
  client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  client.stream->finish();
  rig.world.run_until([&] { return client.over(); });
  EXPECT_TRUE(error);
}

TEST(Http1Session, CancellingARequestClosesTheConnection) {
  Rig rig([](http::Exchange& exchange) -> Task<void> { co_await exchange.runtime().sleep(10s); });
  rig.connect();
  std::shared_ptr<http::ClientExchange> exchange = std::move(*rig.session->open());
  const auto head = request("GET", "/");
  static_cast<void>(exchange->send(head, true));
  auto waiting = rig.start(request("GET", "/second"));
  rig.world.run_for(100ms);
  exchange.reset();
  rig.world.run_until([&] { return waiting->done; });
  EXPECT_TRUE(rig.closed);
  ASSERT_TRUE(waiting->error);
  EXPECT_TRUE(waiting->error->is(Code::rejected)) << waiting->error->to_string();
}

TEST(Http1Session, ARequestThatWaitsMayBeCancelled) {
  Rig rig(hello);
  rig.connect();
  auto first = rig.start(request("GET", "/"));
  {
    std::unique_ptr<http::ClientExchange> second = std::move(*rig.session->open());
    const auto head = request("GET", "/second");
    const auto sent = second->send(head, true);
  }
  auto third = rig.start(request("GET", "/third"));
  rig.world.run_until([&] { return third->done; });
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(third->status, 200);
  EXPECT_EQ(rig.served.size(), 2u);
}

}  // namespace
}  // namespace tern::fallback::http1_testing
