#include "webtransport/http2.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/router.h"
#include "tests/unit/fallback/http2_rig.h"
#include "webtransport/capsule_reader.h"
#include "webtransport/capsule_type.h"
#include "webtransport/capsule_writer.h"
#include "webtransport/client.h"
#include "webtransport/server.h"

/// WebTransport over HTTP/2, frame by frame: what the SETTINGS and `webtransport-init` of either
/// side allow (draft-ietf-webtrans-http2-15 §4.3), and what becomes of those who do more.

namespace tern::webtransport {
namespace {

using namespace fallback::testing;
using fallback::Http2Code;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string capsule(std::uint64_t type, std::initializer_list<std::uint64_t> values,
                    std::string_view tail = {}) {
  return std::string(write_capsule(type, values, as_bytes(tail)).text());
}
std::string stream_bytes(std::uint64_t id, std::size_t size, bool fin = false) {
  return capsule(fin ? capsule_type::kStreamWithFin : capsule_type::kStream, {id},
                 std::string(size, 'x'));
}
/// DATA frames of no more than HTTP/2's smallest limit.
std::string data_frames(std::string_view bytes) {
  std::string frames;
  for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 16384))) {
    frames += data(1, bytes.substr(0, 16384));
  }
  return frames;
}
Pairs connect_lines(const Pairs& more = {}) {
  return plus({{":method", "CONNECT"},
               {":protocol", "webtransport"},
               {":scheme", "https"},
               {":path", "/wt"},
               {":authority", "server"}},
              more);
}
/// The bytes of the session's stream.
std::string told(const std::vector<Frame>& frames) {
  std::string all;
  for (const Frame& one : frames) {
    if (one.type == fallback::kFrameData) all += one.payload;
  }
  return all;
}
/// How many bytes of streams there are in capsules.
std::size_t stream_bytes_in(std::string_view capsules) {
  CapsuleReader reader(64 * 1024);
  reader.feed(as_bytes(capsules));
  std::size_t total = 0;
  while (const auto event = reader.next()) {
    if (event->type == CapsuleReader::Event::Type::stream_data) total += event->bytes.size();
  }
  return total;
}

fallback::SessionOptions enabled() {
  fallback::SessionOptions options;
  enable_http2(options);
  return options;
}

/// A server whose session may send more on a stream than any window's worth of bytes, and reads
/// nothing; the test is its client.
class Server {
 public:
  explicit Server(SessionOptions session = SessionOptions(), bool sends = false) : sends_(sends) {
    route(
        router_, "/wt", [this](Session& opened) { return hold(opened); },
        ServerOptions().session(session));
    rig.emplace([this](http::Exchange& exchange) { return router_(exchange); }, enabled());
  }

  std::optional<SessionClose> close;

