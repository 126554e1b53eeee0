#include "http3/control_reader.h"

#include <cstring>

namespace tern::http3 {

namespace {
constexpr std::uint64_t kFrameCancelPush = 0x03;
constexpr std::uint64_t kFrameMaxPushId = 0x0d;
}  // namespace

std::optional<ErrorCode> ControlReader::begin_frame() noexcept {
  kept_size_ = 0;
  // Whether SETTINGS comes first, and once, nghttp3 sees to.
  in_settings_ = walker_.type() == kFrameSettings && !settings_complete_;
  // We promise no pushes and allow none, so none can be cancelled (RFC 9114 §7.2.3).
  if (walker_.type() == kFrameCancelPush && settings_complete_) return ErrorCode::id_error;
  return std::nullopt;
}

std::optional<ErrorCode> ControlReader::add(ByteView payload) {
  if (in_settings_) return parser_.take(payload);
  const std::size_t size = std::min(payload.size(), kKept - kept_size_);
  std::memcpy(kept_.data() + kept_size_, payload.data(), size);
  kept_size_ += size;
  return std::nullopt;
}

std::optional<ErrorCode> ControlReader::end_frame() noexcept {
  if (in_settings_) {
    in_settings_ = false;
    settings_complete_ = true;
    return parser_.finish();
  }
  if (walker_.type() == kFrameMaxPushId && server_ && settings_complete_) {
    // It may only grow (RFC 9114 §7.2.7).
    if (const auto id = read_varint(ByteView(kept_.data(), kept_size_))) {
      if (id->value < max_push_id_) return ErrorCode::id_error;
      max_push_id_ = id->value;
    }
  }
  return std::nullopt;
}

}  // namespace tern::http3
