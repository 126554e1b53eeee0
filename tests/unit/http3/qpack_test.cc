#include "tests/unit/http3/rig.h"

/// Messages whose field sections wait for the peer's encoder stream (RFC 9204 §2.2.1). Streams are
/// not ordered among each other: the instructions may come long after the stream that needs them.

namespace tern::http3::testing {
namespace {

Task<void> hello(http::Exchange& exchange) {
  co_await exchange.respond(http::Status::ok, "Hello World!");
}

/// ":status: 200" as the table's first entry, in a table of 4096 bytes.
std::string insert_status() {
  return varint(kStreamQpackEncoder) + "\x3f\xe1\x1f" + "\xd9\x03" + "200";
}
/// A section that is that entry alone.
std::string waiting_headers() { return frame(kFrameHeaders, std::string_view("\x02\x00\x80", 3)); }

/// A client session, and a server that answers only what the test says.
class Waiting : public ::testing::Test {
 protected:
  static constexpr std::size_t kMayWait = 20;

  Waiting() {
    rig.accept = [this](quic::Connection& connection) {
      auto made = std::make_unique<RawPeer>(connection, told);
      server = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    };
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

 private:
  static SessionOptions waiting_options() {
    SessionOptions options;
    options.qpack_blocked_streams = kMayWait;
    return options;
  }
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
  for (std::size_t i = 0; i <= kMayWait; ++i) rig.start(get("/"));
  rig.world.run_for(100ms);
  for (std::size_t i = 0; i <= kMayWait; ++i) {
    server->more(static_cast<quic::StreamId>(4 * i), waiting_headers());
  }
  rig.world.run_for(100ms);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(told->code), ErrorCode::qpack_decompression_failed);
}

}  // namespace
}  // namespace tern::http3::testing
