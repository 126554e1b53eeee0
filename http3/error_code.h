#pragma once

#include <cstdint>
#include <string_view>

namespace tern::http3 {

/// Application error codes of HTTP/3 (RFC 9114 §8.1), QPACK (RFC 9204 §6), HTTP datagrams (RFC
/// 9297 §5.2) and WebTransport's of streams and connections (draft-ietf-webtrans-http3 §9.5).
enum class ErrorCode : std::uint64_t {
  datagram_error = 0x33,
  no_error = 0x100,
  general_protocol_error = 0x101,
  internal_error = 0x102,
  stream_creation_error = 0x103,
  closed_critical_stream = 0x104,
  frame_unexpected = 0x105,
  frame_error = 0x106,
  excessive_load = 0x107,
  id_error = 0x108,
  settings_error = 0x109,
  missing_settings = 0x10a,
  request_rejected = 0x10b,
  request_cancelled = 0x10c,
  request_incomplete = 0x10d,
  message_error = 0x10e,
  connect_error = 0x10f,
  version_fallback = 0x110,
  qpack_decompression_failed = 0x200,
  qpack_encoder_stream_error = 0x201,
  qpack_decoder_stream_error = 0x202,
  wt_session_gone = 0x170d7b68,
  wt_requirements_not_met = 0x212c0d48,
  wt_buffered_stream_rejected = 0x3994bd84,
};

constexpr std::uint64_t code(ErrorCode error) noexcept { return static_cast<std::uint64_t>(error); }

/// The registered name, e.g. "H3_FRAME_UNEXPECTED"; empty for a code without one.
std::string_view name(ErrorCode error) noexcept;

}  // namespace tern::http3
