#include "http/queued_bytes.h"
#include "tests/unit/http3/rig.h"

namespace tern::http3::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::SizeIs;
using ::testing::StartsWith;

/// The last line of the server's log, without who it is about.
std::string last_line(const Rig& rig) {
  if (rig.server_log.all.empty()) return {};
  const std::string& line = rig.server_log.all.back();
  return line.substr(line.find(": ") + 2);
}

TEST(Limits, ALargeHeaderSectionIsAnsweredWith431) {
  Rig rig(hello);
  rig.connect();
  // The client would refuse to send it: the server has told its limit.
  http::RequestHead head = get("/");
  head.fields.add("big", std::string(70'000, 'x'));
  EXPECT_TRUE(rig.ask(head).error->is(Code::limit));

  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  std::vector<std::pair<std::string, std::string>> lines = {
      {":method", "GET"}, {":scheme", "https"}, {":authority", "server"}, {":path", "/"}};
  for (int i = 0; i < 5; ++i) lines.emplace_back("big", std::string(14'000, 'x'));
  const auto id = peer->bidi(headers(lines));
  rig.world.run_for(1s);
  ASSERT_FALSE(rig.closed) << rig.closed->to_string();
  EXPECT_TRUE(peer->finished[id]);
  EXPECT_THAT(rig.served, ElementsAre("  431"));
  EXPECT_EQ(rig.server_count("http3.limit.fields"), 1u);
  EXPECT_EQ(last_line(rig),
            "stream 0: 431: a header section of more than 65536 bytes (max_field_section)");
  rig.world.run_for(1s);
  EXPECT_EQ(rig.server_session->requests(), 0u);
}

TEST(Limits, TooManyFieldLines) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  std::vector<std::pair<std::string, std::string>> lines = {
      {":method", "GET"}, {":scheme", "https"}, {":authority", "server"}, {":path", "/many"}};
  for (int i = 0; i < 253; ++i) lines.emplace_back("a", "b");
  const auto id = peer->bidi(headers(lines));
  rig.world.run_for(1s);
  EXPECT_TRUE(peer->finished[id]);
  EXPECT_THAT(rig.served, ElementsAre("GET /many 431"));
  EXPECT_EQ(last_line(rig), "stream 0: 431: more than 256 header fields (max_fields)");
}

TEST(Limits, AFieldLineBeyondReason) {
  Rig rig(hello);
  SessionOptions options;
  RawPeer* peer = rig.connect_raw();
  // Announced in a frame that claims to be within limits; the value's own length lies.
  std::string section_bytes("\0\0", 2);
  section_bytes += std::string(
      "\x21"
      "a"
      "\x7f\xff\xff\xff\x7f",
      7);
  peer->bidi(frame(kFrameHeaders, section_bytes + std::string(100, 'x')));
  const Error error = rig.wait_closed(5s);
  EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::excessive_load) << error.to_string();
}

/// A line of 3.9 kB in the dynamic table, then a byte for each time it is meant: checking 30 MB of
/// values for a request of 8 kB is not done a thousand times.
TEST(Limits, QpackBomb) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  std::string insert =
      "\x3f\xe1\x1f"
      "\x41"
      "a"
      "\x7f";
  std::size_t rest = 3900 - 127;
  for (; rest >= 128; rest >>= 7) insert += static_cast<char>(0x80 | (rest & 0x7f));
  insert += static_cast<char>(rest);
  peer->uni(control(settings()));
  peer->uni(varint(kStreamQpackEncoder) + insert + std::string(3900, 'x'));
  rig.world.run_for(100ms);
  std::string bomb =
      section({{":method", "GET"}, {":scheme", "https"}, {":authority", "server"}, {":path", "/"}});
  bomb[0] = '\2';  // one insertion is required
  peer->bidi(frame(kFrameHeaders, bomb + std::string(8000, '\x80')), true);
  const Error error = rig.wait_closed(5s);
  EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::excessive_load) << error.to_string();
  EXPECT_EQ(
      last_line(rig),
      "closed with H3_EXCESSIVE_LOAD: stream 0: a header section more than 16 times above our "
      "limits (max_field_section, max_fields)");
}