 private:
  Task<void> hold(Session& session) {
    Scope scope(session.runtime().ready());
    if (sends_) scope.spawn(send(session));
    co_await session.wait_until_ended();
    close = *session.closed();
  }
  static Task<void> send(Session& session) {
    Result<std::unique_ptr<Stream>> one = co_await session.open_unidirectional();
    if (!one) co_return;
    const Result<void> written = co_await (*one)->write(Bytes::take(std::string(100'000, 'y')));
    if (written) co_await session.wait_until_ended();
  }

  bool sends_;
  http::Router router_;

 public:
  std::optional<Http2Rig> rig;
};

SessionOptions small() {
  return SessionOptions().receive_window(0).stream_window(0).max_streams(0);
}

TEST(WebTransportHttp2, BothSidesAnnounceWhatTheyAllow) {
  Server server;
  Http2Rig client(enabled());
  // A client with its first session.
  EXPECT_THAT(find(client.frames(), fallback::kFrameSettings)->payload,
              Not(HasSubstr(setting(0x2b60, 1))));
  client.feed(fallback::testing::settings(setting(8, 1) + setting(0x2b60, 1)));
  client.frames();
  const std::unique_ptr<http::ClientExchange> exchange = std::move(*client.session->open());
  http::RequestHead head;
  head.method = "CONNECT";
  head.protocol = "webtransport";
  head.scheme = "https";
  head.authority = "server";
  head.path = "/";
  const http::ClientExchange::Write sending = exchange->send(head, false);
  client.world.run_for(1ms);
  for (Http2Rig* rig : {&*server.rig, &client}) {
    const auto frames = rig->frames();
    const Frame* sent = find(frames, fallback::kFrameSettings);
    ASSERT_NE(sent, nullptr);
    EXPECT_THAT(sent->payload, HasSubstr(setting(0x2b60, 1)));
    EXPECT_THAT(sent->payload, HasSubstr(setting(0x2b61, 256 * 1024)));
    for (const std::uint16_t id : {0x2b62, 0x2b63, 0x2b66}) {
      EXPECT_THAT(sent->payload, HasSubstr(setting(id, 64 * 1024)));
    }
    EXPECT_THAT(sent->payload, HasSubstr(setting(0x2b64, 100)));
    EXPECT_THAT(sent->payload, HasSubstr(setting(0x2b65, 100)));
  }
  fallback::SessionOptions without;
  without.extended_connect = false;
  enable_http2(without);
  EXPECT_TRUE(without.extra_settings.empty());
}

TEST(WebTransportHttp2, EnabledIsAFlag) {
  Server server;
  server.rig->feed(preface(setting(0x2b60, 2)));
  const auto frames = server.rig->frames();
  const Frame* goaway = find(frames, fallback::kFrameGoaway);
  ASSERT_NE(goaway, nullptr);
  EXPECT_EQ(goaway->code(4), Http2Code::protocol_error);
}

struct Allowed {
  const char* name;
  std::string settings;
  Pairs init;
  /// Of a unidirectional stream of the server's.
  std::size_t bytes;
};
void PrintTo(const Allowed& one, std::ostream* out) { *out << one.name; }

class Windows : public testing::TestWithParam<Allowed> {};

/// §4.3.2: the larger of SETTINGS and field counts; without either a capsule has to come.
TEST_P(Windows, AreObeyed) {
  Server server(SessionOptions(), true);
  // HTTP/2's own windows are in nobody's way.
  server.rig->feed(preface(setting(4, 1'000'000) + GetParam().settings) +
                   window_update(0, 1'000'000) + headers(1, connect_lines(GetParam().init), false));
  EXPECT_EQ(stream_bytes_in(told(server.rig->frames())), GetParam().bytes);
}

INSTANTIATE_TEST_SUITE_P(
    OfTheClient, Windows,
    testing::Values(Allowed{"nothing", "", {}, 0},
                    Allowed{"settings",
                            setting(0x2b61, 5000) + setting(0x2b62, 3000) + setting(0x2b64, 1),
                            {},
                            3000},
                    Allowed{"data_is_less",
                            setting(0x2b61, 2000) + setting(0x2b62, 3000) + setting(0x2b64, 1),
                            {},
                            2000},
                    Allowed{"no_stream",
                            setting(0x2b61, 2000) + setting(0x2b62, 3000) + setting(0x2b65, 1),
                            {},
                            0},
                    Allowed{"field_is_more",
                            setting(0x2b61, 5000) + setting(0x2b62, 30) + setting(0x2b64, 1),
                            {{"webtransport-init", "u=4000"}},
                            4000},
                    Allowed{"field_is_less",
                            setting(0x2b61, 5000) + setting(0x2b62, 30) + setting(0x2b64, 1),
                            {{"webtransport-init", "u=20, bl=4000, br=4000"}},
                            30},
                    Allowed{"field_has_unknown_keys",
                            setting(0x2b61, 5000) + setting(0x2b62, 30) + setting(0x2b64, 1),
                            {{"webtransport-init", "x, u=4000;p=1, y=\"z\""}},
                            4000}),
    [](const testing::TestParamInfo<Allowed>& one) { return one.param.name; });

/// §4.3.2
TEST(WebTransportHttp2, AMalformedFieldIsABadRequest) {
  for (const char* field : {"u=4000, u", "u=-4000", "bl=\"4000\"", "br=1.5", "u=,", "=1"}) {
    Server server;
    const Pairs init = {{"webtransport-init", field}};
    server.rig->feed(preface() + headers(1, connect_lines(init), false));
    const auto frames = server.rig->frames();
    const Frame* head = find(frames, fallback::kFrameHeaders);
    ASSERT_NE(head, nullptr);
    EXPECT_THAT(head->payload, StartsWith("\x8c")) << ":status 400 in HPACK's static table";
    EXPECT_THAT(told(frames), HasSubstr("malformed webtransport-init")) << field;
  }
}

TEST(WebTransportHttp2, CapsulesRaiseTheWindows) {
  Server server(SessionOptions(), true);
  server.rig->feed(preface(setting(4, 1'000'000)) + window_update(0, 1'000'000) +
                   headers(1, connect_lines(), false));
  EXPECT_EQ(stream_bytes_in(told(server.rig->frames())), 0u);
  server.rig->feed(data_frames(capsule(capsule_type::kMaxStreamsUnidirectional, {1}) +
                               capsule(capsule_type::kMaxData, {10'000})));
  EXPECT_EQ(stream_bytes_in(told(server.rig->frames())), 0u);
  server.rig->feed(data_frames(capsule(capsule_type::kMaxStreamData, {3, 7000})));
  EXPECT_EQ(stream_bytes_in(told(server.rig->frames())), 7000u);
  server.rig->feed(data_frames(capsule(capsule_type::kMaxStreamData, {3, 20'000})));
  EXPECT_EQ(stream_bytes_in(told(server.rig->frames())), 3000u);
}

/// A client of another draft, or one that keeps to the SETTINGS alone, has read no field of ours.
TEST(WebTransportHttp2, WhoSendsNoFieldIsToldOfAWindowByCapsules) {
  for (const bool sends_field : {false, true}) {
    http::Router router;
    route(router, "/wt", [](Session& session) -> Task<void> {
      const std::unique_ptr<Stream> stream = co_await session.accept_bidirectional();
      if (stream) co_await stream->read_all();
      co_await session.wait_until_ended();
    });
    Http2Rig rig([&](http::Exchange& exchange) { return router(exchange); }, enabled());
    const Pairs field = {{"webtransport-init", "u=1"}};
    rig.feed(preface() + headers(1, connect_lines(sends_field ? field : Pairs()), false));
    rig.feed(data_frames(stream_bytes(0, 1000)));
    CapsuleReader reader(64 * 1024);
    const std::string capsules = told(rig.frames());
    reader.feed(as_bytes(capsules));
    std::size_t windows = 0;
    while (const auto event = reader.next()) {
      windows += event->id == capsule_type::kMaxStreamData ? 1 : 0;
    }
    EXPECT_EQ(windows, sends_field ? 0u : 1u);
  }
}

struct Breach {
  const char* name;
  std::string bytes;
  const char* why;
};
void PrintTo(const Breach& one, std::ostream* out) { *out << one.name; }

class Breaches : public testing::TestWithParam<Breach> {};

/// What the server has announced and grants no more of: 64 KiB a stream, 256 KiB a session, 100
/// streams of each kind.
TEST_P(Breaches, ResetTheSessionAlone) {
  Server server(small());
  server.rig->feed(preface() + settings_ack() + headers(1, connect_lines(), false));
  server.rig->frames();
  server.rig->feed(data_frames(GetParam().bytes));
  const auto frames = server.rig->frames();
  const Frame* reset = find(frames, fallback::kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->stream, 1u);
  EXPECT_EQ(reset->code(), Http2Code::protocol_error);
  EXPECT_EQ(find(frames, fallback::kFrameGoaway), nullptr);
  ASSERT_TRUE(server.close && server.close->error);
  EXPECT_THAT(server.close->error->detail, HasSubstr(GetParam().why));
  // The connection lives on.
  server.rig->feed(ping());
  EXPECT_NE(find(server.rig->frames(), fallback::kFramePing), nullptr);
}

std::string many(std::size_t streams) {
  std::string all;
  for (std::uint64_t i = 0; i < streams; ++i) all += stream_bytes(4 * i, 50'000);
  return all;
}

INSTANTIATE_TEST_SUITE_P(
    OfTheClient, Breaches,
    testing::Values(
        Breach{"stream_window", stream_bytes(0, 64 * 1024 + 1), "on a stream than allowed"},
        Breach{"stream_window_of_a_unidirectional_one", stream_bytes(2, 64 * 1024 + 1),
               "on a stream than allowed"},
        Breach{"stream_window_in_pieces", stream_bytes(0, 64 * 1024) + stream_bytes(0, 1),
               "on a stream than allowed"},
        Breach{"session_window", many(6), "more data than allowed"},
        Breach{"streams", stream_bytes(4 * 100, 1), "streams"},
        Breach{"unidirectional_streams", stream_bytes(4 * 100 + 2, 1), "streams"},
        Breach{"max_streams_shrinks",
               capsule(capsule_type::kMaxStreamsBidirectional, {5}) +
                   capsule(capsule_type::kMaxStreamsBidirectional, {4}),
               "takes back"},
        Breach{"max_data_shrinks",
               capsule(capsule_type::kMaxData, {5}) + capsule(capsule_type::kMaxData, {4}),
               "takes back"}),
    [](const testing::TestParamInfo<Breach>& one) { return one.param.name; });

TEST(WebTransportHttp2, WindowsToTheirBrimAreFine) {
  Server server(small());
  server.rig->feed(preface() + settings_ack() + headers(1, connect_lines(), false));
  server.rig->feed(data_frames(stream_bytes(0, 64 * 1024) + stream_bytes(4 * 99, 64 * 1024, true) +
                               stream_bytes(4 * 99 + 2, 64 * 1024) + stream_bytes(2, 64 * 1024)));
  EXPECT_EQ(find(server.rig->frames(), fallback::kFrameRstStream), nullptr);
  EXPECT_FALSE(server.close);
}

// ---- a client of ours ---------------------------------------------------------------------------

struct Opening {
  std::optional<Result<std::unique_ptr<Session>>> session;
};

Task<void> open_into(std::unique_ptr<http::ClientExchange> exchange, Opening& out) {
  http::RequestHead head;
  head.scheme = "https";
  head.authority = "server";
  head.path = "/wt";
  const ClientOptions options;
  complete_request(head, options);
  out.session.emplace(co_await open_session(std::move(exchange), std::move(head), options));
}

Task<void> send(Session& session, std::size_t count) {
  auto stream = co_await session.open_bidirectional();
  if (stream) co_await (*stream)->finish(Bytes::take(std::string(count, 'z')));
  co_await session.wait_until_ended();
}

TEST(WebTransportHttp2, AClientWaitsForTheSettings) {
  Http2Rig rig(enabled());
  rig.frames();
  Opening opening;
  Scope scope(rig.runtime().ready());
  scope.spawn(open_into(std::move(*rig.session->open()), opening));
  rig.world.run_for(100ms);
  EXPECT_EQ(find(rig.frames(), fallback::kFrameHeaders), nullptr);
  rig.feed(settings(setting(8, 1) + setting(0x2b60, 1) + setting(0x2b65, 1) +
                    setting(0x2b61, 5000) + setting(0x2b66, 300)));
  EXPECT_NE(find(rig.frames(), fallback::kFrameHeaders), nullptr);
  rig.feed(headers(1, {{":status", "200"}, {"webtransport-init", "br=700"}}, false));
  ASSERT_TRUE(opening.session && *opening.session);
  Session& session = ***opening.session;
  EXPECT_EQ(session.carrier(), "h2");
  rig.frames();
  // Its streams are the server's remote ones.
  scope.spawn(send(session, 5000));
  rig.world.run_for(1ms);
  EXPECT_EQ(stream_bytes_in(told(rig.frames())), 700u);
  session.close();
  rig.world.run_for(1ms);
  scope.cancel();
}

/// §7: what two connections may share is no good for keying material.
TEST(WebTransportHttp2, TlsWithoutItsOwnSecretHasNoSessions) {
  Server server;
  server.rig->wire().secure = true;
  server.rig->feed(preface() + headers(1, connect_lines(), false));
  const auto frames = server.rig->frames();
  const Frame* reset = find(frames, fallback::kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->code(), Http2Code::protocol_error);
  EXPECT_EQ(find(frames, fallback::kFrameHeaders), nullptr);

  Http2Rig client(enabled());
  client.wire().secure = true;
  Opening opening;
  Scope scope(client.runtime().ready());
  scope.spawn(open_into(std::move(*client.session->open()), opening));
  client.feed(settings(setting(8, 1) + setting(0x2b60, 1)));
  ASSERT_TRUE(opening.session && !*opening.session);
  EXPECT_TRUE(opening.session->error().is(Code::unsupported));
  EXPECT_EQ(find(client.frames(), fallback::kFrameHeaders), nullptr);
}

TEST(WebTransportHttp2, GoawayAsksAClientForTheEnd) {
  Http2Rig rig(enabled());
  Opening opening;
  Scope scope(rig.runtime().ready());
  scope.spawn(open_into(std::move(*rig.session->open()), opening));
  rig.feed(settings(setting(8, 1) + setting(0x2b60, 1)));
  rig.feed(headers(1, {{":status", "200"}}, false));
  ASSERT_TRUE(opening.session && *opening.session);
  Session& session = ***opening.session;
  EXPECT_FALSE(session.draining());
  rig.feed(goaway(1, Http2Code::no_error));
  EXPECT_TRUE(session.draining());
  EXPECT_FALSE(session.ended());
}

TEST(WebTransportHttp2, AServerWithoutSessionsIsNotAsked) {
  for (const std::string& announced :
       {setting(8, 1), setting(8, 1) + setting(0x2b60, 0), setting(0x2b60, 1)}) {
    Http2Rig rig(enabled());
    Opening opening;
    Scope scope(rig.runtime().ready());
    scope.spawn(open_into(std::move(*rig.session->open()), opening));
    rig.feed(settings(announced));
    ASSERT_TRUE(opening.session && !*opening.session);
    EXPECT_TRUE(opening.session->error().is(Code::unsupported));
    EXPECT_EQ(find(rig.frames(), fallback::kFrameHeaders), nullptr);
  }
}

}  // namespace
}  // namespace tern::webtransport
