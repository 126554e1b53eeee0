#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::fallback {

/// Error codes of HTTP/2 (RFC 9113 §7), in RST_STREAM and GOAWAY.
enum class Http2Code : std::uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  settings_timeout = 0x4,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  connect_error = 0xa,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
  http_1_1_required = 0xd,
};

/// The registered name, e.g. "ENHANCE_YOUR_CALM"; empty for a code without one.
std::string_view name(Http2Code code) noexcept;

/// Frame types (RFC 9113 §6, RFC 9218 §7.1).
inline constexpr std::uint8_t kFrameData = 0x0;
inline constexpr std::uint8_t kFrameHeaders = 0x1;
inline constexpr std::uint8_t kFramePriority = 0x2;
inline constexpr std::uint8_t kFrameRstStream = 0x3;
inline constexpr std::uint8_t kFrameSettings = 0x4;
inline constexpr std::uint8_t kFramePushPromise = 0x5;
inline constexpr std::uint8_t kFramePing = 0x6;
inline constexpr std::uint8_t kFrameGoaway = 0x7;
inline constexpr std::uint8_t kFrameWindowUpdate = 0x8;
inline constexpr std::uint8_t kFrameContinuation = 0x9;
inline constexpr std::uint8_t kFramePriorityUpdate = 0x10;

/// "PING"; "frame 0x42" for a type that neither RFC has.
std::string frame_name(std::uint8_t type);

inline constexpr std::uint8_t kFlagEndStream = 0x1;  // DATA, HEADERS
inline constexpr std::uint8_t kFlagAck = 0x1;        // SETTINGS, PING
inline constexpr std::uint8_t kFlagEndHeaders = 0x4;
inline constexpr std::uint8_t kFlagPadded = 0x8;
inline constexpr std::uint8_t kFlagPriority = 0x20;

/// What a client begins with (RFC 9113 §3.4).
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace tern::fallback
