#include "tests/unit/http3/rig.h"

/// How sessions begin and end: 0-RTT, resumption, GOAWAY.

namespace tern::http3::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

Task<void> early_or_late(http::Exchange& exchange) {
  const char* const when = exchange.early_data() ? "early" : "late";
  co_await exchange.respond(http::Status::ok, when);
}

/// A session to resume with.
quic::Session resumable(Rig& rig) {
  rig.connect();
  EXPECT_EQ(rig.ask(get("/")).status, 200);
  rig.world.run_for(200ms);
  EXPECT_FALSE(rig.sessions.empty());
  quic::Session session = rig.sessions.back();
  rig.session->close();
  rig.world.run_for(200ms);
  rig.closed.reset();
  rig.served.clear();
  return session;
}

TEST(EarlyData, SafeRequestsGoWithTheFirstFlight) {
  Rig rig(early_or_late);
  const quic::Session session = resumable(rig);
  EXPECT_TRUE(Settings::deserialize(session.application).has_value());
  const Duration before = rig.world.elapsed();
  ASSERT_NE(rig.connect(session, true), nullptr);
  EXPECT_FALSE(rig.session->connection().handshake_complete());
  const Reply reply = rig.ask(get("/early"));
  EXPECT_EQ(reply.body, "early");
  EXPECT_LT(rig.world.elapsed() - before, 30ms) << "one round trip";
  EXPECT_TRUE(rig.session->connection().handshake().early_data_accepted);
}

TEST(EarlyData, OtherRequestsWaitForTheHandshake) {
  std::vector<bool> early;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    early.push_back(exchange.early_data());
    co_await exchange.respond(http::Status::ok, exchange.request().path);
  });
  const quic::Session session = resumable(rig);
  early.clear();
  rig.connect(session, true);
  auto posted = rig.start(post("/post"), "body");
  auto got = rig.start(get("/get"));
  rig.world.run_until([&] { return posted->done && got->done; });
  EXPECT_EQ(posted->body, "/post");
  EXPECT_EQ(got->body, "/get");
  EXPECT_THAT(early, ElementsAre(true, false));
  EXPECT_THAT(rig.served, ElementsAre("GET /get 200", "POST /post 200"));
}

TEST(EarlyData, WhatARefusingServerDidNotTakeIsSentAgain) {
  Rig rig(early_or_late);
  const quic::Session session = resumable(rig);
  // The server comes back with other promises, and so refuses 0-RTT.
  rig.server_endpoint.reset();
  rig.start_server({1, 2, 3});
  rig.connect(session, true);
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 5; ++i) replies.push_back(rig.start(get("/" + std::to_string(i))));
  auto posted = rig.start(post("/post"), std::string(50'000, 'x'));
  rig.world.run_until([&] {
    return posted->done &&
           std::all_of(replies.begin(), replies.end(), [](auto& r) { return r->done; });
  });
  EXPECT_TRUE(rig.session->connection().handshake().early_data_rejected);
  for (const auto& reply : replies) {
    EXPECT_FALSE(reply->error) << reply->error->to_string();
    EXPECT_EQ(reply->body, "late");
  }
  EXPECT_EQ(posted->status, 200);
  EXPECT_THAT(rig.served, SizeIs(6)) << "each of them once";
  EXPECT_EQ(rig.served[0], "GET /0 200");
}

TEST(EarlyData, ARequestGivenUpBeforeTheRefusalIsNotSentAgain) {
  Rig rig(early_or_late);
  const quic::Session session = resumable(rig);
  rig.server_endpoint.reset();
  rig.start_server({1, 2, 3});
  rig.connect(session, true);
  auto exchange = *rig.session->open();
  const auto head = get("/given-up");
  rig.world.after(0ms, [&] { (void)exchange->send(head, true); });
  rig.world.run_for(1ms);
  exchange.reset();
  EXPECT_EQ(rig.ask(get("/kept")).status, 200);
  rig.world.run_for(1s);
  EXPECT_THAT(rig.served, ElementsAre("GET /kept 200"));
  EXPECT_EQ(rig.session->requests(), 0u);
}

TEST(EarlyData, AServerThatTakesItBackIsLeft) {
  Rig rig(early_or_late);
  quic::Session session = resumable(rig);
  Settings generous = *Settings::deserialize(session.application);
  generous.max_field_section = 1'000'000;
  session.application = generous.serialize();
  rig.connect(session, true);
  auto reply = rig.start(get("/"));
  const Error error = rig.wait_closed();
  EXPECT_EQ(error.code, code(ErrorCode::settings_error)) << error.to_string();
  EXPECT_EQ(error.origin, Origin::local);
}

TEST(EarlyData, ResumptionWithoutIt) {
  Rig rig(early_or_late);
  const quic::Session session = resumable(rig);
  rig.connect(session, false);
  EXPECT_EQ(rig.ask(get("/")).body, "late");
  EXPECT_TRUE(rig.session->connection().handshake().resumed);
}

TEST(Goaway, ADrainingServerFinishesWhatItHasAndRefusesTheRest) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(2s);
    co_await exchange.respond(http::Status::ok, "done");
  });
  rig.connect();
  auto running = rig.start(get("/running"));
  rig.world.run_for(100ms);
  rig.server_session->drain();
  EXPECT_TRUE(rig.server_session->draining());
  // In flight while the first GOAWAY is: still processed.
  auto crossing = rig.start(get("/crossing"));
  rig.world.run_for(15ms);
  EXPECT_EQ(rig.goaways, 1);
  EXPECT_FALSE(rig.session->accepts_requests());
  auto late = rig.start(get("/late"));
  ASSERT_TRUE(late->done);
  EXPECT_TRUE(late->error->is(Code::rejected)) << "safe to retry elsewhere";
  rig.world.run_until([&] { return running->done && crossing->done; });
  EXPECT_EQ(running->body, "done");
  EXPECT_EQ(crossing->body, "done");
  const Error error = rig.wait_closed();
  EXPECT_EQ(error.code, code(ErrorCode::no_error)) << error.to_string();
  EXPECT_EQ(rig.server_count("http3.errors"), 0u);
}

