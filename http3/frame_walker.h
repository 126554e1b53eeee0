#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/varint.h"

namespace tern::http3 {

/// Frame types (RFC 9114 §7.2, RFC 9218 §7.2) and the WebTransport signal, which looks like one.
inline constexpr std::uint64_t kFrameData = 0x00;
inline constexpr std::uint64_t kFrameHeaders = 0x01;
inline constexpr std::uint64_t kFrameCancelPush = 0x03;
inline constexpr std::uint64_t kFrameSettings = 0x04;
inline constexpr std::uint64_t kFramePushPromise = 0x05;
inline constexpr std::uint64_t kFrameGoaway = 0x07;
inline constexpr std::uint64_t kFrameMaxPushId = 0x0d;
inline constexpr std::uint64_t kFramePriorityUpdate = 0xf0700;
inline constexpr std::uint64_t kFramePriorityUpdatePush = 0xf0701;
inline constexpr std::uint64_t kSignalWebTransport = 0x41;

/// Types of unidirectional streams (RFC 9114 §6.2, RFC 9204 §4.2).
inline constexpr std::uint64_t kStreamControl = 0x00;
inline constexpr std::uint64_t kStreamPush = 0x01;
inline constexpr std::uint64_t kStreamQpackEncoder = 0x02;
inline constexpr std::uint64_t kStreamQpackDecoder = 0x03;
inline constexpr std::uint64_t kStreamWebTransport = 0x54;

/// 0x1f·N+0x21: reserved to exercise that unknown values are ignored (RFC 9114 §7.2.8 and others).
constexpr bool is_grease(std::uint64_t value) noexcept {
  return value >= 0x21 && (value - 0x21) % 0x1f == 0;
}

/// HTTP/2's PRIORITY, PING, WINDOW_UPDATE and CONTINUATION: errors here (RFC 9114 §7.2.8).
constexpr bool is_http2_frame(std::uint64_t type) noexcept {
  return type == 0x02 || type == 0x06 || type == 0x08 || type == 0x09;
}

/// Follows the frames of one stream, however its bytes are cut, and keeps nothing of them but the
/// position.
class FrameWalker {
 public:
  enum class Step : std::uint8_t {
    more,     ///< everything is taken; a frame's header is not complete
    header,   ///< a frame's header is complete: type() and length()
    payload,  ///< bytes of the payload of that frame; left() more follow
  };

  /// Takes one step's bytes off the front of `bytes` (not empty); those of a payload are put into
  /// `payload`.
  Step next(ByteView& bytes, ByteView& payload) noexcept {
    if (left_ > 0) {
      const std::size_t size =
          bytes.size() < left_ ? bytes.size() : static_cast<std::size_t>(left_);
      payload = bytes.first(size);
      bytes = bytes.subspan(size);
      left_ -= size;
      return Step::payload;
    }
    if (!have_type_) {
      if (!reader_.take(bytes)) return Step::more;
      type_ = reader_.value();
      have_type_ = true;
    }
    if (!reader_.take(bytes)) return Step::more;
    have_type_ = false;
    length_ = left_ = reader_.value();
    return Step::header;
  }

  std::uint64_t type() const noexcept { return type_; }
  std::uint64_t length() const noexcept { return length_; }
  std::uint64_t left() const noexcept { return left_; }
  /// The last `size` bytes of the payload were not read: they come again.
  void give_back(std::size_t size) noexcept { left_ += size; }
  /// Within the type of a frame.
  bool in_type() const noexcept { return left_ == 0 && !have_type_ && reader_.partial(); }
  /// At a frame's end, or at the stream's beginning: where a stream may end.
  bool between_frames() const noexcept { return left_ == 0 && !have_type_ && !reader_.partial(); }

 private:
  VarintReader reader_;
  std::uint64_t type_ = 0;
  std::uint64_t length_ = 0;
  std::uint64_t left_ = 0;
  bool have_type_ = false;
};

}  // namespace tern::http3
