#include <algorithm>

#include "tests/unit/fallback/http2_rig.h"

/// What a client may not do too often, too slowly or too much: http::Limits and SessionOptions.

namespace tern::fallback::testing {
namespace {

using ::testing::HasSubstr;

Task<void> handler(http::Exchange& exchange) {
  const std::string& path = exchange.request().path;
  if (path == "/wait") {
    co_await exchange.runtime().sleep(1h);
  } else if (path == "/body") {
    auto body = co_await exchange.read_all();
    if (!body) co_return;
  } else if (path == "/big") {
    co_await exchange.respond(http::Status::ok, std::string(1'000'000, 'x'));
    co_return;
  }
  co_await exchange.respond(http::Status::ok, "fine");
}

void greet(Http2Rig& rig, std::string entries = {}) {
  rig.feed(preface(entries) + settings_ack());
  rig.frames();
}

/// Feeds `part(i)` until the connection ends; the GOAWAY's code then. Fails after `most` parts.
template <typename Part>
Http2Code flood(Http2Rig& rig, std::size_t most, Part&& part, std::size_t* parts = nullptr) {
  for (std::size_t i = 0; i < most; ++i) {
    rig.feed(part(static_cast<std::uint32_t>(i)));
    if (parts != nullptr) *parts = i + 1;
    const auto heard = rig.frames();
    if (const Frame* said = find(heard, kFrameGoaway)) {
      EXPECT_TRUE(rig.wire().finished);
      return said->code(4);
    }
  }
  ADD_FAILURE() << "the connection goes on";
  return Http2Code::no_error;
}

TEST(Http2Limits, RapidReset) {
  Http2Rig rig(handler);
  greet(rig);
  std::size_t parts = 0;
  const Http2Code code = flood(
      rig, 1000, [](std::uint32_t i) { return post(2 * i + 1, "/body") + rst(2 * i + 1); }, &parts);
  EXPECT_EQ(code, Http2Code::enhance_your_calm);
  EXPECT_NEAR(static_cast<double>(parts), 200, 5);
  EXPECT_EQ(rig.count("http2.limit.resets"), 1U);
  EXPECT_EQ(logged(rig.log, "closed with "),
            "ENHANCE_YOUR_CALM: more than 200 in 10 s: requests that the peer cancelled, or had us "
            "cancel (max_resets)");
  // Others are not concerned.
  rig.more();
  greet(rig);
  rig.feed(get(1));
  const auto heard = rig.frames();
  ASSERT_NE(find(heard, kFrameHeaders), nullptr);
}

TEST(Http2Limits, AFewCancelledRequestsAreFine) {
  Http2Rig rig(handler);
  greet(rig);
  for (std::uint32_t i = 0; i < 150; ++i) rig.feed(post(2 * i + 1, "/body") + rst(2 * i + 1));
  rig.feed(get(1001));
  const auto heard = rig.frames();
  EXPECT_EQ(find(heard, kFrameGoaway), nullptr);
  EXPECT_NE(find(heard, kFrameHeaders), nullptr);
  EXPECT_EQ(rig.session->requests(), 0U);
}

/// CVE-2025-8671: the client has us reset what it began.
TEST(Http2Limits, MadeYouReset) {
  const auto malformed_body = [](std::uint32_t id) {
    return headers(id, plus(request("POST", "/body"), {{"content-length", "1"}}), false) +
           data(id, "xx");
  };
  const auto bad_trailers = [](std::uint32_t id) {
    return post(id, "/body") + headers(id, {{":path", "/"}});
  };
  const auto bad_length = [](std::uint32_t id) {
    return headers(id, plus(request("POST", "/body"), {{"content-length", "5"}}), false) +
           data(id, "x", true);
  };
  const std::function<std::string(std::uint32_t)> ways[] = {malformed_body, bad_trailers,
                                                            bad_length};
  for (const auto& way : ways) {
    Http2Rig rig(handler);
    greet(rig);
    std::size_t parts = 0;
    const Http2Code code =
        flood(rig, 1000, [&](std::uint32_t i) { return way(2 * i + 1); }, &parts);
    EXPECT_EQ(code, Http2Code::enhance_your_calm);
    EXPECT_LE(parts, 205U);
    EXPECT_EQ(rig.count("http2.limit.resets"), 1U);
  }
}

/// Handlers that do not notice are as many as requests may be open; what comes beyond is refused.
TEST(Http2Limits, RapidResetOfStubbornHandlers) {
  Http2Rig rig(handler);
  greet(rig);
  std::size_t parts = 0;
  const Http2Code code = flood(
      rig, 1500, [](std::uint32_t i) { return get(2 * i + 1, "/wait") + rst(2 * i + 1); }, &parts);
  // Debian's nghttp2 has a limit of its own for resets, about as high as ours for refusals.
  EXPECT_TRUE(code == Http2Code::enhance_your_calm || code == Http2Code::internal_error);
  EXPECT_LE(parts, 128U + 1205U);
  EXPECT_EQ(rig.count("http2.requests"), 128U);
}

/// The other ways of CVE-2025-8671 end the connection at once.
TEST(Http2Limits, MadeYouResetByOneFrame) {
  const std::string ways[] = {
      get(1, "/wait") + window_update(1, 0),
      get(1, "/wait") + window_update(1, 0x7fff'ffff),
      get(1, "/wait") + data(1, "x"),
      get(1, "/wait") + headers(1, {{"a", "b"}}),
      get(1, "/wait") + frame(kFramePriority, 0, 1, "abcd"),
  };
  for (const std::string& way : ways) {
    Http2Rig rig(handler);
    greet(rig);
    EXPECT_NE(flood(rig, 1, [&](std::uint32_t) { return way; }), Http2Code::no_error);
  }
  // A stream that depends on itself depends on nothing: we take no such priorities.
  Http2Rig rig(handler);
  greet(rig);
  EXPECT_EQ(flood(rig, 2000,
                  [](std::uint32_t) { return frame(kFramePriority, 0, 1, number(1, 4) + "\x10"); }),
            Http2Code::enhance_your_calm);
  EXPECT_EQ(rig.count("http2.limit.glitches"), 1U);
}

TEST(Http2Limits, FloodsOfFramesThatMeanNothing) {
  const std::pair<const char*, std::string> floods[] = {
      {"PING", ping()},
      {"PING ACK", ping("12345678", true)},
      {"SETTINGS", settings()},
      {"SETTINGS that change much", settings(setting(1, 0) + setting(1, 4096))},
      {"PRIORITY", frame(kFramePriority, 0, 99, number(0, 4) + "\x10")},
      {"PRIORITY_UPDATE", frame(kFramePriorityUpdate, 0, 0, number(1, 4) + "u=1")},
      {"WINDOW_UPDATE", window_update(0, 1)},
      {"WINDOW_UPDATE of a stream", window_update(1, 1)},
      {"empty DATA", data(1, "")},
      {"empty padded DATA", frame(kFrameData, kFlagPadded, 1, std::string(1, '\0'))},
      {"unknown", frame(0x42, 0, 0, "x")},
      {"RST_STREAM of what is over", rst(3)},
      {"GOAWAY", goaway(0, Http2Code::no_error)},
  };
  for (const auto& [what, one] : floods) {
    SCOPED_TRACE(what);
    Http2Rig rig(handler);
    greet(rig);
    rig.feed(post(1, "/body") + get(3));
    rig.frames();
    std::string many;
    for (int i = 0; i < 50; ++i) many += one;
    std::size_t parts = 0;
    const Http2Code code = flood(rig, 40, [&](std::uint32_t) { return many; }, &parts);
    EXPECT_GE(parts, 20U);
    EXPECT_LE(parts, 24U);
    // Debian's nghttp2 has a limit of its own for resets, about as high as ours.
    if (one[3] == kFrameRstStream && code == Http2Code::internal_error) continue;
    EXPECT_EQ(code, Http2Code::enhance_your_calm);
    EXPECT_EQ(rig.count("http2.limit.glitches"), 1U);
    EXPECT_THAT(logged(rig.log, "closed with "),
                HasSubstr("more than 1000 in 10 s: oddities (max_glitches), the last one " +
                          frame_name(static_cast<std::uint8_t>(one[3])) + " on stream "));
  }
}

/// A client that takes much says so often.
TEST(Http2Limits, WindowUpdatesForWhatWasSentAreFine) {
  Http2Rig rig(handler);
  greet(rig);
  rig.feed(get(1, "/big"));
  std::size_t got = 0;
  for (int i = 0; i < 20'000 && got < 1'000'000; ++i) {
    for (const Frame& one : rig.frames()) {
      if (one.type != kFrameData) continue;
      got += one.payload.size();
      const auto size = static_cast<std::uint32_t>(one.payload.size());
      rig.feed(window_update(1, size) + window_update(0, size));
    }
  }
  EXPECT_EQ(got, 1'000'000U);
  EXPECT_EQ(rig.count("http2.limit.glitches"), 0U);
}

/// haproxy says so for each part of a frame that it reads; gRPC sends a PING besides, to measure
/// the bandwidth.
TEST(Http2Limits, WindowUpdatesAndPingsForPartsOfFramesAreFine) {
  SessionOptions options;
  options.max_glitches = 10;
  Http2Rig rig(handler, options);
  greet(rig);
  rig.feed(get(1, "/big"));
  std::size_t got = 0;
  for (int i = 0; i < 20'000 && got < 1'000'000; ++i) {
    for (const Frame& one : rig.frames()) {
      if (one.type != kFrameData) continue;
      got += one.payload.size();
      rig.feed(ping());
      for (std::size_t left = one.payload.size(); left > 0;) {
        const std::size_t part = std::min<std::size_t>(left, 1400);
        const auto size = static_cast<std::uint32_t>(part);
        rig.feed(window_update(1, size) + window_update(0, size));
        left -= part;
      }
    }
  }
  EXPECT_EQ(got, 1'000'000U);
  EXPECT_EQ(rig.count("http2.limit.glitches"), 0U);
}

TEST(Http2Limits, AcknowledgementsThatNobodyReads) {
  SessionOptions options;
  options.max_glitches = 1'000'000;
  Http2Rig rig(handler, options);
  greet(rig);
  rig.wire().hold = true;
  rig.wire().held = 1'000'000;
  std::string many;
  for (int i = 0; i < 300; ++i) many += ping();
  rig.feed(many);
  rig.world.run_for(1s);
  EXPECT_EQ(rig.count("http2.errors"), 1U);
  EXPECT_THAT(rig.log.all.back(), HasSubstr("ENHANCE_YOUR_CALM"));
  EXPECT_THAT(rig.log.all.back(), HasSubstr("(max_unsent_acks)"));
}

TEST(Http2Limits, ContinuationFlood) {
  Http2Rig rig(handler);
  greet(rig);
  std::size_t parts = 0;
  rig.feed(frame(kFrameHeaders, kFlagEndStream, 1, block(request())));
  EXPECT_EQ(flood(
                rig, 100,
                [](std::uint32_t) { return frame(kFrameContinuation, 0, 1, block({{"a", "b"}})); },
                &parts),
            Http2Code::enhance_your_calm);
  EXPECT_EQ(parts, 9U);
  EXPECT_EQ(rig.count("http2.limit.continuations"), 1U);
}

TEST(Http2Limits, EmptyContinuations) {
  SessionOptions options;
  options.max_continuations = 1'000'000;
  options.max_glitches = 5;
  Http2Rig rig(handler, options);
  greet(rig);
  rig.feed(frame(kFrameHeaders, kFlagEndStream, 1, block(request())));
  EXPECT_EQ(flood(rig, 8, [](std::uint32_t) { return frame(kFrameContinuation, 0, 1); }),
            Http2Code::enhance_your_calm);
}

/// A line of 4 kB in the dynamic table, then a byte for each time it is meant.
TEST(Http2Limits, HpackBomb) {
  Http2Rig rig(handler);
  greet(rig);
  std::string bytes = block(request()) +
                      "\x40\x01"
                      "a"
                      "\x7f" +
                      static_cast<char>(0xc0 - 0x3f) + "\x1e" +
                      std::string(127 + (0xc0 - 0x3f - 0x80) + 30 * 128, 'x');
  bytes += std::string(12'000, '\xbe');
  rig.feed(frame(kFrameHeaders, kFlagEndHeaders | kFlagEndStream, 1, bytes));
  const auto heard = rig.frames();
  const Frame* said = find(heard, kFrameGoaway);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->code(4), Http2Code::enhance_your_calm);
  EXPECT_THAT(said->payload, HasSubstr("header section"));
  EXPECT_EQ(logged(rig.log, "closed with "),
            "ENHANCE_YOUR_CALM: stream 1: a header section more than 16 times above our limits "
            "(max_field_section, max_fields)");
}

TEST(Http2Limits, OversizedSectionsAreAnsweredWith431) {
  SessionOptions options;
  options.max_field_section = 8000;
  Http2Rig rig(handler, options);
  greet(rig);
  rig.feed(headers(1, plus(request(), {{"a", std::string(9000, 'x')}})));
  auto heard = rig.frames();
  EXPECT_EQ(find(heard, kFrameGoaway), nullptr);
  ASSERT_NE(find(heard, kFrameHeaders), nullptr);
  EXPECT_EQ(rig.count("http2.limit.fields"), 1U);
  EXPECT_EQ(logged(rig.log, "stream 1: "),
            "431: a header section of more than 8000 bytes (max_field_section)");
  Pairs many = request();
  for (int i = 0; i < 300; ++i) many.emplace_back("a", "b");
  rig.feed(headers(3, many));
  EXPECT_EQ(rig.count("http2.limit.fields"), 2U);
  rig.feed(get(5));
  heard = rig.frames();
  EXPECT_EQ(heard.back().stream, 5U);
  EXPECT_EQ(rig.session->requests(), 0U);
}

TEST(Http2Limits, BodiesAboveTheLimit) {
  SessionOptions options;
  options.max_body = 1000;
  Http2Rig rig(handler, options);
  greet(rig);
  rig.feed(headers(1, plus(request("POST", "/body"), {{"content-length", "2000"}}), false));
  EXPECT_EQ(rig.count("http2.limit.body"), 1U);
  EXPECT_EQ(logged(rig.log, "stream 1: "), "413: a content-length above 1000 bytes (max_body)");
  auto heard = rig.frames();
  ASSERT_NE(find(heard, kFrameHeaders), nullptr);
  rig.feed(post(3, "/body") + data(3, std::string(1001, 'x')));
  heard = rig.frames();
  const Frame* reset = find(heard, kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->stream, 3U);
  EXPECT_EQ(reset->code(), Http2Code::enhance_your_calm);
  EXPECT_EQ(rig.count("http2.limit.body"), 2U);
  EXPECT_EQ(logged(rig.log, "stream 3: "), "ENHANCE_YOUR_CALM: a body above 1000 bytes (max_body)");
}

TEST(Http2Limits, RequestsBeyondTheLimit) {
  SessionOptions options;
  options.max_requests = 4;
  Http2Rig rig(handler, options);
  greet(rig);
  std::string many;
  for (std::uint32_t i = 0; i < 5; ++i) many += get(2 * i + 1, "/wait");
  rig.feed(many);
  const auto heard = rig.frames();
  const Frame* said = find(heard, kFrameGoaway);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->code(4), Http2Code::protocol_error);
}

/// The stream has gone, the handler has not: it counts.
TEST(Http2Limits, HandlersThatStillRunCount) {
  SessionOptions options;
  options.max_requests = 4;
  options.max_resets = 1000;
  Http2Rig rig(handler, options);
  greet(rig);
  for (std::uint32_t i = 0; i < 4; ++i) rig.feed(get(2 * i + 1, "/wait") + rst(2 * i + 1));
  rig.frames();
  rig.feed(get(9));
  const auto heard = rig.frames();
  const Frame* reset = find(heard, kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->code(), Http2Code::refused_stream);
  EXPECT_EQ(rig.count("http2.streams_refused"), 1U);
}

// ---- time ---------------------------------------------------------------------------------------

TEST(Http2Limits, NoPreface) {
  Http2Rig rig(handler);
  rig.world.run_for(11s);
  EXPECT_TRUE(rig.wire().gone);
  EXPECT_EQ(rig.count("http2.timeouts"), 1U);
  EXPECT_EQ(logged(rig.log, "closed with "),
            "PROTOCOL_ERROR: the peer's SETTINGS did not come within 10 s (head_timeout)");
}

TEST(Http2Limits, APrefaceThatNeverEnds) {
  Http2Rig rig(handler);
  for (std::size_t i = 0; i < kHttp2Preface.size(); ++i) {
    rig.feed(std::string(kHttp2Preface.substr(i, 1)));
    rig.world.run_for(1s);
  }
  EXPECT_TRUE(rig.wire().gone);
}

TEST(Http2Limits, SettingsThatAreNotAcknowledged) {
  Http2Rig rig(handler);
  rig.feed(preface() + get(1, "/wait"));
  rig.frames();
  rig.world.run_for(31s);
  const auto heard = rig.frames();
  const Frame* said = find(heard, kFrameGoaway);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->code(4), Http2Code::settings_timeout);
  EXPECT_EQ(logged(rig.log, "closed with "),
            "SETTINGS_TIMEOUT: the peer did not acknowledge our SETTINGS within 30 s");
}

TEST(Http2Limits, AHeaderSectionThatNeverEnds) {
  Http2Rig rig(handler);
  greet(rig);
  const std::string bytes = get(1);
  for (std::size_t i = 0; i + 1 < bytes.size() && !rig.wire().gone; ++i) {
    rig.feed(bytes.substr(i, 1));
    rig.world.run_for(1s);
  }
  EXPECT_TRUE(rig.wire().gone);
  const auto heard = rig.frames();
  const Frame* said = find(heard, kFrameGoaway);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->code(4), Http2Code::enhance_your_calm);
  EXPECT_EQ(rig.count("http2.timeouts"), 1U);
  EXPECT_EQ(logged(rig.log, "closed with "),
            "ENHANCE_YOUR_CALM: a header section did not end within 10 s (head_timeout)");
}

