#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

/// Frames of 1-RTT packets, as far as something here looks for one beside ngtcp2. Internal to
/// transport/quic.

namespace tern::quic {

/// Types (RFC 9000 §19), all one byte long.
inline constexpr std::uint8_t kPadding = 0x00;
inline constexpr std::uint8_t kPing = 0x01;
inline constexpr std::uint8_t kAck = 0x02;
inline constexpr std::uint8_t kAckEcn = 0x03;
inline constexpr std::uint8_t kStream = 0x08;  // … to 0x0f
inline constexpr std::uint8_t kStreamLast = 0x0f;
inline constexpr std::uint8_t kStreamLength = 0x02;  // bits of those
inline constexpr std::uint8_t kStreamOffset = 0x04;
inline constexpr std::uint8_t kMaxData = 0x10;
inline constexpr std::uint8_t kMaxStreamData = 0x11;
inline constexpr std::uint8_t kMaxStreamsBidi = 0x12;
inline constexpr std::uint8_t kMaxStreamsUni = 0x13;
inline constexpr std::uint8_t kDataBlocked = 0x14;
inline constexpr std::uint8_t kStreamDataBlocked = 0x15;
inline constexpr std::uint8_t kStreamsBlockedBidi = 0x16;
inline constexpr std::uint8_t kStreamsBlockedUni = 0x17;
inline constexpr std::uint8_t kNewConnectionId = 0x18;
inline constexpr std::uint8_t kRetireConnectionId = 0x19;
inline constexpr std::uint8_t kPathChallenge = 0x1a;
inline constexpr std::uint8_t kPathResponse = 0x1b;

/// Moves `rest` behind the frame at its start, PADDING as many as follow each other. False for what
/// is not whole or not known here: `rest` is of no use then.
bool skip_frame(ByteView& rest) noexcept;

/// Makes PADDING of every PATH_CHALLENGE, as far as the payload is well-formed.
void drop_path_challenges(MutableBytes payload) noexcept;

}  // namespace tern::quic
