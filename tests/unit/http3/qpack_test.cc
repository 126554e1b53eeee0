#include "http3/qpack_decoder.h"
#include "tests/unit/http3/rig.h"

/// Messages whose field sections wait for the peer's encoder stream (RFC 9204 §2.2.1). Streams are
/// not ordered among each other: the instructions may come long after the stream that needs them.

namespace tern::http3::testing {
namespace {

/// ":status: 200" as the table's first entry, in a table of 4096 bytes.
std::string insert_status() {
  return varint(kStreamQpackEncoder) + "\x3f\xe1\x1f" + "\xd9\x03" + "200";
}
/// A section that is that entry alone.
std::string waiting_headers() { return frame(kFrameHeaders, std::string_view("\x02\x00\x80", 3)); }

/// What an encoder of the peer's may do: wait for twenty streams.
SessionOptions waiting_options() {
  SessionOptions options;
  options.qpack_blocked_streams = 20;
  return options;
}

/// A client session, and a server that answers only what the test says.
class Waiting : public ::testing::Test {
 protected:
  Waiting() {
    rig.serve_raw(server, told);
    rig.connect();
    rig.world.run_for(50ms);
    server->uni(control(settings()));
  }
  /// Answers stream 0 with a section that waits; QUIC is done with the stream then.
  void answer() {
    server->more(0, waiting_headers() + frame(kFrameData, "late"), true);
    rig.world.run_for(500ms);
    EXPECT_TRUE(server->codes.contains(0)) << "QUIC is not done with the stream";
  }

  std::optional<Error> told;
  RawPeer* server = nullptr;
  Rig rig{hello, RigOptions().client(waiting_options())};
};

TEST_F(Waiting, TheResponseComesWhenItsStreamIsLongClosed) {
  const auto reply = rig.start(get("/"));
  rig.world.run_for(100ms);
  answer();
  EXPECT_FALSE(reply->done);
  EXPECT_EQ(rig.session->requests(), 1u);
  server->uni(insert_status());
  rig.world.run_for(100ms);
  ASSERT_TRUE(reply->done);
  EXPECT_FALSE(reply->error) << reply->error->to_string();
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "late");
  EXPECT_EQ(rig.session->requests(), 0u);
}

TEST_F(Waiting, AMalformedOneFailsItsRequest) {
  const auto reply = rig.start(get("/"));
  rig.world.run_for(100ms);
  // DATA, then a section that is no trailer.
  server->more(0, waiting_headers() + frame(kFrameData, "late") + waiting_headers(), true);
  rig.world.run_for(500ms);
  EXPECT_TRUE(server->codes.contains(0));
  server->uni(insert_status());
  rig.world.run_for(100ms);
  ASSERT_TRUE(reply->done);
  ASSERT_TRUE(reply->error.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(reply->error->code), ErrorCode::message_error);
  EXPECT_EQ(rig.session->requests(), 0u);
}

TEST_F(Waiting, GivenUpBeforeTheInstructionsCome) {
  auto exchange = *rig.session->open();
  const auto head = get("/");
  rig.world.after(0ms, [&] { (void)exchange->send(head, true); });
  rig.world.run_for(100ms);
  answer();
  exchange.reset();
  EXPECT_EQ(rig.session->requests(), 0u);
  server->uni(insert_status());
  rig.world.run_for(100ms);
  // The connection goes on.
  const auto reply = rig.start(get("/"));
  rig.world.run_for(100ms);
  server->more(4, waiting_headers(), true);
  rig.world.run_for(100ms);
  EXPECT_EQ(reply->status, 200);
}

TEST_F(Waiting, TheConnectionEndsFirst) {
  const auto reply = rig.start(get("/"));
  rig.world.run_for(100ms);
  answer();
  server->connection().close(code(ErrorCode::internal_error), "");
  rig.world.run_for(100ms);
  ASSERT_TRUE(reply->done);
  ASSERT_TRUE(reply->error.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(reply->error->code), ErrorCode::internal_error);
}

TEST_F(Waiting, MoreStreamsThanWeAllowedEndTheConnection) {
  const std::size_t allowed = waiting_options().qpack_blocked_streams;
  for (std::size_t i = 0; i <= allowed; ++i) rig.start(get("/"));
  rig.world.run_for(100ms);
  for (std::size_t i = 0; i <= allowed; ++i) {
    server->more(static_cast<quic::StreamId>(4 * i), waiting_headers());
  }
  rig.world.run_for(100ms);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(told->code), ErrorCode::qpack_decompression_failed);
}