TEST(Http2Limits, ABodyThatNeverEnds) {
  Http2Rig rig(handler);
  greet(rig);
  rig.feed(post(1, "/body") + data(1, "x"));
  rig.world.run_for(59s);
  EXPECT_EQ(rig.session->requests(), 1U);
  rig.world.run_for(3s);
  const auto heard = rig.frames();
  const Frame* reset = find(heard, kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->stream, 1U);
  EXPECT_EQ(rig.session->requests(), 0U);
  EXPECT_FALSE(rig.wire().gone);
  EXPECT_EQ(logged(rig.log, "stream 1: "),
            "the request's body did not go on for 60 s (body_timeout)");
}

TEST(Http2Limits, AStreamWindowThatStaysClosed) {
  Http2Rig rig(handler);
  greet(rig, setting(4, 0));
  rig.feed(get(1, "/big"));
  rig.world.run_for(60s);
  rig.feed(get(3));  // its answer waits as well
  rig.world.run_for(70s);
  const auto heard = rig.frames();
  const Frame* reset = find(heard, kFrameRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->stream, 1U);
  EXPECT_EQ(reset->code(), Http2Code::enhance_your_calm);
  EXPECT_EQ(rig.count("http2.stalled"), 1U);
  EXPECT_FALSE(rig.wire().gone);
  EXPECT_EQ(logged(rig.log, "stream 1: "),
            "the client did not open its window for 120 s (send_timeout)");
}

