#include "tests/unit/http3/rig.h"

namespace tern::http3::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Sends back what comes, piece by piece, then the trailers.
Task<void> echo(http::Exchange& exchange) {
  http::Response head;
  co_await exchange.start(head);
  for (;;) {
    auto piece = co_await exchange.read();
    if (!piece) co_return;
    if (piece->empty()) break;
    auto sent = co_await exchange.write(std::move(*piece));
    if (!sent) co_return;
  }
  co_await exchange.finish(exchange.trailers());
}

TEST(Session, Get) {
  Rig rig(hello);
  ASSERT_NE(rig.connect(), nullptr);
  const Reply reply = rig.ask(get("/"));
  EXPECT_FALSE(reply.error) << reply.error->to_string();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "Hello World!");
  EXPECT_EQ(reply.field("content-length"), "12");
  EXPECT_THAT(rig.served, ElementsAre("GET / 200"));
  ASSERT_TRUE(rig.session->peer_settings().has_value());
  EXPECT_EQ(rig.session->peer_settings()->max_field_section, 64u * 1024);
  EXPECT_TRUE(rig.session->peer_settings()->extended_connect);
  EXPECT_TRUE(rig.session->peer_settings()->datagrams);
  EXPECT_FALSE(rig.server_session->peer_settings()->extended_connect) << "a server's promise";
  rig.world.run_for(100ms);
  EXPECT_EQ(rig.session->requests(), 0u);
  EXPECT_EQ(rig.server_session->requests(), 0u);
}

TEST(Session, RequestsCarryEverything) {
  http::RequestHead seen;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    seen = exchange.request();
    co_await exchange.respond(http::Status::no_content);
  });
  rig.connect();
  http::RequestHead head = get("/a/b?c=d&e=%20");
  head.method = "OPTIONS";
  head.fields.add("User-Agent", "tern");
  head.fields.add("cookie", "a=1");
  head.fields.add("cookie", "b=2");
  head.fields.add("connection", "close");
  head.fields.add("te", "trailers");
  const Reply reply = rig.ask(head);
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(seen.method, "OPTIONS");
  EXPECT_EQ(seen.scheme, "https");
  EXPECT_EQ(seen.authority, "server");
  EXPECT_EQ(seen.path, "/a/b?c=d&e=%20");
  EXPECT_EQ(seen.fields.find("user-agent"), "tern");
  EXPECT_EQ(seen.fields.find("cookie"), "a=1; b=2") << "crumbs are joined";
  EXPECT_FALSE(seen.fields.contains("connection")) << "belongs to HTTP/1.1";
  EXPECT_EQ(seen.fields.find("te"), "trailers");
}

TEST(Session, HeadHasNoBody) {
  Rig rig(hello);
  rig.connect();
  http::RequestHead head = get("/");
  head.method = "HEAD";
  const Reply reply = rig.ask(head);
  EXPECT_FALSE(reply.error);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("content-length"), "12");
  EXPECT_THAT(reply.body, IsEmpty());
}

TEST(Session, EchoesFiveMegabytesThroughSmallWindows) {
  quic::TransportOptions transport;
  transport.initial_window = 64 * 1024;
  transport.initial_stream_window = 32 * 1024;
  transport.max_window = 128 * 1024;
  transport.max_stream_window = 64 * 1024;
  Rig rig(echo, RigOptions().transport(transport));
  rig.connect();
  std::string body;
  for (int i = 0; body.size() < 5'000'000; ++i) body += std::to_string(i) + ' ';
  const Reply reply = rig.ask(post("/echo"), body);
  EXPECT_FALSE(reply.error);
  EXPECT_EQ(reply.body.size(), body.size());
  EXPECT_TRUE(reply.body == body);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
}

TEST(Session, AHandlerThatDoesNotReadHoldsTheSenderBack) {
  quic::TransportOptions transport;
  transport.initial_stream_window = 64 * 1024;
  transport.max_stream_window = 64 * 1024;
  bool go = false;
  std::size_t received = 0;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        while (!go) co_await exchange.runtime().sleep(100ms);
        auto body = co_await exchange.read_all(10'000'000);
        received = body ? body->size() : 0;
        co_await exchange.respond(http::Status::ok);
      },
      RigOptions().transport(transport));
  rig.connect();
  auto reply = rig.start(post("/"), std::string(3'000'000, 'x'));
  rig.world.run_for(5s);
  EXPECT_FALSE(reply->done);
  const auto stats = rig.session->connection().stats();
  EXPECT_LT(stats.bytes_sent, 100'000u) << "no more than the window";
  go = true;
  rig.world.run_until([&] { return reply->done; });
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(received, 3'000'000u);
}