TEST(Limits, ALargeResponseHeadFailsTheRequest) {
  SessionOptions small;
  small.max_field_section = 2000;
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        http::Response response;
        response.field("big", std::string(5000, 'x'));
        auto sent = co_await exchange.respond(std::move(response));
        if (sent) co_await exchange.finish();
      },
      RigOptions().client(small));
  rig.connect();
  rig.world.run_for(50ms);
  const Reply reply = rig.ask(get("/"));
  ASSERT_TRUE(reply.error);
  EXPECT_EQ(reply.error->code, code(ErrorCode::internal_error)) << "the server does not send it";
  EXPECT_FALSE(rig.closed);
}

TEST(Limits, ABodyAboveTheLimit) {
  SessionOptions options;
  options.max_body = 1000;
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        auto body = co_await exchange.read_all(1'000'000);
        if (body) co_await exchange.respond(http::Status::ok, *body);
      },
      RigOptions().server(options));
  rig.connect();
  EXPECT_EQ(rig.ask(post("/"), std::string(1000, 'x')).status, 200);

  http::RequestHead announced = post("/");
  announced.fields.add("content-length", "1001");
  EXPECT_EQ(rig.ask(announced, std::string(1001, 'x')).status, 413);
  EXPECT_EQ(last_line(rig), "stream 4: 413: a content-length above 1000 bytes (max_body)");

  const Reply unannounced = rig.ask(post("/"), std::string(2000, 'x'));
  ASSERT_TRUE(unannounced.error);
  EXPECT_EQ(unannounced.error->code, code(ErrorCode::excessive_load));
  EXPECT_EQ(last_line(rig), "stream 8: H3_EXCESSIVE_LOAD: a body above 1000 bytes (max_body)");
  EXPECT_EQ(rig.server_count("http3.limit.body"), 2u);
}

/// Cancels `count` requests as fast as the streams allow.
std::optional<Error> cancel(Rig& rig, RawPeer& peer, int count) {
  for (int i = 0; i < count && !rig.closed; ++i) {
    const auto id = peer.connection().open_bidi();
    if (!id) {
      rig.world.run_for(5ms);
      --i;
      continue;
    }
    peer.connection().write(*id, Bytes::copy(get_headers()), true);
    rig.world.run_for(1ms);
    if (rig.closed) break;  // and the peer is gone
    peer.connection().reset(*id, 0x10c);
    peer.connection().stop_sending(*id, 0x10c);
  }
  rig.world.run_for(1s);
  return rig.closed;
}

Task<void> slow(http::Exchange& exchange) {
  auto body = co_await exchange.read_all(1000);
  co_await exchange.runtime().sleep(200ms);
  co_await exchange.respond(http::Status::ok);
}

TEST(Limits, RapidResetEndsTheConnection) {
  Rig rig(slow);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const auto closed = cancel(rig, *peer, 10'000);
  ASSERT_TRUE(closed.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(closed->code), ErrorCode::excessive_load);
  EXPECT_EQ(rig.server_count("http3.limit.resets"), 1u);
  EXPECT_EQ(
      last_line(rig),
      "closed with H3_EXCESSIVE_LOAD: more than 200 in 10 s: requests that the peer cancelled, "
      "or had us cancel (max_resets)");
  EXPECT_LE(rig.server_count("http3.requests"), 400u);
}

TEST(Limits, ResetsOfStreamsThatNeverBeganCountToo) {
  Rig rig(slow);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  for (int i = 0; i < 10'000 && !rig.closed; ++i) {
    if (const auto id = peer->connection().open_bidi()) {
      peer->connection().reset(*id, 0x10c);
    } else {
      rig.world.run_for(5ms);
    }
  }
  const Error error = rig.wait_closed(1s);
  EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::excessive_load) << error.to_string();
  EXPECT_EQ(rig.server_count("http3.limit.resets"), 1u);
  EXPECT_LE(rig.server_count("http3.requests"), 400u);
}

