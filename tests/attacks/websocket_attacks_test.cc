#include <gtest/gtest.h>

#include "tests/attacks/http3_scene.h"
#include "tests/attacks/tcp_scene.h"
#include "tests/unit/fallback/http2_rig.h"

/// Each attack on WebSockets that http::WebSocketOptions has a limit for, over HTTP/1.1, HTTP/2 and
/// HTTP/3, beside good clients with requests and WebSockets: they keep nine tenths of their
/// goodput, the server's memory stays bounded, and the attacker's WebSockets end where they should.

namespace tern::attacks {
namespace {

namespace h2 = fallback::testing;
namespace h3 = http3::testing;

// ---- WebSocket frames by hand -------------------------------------------------------------------

constexpr std::uint8_t kContinuation = 0;
constexpr std::uint8_t kText = 1;
constexpr std::uint8_t kClose = 8;
constexpr std::uint8_t kPing = 9;
constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kCompressed = 0x40;

/// A client's frame, masked with zeros, which leaves the payload as it is.
std::string frame(std::uint8_t first, std::string_view payload) {
  std::string out(1, static_cast<char>(first));
  if (payload.size() < 126) {
    out += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65'536) {
    out += static_cast<char>(0x80 | 126);
    out += h2::number(payload.size(), 2);
  } else {
    out += static_cast<char>(0x80 | 127);
    out += h2::number(payload.size(), 8);
  }
  out += std::string(4, '\0');
  out += payload;
  return out;
}

struct WebSocketAttack {
  const char* name = "";
  const char* path = "/echo";
  std::function<std::string(std::uint32_t i)> part;  ///< what it says the `i`th time
  std::uint32_t burst = 1;                           ///< parts a round
  Duration pace = 1ms;
  std::size_t connections = 5;  ///< with a WebSocket each
  bool reads = true;
  bool is_ended = true;  ///< the server ends its WebSockets
  bool deflate = false;  ///< offers permessage-deflate
};

std::string repeated(const std::string& one, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += one;
  return all;
}

std::string nothing(std::uint32_t) { return {}; }

/// 16 MB of zeros as one compressed message.
const std::string& bomb() {
  static const std::string made = [] {
    std::string out;
    http::WebSocketDeflater deflater(15, 9, false);
    const std::string zeros(1024 * 1024, '\0');
    for (int i = 0; i < 16; ++i) deflater.deflate(as_bytes(zeros), i == 15, out);
    return frame(kFin | kCompressed | kText, out);
  }();
  return made;
}

std::vector<WebSocketAttack> attacks() {
  std::vector<WebSocketAttack> all;
  const auto add = [&](const char* name) -> WebSocketAttack& {
    all.emplace_back();
    all.back().name = name;
    all.back().part = nothing;
    return all.back();
  };
  WebSocketAttack& slow_reader = add("SlowReader");  // send_timeout
  slow_reader.path = "/push";
  slow_reader.reads = false;
  slow_reader.connections = 20;

  WebSocketAttack& fragments = add("EndlessFragments");  // max_message
  fragments.part = [](std::uint32_t i) {
    return frame(i == 0 ? kText : kContinuation, std::string(1000, 'x'));
  };
  fragments.burst = 5;

  WebSocketAttack& tiny_fragments = add("TinyFragments");
  tiny_fragments.part = [](std::uint32_t i) {
    return (i == 0 ? frame(kText, "x") : std::string()) + repeated(frame(kContinuation, "x"), 100);
  };
  tiny_fragments.is_ended = false;  // a megabyte in 12 s: it goes on until max_message

  WebSocketAttack& empty = add("EmptyFragments");
  empty.part = [](std::uint32_t i) { return frame(i == 0 ? kText : kContinuation, ""); };
  empty.burst = 10;

  WebSocketAttack& pings = add("PingFlood");  // max_control_frames
  pings.part = [](std::uint32_t) { return frame(kFin | kPing, std::string(125, 'p')); };
  pings.burst = 20;

  WebSocketAttack& unread = add("UnreadPongs");
  unread.part = pings.part;
  unread.burst = 20;
  unread.reads = false;

  WebSocketAttack& bombs = add("DeflateBomb");  // max_ratio
  bombs.part = [](std::uint32_t i) { return i == 0 ? bomb() : std::string(); };
  bombs.connections = 20;
  bombs.deflate = true;

  WebSocketAttack& tiny = add("TinyMessages");
  tiny.part = [](std::uint32_t) { return repeated(frame(kFin | kText, "x"), 20); };
  tiny.is_ended = false;  // much of it, but no fault

  WebSocketAttack& unread_echoes = add("UnreadEchoes");  // what waits to be sent holds it up
  unread_echoes.part = [](std::uint32_t i) {
    return i < 600 ? frame(kFin | kText, std::string(10'000, 'x')) : std::string();
  };
  unread_echoes.reads = false;

  WebSocketAttack& half_open = add("HalfOpenClose");  // close_timeout
  half_open.path = "/leave";
  half_open.connections = 50;

  WebSocketAttack& talks_on = add("TalksOnWhenClosed");
  talks_on.path = "/leave";
  talks_on.part = [](std::uint32_t) { return frame(kFin | kText, std::string(1000, 'x')); };

  WebSocketAttack& closes = add("TalksOnAfterItsClose");
  closes.part = [](std::uint32_t i) {
    return frame(kFin | (i == 0 ? kClose : kText), i == 0 ? std::string("\x03\xe8") : "more");
  };

  WebSocketAttack& silent = add("Silent");  // ping_interval, pong_timeout
  silent.connections = 50;

  WebSocketAttack& drip = add("SlowFrame");
  drip.part = [](std::uint32_t i) {
    return i == 0 ? frame(kFin | kText, std::string(60'000, 'x')).substr(0, 8) : "x";
  };
  drip.pace = 500ms;
  drip.connections = 50;
  drip.is_ended = false;  // any byte is a sign of life, and it holds its bytes alone
  return all;
}

// ---- the three doors ----------------------------------------------------------------------------

/// An extended CONNECT, on HTTP/2 and HTTP/3.
h2::Pairs handshake(const WebSocketAttack& attack) {
  h2::Pairs lines = {{":method", "CONNECT"}, {":protocol", "websocket"},
                     {":scheme", "https"},   {":authority", "server"},
                     {":path", attack.path}, {"sec-websocket-version", "13"}};
  if (attack.deflate) lines.emplace_back("sec-websocket-extensions", "permessage-deflate");
  return lines;
}

TcpAttack over_tcp(const WebSocketAttack& attack, fallback::Protocol protocol) {
  TcpAttack made;
  made.name = attack.name;
  made.protocol = protocol;
  made.pace = attack.pace;
  made.burst = attack.burst;
  made.connections = attack.connections;
  made.reads = attack.reads;
  if (protocol == fallback::Protocol::http1) {
    made.greeting = std::string("GET ") + attack.path +
                    " HTTP/1.1\r\nhost: server\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                    (attack.deflate ? "sec-websocket-extensions: permessage-deflate\r\n" : "") +
                    "\r\n";
    made.part = attack.part;
    return made;
  }
  // The largest windows, so that it is the WebSocket's limits that are met.
  made.greeting = h2::preface(h2::setting(4, 0x7fff'ffff)) + h2::settings_ack() +
                  h2::window_update(0, 0x7fff'0000) + h2::headers(1, handshake(attack), false);
  made.part = [part = attack.part](std::uint32_t i) {
    const std::string bytes = part(i);
    std::string frames;
    for (std::size_t at = 0; at < bytes.size(); at += 16'384) {
      frames += h2::data(1, std::string_view(bytes).substr(at, 16'384));
    }
    return frames;
  };
  return made;
}

Http3Attack over_http3(const WebSocketAttack& attack) {
  Http3Attack made;
  made.name = attack.name;
  made.pace = attack.pace;
  made.connections = attack.connections;
  made.reads = attack.reads;
  made.is_ended = false;  // the WebSocket is, not the connection
  made.act = [attack](Http3Peer& peer) {
    if (peer.rounds == 0) {
      peer.raw->uni(h3::control(h3::settings()));
      peer.last = open(peer, h3::headers(handshake(attack)));
      return;
    }
    for (std::uint32_t i = 0; i < attack.burst; ++i) {
      const std::string bytes = attack.part((peer.rounds - 1) * attack.burst + i);
      if (!bytes.empty()) peer.raw->more(peer.last, h3::frame(http3::kFrameData, bytes));
    }
  };
  return made;
}

struct Measured {
  Outcome outcome;
  std::uint64_t opened = 0;
  std::uint64_t closed = 0;
};

enum class Door { http1, http2, http3 };

Measured measure(Door door, const WebSocketAttack* attack) {
  const auto of = [](auto& scene, const auto* made) {
    scene.websockets = true;
    Measured seen;
    seen.outcome = scene.run(made);
    seen.opened = scene.count("websocket.opened");
    seen.closed = scene.count("websocket.closed");
    return seen;
  };
  if (door == Door::http3) {
    Http3Scene scene;
    std::optional<Http3Attack> made;
    if (attack != nullptr) made = over_http3(*attack);
    return of(scene, made ? &*made : nullptr);
  }
  TcpScene scene;
  std::optional<TcpAttack> made;
  if (attack != nullptr) {
    made = over_tcp(*attack,
                    door == Door::http1 ? fallback::Protocol::http1 : fallback::Protocol::http2);
  }
  return of(scene, made ? &*made : nullptr);
}

const Measured& undisturbed(Door door) {
  static const Measured tcp = measure(Door::http1, nullptr);
  static const Measured quic = measure(Door::http3, nullptr);
  return door == Door::http3 ? quic : tcp;
}

/// What fifty WebSockets may cost, with a message and what is under way on each; and what the
/// attacker keeps of it, who lives in this process, too.
constexpr std::size_t kMemory = 64 * 1024 * 1024;

using Row = std::tuple<Door, WebSocketAttack>;
class WebSocketAttacks : public ::testing::TestWithParam<Row> {};

TEST_P(WebSocketAttacks, GoodClientsDoNotNotice) {
  const auto& [door, attack] = GetParam();
  const Measured& before = undisturbed(door);
  const Measured seen = measure(door, &attack);
  EXPECT_GT(before.outcome.good, 1000U);
  EXPECT_GT(before.outcome.echoed, 1000U);
  EXPECT_EQ(seen.outcome.failed, 0U);
  const auto most = [](std::uint64_t count) { return 0.9 * static_cast<double>(count); };
  EXPECT_GE(static_cast<double>(seen.outcome.good), most(before.outcome.good));
  EXPECT_GE(static_cast<double>(seen.outcome.echoed), most(before.outcome.echoed));
  EXPECT_LE(seen.outcome.memory, kMemory);
  EXPECT_EQ(seen.opened - before.opened, attack.connections);
  EXPECT_EQ(seen.closed, attack.is_ended ? attack.connections : 0U);
  RecordProperty("goodput_percent", std::to_string(100 * seen.outcome.good / before.outcome.good));
  RecordProperty("echo_percent", std::to_string(100 * seen.outcome.echoed / before.outcome.echoed));
  RecordProperty("memory", std::to_string(seen.outcome.memory));
}

std::string name_of(const ::testing::TestParamInfo<Row>& row) {
  const Door door = std::get<0>(row.param);
  const char* const over = door == Door::http1 ? "Http1" : door == Door::http2 ? "Http2" : "Http3";
  return std::string(over) + std::get<1>(row.param).name;
}

INSTANTIATE_TEST_SUITE_P(All, WebSocketAttacks,
                         ::testing::Combine(::testing::Values(Door::http1, Door::http2,
                                                              Door::http3),
                                            ::testing::ValuesIn(attacks())),
                         name_of);

}  // namespace
}  // namespace tern::attacks