TEST(Session, AClientThatDoesNotReadHoldsTheHandlerBack) {
  quic::TransportOptions transport;
  transport.initial_stream_window = 64 * 1024;
  transport.max_stream_window = 64 * 1024;
  std::size_t written = 0;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        http::Response head;
        co_await exchange.start(head);
        for (int i = 0; i < 100; ++i) {
          Bytes piece = Bytes::copy(std::string(100'000, 'x'));
          auto sent = co_await exchange.write(std::move(piece));
          if (!sent) co_return;
          written += 100'000;
        }
        co_await exchange.finish();
      },
      RigOptions().client_transport(transport));
  rig.connect();
  auto exchange = *rig.session->open();
  const auto head = get("/");
  rig.world.after(0ms, [&] { (void)exchange->send(head, true); });
  rig.world.run_for(5s);
  EXPECT_GE(written, 200'000u);
  EXPECT_LE(written, 500'000u) << "high water and the window";
  exchange.reset();
  rig.world.run_for(1s);
  EXPECT_EQ(rig.server_session->requests(), 0u) << "the handler was told";
  EXPECT_FALSE(rig.closed);
}

TEST(Session, TrailersBothWays) {
  Rig rig(echo);
  rig.connect();
  http::Fields trailers;
  trailers.add("grpc-status", "0");
  trailers.add("checksum", "abc");
  const Reply reply = rig.ask(post("/"), "body", trailers);
  EXPECT_EQ(reply.body, "body");
  EXPECT_EQ(reply.trailers.size(), 2u);
  EXPECT_EQ(reply.trailers.find("checksum"), "abc");

  const Reply bare = rig.ask(post("/"), "", trailers);
  EXPECT_THAT(bare.body, IsEmpty());
  EXPECT_EQ(bare.trailers.find("grpc-status"), "0") << "trailers without a body";
}

/// What comes again is not read again: it must mean the same as long as QPACK's table is the same,
/// and nothing else once it is another.
TEST(Session, MessagesThatRepeatMeanTheSame) {
  std::vector<http::RequestHead> seen;
  std::vector<std::string> checksums;
  http::Fields trailers;
  trailers.add("checksum", "abc");
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    const auto body = co_await exchange.read_all(1000);
    seen.push_back(exchange.request());
    checksums.emplace_back(exchange.trailers().find("checksum").value_or("none"));
    http::Response response(http::Status::ok);
    response.field("x-about", exchange.request().fields.find("x-number").value_or("no number"));
    co_await exchange.start(std::move(response));
    co_await exchange.write(Bytes::copy(*body));
    co_await exchange.finish(trailers);
  });
  rig.connect();
  http::Fields shared;
  shared.add("user-agent", "tern");
  shared.add("x-own", "value");
  shared.add("cookie", "a=1");
  for (int i = 0; i < 60; ++i) {
    http::RequestHead head = post(i % 3 == 0 ? "/one" : "/two");
    head.fields = shared;
    const bool numbered = i % 7 == 0;  // goes into the table and pushes others out
    if (numbered) head.fields.add("user-agent", std::string(900, 'n') + std::to_string(i));
    if (numbered) head.fields.add("x-number", std::to_string(i));
    const Reply reply = rig.ask(head, "body", trailers);
    ASSERT_EQ(reply.status, 200) << i;
    EXPECT_EQ(reply.body, "body");
    EXPECT_EQ(reply.trailers.find("checksum"), "abc");
    EXPECT_EQ(reply.field("x-about"), numbered ? std::to_string(i) : "no number");
    const http::RequestHead& last = seen.back();
    EXPECT_EQ(last.method, "POST");
    EXPECT_EQ(last.authority, "server");
    EXPECT_EQ(last.path, head.path);
    EXPECT_EQ(last.fields.find("x-own"), "value");
    EXPECT_EQ(last.fields.find("cookie"), "a=1");
    EXPECT_EQ(last.fields.size(), head.fields.size());
    EXPECT_EQ(checksums.back(), "abc");
  }
  EXPECT_EQ(seen.size(), 60u);
  EXPECT_FALSE(rig.closed);
}

