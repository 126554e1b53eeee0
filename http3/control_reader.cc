#include "http3/control_reader.h"

#include <cstring>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace tern::http3 {

namespace {

Violation unexpected(std::uint64_t type, std::string_view why) {
  return {ErrorCode::frame_unexpected,
          fmt::format("{} on the control stream{}", frame_name(type), why)};
}

}  // namespace

std::optional<Violation> ControlReader::begin_frame() {
  kept_size_ = 0;
  const std::uint64_t type = walker_.type();
  if (!settings_complete_) {
    in_settings_ = type == kFrameSettings;
    if (in_settings_) return std::nullopt;
    return Violation{ErrorCode::missing_settings,
                     frame_name(type) +
                         " on the control stream before SETTINGS (RFC 9114 section "
                         "6.2.1)"};
  }
  if (is_http2_frame(type)) return unexpected(type, " (RFC 9114 section 7.2.8)");
  switch (type) {
    case kFrameData: return unexpected(type, " (RFC 9114 section 7.2.1)");
    case kFrameHeaders: return unexpected(type, " (RFC 9114 section 7.2.2)");
    case kFramePushPromise: return unexpected(type, " (RFC 9114 section 7.2.5)");
    case kFrameSettings: return unexpected(type, " twice (RFC 9114 section 7.2.4)");
    // We promise no pushes and allow none, so none can be cancelled …
    case kFrameCancelPush:
      return Violation{ErrorCode::id_error,
                       "CANCEL_PUSH, but there are no pushes (RFC 9114 section 7.2.3)"};
    case kFrameMaxPushId:
      if (server_) return std::nullopt;
      return unexpected(type, ", from a server (RFC 9114 section 7.2.7)");
    case kFramePriorityUpdate:
      if (server_) return std::nullopt;
      return unexpected(type, ", from a server (RFC 9218 section 7.2)");
    // … nor be given a priority.
    case kFramePriorityUpdatePush:
      if (!server_) return unexpected(type, ", from a server (RFC 9218 section 7.2)");
      return Violation{ErrorCode::id_error,
                       "PRIORITY_UPDATE of a push, but there are no pushes (RFC 9218 section 7.2)"};
    default: return std::nullopt;
  }
}

std::optional<Violation> ControlReader::add(ByteView payload) {
  if (in_settings_) return parser_.take(payload);
  const std::size_t size = std::min(payload.size(), kKept - kept_size_);
  std::memcpy(kept_.data() + kept_size_, payload.data(), size);
  kept_size_ += size;
  return std::nullopt;
}

std::optional<Violation> ControlReader::end_frame(Frame& frame) {
  if (in_settings_) {
    in_settings_ = false;
    settings_complete_ = true;
    return parser_.finish();
  }
  if (frame.type != kFrameGoaway && frame.type != kFrameMaxPushId) return std::nullopt;
  const std::string name = frame_name(frame.type);
  const auto id = read_varint(frame.payload);
  if (!id || id->size != frame.length) {
    return Violation{ErrorCode::frame_error,
                     fmt::format("{} of {} bytes: it has an ID, and nothing else (RFC 9114 section "
                                 "7.1)",
                                 name, frame.length)};
  }
  frame.id = id->value;
  const auto wrong = [&](std::string_view why) {
    return Violation{ErrorCode::id_error, fmt::format("{} with ID {}{}", name, frame.id, why)};
  };
  if (frame.type == kFrameMaxPushId) {
    if (frame.id < max_push_id_) {
      return wrong(fmt::format(", after {}: it only grows (RFC 9114 section 7.2.7)", max_push_id_));
    }
    max_push_id_ = frame.id;
    return std::nullopt;
  }
  if (frame.id > goaway_id_) {
    return wrong(fmt::format(", after {}: it only shrinks (RFC 9114 section 5.2)", goaway_id_));
  }
  if (!server_ && (frame.id & 3) != 0) {
    return wrong(", which is no request's (RFC 9114 section 7.2.6)");
  }
  goaway_id_ = frame.id;
  return std::nullopt;
}

}  // namespace tern::http3