TEST(Goaway, AnIdleConnectionIsClosedAtOnce) {
  Rig rig(early_or_late);
  rig.connect();
  EXPECT_EQ(rig.ask(get("/")).status, 200);
  rig.world.run_for(100ms);
  rig.server_session->drain();
  const Error error = rig.wait_closed(1s);
  EXPECT_EQ(error.domain, Domain::application);
  EXPECT_EQ(error.code, code(ErrorCode::no_error));
}

TEST(Goaway, RequestsTheServerDidNotProcessAreSafeToRetry) {
  std::optional<Error> told;
  RawPeer* server = nullptr;
  Rig rig(early_or_late);
  rig.serve_raw(server, told);
  rig.connect();
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 4; ++i) replies.push_back(rig.start(get("/")));
  rig.world.run_for(100ms);
  server->uni(control(settings() + frame(kFrameGoaway, varint(8))));
  rig.world.run_for(100ms);
  EXPECT_FALSE(replies[0]->done);
  EXPECT_FALSE(replies[1]->done);
  for (int i = 2; i < 4; ++i) {
    ASSERT_TRUE(replies[i]->done);
    EXPECT_TRUE(replies[i]->error->is(Code::rejected));
  }
  server->more(0, headers({{":status", "200"}}), true);
  server->more(4, headers({{":status", "200"}}), true);
  rig.world.run_for(100ms);
  EXPECT_EQ(replies[0]->status, 200);
  EXPECT_EQ(replies[1]->status, 200);
  rig.world.run_for(1s);
  ASSERT_TRUE(told.has_value()) << "the client closes once nothing is left";
  EXPECT_EQ(told->code, code(ErrorCode::no_error));
}

TEST(Goaway, RequestsAfterTheFinalOneAreRejectedOnTheWire) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(3s);
    co_await exchange.respond(http::Status::ok);
  });
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  peer->bidi(get_headers(), true);
  rig.world.run_for(100ms);
  rig.server_session->drain();
  rig.world.run_for(1s);
  const auto late = peer->bidi(get_headers(), true);
  rig.world.run_for(100ms);
  EXPECT_EQ(peer->resets[late], code(ErrorCode::request_rejected));
  EXPECT_EQ(rig.server_count("http3.rejected"), 1u);
  // 00 04 <len> … 07 08 …: both GOAWAYs are on the control stream.
  const std::string& bytes = peer->received[3];
  const std::string first = frame(kFrameGoaway, varint(kMaxVarint - 3));
  const std::string last = frame(kFrameGoaway, varint(4));
  EXPECT_NE(bytes.find(first), std::string::npos);
  EXPECT_NE(bytes.find(last), std::string::npos);
  EXPECT_LT(bytes.find(first), bytes.find(last));
  const Error error = rig.wait_closed();
  EXPECT_EQ(error.code, code(ErrorCode::no_error));
}

TEST(Goaway, AClientDrains) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(1s);
    co_await exchange.respond(http::Status::ok);
  });
  rig.connect();
  auto running = rig.start(get("/"));
  rig.world.run_for(100ms);
  rig.session->drain();
  EXPECT_TRUE(rig.start(get("/"))->error->is(Code::rejected));
  rig.world.run_until([&] { return running->done; });
  EXPECT_EQ(running->status, 200);
  EXPECT_EQ(rig.wait_closed().code, code(ErrorCode::no_error));
}

TEST(Lifecycle, AHeadThatIsAnsweredBeforeItsEndIsNotStopped) {
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> { co_await exchange.respond(http::Status::ok); });
  RawPeer* peer = rig.connect_raw();
  const quic::StreamId ends = peer->bidi(get_headers());
  const quic::StreamId goes_on = peer->bidi(get_headers());
  const quic::StreamId endless = peer->bidi(get_headers());
  rig.world.run_for(100ms);
  EXPECT_TRUE(peer->finished[ends] && peer->finished[goes_on]) << "both are answered";
  EXPECT_TRUE(peer->codes.empty());
  peer->more(ends, "", true);
  peer->more(goes_on, frame(kFrameData, "a body"));
  rig.world.run_for(1s);
  ASSERT_EQ(peer->codes.count(ends), 1u);
  EXPECT_EQ(peer->codes[ends], 0u) << "neither reset nor stopped";
  EXPECT_EQ(peer->codes.count(endless), 0u);
  ASSERT_EQ(peer->codes.count(goes_on), 1u);
  EXPECT_EQ(peer->codes[goes_on], code(ErrorCode::no_error));
  rig.world.run_for(20s);  // head_timeout and more
  ASSERT_EQ(peer->codes.count(endless), 1u) << "it would hold its place for ever";
  EXPECT_EQ(peer->codes[endless], code(ErrorCode::no_error));
}

TEST(Lifecycle, ServerGoesAwayWithoutAWord) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(10s);
    co_await exchange.respond(http::Status::ok);
  });
  rig.connect();
  auto reply = rig.start(get("/"));
  rig.world.run_for(100ms);
  rig.server_host().power_off();
  rig.world.run_until([&] { return reply->done; }, 120s);
  ASSERT_TRUE(reply->error);
  EXPECT_TRUE(reply->error->is(Code::timed_out)) << reply->error->to_string();
}

}  // namespace
}  // namespace tern::http3::testing
