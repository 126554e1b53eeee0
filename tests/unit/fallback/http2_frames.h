#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "http/fallback/http2_code.h"

/// HTTP/2's frames, written and read by hand.

namespace tern::fallback::testing {

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
inline std::string goaway(std::uint32_t last, Http2Code code, std::string_view text = {}) {
  return frame(kFrameGoaway, 0, 0,
               number(last, 4) + number(static_cast<std::uint32_t>(code), 4) + std::string(text));
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

}  // namespace tern::fallback::testing