TEST(Limits, FloodsOfUnidirectionalStreams) {
  // One that is reset before its first byte counts against the stream limit for ever (ngtcp2 1.11).
  struct Flood {
    const char* what;
    const char* last;
    std::function<void(Rig&, quic::StreamId)> talk;
  };
  const Flood floods[] = {
      {"reset within their type", "a stream that ended before its type",
       [](Rig& rig, quic::StreamId id) {
         rig.raw->more(id, "\x40");
         rig.world.run_for(1ms);
         if (!rig.closed) rig.raw->connection().reset(id, 0x10c);
       }},
      {"ended before their type", "a stream that ended before its type",
       [](Rig& rig, quic::StreamId id) { rig.raw->more(id, "", true); }},
      {"ended within their type", "a stream that ended before its type",
       [](Rig& rig, quic::StreamId id) { rig.raw->more(id, "\x40", true); }},
      {"of an unknown type", "refused with H3_STREAM_CREATION_ERROR",
       [](Rig& rig, quic::StreamId id) { rig.raw->more(id, varint(0x21) + "x"); }},
  };
  for (const auto& [what, last, talk] : floods) {
    SCOPED_TRACE(what);
    Rig rig(slow);
    RawPeer* peer = rig.connect_raw();
    peer->uni(control(settings()));
    for (int i = 0; i < 10'000 && !rig.closed; ++i) {
      if (const auto id = peer->connection().open_uni()) {
        talk(rig, *id);
      } else {
        rig.world.run_for(5ms);
      }
    }
    const Error error = rig.wait_closed(1s);
    EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::excessive_load) << error.to_string();
    EXPECT_EQ(rig.server_count("http3.limit.glitches"), 1u);
    EXPECT_THAT(last_line(rig), StartsWith("closed with H3_EXCESSIVE_LOAD: more than 1000 in 10 s: "
                                           "oddities (max_glitches), the last one "));
    EXPECT_THAT(last_line(rig), EndsWith(last));
  }
}

/// CVE-2025-8671: the client breaks the rules once a handler runs, and has us reset the request.
TEST(Limits, MadeYouReset) {
  const auto body = [](int length) {
    return headers({{":method", "POST"},
                    {":scheme", "https"},
                    {":authority", "server"},
                    {":path", "/"},
                    {"content-length", std::to_string(length)}});
  };
  const std::string ways[] = {
      body(1) + frame(kFrameData, "xx"),
      body(10) + frame(kFrameData, "x") + headers({{":path", "/"}}),
  };
  for (const std::string& way : ways) {
    Rig rig(slow);
    RawPeer* peer = rig.connect_raw();
    peer->uni(control(settings()));
    for (int i = 0; i < 10'000 && !rig.closed; ++i) {
      if (const auto id = rig.raw->connection().open_bidi()) {
        rig.raw->connection().write(*id, Bytes::copy(way), false);
      }
      rig.world.run_for(2ms);
    }
    const Error error = rig.wait_closed(1s);
    EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::excessive_load) << error.to_string();
    EXPECT_EQ(rig.server_count("http3.limit.resets"), 1u);
    EXPECT_LE(rig.server_count("http3.requests"), 400u);
  }
}

TEST(Limits, AFewCancelledRequestsAreFine) {
  Rig rig(slow);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  EXPECT_FALSE(cancel(rig, *peer, 190).has_value());
  rig.world.run_for(1s);
  EXPECT_EQ(rig.server_session->requests(), 0u);
}

TEST(Limits, StopSendingAloneCountsToo) {
  Rig rig(slow);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  for (int i = 0; i < 1000 && !rig.closed; ++i) {
    const auto id = peer->connection().open_bidi();
    if (!id) {
      rig.world.run_for(20ms);
      continue;
    }
    peer->connection().write(*id, Bytes::copy(get_headers()), true);
    peer->connection().stop_sending(*id, 0x10c);
    rig.world.run_for(2ms);
  }
  ASSERT_TRUE(rig.closed.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(rig.closed->code), ErrorCode::excessive_load);
}