TEST(Session, InterimResponses) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Fields hints;
    hints.add("link", "</style.css>; rel=preload");
    const http::Fields none;
    co_await exchange.inform(http::Status::continue_, none);
    co_await exchange.inform(http::Status::early_hints, hints);
    auto body = co_await exchange.read_all(1000);
    co_await exchange.respond(http::Status::ok, *body);
  });
  rig.connect();
  const Reply reply = rig.ask(post("/"), "x");
  EXPECT_THAT(reply.interim, ElementsAre(100, 103));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "x");
}

TEST(Session, HundredRequestsInParallel) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(1ms);
    co_await exchange.respond(http::Status::ok,
                              std::string(exchange.request().path) + std::string(20'000, '.'));
  });
  rig.connect();
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 100; ++i) replies.push_back(rig.start(get("/" + std::to_string(i))));
  rig.world.run_until(
      [&] { return std::all_of(replies.begin(), replies.end(), [](auto& r) { return r->done; }); });
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(replies[i]->body, "/" + std::to_string(i) + std::string(20'000, '.'));
  }
}

TEST(Session, MoreRequestsThanStreamsWaitTheirTurn) {
  quic::TransportOptions transport;
  transport.max_bidi_streams = 5;
  SessionOptions options;
  options.max_requests = 5;
  std::size_t running = 0;
  std::size_t most = 0;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        most = std::max(most, ++running);
        co_await exchange.runtime().sleep(5ms);
        --running;
        co_await exchange.respond(http::Status::ok, exchange.request().path);
      },
      RigOptions().transport(transport).server(options));
  rig.connect();
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 300; ++i) replies.push_back(rig.start(get("/" + std::to_string(i))));
  rig.world.run_until(
      [&] { return std::all_of(replies.begin(), replies.end(), [](auto& r) { return r->done; }); });
  for (int i = 0; i < 300; ++i) EXPECT_EQ(replies[i]->body, "/" + std::to_string(i));
  EXPECT_EQ(most, 5u);
}

TEST(Session, AHandlerKeepsItsStreamUntilItIsThrough) {
  quic::TransportOptions transport;
  transport.max_bidi_streams = 2;
  SessionOptions options;
  options.max_requests = 2;
  bool go = false;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        co_await exchange.respond(http::Status::ok);
        while (!go) co_await exchange.runtime().sleep(100ms);
      },
      RigOptions().transport(transport).server(options));
  rig.connect();
  EXPECT_EQ(rig.ask(get("/1")).status, 200);
  EXPECT_EQ(rig.ask(get("/2")).status, 200);
  auto third = rig.start(get("/3"));
  rig.world.run_for(2s);
  EXPECT_FALSE(third->done) << "two handlers are still at it";
  EXPECT_EQ(rig.server_session->requests(), 2u);
  go = true;
  rig.world.run_until([&] { return third->done; });
  EXPECT_EQ(third->status, 200);
}

TEST(Session, TheClientCancels) {
  std::optional<Error> seen;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    http::Response head;
    co_await exchange.start(head);
    for (int i = 0; i < 100; ++i) {
      Bytes piece = Bytes::copy(std::string(50'000, 'x'));
      auto sent = co_await exchange.write(std::move(piece));
      if (!sent) {
        seen = sent.error();
        co_return;
      }
    }
    co_await exchange.finish();
  });
  rig.connect();
  auto exchange = *rig.session->open();
  const auto head = get("/");
  rig.world.after(0ms, [&] { (void)exchange->send(head, true); });
  rig.world.run_for(50ms);
  exchange.reset();
  rig.world.run_for(200ms);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->domain, Domain::application);
  EXPECT_EQ(seen->code, code(ErrorCode::request_cancelled));
  EXPECT_EQ(seen->origin, Origin::remote);
  EXPECT_EQ(rig.server_session->requests(), 0u);
  EXPECT_EQ(rig.session->requests(), 0u);
  EXPECT_EQ(rig.ask(get("/")).body.size(), 5'000'000u) << "the connection goes on";
}