TEST(Http2Limits, AConnectionWindowThatStaysClosed) {
  Http2Rig rig(handler);
  greet(rig, setting(4, 10'000'000));
  rig.feed(get(1, "/big"));
  rig.world.run_for(125s);
  EXPECT_TRUE(rig.wire().gone);
  EXPECT_EQ(rig.count("http2.stalled"), 1U);
  EXPECT_EQ(logged(rig.log, "closed with "),
            "ENHANCE_YOUR_CALM: the client did not open the connection's window for 120 s "
            "(send_timeout)");
}

TEST(Http2Limits, AClientThatDoesNotRead) {
  Http2Rig rig(handler);
  greet(rig, setting(4, 10'000'000));
  rig.wire().hold = true;
  rig.feed(window_update(0, 10'000'000) + get(1, "/big"));
  EXPECT_LE(rig.wire().held, 200'000U);
  rig.world.run_for(125s);
  EXPECT_TRUE(rig.wire().reset);
  EXPECT_EQ(rig.count("http2.stalled"), 1U);
  EXPECT_THAT(rig.log.all.back(),
              HasSubstr("the peer took nothing of what we send for 120 s (send_timeout)"));
}

TEST(Http2Limits, AnOldConnectionWhoseClientDoesNotReadEndsAfterItsGrace) {
  Http2Rig rig(handler, {}, {5s, 2s});
  greet(rig, setting(4, 10'000'000));
  rig.wire().hold = true;
  rig.feed(window_update(0, 10'000'000) + get(1, "/big"));
  rig.world.run_for(6400ms);
  EXPECT_EQ(rig.context->sessions(), 1U);
  EXPECT_EQ(rig.count("http2.aged"), 1U);
  rig.world.run_for(1200ms);
  EXPECT_EQ(rig.context->sessions(), 0U);
  EXPECT_EQ(rig.count("http2.stalled"), 0U);
}

TEST(Http2Limits, ATunnelMayBeSilent) {
  Http2Rig rig([](http::Exchange& exchange) -> Task<void> {
    http::Response response(http::Status::ok);
    co_await exchange.start(std::move(response));
    auto body = co_await exchange.read_all();
  });
  greet(rig);
  rig.feed(headers(1,
                   {{":method", "CONNECT"},
                    {":protocol", "websocket"},
                    {":scheme", "https"},
                    {":path", "/"},
                    {":authority", "server"}},
                   false));
  rig.world.run_for(1000s);
  EXPECT_EQ(rig.session->requests(), 1U);
  EXPECT_FALSE(rig.wire().gone);
}

}  // namespace
}  // namespace tern::fallback::testing
