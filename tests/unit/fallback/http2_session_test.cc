#include "tests/unit/fallback/http2_pair.h"
#include "tests/unit/fallback/http2_rig.h"

namespace tern::fallback::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string big(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

Task<void> echo(http::Exchange& exchange) {
  co_await exchange.start(http::Response(http::Status::ok));
  while (true) {
    auto piece = co_await exchange.read();
    if (!piece) co_return;
    if (piece->empty()) break;
    Bytes bytes = *std::move(piece);
    co_await exchange.write(std::move(bytes));
  }
  http::Fields trailers = exchange.trailers();
  co_await exchange.finish(trailers);
}

Task<void> all_kinds(http::Exchange& exchange) {
  const std::string& path = exchange.request().path;
  if (path == "/echo") {
    co_await echo(exchange);
  } else if (path == "/hints") {
    http::Fields fields;
    fields.add("link", "</style.css>; rel=preload");
    co_await exchange.inform(http::Status::early_hints, fields);
    co_await exchange.respond(http::Status::ok, "hinted");
  } else if (path == "/empty") {
    co_await exchange.respond(http::Status::no_content);
  } else if (path == "/unchanged") {
    co_await exchange.respond(http::Status::not_modified);
  } else if (path == "/cancel") {
    exchange.abort(http::Abort::cancelled);
  } else if (path == "/reject") {
    exchange.abort(http::Abort::rejected);
  } else if (path == "/calm") {
    exchange.abort(http::Abort::too_much);
  } else if (path == "/ignore") {
    co_await exchange.respond(http::Status::ok, "I do not read");
  } else if (path == "/never") {
    co_await exchange.runtime().sleep(1h);
  } else if (path == "/slow") {
    co_await exchange.runtime().sleep(500ms);
    co_await exchange.respond(http::Status::ok, "slow");
  } else if (path == "/big") {
    co_await exchange.respond(http::Status::ok, big(3'000'000));
  } else {
    co_await exchange.respond(http::Status::ok, exchange.request().authority + path);
  }
}

TEST(Http2, Get) {
  Http2Pair pair(all_kinds);
  const Reply reply = pair.ask(get("/a?b"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "server/a?b");
  EXPECT_EQ(reply.field("content-length"), "10");
  EXPECT_EQ(pair.session->protocol(), "h2");
  EXPECT_THAT(pair.served, ElementsAre("GET /a?b 200"));
  EXPECT_EQ(pair.session->requests(), 0U);
  EXPECT_EQ(pair.server_session->requests(), 0U);
}

TEST(Http2, MoreAtOnceThanTheServerAllows) {
  SessionOptions server;
  server.max_requests = 16;
  Http2Pair pair(all_kinds, server);
  EXPECT_EQ(pair.ask(get("/x")).status, 200);  // the server's SETTINGS are here now
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 200; ++i) replies.push_back(pair.start(get("/slow")));
  pair.last.reset();
  pair.world.run_until([&] { return pair.served.size() == 201; });
  pair.world.run_for(100ms);
  for (const auto& reply : replies) {
    ASSERT_TRUE(reply->done);
    EXPECT_EQ(reply->status, 200) << reply->error->to_string();
  }
  EXPECT_EQ(pair.server_count("http2.streams_refused"), 0U);
}

TEST(Http2, BodiesAndTrailersBothWays) {
  Http2Pair pair(all_kinds);
  http::Fields trailers;
  trailers.add("x-sum", "42");
  const std::string body = big(2'000'000);
  const Reply reply = pair.ask(post("/echo"), body, trailers);
  EXPECT_FALSE(reply.error.has_value());
  EXPECT_TRUE(reply.body == body);
  EXPECT_EQ(reply.trailers.find("x-sum").value_or(""), "42");
}

TEST(Http2, TrailersWithoutABody) {
  Http2Pair pair(all_kinds);
  http::Fields trailers;
  trailers.add("x-sum", "42");
  const Reply reply = pair.ask(post("/echo"), "", trailers);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(reply.trailers.find("x-sum").value_or(""), "42");
}

/// What a handler does not take stays with the client, but for the stream's window.
TEST(Http2, BackPressure) {
  http::Exchange* held = nullptr;
  SessionOptions server;
  server.stream_window = 100'000;
  Http2Pair pair(
      [&held](http::Exchange& exchange) -> Task<void> {
        held = &exchange;
        co_await exchange.runtime().sleep(5s);
        auto body = co_await exchange.read_all();
        co_await exchange.respond(http::Status::ok, std::to_string(body->size()));
      },
      server);
  auto reply = pair.start(post("/"), big(2'000'000));
  pair.last.reset();
  pair.world.run_for(3s);
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(held->incoming().buffered(), 100'000U);
  pair.world.run_until([&] { return reply->done; });
  EXPECT_EQ(reply->body, "2000000");
}

TEST(Http2, InterimResponsesAndMessagesWithoutABody) {
  Http2Pair pair(all_kinds);
  const Reply hints = pair.ask(get("/hints"));
  EXPECT_THAT(hints.interim, ElementsAre(103));
  EXPECT_EQ(hints.body, "hinted");
  EXPECT_EQ(pair.ask(get("/empty")).status, 204);
  EXPECT_EQ(pair.ask(get("/unchanged")).status, 304);
  http::RequestHead head = get("/x");
  head.method = "HEAD";
  const Reply bodyless = pair.ask(head);
  EXPECT_EQ(bodyless.status, 200);
  EXPECT_EQ(bodyless.body, "");
  EXPECT_EQ(bodyless.field("content-length"), "8");
}

TEST(Http2, ExpectContinue) {
  Http2Pair pair([](http::Exchange& exchange) -> Task<void> {
    auto body = co_await exchange.read_all();
    co_await exchange.respond(http::Status::ok, *body);
  });
  auto exchange = pair.session->open();
  std::shared_ptr<http::ClientExchange> asked = std::move(*exchange);
  http::RequestHead head = post("/");
  head.fields.add("expect", "100-continue");
  auto reply = std::make_shared<Reply>();
  pair.client_host().runtime().spawn([](std::shared_ptr<http::ClientExchange> e,
                                        http::RequestHead h,
                                        std::shared_ptr<Reply> r) -> Task<void> {
    co_await e->send(h, false);
    co_await e->runtime().sleep(300ms);
    for (const auto& interim : e->interim()) r->interim.push_back(http::code(interim.status()));
    Bytes bytes = Bytes::copy(std::string_view("late"));
    co_await e->finish(std::move(bytes));
    auto response = co_await e->response();
    auto body = co_await e->read_all();
    r->body = *body;
    r->done = true;
  }(asked, head, reply));
  pair.world.run_until([&] { return reply->done; });
  EXPECT_THAT(reply->interim, ElementsAre(100));
  EXPECT_EQ(reply->body, "late");
}

Task<void> http2_tunnel(http::Exchange& exchange) {
  if (exchange.request().method != "CONNECT") {
    co_await exchange.respond(http::Status::bad_request);
    co_return;
  }
  http::Response response(http::Status::ok);
  response.field("x-protocol", exchange.request().protocol);
  response.field("x-authority", exchange.request().authority);
  co_await exchange.start(std::move(response));
  while (true) {
    auto piece = co_await exchange.read();
    if (!piece || piece->empty()) break;
    Bytes bytes = *std::move(piece);
    co_await exchange.write(std::move(bytes));
  }
  co_await exchange.finish();
}

TEST(Http2, Connect) {
  Http2Pair pair(http2_tunnel);
  http::RequestHead head;
  head.method = "CONNECT";
  head.scheme.clear();
  head.path.clear();
  head.authority = "elsewhere:22";
  const Reply reply = pair.ask(head, big(200'000));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("x-authority"), "elsewhere:22");
  EXPECT_TRUE(reply.body == big(200'000));
}

TEST(Http2, ExtendedConnect) {
  Http2Pair pair(http2_tunnel);
  http::RequestHead head = get("/chat");
  head.method = "CONNECT";
  head.protocol = "websocket";
  const Reply reply = pair.ask(head, "hello");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("x-protocol"), "websocket");
  EXPECT_EQ(reply.body, "hello");
}

TEST(Http2, ExtendedConnectThatTheServerDoesNotTake) {
  SessionOptions server;
  server.extended_connect = false;
  Http2Pair pair(http2_tunnel, server);
  http::RequestHead head = get("/chat");
  head.method = "CONNECT";
  head.protocol = "websocket";
  const Reply reply = pair.ask(head, "hello");
  ASSERT_TRUE(reply.error.has_value());
  EXPECT_TRUE(reply.error->is(Code::unsupported));
}

TEST(Http2, AbortsBecomeCodes) {
  Http2Pair pair(all_kinds);
  const auto code_of = [&](std::string path) {
    const Reply reply = pair.ask(get(std::move(path)));
    EXPECT_TRUE(reply.error.has_value());
    return reply.error.value_or(Error());
  };
  const Error cancelled = code_of("/cancel");
  EXPECT_EQ(cancelled.domain, Domain::application);
  EXPECT_EQ(cancelled.origin, Origin::remote);
  EXPECT_EQ(cancelled.code, static_cast<std::uint64_t>(Http2Code::cancel));
  EXPECT_TRUE(code_of("/reject").is(Code::rejected));
  EXPECT_EQ(code_of("/calm").code, static_cast<std::uint64_t>(Http2Code::enhance_your_calm));
  EXPECT_EQ(pair.ask(get("/x")).status, 200);
}

TEST(Http2, ClientCancels) {
  std::optional<Error> seen;
  Http2Pair pair([&seen](http::Exchange& exchange) -> Task<void> {
    auto piece = co_await exchange.read();
    if (!piece) seen = piece.error();
  });
  auto reply = pair.start(post("/"), big(10));
  auto exchange = pair.session->open();
  std::shared_ptr<http::ClientExchange> asked = std::move(*exchange);
  pair.client_host().runtime().spawn([](std::shared_ptr<http::ClientExchange> e) -> Task<void> {
    http::RequestHead head = post("/");
    co_await e->send(head, false);
    co_await e->runtime().sleep(100ms);
    e->abort();
  }(asked));
  asked.reset();
  pair.world.run_for(1s);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->code, static_cast<std::uint64_t>(Http2Code::cancel));
  EXPECT_EQ(pair.server_count("http2.peer_resets"), 1U);
  EXPECT_EQ(pair.session->requests(), 1U);  // the one whose exchange `pair.last` holds
}

/// RFC 9113 §8.1: the answer is whole; the request's rest is not needed.
TEST(Http2, AnswerBeforeTheRequestsEnd) {
  SessionOptions server;
  server.stream_window = 70'000;
  Http2Pair pair(all_kinds, server);
  const Reply reply = pair.ask(post("/ignore"), big(1'000'000));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "I do not read");
  EXPECT_FALSE(reply.error.has_value());
  pair.world.run_for(1s);
  EXPECT_EQ(pair.session->requests(), 0U);
  EXPECT_EQ(pair.ask(get("/x")).status, 200);
  EXPECT_EQ(pair.server_count("http2.malformed"), 0U);  // nobody has broken a rule
}

TEST(Http2, DrainIsGraceful) {
  Http2Pair pair(all_kinds);
  auto slow = pair.start(get("/slow"));
  pair.last.reset();
  pair.world.run_for(50ms);
  pair.server->drain_all();
  pair.world.run_for(50ms);
  EXPECT_EQ(pair.goaways, 2);
  EXPECT_FALSE(pair.session->accepts_requests());
  const auto refused = pair.session->open();
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().is(Code::rejected));
  pair.world.run_until([&] { return slow->done; });
  EXPECT_EQ(slow->body, "slow");
  pair.wait_closed(5s);
  EXPECT_EQ(pair.server->sessions(), 0U);
  EXPECT_EQ(pair.client->sessions(), 0U);
}

TEST(Http2, CloseFailsWhatIsOpen) {
  Http2Pair pair(all_kinds);
  auto never = pair.start(get("/never"));
  pair.world.run_for(50ms);
  pair.server_session->close();
  pair.world.run_for(100ms);
  ASSERT_TRUE(never->done);
  EXPECT_TRUE(never->error.has_value());
  EXPECT_TRUE(pair.closed.has_value());
}

TEST(Http2, IdleConnectionsEnd) {
  SessionOptions server;
  server.idle_timeout = 5s;
  Http2Pair pair(all_kinds, server);
  EXPECT_EQ(pair.ask(get("/x")).status, 200);
  pair.world.run_for(4s);
  EXPECT_EQ(pair.ask(get("/x")).status, 200);
  pair.world.run_for(4s);
  EXPECT_FALSE(pair.closed.has_value());
  pair.world.run_for(2s);
  EXPECT_TRUE(pair.closed.has_value());
  EXPECT_EQ(pair.server->sessions(), 0U);
}

TEST(Http2, ConnectionBreaks) {
  Http2Pair pair(all_kinds);
  auto never = pair.start(get("/never"));
  pair.world.run_for(50ms);
  pair.server.reset();
  pair.world.run_for(1s);
  ASSERT_TRUE(never->done);
  EXPECT_TRUE(never->error.has_value());
  EXPECT_TRUE(pair.closed.has_value());
}

TEST(Http2, RequestTooLargeForTheServer) {
  SessionOptions server;
  server.max_field_section = 8000;
  Http2Pair pair(all_kinds, server);
  EXPECT_EQ(pair.ask(get("/x")).status, 200);
  http::RequestHead head = get("/x");
  head.fields.add("x-long", std::string(9000, 'a'));
  const Reply reply = pair.ask(head);
  ASSERT_TRUE(reply.error.has_value());
  EXPECT_TRUE(reply.error->is(Code::limit));
  EXPECT_EQ(pair.ask(get("/x")).status, 200);
}

// ---- frames that go out -------------------------------------------------------------------------

std::vector<std::uint32_t> data_order(const std::vector<Frame>& all) {
  std::vector<std::uint32_t> order;
  for (const Frame& one : all) {
    if (one.type != kFrameData || one.payload.empty()) continue;
    if (order.empty() || order.back() != one.stream) order.push_back(one.stream);
  }
  return order;
}

Task<void> hundred_kilobytes(http::Exchange& exchange) {
  co_await exchange.respond(http::Status::ok, big(100'000));
}

std::string with_priority(std::uint32_t stream, std::string priority) {
  return headers(stream, plus(request(), {{"priority", std::move(priority)}}));
}

TEST(Http2, UrgentResponsesFirst) {
  Http2Rig rig(hundred_kilobytes);
  rig.feed(preface(setting(4, 1'000'000)) + settings_ack() + window_update(0, 10'000'000) +
           with_priority(1, "u=5") + with_priority(3, "u=3") + with_priority(5, "u=0"));
  EXPECT_THAT(data_order(rig.frames()), ElementsAre(5, 3, 1));
}

TEST(Http2, IncrementalResponsesShare) {
  Http2Rig rig(hundred_kilobytes);
  rig.feed(preface(setting(4, 1'000'000)) + settings_ack() + window_update(0, 10'000'000) +
           with_priority(1, "i") + with_priority(3, "i"));
  EXPECT_GT(data_order(rig.frames()).size(), 6U);
}

TEST(Http2, PriorityUpdateMovesAResponse) {
  Http2Rig rig(hundred_kilobytes);
  rig.feed(preface(setting(4, 1'000'000)) + settings_ack() + with_priority(1, "u=3") +
           with_priority(3, "u=5"));
  rig.frames();  // the connection's window is used up by stream 1
  rig.feed(frame(kFramePriorityUpdate, 0, 0, number(3, 4) + "u=1") + window_update(0, 10'000'000));
  EXPECT_THAT(data_order(rig.frames()), ElementsAre(3, 1));
}

TEST(Http2, HandlerSetsThePriority) {
  Http2Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Priority priority;
    priority.urgency = exchange.request().path == "/last" ? 7 : 1;
    exchange.set_priority(priority);
    co_await exchange.respond(http::Status::ok, big(100'000));
  });
  rig.feed(preface(setting(4, 1'000'000)) + settings_ack() + window_update(0, 10'000'000) +
           get(1, "/last") + get(3, "/first"));
  EXPECT_THAT(data_order(rig.frames()), ElementsAre(3, 1));
}

TEST(Http2, PingIsAnswered) {
  Http2Rig rig(all_kinds);
  rig.feed(preface() + settings_ack());
  rig.frames();
  rig.feed(ping("abcdefgh"));
  const auto heard = rig.frames();
  const Frame* answer = find(heard, kFramePing);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->flags, kFlagAck);
  EXPECT_EQ(answer->payload, "abcdefgh");
}

TEST(Http2, SettingsSayWhatHolds) {
  SessionOptions options;
  options.max_requests = 77;
  Http2Rig rig(all_kinds, options);
  const auto heard = rig.frames();
  const Frame* sent = find(heard, kFrameSettings);
  ASSERT_NE(sent, nullptr);
  EXPECT_THAT(sent->payload, HasSubstr(setting(3, 77)));
  EXPECT_THAT(sent->payload, HasSubstr(setting(4, 1024 * 1024)));
  EXPECT_THAT(sent->payload, HasSubstr(setting(6, 64 * 1024)));
  EXPECT_THAT(sent->payload, HasSubstr(setting(8, 1)));
  EXPECT_THAT(sent->payload, HasSubstr(setting(9, 1)));
}

constexpr std::uint16_t kAnExtension = 0x4242;

SessionOptions with_extension(std::uint32_t value, std::uint32_t peer_limit = UINT32_MAX) {
  SessionOptions options;
  Setting extension;
  extension.id = kAnExtension;
  extension.value = value;
  extension.peer_limit = peer_limit;
  options.extra_settings.push_back(extension);
  return options;
}

TEST(Http2, SettingsOfExtensions) {
  Http2Rig rig(all_kinds, with_extension(70'000, 5));
  const auto heard = rig.frames();
  ASSERT_NE(find(heard, kFrameSettings), nullptr);
  EXPECT_THAT(find(heard, kFrameSettings)->payload, HasSubstr(setting(kAnExtension, 70'000)));
  EXPECT_EQ(rig.session->peer_setting(kAnExtension), std::nullopt);
  rig.feed(preface(setting(kAnExtension, 3) + setting(0x4243, 1)));
  EXPECT_EQ(rig.session->peer_setting(kAnExtension), 3u);
  EXPECT_EQ(rig.session->peer_setting(0x4243), std::nullopt) << "nobody here knows it";
  rig.feed(settings(setting(kAnExtension, 5)));
  EXPECT_EQ(rig.session->peer_setting(kAnExtension), 5u);
  rig.frames();
  rig.feed(settings(setting(kAnExtension, 6)));
  const auto after = rig.frames();
  const Frame* said = find(after, kFrameGoaway);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->code(4), Http2Code::protocol_error);
}

TEST(Http2, ExtendedConnectOfAProtocolThatTheServerDoesNotTake) {
  SessionOptions client = with_extension(0);
  client.takes_protocol = [](std::string_view protocol, const Session& session) {
    return protocol != "chess" || session.peer_setting(kAnExtension) == 1;
  };
  http::RequestHead head = get("/chat");
  head.method = "CONNECT";
  head.protocol = "chess";
  {
    Http2Pair pair(http2_tunnel, with_extension(1), client);
    EXPECT_EQ(pair.ask(head, "hello").body, "hello");
  }
  Http2Pair pair(http2_tunnel, with_extension(2), client);
  const Reply reply = pair.ask(head, "hello");
  ASSERT_TRUE(reply.error.has_value());
  EXPECT_TRUE(reply.error->is(Code::unsupported));
  EXPECT_EQ(reply.error->detail, "the server does not speak chess");
  head.protocol = "websocket";
  EXPECT_EQ(pair.ask(head, "hello").body, "hello");
  EXPECT_EQ(pair.served.size(), 1u) << "the first was not sent";
}

// ---- a client of ours ---------------------------------------------------------------------------

std::string response_frames(std::uint32_t stream, std::string_view body) {
  return frame(kFrameHeaders, kFlagEndHeaders, stream, "\x88") + data(stream, body, true);
}

/// RFC 9113 §8.1 lets a server say NO_ERROR when it has answered and does not want the rest; curl
/// 7.88 takes it for a failure when it comes while its body leaves.
TEST(Http2, TheRestOfAnAnsweredRequestMayComeForAWhile) {
  SessionOptions options;
  options.stream_window = 40000;
  Http2Rig rig(all_kinds, options);
  const auto announce = [](std::uint32_t stream, std::string length, Pairs more = {}) {
    more.emplace_back("content-length", std::move(length));
    return headers(stream, plus(request("POST", "/ignore"), more), false);
  };
  const std::string piece(10000, 'x');
  rig.feed(preface() + settings_ack() + announce(1, "20000"));
  std::vector<Frame> sent = rig.frames();
  ASSERT_NE(find(sent, kFrameHeaders), nullptr);
  EXPECT_EQ(find(sent, kFrameRstStream), nullptr);
  rig.feed(data(1, piece) + data(1, piece, true));
  sent = rig.frames();
  EXPECT_EQ(find(sent, kFrameRstStream), nullptr);
  EXPECT_EQ(rig.session->requests(), 0U);

  // As long as its window has room, which is not given back.
  rig.feed(announce(3, "100000"));
  rig.feed(data(3, piece) + data(3, piece) + data(3, piece));
  EXPECT_EQ(find(rig.frames(), kFrameRstStream), nullptr);
  rig.feed(data(3, piece));
  sent = rig.frames();
  const Frame* reset = find(sent, kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->code(), Http2Code::no_error);
  EXPECT_EQ(rig.session->requests(), 0U);

  // Who waits for 100 (Continue) has nothing under way.
  rig.feed(announce(5, "100000", {{"expect", "100-continue"}}));
  EXPECT_EQ(count_of(rig.frames(), kFrameRstStream), 1U);

  // And not for ever.
  rig.feed(announce(7, "3"));
  EXPECT_EQ(find(rig.frames(), kFrameRstStream), nullptr);
  EXPECT_EQ(rig.session->requests(), 1U);
  rig.world.run_for(2s);
  sent = rig.frames();
  reset = find(sent, kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->code(), Http2Code::no_error);
  EXPECT_EQ(rig.session->requests(), 0U);

  // More than was announced is malformed, as ever.
  rig.feed(announce(9, "3") + data(9, "abcd", true));
  EXPECT_NE(find(rig.frames(), kFrameRstStream), nullptr);
}

struct Asked {
  std::shared_ptr<Reply> reply = std::make_shared<Reply>();
};

Asked ask(Http2Rig& rig, http::RequestHead head) {
  Asked asked;
  auto exchange = rig.session->open();
  std::shared_ptr<http::ClientExchange> shared = std::move(*exchange);
  rig.runtime().spawn(http::testing::fetch(shared, std::move(head), {}, {}, asked.reply));
  rig.world.run_for(1ms);
  return asked;
}

/// Tomcat 10 answers a client's SETTINGS of more than ten entries with "Too much overhead".
TEST(Http2Client, SaysLittleToServersThatItWantsNothingSpecialOf) {
  Http2Rig rig{with_extension(70'000)};
  rig.feed(settings(setting(8, 1)) + settings_ack());
  Asked plain = ask(rig, http::testing::get("/1"));
  auto heard = rig.frames();
  ASSERT_EQ(count_of(heard, kFrameSettings), 2U) << "its own, and an acknowledgement";
  EXPECT_LE(find(heard, kFrameSettings)->payload.size(), 6U * 5);
  http::RequestHead head = get("/chat");
  head.method = "CONNECT";
  head.protocol = "chess";
  for (const std::size_t said : {1U, 0U}) {
    Asked special = ask(rig, head);
    heard = rig.frames();
    EXPECT_EQ(count_of(heard, kFrameSettings), said);
    EXPECT_EQ(count_of(heard, kFrameHeaders), 1U);
    if (said == 1) {
      EXPECT_EQ(heard.front().type, kFrameSettings) << "ahead of the request";
      EXPECT_EQ(heard.front().payload, setting(kAnExtension, 70'000));
    }
  }
}

TEST(Http2Client, GoawaySaysWhy) {
  for (const auto& [code, text, domain, wanted] :
       {std::tuple(Http2Code::enhance_your_calm, "slow down", Domain::tern,
                   "the server did not process the request: ENHANCE_YOUR_CALM: slow down"),
        std::tuple(Http2Code::http_1_1_required, "", Domain::application, "HTTP_1_1_REQUIRED")}) {
    Http2Rig rig{SessionOptions()};
    rig.feed(settings() + settings_ack());
    Asked asked = ask(rig, http::testing::get("/1"));
    rig.feed(goaway(0, code, text));
    ASSERT_TRUE(asked.reply->done);
    EXPECT_EQ(asked.reply->error->domain, domain);
    EXPECT_EQ(asked.reply->error->detail, wanted);
  }
  // It has taken the request, and ends all the same.
  Http2Rig rig{SessionOptions()};
  rig.feed(settings() + settings_ack());
  Asked asked = ask(rig, http::testing::get("/1"));
  rig.feed(goaway(1, Http2Code::internal_error, "oops"));
  rig.feed_end();
  ASSERT_TRUE(asked.reply->done);
  EXPECT_TRUE(asked.reply->error->is(Code::closed));
  EXPECT_EQ(asked.reply->error->detail,
            "the server has closed the connection: INTERNAL_ERROR: oops");
}

TEST(Http2Client, GoawaySaysWhatWasNotProcessed) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings() + settings_ack());
  Asked first = ask(rig, http::testing::get("/1"));
  Asked second = ask(rig, http::testing::get("/2"));
  rig.feed(goaway(1, Http2Code::no_error));
  EXPECT_EQ(rig.goaways, 1);
  ASSERT_TRUE(second.reply->done);
  EXPECT_TRUE(second.reply->error->is(Code::rejected));
  EXPECT_FALSE(first.reply->done);
  rig.feed(response_frames(1, "fine"));
  EXPECT_EQ(first.reply->body, "fine");
  EXPECT_TRUE(rig.closed.has_value());
}

TEST(Http2Client, RefusedStreamMayBeSentAgain) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings() + settings_ack());
  Asked asked = ask(rig, http::testing::get("/1"));
  rig.feed(rst(1, Http2Code::refused_stream));
  ASSERT_TRUE(asked.reply->done);
  EXPECT_TRUE(asked.reply->error->is(Code::rejected));
}

TEST(Http2Client, ConcurrentStreamsAreTheServersToLimit) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings(setting(3, 1)) + settings_ack());
  Asked first = ask(rig, http::testing::get("/1"));
  Asked second = ask(rig, http::testing::get("/2"));
  EXPECT_EQ(count_of(rig.frames(), kFrameHeaders), 1U);
  rig.feed(response_frames(1, "one"));
  EXPECT_EQ(first.reply->body, "one");
  EXPECT_EQ(count_of(rig.frames(), kFrameHeaders), 1U);
  rig.feed(response_frames(3, "two"));
  EXPECT_EQ(second.reply->body, "two");
}

TEST(Http2Client, PushIsRefused) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings() + settings_ack());
  Asked asked = ask(rig, http::testing::get("/1"));
  rig.frames();
  rig.feed(frame(kFramePushPromise, kFlagEndHeaders, 1, number(2, 4) + block(request())));
  const auto heard = rig.frames();
  const Frame* said = find(heard, kFrameGoaway);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->code(4), Http2Code::protocol_error);
  EXPECT_TRUE(asked.reply->error.has_value());
}

TEST(Http2Client, PriorityUpdateFromAServer) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings() + settings_ack());
  rig.frames();
  rig.feed(frame(kFramePriorityUpdate, 0, 0, number(1, 4) + "u=1"));
  const auto heard = rig.frames();
  const Frame* said = find(heard, kFrameGoaway);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->code(4), Http2Code::protocol_error);
}

