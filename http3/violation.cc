#include "http3/violation.h"

#include <fmt/format.h>

#include "http3/frame_walker.h"

namespace tern::http3 {

std::string frame_name(std::uint64_t type) {
  switch (type) {
    case kFrameData: return "DATA";
    case kFrameHeaders: return "HEADERS";
    case 0x02: return "HTTP/2's PRIORITY";
    case kFrameCancelPush: return "CANCEL_PUSH";
    case kFrameSettings: return "SETTINGS";
    case kFramePushPromise: return "PUSH_PROMISE";
    case 0x06: return "HTTP/2's PING";
    case kFrameGoaway: return "GOAWAY";
    case 0x08: return "HTTP/2's WINDOW_UPDATE";
    case 0x09: return "HTTP/2's CONTINUATION";
    case kFrameMaxPushId: return "MAX_PUSH_ID";
    case kFramePriorityUpdate: return "PRIORITY_UPDATE";
    case kFramePriorityUpdatePush: return "PRIORITY_UPDATE of a push";
    default: return fmt::format("frame {:#x}", type);
  }
}

}  // namespace tern::http3
