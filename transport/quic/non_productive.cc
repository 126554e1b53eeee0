#include "transport/quic/non_productive.h"

#include <algorithm>

#include "base/varint.h"

namespace tern::quic {

namespace {

/// Frame types (RFC 9000 §19) whose fields have to be skipped; all are one byte long.
constexpr std::uint8_t kPadding = 0x00;
constexpr std::uint8_t kPing = 0x01;
constexpr std::uint8_t kAck = 0x02;
constexpr std::uint8_t kAckEcn = 0x03;
constexpr std::uint8_t kMaxData = 0x10;
constexpr std::uint8_t kMaxStreamData = 0x11;
constexpr std::uint8_t kMaxStreamsBidi = 0x12;
constexpr std::uint8_t kMaxStreamsUni = 0x13;
constexpr std::uint8_t kDataBlocked = 0x14;
constexpr std::uint8_t kStreamDataBlocked = 0x15;
constexpr std::uint8_t kStreamsBlockedBidi = 0x16;
constexpr std::uint8_t kStreamsBlockedUni = 0x17;
constexpr std::uint8_t kNewConnectionId = 0x18;
constexpr std::uint8_t kRetireConnectionId = 0x19;
constexpr std::uint8_t kPathChallenge = 0x1a;
constexpr std::uint8_t kPathResponse = 0x1b;

constexpr std::size_t kPathDataSize = 8;
constexpr std::size_t kResetTokenSize = 16;

/// Skips `count` varints; false if they are not all there.
bool skip_varints(ByteView& rest, std::uint64_t count) noexcept {
  for (; count > 0; --count) {
    if (rest.empty()) return false;
    const std::size_t size = varint_size_of(rest[0]);
    if (rest.size() < size) return false;
    rest = rest.subspan(size);
  }
  return true;
}

bool skip_bytes(ByteView& rest, std::size_t count) noexcept {
  if (rest.size() < count) return false;
  rest = rest.subspan(count);
  return true;
}

/// Largest acknowledged, delay, range count, first range; then two numbers a range, and with ECN
/// three counts.
bool skip_ack(ByteView& rest, bool ecn) noexcept {
  if (!skip_varints(rest, 2)) return false;
  const auto ranges = read_varint(rest);
  if (!ranges || ranges->value > rest.size()) return false;
  return skip_varints(rest, 2 + 2 * ranges->value + (ecn ? 3 : 0));
}

}  // namespace

bool NonProductivePackets::non_productive(ByteView payload) noexcept {
  bool wants_ack = false;
  while (!payload.empty()) {
    const std::uint8_t type = payload[0];
    payload = payload.subspan(1);
    wants_ack = wants_ack || type == kPing || type > kAckEcn;
    bool whole = true;
    switch (type) {
      case kPadding: {
        const auto frame =
            std::find_if(payload.begin(), payload.end(), [](std::uint8_t b) { return b != 0; });
        payload = payload.subspan(static_cast<std::size_t>(frame - payload.begin()));
        break;
      }
      case kPing: break;
      case kAck:
      case kAckEcn: whole = skip_ack(payload, type == kAckEcn); break;
      case kMaxData:
      case kMaxStreamsBidi:
      case kMaxStreamsUni:
      case kDataBlocked:
      case kStreamsBlockedBidi:
      case kStreamsBlockedUni:
      case kRetireConnectionId: whole = skip_varints(payload, 1); break;
      case kMaxStreamData:
      case kStreamDataBlocked: whole = skip_varints(payload, 2); break;
      case kPathChallenge:
      case kPathResponse: whole = skip_bytes(payload, kPathDataSize); break;
      case kNewConnectionId: {
        whole = skip_varints(payload, 2) && !payload.empty();
        if (whole) whole = skip_bytes(payload, 1 + std::size_t{payload[0]} + kResetTokenSize);
        break;
      }
      default: return false;  // STREAM, CRYPTO, DATAGRAM, the end of a stream or of the connection
    }
    if (!whole) return false;
  }
  return wants_ack;
}

}  // namespace tern::quic
