#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "http/fallback/context.h"
#include "http/fallback/http2_code.h"
#include "tests/unit/fallback/hand_stream.h"
#include "transport/sim/world.h"

/// HTTP/2 by hand: a session of ours on a stream that the test holds the other end of, and the
/// frames that go over it.

namespace tern::fallback::testing {

using namespace std::chrono_literals;

// ---- frames
// --------------------------------------------------------------------------------------

inline std::string number(std::uint64_t value, std::size_t size) {
  std::string text;
  for (std::size_t i = size; i-- > 0;) text += static_cast<char>(value >> 8 * i);
  return text;
}

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload = {}) {
  return number(payload.size(), 3) + static_cast<char>(type) + static_cast<char>(flags) +
         number(stream, 4) + std::string(payload);
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// An HPACK block of literals that are not indexed (RFC 7541 §6.2.2), without Huffman coding.
inline std::string block(const Pairs& lines) {
  std::string out;
  const auto text = [&](std::string_view value) {
    std::size_t size = value.size();
    if (size < 127) {
      out += static_cast<char>(size);
    } else {
      out += static_cast<char>(127);
      for (size -= 127; size >= 128; size >>= 7) out += static_cast<char>(0x80 | (size & 0x7f));
      out += static_cast<char>(size);
    }
    out += value;
  };
  for (const auto& [name, value] : lines) {
    out += '\0';
    text(name);
    text(value);
  }
  return out;
}

inline Pairs request(std::string method = "GET", std::string path = "/") {
  return {{":method", std::move(method)},
          {":scheme", "https"},
          {":path", std::move(path)},
          {":authority", "server"}};
}
inline Pairs plus(Pairs lines, const Pairs& more) {
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

inline std::string headers(std::uint32_t stream, const Pairs& lines, bool end = true) {
  return frame(kFrameHeaders,
               static_cast<std::uint8_t>(kFlagEndHeaders | (end ? kFlagEndStream : 0)), stream,
               block(lines));
}
inline std::string get(std::uint32_t stream, std::string path = "/") {
  return headers(stream, request("GET", std::move(path)));
}
inline std::string post(std::uint32_t stream, std::string path = "/") {
  return headers(stream, request("POST", std::move(path)), false);
}
inline std::string data(std::uint32_t stream, std::string_view payload, bool end = false) {
  return frame(kFrameData, end ? kFlagEndStream : 0, stream, payload);
}
inline std::string setting(std::uint16_t id, std::uint32_t value) {
  return number(id, 2) + number(value, 4);
}
inline std::string settings(std::string_view entries = {}) {
  return frame(kFrameSettings, 0, 0, entries);
}
inline std::string settings_ack() { return frame(kFrameSettings, kFlagAck, 0); }
inline std::string window_update(std::uint32_t stream, std::uint32_t increment) {
  return frame(kFrameWindowUpdate, 0, stream, number(increment, 4));
}
inline std::string rst(std::uint32_t stream, Http2Code code = Http2Code::cancel) {
  return frame(kFrameRstStream, 0, stream, number(static_cast<std::uint32_t>(code), 4));
}
inline std::string ping(std::string_view opaque = "12345678", bool ack = false) {
  return frame(kFramePing, ack ? kFlagAck : 0, 0, opaque);
}
inline std::string goaway(std::uint32_t last, Http2Code code) {
  return frame(kFrameGoaway, 0, 0, number(last, 4) + number(static_cast<std::uint32_t>(code), 4));
}
inline std::string preface(std::string_view entries = {}) {
  return std::string(kHttp2Preface) + settings(entries);
}

struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
  std::uint32_t word(std::size_t at = 0) const {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4 && i < payload.size(); ++i) {
      value = value << 8 | static_cast<std::uint8_t>(payload[i]);
    }
    return value;
  }
  Http2Code code(std::size_t at = 0) const { return static_cast<Http2Code>(word(at)); }
  bool end_stream() const { return (flags & kFlagEndStream) != 0; }
  /// What HPACK makes of the commonest statuses (RFC 7541 Appendix A).
  int status() const {
    if (payload.empty()) return 0;
    std::size_t at = 0;
    while (at < payload.size() && (static_cast<std::uint8_t>(payload[at]) & 0xe0) == 0x20) ++at;
    switch (static_cast<std::uint8_t>(payload[at])) {
      case 0x88: return 200;
      case 0x89: return 204;
      case 0x8b: return 304;
      case 0x8c: return 400;
      case 0x8d: return 404;
      case 0x8e: return 500;
      default: return -1;
    }
  }
};

