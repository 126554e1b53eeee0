#include "http/fallback/http2_guard.h"

namespace tern::fallback {

namespace {

bool refuse(Http2Guard::Finding& finding, Http2Code code, const char* reason) noexcept {
  finding.code = code;
  finding.reason = reason;
  return false;
}

}  // namespace

Http2Guard::Finding Http2Guard::inspect(ByteView bytes) noexcept {
  Finding finding;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t left = bytes.size() - at;
    if (preface_left_ > 0) {
      // What it says is nghttp2's to check.
      const std::size_t size = std::min(left, preface_left_);
      preface_left_ -= size;
      at += size;
      finding.end = at;
      continue;
    }
    if (payload_left_ > 0) {
      std::size_t size = std::min<std::size_t>(left, payload_left_);
      if (type_ == kFramePriorityUpdate && length_ - payload_left_ < 4) {
        prefix_ = prefix_ << 8 | bytes[at];
        size = 1;
      }
      payload_left_ -= static_cast<std::uint32_t>(size);
      at += size;
      if (type_ == kFramePriorityUpdate && length_ - payload_left_ == 4 && !judge_prefix(finding)) {
        return finding;
      }
    } else {
      const std::size_t size = std::min(left, kHeaderSize - have_);
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, header_.begin() + have_);
      have_ += size;
      at += size;
      if (have_ < kHeaderSize) return finding;
      have_ = 0;
      if (size < kHeaderSize) {
        finding.has_header = true;
        finding.header = header_;
        finding.begin = finding.end = at;
      }
      const auto byte = [&](std::size_t i) { return std::uint32_t{header_[i]}; };
      length_ = payload_left_ = byte(0) << 16 | byte(1) << 8 | byte(2);
      type_ = header_[3];
      flags_ = header_[4];
      stream_ = static_cast<std::int32_t>((byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) &
                                          0x7fff'ffff);
      prefix_ = 0;
      if (!judge(finding)) {
        finding.has_header = finding.has_header && size == kHeaderSize;
        return finding;
      }
    }
    if (payload_left_ == 0 && section_ends_) section_ = section_ends_ = false;
    finding.end = at;
  }
  return finding;
}

bool Http2Guard::odd(Finding& finding) noexcept {
  return host_.glitch() ||
         refuse(finding, Http2Code::enhance_your_calm, "too many frames that mean nothing");
}

/// A frame's header is complete.
bool Http2Guard::judge(Finding& finding) noexcept {
  switch (type_) {
    case kFrameData: {
      const bool empty = length_ == 0 || (length_ == 1 && (flags_ & kFlagPadded) != 0);
      if (empty && (flags_ & kFlagEndStream) == 0 && !odd(finding)) return false;
      return judge_stream(finding);
    }
    case kFrameHeaders:
      section_ = true;
      section_ends_ = (flags_ & kFlagEndHeaders) != 0;
      continuations_ = 0;
      if (length_ == 0 && !odd(finding)) return false;
      return judge_stream(finding);
    case kFrameContinuation:
      section_ends_ = (flags_ & kFlagEndHeaders) != 0;
      if (++continuations_ > max_continuations_) {
        finding.continuations = true;
        return refuse(finding, Http2Code::enhance_your_calm, "too many CONTINUATION frames");
      }
      return length_ > 0 || odd(finding);
    case kFramePriority:
      // nghttp2 does not look at it, as we have announced that we ignore these priorities.
      if (stream_ == 0) {
        return refuse(finding, Http2Code::protocol_error, "PRIORITY: stream_id == 0");
      }
      return odd(finding);
    case kFrameRstStream:
      if (!server_ || (stream_ & 1) == 0 || !remembered(stream_)) return odd(finding);
      if (at(stream_) != Mark::open) return odd(finding);
      at(stream_) = Mark::ended;
      return true;
    case kFrameWindowUpdate:
    case kFramePing:
      if (replies_ == 0) return odd(finding);
      --replies_;
      return true;
    case kFrameSettings: return (flags_ & kFlagAck) != 0 || odd(finding);
    case kFramePushPromise: return true;  // nghttp2 refuses each
    default: return odd(finding);         // GOAWAY, PRIORITY_UPDATE, and what nobody knows
  }
}

/// HEADERS or DATA from a client: RFC 9113 §5.1.1 and "closed" in §5.1.
bool Http2Guard::judge_stream(Finding& finding) noexcept {
  if (!server_ || (stream_ & 1) == 0) return true;  // nghttp2 knows
  if (stream_ > highest_) {
    if (type_ == kFrameHeaders) opened(stream_);
    return true;
  }
  if (!remembered(stream_)) return host_.is_open(stream_) || odd(finding);
  switch (at(stream_)) {
    case Mark::open: return true;
    case Mark::reset: return odd(finding);
    case Mark::ended:
      return refuse(finding, Http2Code::stream_closed, "a frame on a stream that is closed");
    case Mark::unused:
      return refuse(finding, Http2Code::protocol_error,
                    "a stream identifier lower than one before it");
  }
  return true;
}

void Http2Guard::opened(std::int32_t stream) noexcept {
  const std::int32_t first = std::max(highest_ + 2, stream - 2 * (kRemembered - 1));
  highest_ = stream;
  for (std::int32_t skipped = first; skipped < stream; skipped += 2) at(skipped) = Mark::unused;
  at(stream) = Mark::open;
}

/// A PRIORITY_UPDATE says which stream it is about (RFC 9218 §7.1).
bool Http2Guard::judge_prefix(Finding& finding) noexcept {
  if (server_ && (prefix_ & 0x7fff'ffff) == 0) {
    return refuse(finding, Http2Code::protocol_error, "PRIORITY_UPDATE of stream 0");
  }
  return true;
}

}  // namespace tern::fallback