TEST(Limits, FloodsOfFramesThatMeanNothing) {
  struct Flood {
    const char* what;
    const char* last;
    std::function<void(RawPeer&)> talk;
  };
  constexpr auto kOnControl = "a frame on the control stream that changes nothing or a priority";
  const Flood floods[] = {
      {"unknown frames on the control stream", kOnControl,
       [](RawPeer& peer) {
         std::string frames;
         for (int i = 0; i < 5000; ++i) frames += frame(0x21, "");
         peer.uni(control(settings() + frames));
       }},
      {"priority updates", kOnControl,
       [](RawPeer& peer) {
         std::string frames;
         for (int i = 0; i < 5000; ++i) frames += frame(kFramePriorityUpdate, varint(0) + "u=1");
         peer.uni(control(settings() + frames));
       }},
      {"empty DATA frames", "an empty DATA",
       [](RawPeer& peer) {
         std::string frames;
         for (int i = 0; i < 5000; ++i) frames += frame(kFrameData, "");
         peer.bidi(get_headers() + frames);
       }},
      {"unknown frames on a request stream", "a frame of an unknown type",
       [](RawPeer& peer) {
         std::string frames;
         for (int i = 0; i < 5000; ++i) frames += frame(0x21, "");
         peer.bidi(frames);
       }},
  };
  for (const auto& [what, last, talk] : floods) {
    SCOPED_TRACE(what);
    Rig rig(slow);
    RawPeer* peer = rig.connect_raw();
    talk(*peer);
    const Error error = rig.wait_closed(10s);
    EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::excessive_load) << error.to_string();
    EXPECT_EQ(rig.server_count("http3.limit.glitches"), 1u);
    EXPECT_EQ(last_line(rig), std::string("closed with H3_EXCESSIVE_LOAD: more than 1000 in 10 s: "
                                          "oddities (max_glitches), the last one ") +
                                  last);
  }
}

TEST(Limits, FloodOfMalformedMessages) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const Bytes request = Bytes::copy(headers({{":method", "GET"}, {"a\"b", "c"}}));
  for (int i = 0; i < 10'000 && !rig.closed; ++i) {
    if (const auto id = peer->connection().open_bidi()) {
      peer->connection().write(*id, Bytes(request), true);
    } else {
      rig.world.run_for(5ms);
    }
  }
  const Error error = rig.wait_closed(1s);
  EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::excessive_load) << error.to_string();
  const std::uint64_t malformed = rig.server_count("http3.malformed");
  EXPECT_LE(malformed, 1100u);
  EXPECT_EQ(
      last_line(rig),
      "closed with H3_EXCESSIVE_LOAD: more than 1000 in 10 s: oddities (max_glitches), the "
      "last one stream " +
          std::to_string(4 * (malformed - 1)) +
          ": H3_MESSAGE_ERROR: RFC 9114: the field name \"a\\x22b\", which is no token (section "
          "10.3)");
}

TEST(Limits, AnEmptyDataFrameMayEndEveryMessage) {
  // What servers send that learn of the end after the last byte, aioquic's among them.
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const Bytes request = Bytes::copy(get_headers() + frame(kFrameData, ""));
  for (int sent = 0; sent < 1500 && !rig.closed;) {
    if (const auto id = peer->connection().open_bidi()) {
      peer->connection().write(*id, Bytes(request), true);
      ++sent;
    } else {
      rig.world.run_for(5ms);
    }
  }
  rig.world.run_for(1s);
  ASSERT_FALSE(rig.closed) << rig.closed->to_string();
  EXPECT_EQ(rig.served.size(), 1500u);
  EXPECT_EQ(rig.server_count("http3.limit.glitches"), 0u);
}

TEST(Limits, AHeaderSectionThatNeverEnds) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const std::string bytes = get_headers();
  const auto id = peer->bidi(bytes.substr(0, bytes.size() - 1));
  const auto silent = peer->bidi("\x40");
  for (int i = 0; i < 9; ++i) {
    rig.world.run_for(1s);
    peer->connection().send_datagram(Bytes::copy(varint(100)));  // keeps the connection alive
  }
  EXPECT_EQ(peer->resets.count(id), 0u);
  rig.world.run_for(2s);
  EXPECT_EQ(peer->resets[id], code(ErrorCode::request_incomplete));
  EXPECT_EQ(peer->resets[silent], code(ErrorCode::request_incomplete));
  EXPECT_FALSE(rig.closed);
  EXPECT_EQ(rig.server_count("http3.timeouts"), 2u);
  EXPECT_THAT(rig.server_log.all,
              ElementsAre(EndsWith(": stream 4: its type did not come within 10 s (head_timeout)"),
                          EndsWith(": stream 0: the request's head did not come within 10 s "
                                   "(head_timeout)")));
  peer->connection().reset(id, 0);
  peer->connection().reset(silent, 0);
  rig.world.run_for(1s);
  EXPECT_EQ(rig.server_session->requests(), 0u);
}

