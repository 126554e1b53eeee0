#pragma once

#include <cstdint>

/// Capsules of WebTransport over HTTP/2 (draft-ietf-webtrans-http2-15 §9), of which HTTP/3 uses the
/// session's, and of DATAGRAM (RFC 9297 §3.5).

namespace tern::webtransport::capsule_type {

inline constexpr std::uint64_t kDatagram = 0x00;
inline constexpr std::uint64_t kCloseSession = 0x2843;
inline constexpr std::uint64_t kDrainSession = 0x78ae;
inline constexpr std::uint64_t kPadding = 0x190b4d38;
inline constexpr std::uint64_t kResetStream = 0x190b4d39;
inline constexpr std::uint64_t kStopSending = 0x190b4d3a;
inline constexpr std::uint64_t kStreamWithFin = 0x190b4d3b;
inline constexpr std::uint64_t kStream = 0x190b4d3c;
inline constexpr std::uint64_t kMaxData = 0x190b4d3d;
inline constexpr std::uint64_t kMaxStreamData = 0x190b4d3e;
inline constexpr std::uint64_t kMaxStreamsBidirectional = 0x190b4d3f;
inline constexpr std::uint64_t kMaxStreamsUnidirectional = 0x190b4d40;
inline constexpr std::uint64_t kDataBlocked = 0x190b4d41;
inline constexpr std::uint64_t kStreamDataBlocked = 0x190b4d42;
inline constexpr std::uint64_t kStreamsBlockedBidirectional = 0x190b4d43;
inline constexpr std::uint64_t kStreamsBlockedUnidirectional = 0x190b4d44;

}  // namespace tern::webtransport::capsule_type
