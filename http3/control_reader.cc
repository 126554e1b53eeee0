#include "http3/control_reader.h"

#include <cstring>

namespace tern::http3 {

std::optional<ErrorCode> ControlReader::begin_frame() noexcept {
  kept_size_ = 0;
  const std::uint64_t type = walker_.type();
  // RFC 9114 §6.2.1 and §7.2.4: SETTINGS comes first, and once.
  if (!settings_complete_) {
    in_settings_ = type == kFrameSettings;
    return in_settings_ ? std::nullopt : std::optional(ErrorCode::missing_settings);
  }
  if (is_http2_frame(type)) return ErrorCode::frame_unexpected;
  switch (type) {
    case kFrameData:
    case kFrameHeaders:
    case kFrameSettings:
    case kFramePushPromise: return ErrorCode::frame_unexpected;
    // We promise no pushes and allow none, so none can be cancelled (RFC 9114 §7.2.3) …
    case kFrameCancelPush: return ErrorCode::id_error;
    case kFrameMaxPushId:
    case kFramePriorityUpdate:
      return server_ ? std::nullopt : std::optional(ErrorCode::frame_unexpected);
    // … nor be given a priority (RFC 9218 §7.2).
    case kFramePriorityUpdatePush:
      return server_ ? ErrorCode::id_error : ErrorCode::frame_unexpected;
    default: return std::nullopt;
  }
}

std::optional<ErrorCode> ControlReader::add(ByteView payload) {
  if (in_settings_) return parser_.take(payload);
  const std::size_t size = std::min(payload.size(), kKept - kept_size_);
  std::memcpy(kept_.data() + kept_size_, payload.data(), size);
  kept_size_ += size;
  return std::nullopt;
}

std::optional<ErrorCode> ControlReader::end_frame(Frame& frame) noexcept {
  if (in_settings_) {
    in_settings_ = false;
    settings_complete_ = true;
    return parser_.finish();
  }
  if (frame.type != kFrameGoaway && frame.type != kFrameMaxPushId) return std::nullopt;
  // RFC 9114 §7.1: an identifier, and nothing else.
  const auto id = read_varint(frame.payload);
  if (!id || id->size != frame.length) return ErrorCode::frame_error;
  frame.id = id->value;
  if (frame.type == kFrameMaxPushId) {
    // It may only grow (RFC 9114 §7.2.7), GOAWAY's only shrink (§5.2).
    if (frame.id < max_push_id_) return ErrorCode::id_error;
    max_push_id_ = frame.id;
    return std::nullopt;
  }
  const bool request = (frame.id & 3) == 0;
  if (frame.id > goaway_id_ || (!server_ && !request)) return ErrorCode::id_error;
  goaway_id_ = frame.id;
  return std::nullopt;
}

}  // namespace tern::http3