TEST(Limits, StreamsThatAreNeverFinished) {
  // As many as the client may open, again and again; half of them do not even say what they are.
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  std::vector<quic::StreamId> opened;
  for (int second = 0; second < 50; ++second) {
    while (const auto id = peer->connection().open_bidi()) {
      peer->more(*id, opened.size() % 2 == 0 ? get_headers().substr(0, 20) : "\x40");
      opened.push_back(*id);
    }
    rig.world.run_for(1s);
    EXPECT_LE(rig.server_session->requests(), 128u);
  }
  EXPECT_GE(opened.size(), 4u * 128);
  rig.world.run_for(15s);
  for (const quic::StreamId id : opened) {
    ASSERT_EQ(peer->resets[id], code(ErrorCode::request_incomplete)) << id;
  }
  EXPECT_EQ(rig.server_session->requests(), 0u);
  EXPECT_EQ(rig.server_count("http3.timeouts"), opened.size());
  EXPECT_FALSE(rig.closed);
}

TEST(Limits, ABodyThatNeverEnds) {
  std::optional<Error> seen;
  SessionOptions options;
  options.body_timeout = 5s;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        auto body = co_await exchange.read_all(1000);
        if (!body) seen = body.error();
      },
      RigOptions().server(options));
  RawPeer* peer = rig.connect_raw();
  const auto id = peer->bidi(get_headers() + frame(kFrameData, "some"));
  rig.world.run_for(4s);
  peer->more(id, frame(kFrameData, "more"));
  rig.world.run_for(4s);
  EXPECT_FALSE(seen.has_value()) << "the clock starts again with each piece";
  rig.world.run_for(3s);
  ASSERT_TRUE(seen.has_value());
  EXPECT_TRUE(seen->is(Code::timed_out)) << seen->to_string();
  EXPECT_EQ(last_line(rig), "stream 0: the request's body did not go on for 5 s (body_timeout)");
  EXPECT_EQ(peer->resets[id], code(ErrorCode::request_incomplete));
}

TEST(Limits, ATunnelMayBeSilent) {
  SessionOptions options;
  options.body_timeout = 2s;
  options.head_timeout = 2s;
  quic::TransportOptions transport;
  transport.idle_timeout = 60s;
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        http::Response head;
        co_await exchange.start(head);
        for (;;) {
          auto piece = co_await exchange.read();
          if (!piece || piece->empty()) co_return;
        }
      },
      RigOptions().server(options).transport(transport));
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const auto tunnel = peer->bidi(headers({{":method", "CONNECT"}, {":authority", "x:1"}}));
  const auto stream = peer->bidi(get_headers() + frame(kFrameData, "a call that streams"));
  rig.world.run_for(20s);
  EXPECT_EQ(peer->resets.count(tunnel), 0u);
  EXPECT_EQ(peer->resets.count(stream), 0u) << "its response has begun";
}

TEST(Limits, AClientThatStopsReadingIsLeft) {
  SessionOptions options;
  options.send_timeout = 10s;
  quic::TransportOptions transport;
  transport.initial_stream_window = 10'000;
  std::optional<Error> seen;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        http::Response head;
        co_await exchange.start(head);
        for (;;) {
          Bytes piece = Bytes::copy(std::string(100'000, 'x'));
          auto sent = co_await exchange.write(std::move(piece));
          if (!sent) {
            seen = sent.error();
            co_return;
          }
        }
      },
      RigOptions().server(options).client_transport(transport));
  RawPeer* peer = rig.connect_raw();
  peer->consume = false;
  peer->uni(control(settings()));
  const auto id = peer->bidi(get_headers(), true);
  for (int i = 0; i < 9; ++i) {
    rig.world.run_for(1s);
    peer->connection().send_datagram(Bytes::copy(varint(100)));
  }
  EXPECT_FALSE(seen.has_value());
  for (int i = 0; i < 3; ++i) {
    rig.world.run_for(1s);
    if (!rig.closed) peer->connection().send_datagram(Bytes::copy(varint(100)));
  }
  EXPECT_TRUE(seen.has_value());
  if (!rig.closed) {
    EXPECT_EQ(peer->resets[id], code(ErrorCode::excessive_load));
  } else {
    EXPECT_EQ(static_cast<ErrorCode>(rig.closed->code), ErrorCode::excessive_load);
  }
  EXPECT_EQ(rig.server_count("http3.stalled"), 1u);
  EXPECT_THAT(rig.server_log.all, Contains(EndsWith("for 10 s (send_timeout)")));
}