inline std::vector<Frame> parse(std::string_view bytes) {
  std::vector<Frame> all;
  while (bytes.size() >= 9) {
    const auto byte = [&](std::size_t i) {
      return std::uint32_t{static_cast<std::uint8_t>(bytes[i])};
    };
    const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() < 9 + size) break;
    Frame one;
    one.type = static_cast<std::uint8_t>(byte(3));
    one.flags = static_cast<std::uint8_t>(byte(4));
    one.stream = (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fff'ffff;
    one.payload = bytes.substr(9, size);
    all.push_back(std::move(one));
    bytes.remove_prefix(9 + size);
  }
  EXPECT_TRUE(bytes.empty()) << bytes.size() << " bytes that are no frame";
  return all;
}

/// Collects a runtime's log.
class Lines final : public LogSink {
 public:
  bool enabled(LogLevel) const noexcept override { return true; }
  void line(LogLevel, std::string_view text) noexcept override { all.emplace_back(text); }
  std::vector<std::string> all;
};

/// One session of ours; the test is its peer.
class Http2Rig {
 public:
  /// A server with that handler.
  explicit Http2Rig(http::Handler handler, SessionOptions options = {}) : Http2Rig() {
    http::ServerHooks hooks;
    hooks.handler = std::move(handler);
    context.emplace(runtime(), std::move(options), std::move(hooks));
    more();
  }
  /// A client.
  explicit Http2Rig(SessionOptions options) : Http2Rig() {
    context.emplace(runtime(), std::move(options));
    wires.push_back(std::make_shared<Wire>());
    ClientHooks hooks;
    hooks.goaway = [this] { ++goaways; };
    hooks.closed = [this](const Error& error) {
      closed = error;
      session = nullptr;
    };
    session = &context->connect(std::make_unique<HandStream>(wires.back()), Protocol::http2, hooks);
    world.run_for(1ms);
  }
  ~Http2Rig() { context.reset(); }

  Runtime& runtime() { return world.host("here").runtime(); }
  Wire& wire() { return *wires.back(); }
  /// Another connection to the server.
  void more() {
    wires.push_back(std::make_shared<Wire>());
    session = &context->accept(std::make_unique<HandStream>(wires.back()), Protocol::http2);
    world.run_for(1ms);
  }

  /// The session gets these bytes, in pieces of `piece`, and answers.
  void feed(std::string bytes, std::size_t piece = SIZE_MAX) {
    feed(wire(), std::move(bytes), piece);
  }
  void feed(Wire& to, std::string bytes, std::size_t piece = SIZE_MAX) {
    for (std::size_t at = 0; at < bytes.size() && to.sink != nullptr;
         at += std::min(piece, bytes.size())) {
      std::string part = bytes.substr(at, piece);
      to.sink->receive(*to.stream,
                       MutableBytes(reinterpret_cast<std::uint8_t*>(part.data()), part.size()));
    }
    world.run_for(1ms);
  }
  void feed_end() {
    if (wire().sink != nullptr) wire().sink->end_of_stream(*wire().stream);
    world.run_for(1ms);
  }
  /// What the session has sent since the last call.
  std::vector<Frame> frames() { return frames(wire()); }
  std::vector<Frame> frames(Wire& from) {
    std::string bytes = std::exchange(from.sent, std::string());
    if (bytes.starts_with(kHttp2Preface)) bytes.erase(0, kHttp2Preface.size());
    return parse(bytes);
  }
  std::uint64_t count(std::string_view name) { return runtime().counters().at(name).value(); }

  Lines log;
  std::vector<std::shared_ptr<Wire>> wires;
  sim::World world{1};
  std::optional<Context> context;
  Session* session = nullptr;
  std::optional<Error> closed;
  int goaways = 0;

 private:
  Http2Rig() { runtime().log_to(log); }
};

/// The first frame of that type.
inline const Frame* find(const std::vector<Frame>& all, std::uint8_t type) {
  for (const Frame& one : all) {
    if (one.type == type) return &one;
  }
  return nullptr;
}
inline std::size_t count_of(const std::vector<Frame>& all, std::uint8_t type) {
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const Frame& one) { return one.type == type; }));
}

}  // namespace tern::fallback::testing