Task<void> upload(std::shared_ptr<http::ClientExchange> exchange, std::optional<Error>& failure) {
  const http::RequestHead head = post("/");
  auto sent = co_await exchange->send(head, false);
  while (sent) {
    Bytes piece = Bytes::copy(std::string(100'000, 'x'));
    sent = co_await exchange->write(std::move(piece));
  }
  failure = sent.error();
}

Task<void> receive(std::shared_ptr<http::ClientExchange> exchange, Reply& reply) {
  auto response = co_await exchange->response();
  if (response) reply.status = http::code(response->status());
  auto body = co_await exchange->read_all(1000);
  if (body) reply.body = *body;
  reply.done = true;
}

TEST_F(Waiting, WhoeverWritesLearnsThatTheServerWantsNoMore) {
  std::shared_ptr<http::ClientExchange> exchange = *rig.session->open();
  std::optional<Error> writing;
  Reply reply;
  server->consume = false;  // its flow control stops the writer
  rig.runtime().spawn(upload(exchange, writing));
  rig.runtime().spawn(receive(exchange, reply));
  rig.world.run_for(500ms);
  EXPECT_FALSE(writing);
  server->connection().stop_sending(0, code(ErrorCode::no_error));
  answer();
  EXPECT_TRUE(writing) << "it would wait for ever";
  EXPECT_FALSE(reply.done);
  server->uni(insert_status());
  rig.world.run_for(100ms);
  ASSERT_TRUE(reply.done);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "late");
  exchange.reset();
  EXPECT_EQ(rig.session->requests(), 0u);
}

TEST_F(Waiting, AResetEndsTheWait) {
  const auto reply = rig.start(get("/"));
  rig.world.run_for(100ms);
  server->more(0, waiting_headers());
  rig.world.run_for(100ms);
  server->connection().reset(0, code(ErrorCode::internal_error));
  rig.world.run_for(500ms);
  ASSERT_TRUE(reply->done);
  ASSERT_TRUE(reply->error.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(reply->error->code), ErrorCode::internal_error);
  EXPECT_EQ(rig.session->requests(), 0u);
  server->uni(insert_status());
  rig.world.run_for(100ms);
  EXPECT_FALSE(told) << told->to_string();
}

/// A server session, and a client whose requests are the same bytes each time.
TEST(Acknowledgments, OfTheSameRequestsAreToldOfTogetherAndInTime) {
  Rig rig{hello};
  RawPeer* const peer = rig.connect_raw();
  peer->uni(control(settings()));
  // ":authority: server" as the table's first entry.
  peer->uni(varint(kStreamQpackEncoder) + "\x3f\xe1\x1f" + "\xc0\x06" + "server");
  rig.world.run_for(100ms);
  const auto ask = [&](int times) {
    quic::StreamId id = -1;
    for (int i = 0; i < times; ++i) {
      id = peer->bidi(frame(kFrameHeaders, std::string_view("\x02\x00\xd1\xd7\xc1\x80", 6)), true);
      rig.world.run_for(25ms);
      EXPECT_TRUE(peer->finished[id]);
    }
    return id;
  };
  // The server's stream with this type, and what came on it behind that.
  const auto told = [&]() -> std::string {
    for (const auto& [id, bytes] : peer->received) {
      if (id % 4 == 3 && bytes.starts_with(varint(kStreamQpackDecoder))) return bytes.substr(1);
    }
    return {};
  };
  ask(3);  // read, and known from the third time on
  const std::size_t first = told().size();
  EXPECT_GE(first, 2u) << "what is read is acknowledged at once";
  ask(5);
  EXPECT_EQ(told().size(), first);
  rig.world.run_for(600ms);
  EXPECT_GE(told().size(), first + 5) << "they do not wait for ever";
  const std::size_t second = told().size();
  const auto last = ask(static_cast<int>(QpackDecoder::kDeferred));
  EXPECT_GE(told().size(), second + QpackDecoder::kDeferred);
  ASSERT_LT(last, 0x7f);
  EXPECT_EQ(told().back(), static_cast<char>(0x80 | last)) << "in their order";
  EXPECT_FALSE(rig.closed);
}

/// A server session, and a client whose field sections wait.
class ServerWaiting : public ::testing::Test {
 protected:
  ServerWaiting() {
    peer = rig.connect_raw();
    peer->uni(control(settings()));
    rig.world.run_for(50ms);
  }

  /// "x-sum: 7" as the table's first entry.
  static std::string insert_sum() {
    return varint(kStreamQpackEncoder) + "\x3f\xe1\x1f" + "\x45x-sum" + "\x01" + "7";
  }
  /// A request whose trailers are that entry; QUIC is done with its stream when this returns.
  quic::StreamId post_with_waiting_trailers() {
    const auto id = peer->bidi(headers({{":method", "POST"},
                                        {":scheme", "https"},
                                        {":authority", "server"},
                                        {":path", "/"},
                                        {"content-length", "4"}}) +
                                   frame(kFrameData, "body") + waiting_headers(),
                               true);
    rig.world.run_for(500ms);
    EXPECT_TRUE(peer->codes.contains(id)) << "QUIC is not done with the stream";
    return id;
  }
  /// Answers first, then reads on to the end, if it is to.
  Task<void> handle(http::Exchange& exchange) {
    ++handled;
    auto sent = co_await exchange.respond(http::Status::ok, "early");
    if (!sent || !read_on) co_return;
    auto body = co_await exchange.read_all(1000);
    if (body) {
      got = *body + "|" + std::string(exchange.trailers().find("x-sum").value_or("none"));
    } else {
      failure = body.error();
    }
  }
  static SessionOptions options() {
    SessionOptions options = waiting_options();
    options.head_timeout = 2s;
    options.body_timeout = 3s;
    return options;
  }

  bool read_on = true;
  int handled = 0;
  std::string got;
  std::optional<Error> failure;
  RawPeer* peer = nullptr;
  Rig rig{[this](http::Exchange& exchange) { return handle(exchange); },
          RigOptions().server(options())};
};

TEST_F(ServerWaiting, TrailersComeWhenTheirStreamIsLongClosed) {
  post_with_waiting_trailers();
  EXPECT_EQ(got, "");
  EXPECT_EQ(rig.server_session->requests(), 1u);
  peer->uni(insert_sum());
  rig.world.run_for(100ms);
  EXPECT_EQ(got, "body|7");
  EXPECT_EQ(rig.server_session->requests(), 0u);
}

TEST_F(ServerWaiting, NobodyWaitsForWhatNobodyReads) {
  read_on = false;
  for (int i = 0; i < 10; ++i) post_with_waiting_trailers();
  EXPECT_EQ(rig.server_session->requests(), 0u);
  peer->uni(insert_sum());
  rig.world.run_for(100ms);
  // The connection goes on.
  read_on = true;
  post_with_waiting_trailers();
  EXPECT_EQ(got, "body|7");
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
}

TEST_F(ServerWaiting, StreamsAreGivenBack) {
  // More than the client may have open at once, in turns.
  std::size_t opened = 0;
  for (int turn = 0; turn < 30; ++turn) {
    for (int i = 0; i < 10; ++i) {
      const auto id = peer->connection().open_bidi();
      ASSERT_TRUE(id.has_value()) << "after " << opened;
      ++opened;
      peer->more(*id, get_headers() + waiting_headers(), true);
    }
    rig.world.run_for(100ms);
    if (turn == 0) peer->uni(insert_sum());
    rig.world.run_for(100ms);
  }
  EXPECT_EQ(handled, 300);
  EXPECT_EQ(rig.server_session->requests(), 0u);
}

TEST_F(ServerWaiting, TrailersThatNeverComeEndTheRequestInTime) {
  post_with_waiting_trailers();
  rig.world.run_for(2s);
  EXPECT_FALSE(failure);
  rig.world.run_for(2s);
  ASSERT_TRUE(failure);
  EXPECT_TRUE(failure->is(Code::timed_out)) << failure->to_string();
  EXPECT_EQ(rig.server_session->requests(), 0u);
  EXPECT_EQ(rig.server_count("http3.timeouts"), 1u);
  // Too late, but no fault.
  peer->uni(insert_sum());
  rig.world.run_for(100ms);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
  EXPECT_EQ(got, "");
}

TEST_F(ServerWaiting, MalformedTrailersFailTheRequest) {
  post_with_waiting_trailers();
  // ":status: 200" has no place in trailers.
  peer->uni(insert_status());
  rig.world.run_for(100ms);
  ASSERT_TRUE(failure);
  EXPECT_EQ(static_cast<ErrorCode>(failure->code), ErrorCode::message_error);
  EXPECT_EQ(rig.server_session->requests(), 0u);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
}

TEST_F(ServerWaiting, AHeadThatNeverComes) {
  const auto id = peer->bidi(waiting_headers(), true);
  rig.world.run_for(3s);
  EXPECT_EQ(peer->resets[id], code(ErrorCode::request_incomplete));
  EXPECT_EQ(handled, 0);
  EXPECT_EQ(rig.server_session->requests(), 0u);
  peer->uni(insert_sum());
  rig.world.run_for(100ms);
  EXPECT_EQ(handled, 0);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
}

TEST_F(ServerWaiting, TheConnectionEndsFirst) {
  post_with_waiting_trailers();
  peer->connection().close(code(ErrorCode::no_error), "");
  rig.world.run_for(100ms);
  EXPECT_TRUE(failure);
  EXPECT_EQ(rig.server_endpoint->endpoint().connections(), 0u);
}

TEST_F(ServerWaiting, TheServerIsTakenDownFirst) {
  post_with_waiting_trailers();
  rig.server_endpoint.reset();
  rig.world.run_for(100ms);
  EXPECT_TRUE(failure);
}

}  // namespace
}  // namespace tern::http3::testing