TEST(Session, TheServerAborts) {
  http::Abort why = http::Abort::internal;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    exchange.abort(why);
    co_return;
  });
  rig.connect();
  const std::pair<http::Abort, ErrorCode> codes[] = {
      {http::Abort::cancelled, ErrorCode::request_cancelled},
      {http::Abort::internal, ErrorCode::internal_error},
      {http::Abort::malformed, ErrorCode::message_error},
      {http::Abort::too_much, ErrorCode::excessive_load},
      {http::Abort::no_error, ErrorCode::no_error},
  };
  for (const auto& [abort, expected] : codes) {
    why = abort;
    const Reply reply = rig.ask(get("/"));
    ASSERT_TRUE(reply.error);
    EXPECT_EQ(reply.error->domain, Domain::application);
    EXPECT_EQ(reply.error->code, code(expected));
    EXPECT_EQ(reply.error->origin, Origin::remote);
  }
  why = http::Abort::rejected;
  EXPECT_TRUE(rig.ask(get("/")).error->is(Code::rejected)) << "safe to retry";
}

TEST(Session, AHandlerMayAnswerWithoutReadingTheBody) {
  quic::TransportOptions transport;
  transport.initial_stream_window = 64 * 1024;
  transport.max_stream_window = 64 * 1024;
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        co_await exchange.respond(http::Status::forbidden, "no");
      },
      RigOptions().transport(transport));
  rig.connect();
  const Reply reply = rig.ask(post("/"), std::string(1'000'000, 'x'));
  EXPECT_FALSE(reply.error) << reply.error->to_string();
  EXPECT_EQ(reply.status, 403);
  EXPECT_EQ(reply.body, "no");
  rig.world.run_for(1s);
  EXPECT_EQ(rig.server_session->requests(), 0u);
  // What was not read does not fill the connection's window.
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(rig.ask(post("/"), std::string(1'000'000, 'x')).status, 403);
  }
}

TEST(Session, AConnectionThatEndsFailsEverything) {
  std::optional<Error> seen;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    auto piece = co_await exchange.read();
    if (!piece) seen = piece.error();
  });
  rig.connect();
  auto reply = rig.start(post("/"), std::string(100, 'x'), {});
  auto exchange = *rig.session->open();
  const auto head = post("/open");
  rig.world.after(0ms, [&] { (void)exchange->send(head, false); });
  rig.world.run_for(100ms);
  rig.session->close(ErrorCode::no_error, "bye");
  rig.world.run_for(1s);
  EXPECT_TRUE(reply->done);
  EXPECT_EQ(rig.session, nullptr);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->code, code(ErrorCode::no_error));
  EXPECT_EQ(seen->origin, Origin::remote);
}

TEST(Session, OpenFailsOnceTooManyWait) {
  SessionOptions options;
  options.max_waiting_requests = 3;
  quic::TransportOptions transport;
  transport.max_bidi_streams = 1;
  SessionOptions server;
  server.max_requests = 1;
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        co_await exchange.runtime().sleep(1s);
        co_await exchange.respond(http::Status::ok);
      },
      RigOptions().transport(transport).client(options).server(server));
  rig.connect();
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 4; ++i) {
    replies.push_back(rig.start(get("/")));
    rig.world.run_for(1ms);
  }
  const auto refused = rig.start(get("/"));
  ASSERT_TRUE(refused->done);
  EXPECT_TRUE(refused->error->is(Code::limit));
  rig.world.run_for(5s);
  for (const auto& reply : replies) EXPECT_EQ(reply->status, 200);
}

TEST(Session, ALossyPathChangesNothing) {
  Rig rig(echo,
          RigOptions().link(
              sim::LinkOptions().delay(10ms).jitter(5ms, sim::Jitter::uniform, true).loss(0.05)));
  rig.connect();
  std::string body;
  for (int i = 0; body.size() < 300'000; ++i) body += std::to_string(i) + ' ';
  std::vector<std::shared_ptr<Reply>> replies;
  http::Fields trailers;
  trailers.add("n", "1");
  for (int i = 0; i < 8; ++i) replies.push_back(rig.start(post("/"), body, trailers));
  rig.world.run_until(
      [&] { return std::all_of(replies.begin(), replies.end(), [](auto& r) { return r->done; }); },
      300s);
  for (const auto& reply : replies) {
    EXPECT_TRUE(reply->body == body);
    EXPECT_EQ(reply->trailers.find("n"), "1");
  }
}

}  // namespace
}  // namespace tern::http3::testing