TEST(Limits, AConnectionThatTakesNothingIsClosed) {
  SessionOptions options;
  options.send_timeout = 10s;
  quic::TransportOptions transport;
  transport.initial_window = 20'000;
  transport.initial_stream_window = 50'000;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        co_await exchange.respond(http::Status::ok, std::string(40'000, 'x'));
      },
      RigOptions().server(options).client_transport(transport));
  RawPeer* peer = rig.connect_raw();
  peer->consume = false;
  peer->uni(control(settings()));
  peer->bidi(get_headers(), true);
  for (int i = 0; i < 12 && !rig.closed; ++i) {
    rig.world.run_for(1s);
    if (!rig.closed) peer->connection().send_datagram(Bytes::copy(varint(100)));
  }
  ASSERT_TRUE(rig.closed.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(rig.closed->code), ErrorCode::excessive_load);
}

/// Who asks for much and takes nothing does not make the server keep as much for each request.
TEST(Limits, RequestsShareWhatAConnectionMayQueue) {
  constexpr std::size_t kRequests = 40;
  constexpr std::size_t kPieces = 20;
  constexpr std::size_t kPiece = 16 * 1024;
  std::size_t queued = 0;
  std::size_t answered = 0;
  quic::TransportOptions transport;
  transport.initial_stream_window = 1000;
  Rig rig(
      [&](http::Exchange& exchange) -> Task<void> {
        http::Response head;
        co_await exchange.start(head);
        for (std::size_t i = 0; i < kPieces; ++i) {
          queued += kPiece;
          auto sent = co_await exchange.write(Bytes::copy(std::string(kPiece, 'x')));
          if (!sent) co_return;
        }
        co_await exchange.finish();
        ++answered;
      },
      RigOptions().client_transport(transport));
  RawPeer* peer = rig.connect_raw();
  peer->consume = false;
  peer->uni(control(settings()));
  for (std::size_t i = 0; i < kRequests; ++i) peer->bidi(get_headers(), true);
  rig.world.run_for(1s);
  EXPECT_LE(queued, http::QueuedBytes::kMost + http::Outgoing::kHighWater + 2 * kPiece * kRequests);
  EXPECT_EQ(answered, 0u);
  // Nobody is forgotten.
  peer->consume = true;
  for (const auto& [id, bytes] : peer->received) peer->connection().consumed(id, bytes.size());
  EXPECT_TRUE(rig.world.run_until([&] { return answered == kRequests; }, 60s));
}

TEST(Limits, SmallPiecesDoNotPinLargeBlocks) {
  // One byte a packet on a stream that nobody reads, while others go by: what is kept is the bytes.
  bool go = false;
  std::string got;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    if (exchange.request().path == "/slow") {
      while (!go) co_await exchange.runtime().sleep(100ms);
    }
    auto body = co_await exchange.read_all(1'000'000);
    if (exchange.request().path == "/slow") got = *body;
    co_await exchange.respond(http::Status::ok);
  });
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const auto slow_id = peer->bidi(get_headers("/slow") + varint(kFrameData) + varint(300));
  const auto other = peer->bidi(get_headers("/other"));
  for (int i = 0; i < 300; ++i) {
    peer->more(slow_id, std::string(1, static_cast<char>('a' + i % 26)), i == 299);
    peer->more(other, frame(kFrameData, std::string(1000, 'x')), i == 299);
    rig.world.run_for(1ms);
  }
  go = true;
  rig.world.run_for(1s);
  ASSERT_EQ(got.size(), 300u);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(got[i], static_cast<char>('a' + i % 26));
}

}  // namespace
}  // namespace tern::http3::testing