TEST(Http2Client, BodyShorterThanAnnounced) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings() + settings_ack());
  Asked asked = ask(rig, http::testing::get("/1"));
  rig.feed(headers(1, {{":status", "200"}, {"content-length", "10"}}, false) +
           data(1, "short", true));
  ASSERT_TRUE(asked.reply->done);
  ASSERT_TRUE(asked.reply->error.has_value());
  EXPECT_EQ(asked.reply->error->code, static_cast<std::uint64_t>(Http2Code::protocol_error));
}

TEST(Http2Client, EachRequestSaysItsPriority) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings(setting(9, 1)) + settings_ack());
  rig.frames();
  auto exchange = rig.session->open();
  std::shared_ptr<http::ClientExchange> asked = std::move(*exchange);
  http::Priority priority;
  priority.urgency = 1;
  rig.runtime().spawn([](std::shared_ptr<http::ClientExchange> e) -> Task<void> {
    http::RequestHead head = http::testing::get("/1");
    co_await e->send(head, true);
  }(asked));
  rig.world.run_for(1ms);
  rig.frames();
  asked->set_priority(priority);
  rig.world.run_for(1ms);
  const auto heard = rig.frames();
  const Frame* update = find(heard, kFramePriorityUpdate);
  ASSERT_NE(update, nullptr);
  EXPECT_EQ(update->payload, number(1, 4) + "u=1");
}

/// Uploads share the connection, though nghttp2 alone would send one after the other.
TEST(Http2Client, UploadsTakeTurns) {
  Http2Rig rig{SessionOptions()};
  rig.feed(settings(setting(4, 10'000'000)) + settings_ack() + window_update(0, 10'000'000));
  rig.frames();
  std::vector<std::shared_ptr<http::ClientExchange>> all;
  for (int i = 0; i < 2; ++i) {
    std::shared_ptr<http::ClientExchange> one = std::move(*rig.session->open());
    rig.runtime().spawn([](std::shared_ptr<http::ClientExchange> e) -> Task<void> {
      http::RequestHead head = http::testing::post("/1");
      co_await e->send(head, false);
      Bytes bytes = Bytes::take(big(300'000));
      co_await e->finish(std::move(bytes));
    }(one));
    all.push_back(std::move(one));
  }
  rig.world.run_for(1ms);
  EXPECT_GT(data_order(rig.frames()).size(), 4U);
}

}  // namespace
}  // namespace tern::fallback::testing
