#include "http/fallback/http2_code.h"

#include <fmt/format.h>

namespace tern::fallback {

std::string_view name(Http2Code code) noexcept {
  switch (code) {
    case Http2Code::no_error: return "NO_ERROR";
    case Http2Code::protocol_error: return "PROTOCOL_ERROR";
    case Http2Code::internal_error: return "INTERNAL_ERROR";
    case Http2Code::flow_control_error: return "FLOW_CONTROL_ERROR";
    case Http2Code::settings_timeout: return "SETTINGS_TIMEOUT";
    case Http2Code::stream_closed: return "STREAM_CLOSED";
    case Http2Code::frame_size_error: return "FRAME_SIZE_ERROR";
    case Http2Code::refused_stream: return "REFUSED_STREAM";
    case Http2Code::cancel: return "CANCEL";
    case Http2Code::compression_error: return "COMPRESSION_ERROR";
    case Http2Code::connect_error: return "CONNECT_ERROR";
    case Http2Code::enhance_your_calm: return "ENHANCE_YOUR_CALM";
    case Http2Code::inadequate_security: return "INADEQUATE_SECURITY";
    case Http2Code::http_1_1_required: return "HTTP_1_1_REQUIRED";
  }
  return {};
}

std::string frame_name(std::uint8_t type) {
  switch (type) {
    case kFrameData: return "DATA";
    case kFrameHeaders: return "HEADERS";
    case kFramePriority: return "PRIORITY";
    case kFrameRstStream: return "RST_STREAM";
    case kFrameSettings: return "SETTINGS";
    case kFramePushPromise: return "PUSH_PROMISE";
    case kFramePing: return "PING";
    case kFrameGoaway: return "GOAWAY";
    case kFrameWindowUpdate: return "WINDOW_UPDATE";
    case kFrameContinuation: return "CONTINUATION";
    case kFramePriorityUpdate: return "PRIORITY_UPDATE";
    default: return fmt::format("frame {:#x}", type);
  }
}

}  // namespace tern::fallback
