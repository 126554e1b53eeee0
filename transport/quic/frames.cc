#include "transport/quic/frames.h"

#include <algorithm>

#include "base/varint.h"

namespace tern::quic {

namespace {

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

/// Stream, offset and length, as far as the type has them.
bool skip_stream(ByteView& rest, std::uint8_t type) noexcept {
  if (!skip_varints(rest, (type & kStreamOffset) != 0 ? 2 : 1)) return false;
  if ((type & kStreamLength) == 0) {
    rest = {};
    return true;
  }
  const auto length = read_varint(rest);
  if (!length || length->value > rest.size() - length->size) return false;
  return skip_bytes(rest, length->size + static_cast<std::size_t>(length->value));
}

}  // namespace

bool skip_frame(ByteView& rest) noexcept {
  const std::uint8_t type = rest[0];
  rest = rest.subspan(1);
  switch (type) {
    case kPadding: {
      const auto frame =
          std::find_if(rest.begin(), rest.end(), [](std::uint8_t b) { return b != 0; });
      rest = rest.subspan(static_cast<std::size_t>(frame - rest.begin()));
      return true;
    }
    case kPing: return true;
    case kAck:
    case kAckEcn: return skip_ack(rest, type == kAckEcn);
    case kMaxData:
    case kMaxStreamsBidi:
    case kMaxStreamsUni:
    case kDataBlocked:
    case kStreamsBlockedBidi:
    case kStreamsBlockedUni:
    case kRetireConnectionId: return skip_varints(rest, 1);
    case kMaxStreamData:
    case kStreamDataBlocked: return skip_varints(rest, 2);
    case kPathChallenge:
    case kPathResponse: return skip_bytes(rest, kPathDataSize);
    case kNewConnectionId:
      return skip_varints(rest, 2) && !rest.empty() &&
             skip_bytes(rest, 1 + std::size_t{rest[0]} + kResetTokenSize);
    default: break;
  }
  if (type >= kStream && type <= kStreamLast) return skip_stream(rest, type);
  return false;
}

void drop_path_challenges(MutableBytes payload) noexcept {
  while (!payload.empty()) {
    ByteView rest = payload;
    if (!skip_frame(rest)) return;
    const MutableBytes frame = payload.first(payload.size() - rest.size());
    if (frame[0] == kPathChallenge) std::fill(frame.begin(), frame.end(), kPadding);
    payload = payload.last(rest.size());
  }
}

}  // namespace tern::quic
