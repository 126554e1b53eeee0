#include "http/fallback/http2_guard.h"

#include <utility>

#include <fmt/format.h>

namespace tern::fallback {

namespace {

bool refuse(Http2Guard::Finding& finding, Http2Code code, std::string reason) noexcept {
  finding.code = code;
  finding.reason = std::move(reason);
  return false;
}

}  // namespace

/// "PING on stream 0"
std::string Http2Guard::frame() const {
  return fmt::format("{} on stream {}", frame_name(type_), stream_);
}

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
      const bool padded = (flags_ & kFlagPadded) != 0 && payload_left_ == length_ &&
                          (type_ == kFrameData || type_ == kFrameHeaders);
      if (padded && !judge_padding(finding, bytes[at])) return finding;
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
      if (!judge_place(finding) || !judge_size(finding) || !judge_idle(finding) ||
          !judge(finding)) {
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
  if (host_.glitch()) return true;
  finding.glitch = true;
  return refuse(finding, Http2Code::enhance_your_calm, frame());
}

/// Whether a frame of that type may be on that stream, and at this place.
bool Http2Guard::judge_place(Finding& finding) noexcept {
  const auto wrong = [&](std::string_view rule) {
    return refuse(finding, Http2Code::protocol_error, fmt::format("{}: {}", frame(), rule));
  };
  if (section_ && (type_ != kFrameContinuation || stream_ != section_stream_)) {
    return wrong(fmt::format("the field section of stream {} has not ended (RFC 9113 section 6.10)",
                             section_stream_));
  }
  switch (type_) {
    case kFrameContinuation:
      return section_ ||
             wrong("there is no field section that it continues (RFC 9113 section 6.10)");
    case kFrameData:
    case kFrameHeaders:
    case kFramePriority:
    case kFrameRstStream:
    case kFramePushPromise:
      return stream_ != 0 || wrong("it belongs to a request (RFC 9113 section 6)");
    case kFrameSettings:
    case kFramePing:
    case kFrameGoaway: return stream_ == 0 || wrong("it belongs on stream 0 (RFC 9113 section 6)");
    case kFramePriorityUpdate:
      return stream_ == 0 || wrong("it belongs on stream 0 (RFC 9218 section 7.1)");
    default: return true;
  }
}

/// What may not be on a stream that nothing has opened (RFC 9113 §5.1, §5.1.1).
bool Http2Guard::judge_idle(Finding& finding) noexcept {
  switch (type_) {
    case kFrameData:
    case kFrameRstStream: break;
    case kFrameHeaders:
      if (server_ && (stream_ & 1) != 0) return true;  // which it opens
      break;
    case kFrameWindowUpdate:
      if (stream_ == 0) return true;
      break;
    default: return true;
  }
  if ((stream_ & 1) != 0 && stream_ <= highest_) return true;
  return refuse(finding, Http2Code::protocol_error,
                fmt::format("{}: {} (RFC 9113 section {})", frame(),
                            (stream_ & 1) != 0 ? "the stream is idle"
                                               : "streams with even numbers are for server push, "
                                                 "which there is none of",
                            (stream_ & 1) != 0 ? "5.1" : "5.1.1"));
}

bool Http2Guard::judge_size(Finding& finding) noexcept {
  const auto wrong = [&](std::string_view rule) {
    return refuse(finding, Http2Code::frame_size_error,
                  fmt::format("{} has {} bytes: {}", frame(), length_, rule));
  };
  if (length_ > max_frame_) {
    return wrong(
        fmt::format("our SETTINGS_MAX_FRAME_SIZE is {} (RFC 9113 section 4.2)", max_frame_));
  }
  const bool padded = (flags_ & kFlagPadded) != 0;
  switch (type_) {
    case kFrameData: return !padded || length_ > 0 || judge_padding(finding, 0);
    case kFrameHeaders:
      if (padded && length_ == 0) return judge_padding(finding, 0);
      if ((flags_ & kFlagPriority) == 0) return true;
      return length_ >= (padded ? 6U : 5U) ||
             wrong("its priority alone has 5 (RFC 9113 section 6.2)");
    case kFramePriority: return length_ == 5 || wrong("it has 5 (RFC 9113 section 6.3)");
    case kFrameRstStream: return length_ == 4 || wrong("it has 4 (RFC 9113 section 6.4)");
    case kFrameSettings:
      if ((flags_ & kFlagAck) != 0) {
        return length_ == 0 || wrong("an acknowledgement has none (RFC 9113 section 6.5)");
      }
      return length_ % 6 == 0 || wrong("each entry has 6 (RFC 9113 section 6.5)");
    case kFramePing: return length_ == 8 || wrong("it has 8 (RFC 9113 section 6.7)");
    case kFrameGoaway: return length_ >= 8 || wrong("it has 8 at least (RFC 9113 section 6.8)");
    case kFrameWindowUpdate: return length_ == 4 || wrong("it has 4 (RFC 9113 section 6.9)");
    case kFramePriorityUpdate:
      return length_ >= 4 || wrong("it has 4 at least (RFC 9218 section 7.1)");
    default: return true;
  }
}

/// DATA or HEADERS whose first byte says how much padding they have.
bool Http2Guard::judge_padding(Finding& finding, std::uint8_t padding) noexcept {
  if (padding < length_) return true;
  return refuse(
      finding, Http2Code::protocol_error,
      fmt::format("{} has {} bytes, and more padding than that (RFC 9113 section 6.1, section 6.2)",
                  frame(), length_));
}

/// A frame's header is complete, and what may be known of it by itself is right.
bool Http2Guard::judge(Finding& finding) noexcept {
  switch (type_) {
    case kFrameData: {
      const bool empty = length_ == 0 || (length_ == 1 && (flags_ & kFlagPadded) != 0);
      if (empty && (flags_ & kFlagEndStream) == 0 && !odd(finding)) return false;
      return judge_stream(finding);
    }
    case kFrameHeaders:
      section_ = true;
      section_stream_ = stream_;
      section_ends_ = (flags_ & kFlagEndHeaders) != 0;
      continuations_ = 0;
      if (length_ == 0 && !odd(finding)) return false;
      return judge_stream(finding);
    case kFrameContinuation:
      section_ends_ = (flags_ & kFlagEndHeaders) != 0;
      if (++continuations_ > max_continuations_) {
        finding.continuations = true;
        return refuse(finding, Http2Code::enhance_your_calm,
                      fmt::format("{}: more than {} for one field section (max_continuations)",
                                  frame(), max_continuations_));
      }
      return length_ > 0 || odd(finding);
    case kFrameRstStream:
      if (!server_ || (stream_ & 1) == 0 || !remembered(stream_)) return odd(finding);
      if (at(stream_) != Mark::open && at(stream_) != Mark::whole) return odd(finding);
      at(stream_) = Mark::ended;
      return true;
    case kFrameWindowUpdate:
    case kFramePing:
      if (replies_ == 0) return odd(finding);
      --replies_;
      return true;
    case kFrameSettings: return (flags_ & kFlagAck) != 0 || odd(finding);
    case kFramePushPromise: return true;  // nghttp2 refuses each
    default: return odd(finding);  // PRIORITY, GOAWAY, PRIORITY_UPDATE, and what nobody knows
  }
}

/// HEADERS or DATA from a client: RFC 9113 §5.1.1, "half-closed" and "closed" in §5.1.
bool Http2Guard::judge_stream(Finding& finding) noexcept {
  if (!server_ || (stream_ & 1) == 0) return true;  // nghttp2 knows
  const bool ends = (flags_ & kFlagEndStream) != 0;
  if (stream_ > highest_) {
    opened(stream_);
    if (ends) at(stream_) = Mark::whole;
    return true;
  }
  if (!remembered(stream_)) return host_.is_open(stream_) || odd(finding);
  switch (at(stream_)) {
    case Mark::open:
      if (ends) at(stream_) = Mark::whole;
      return true;
    case Mark::whole:
      return refuse(finding, Http2Code::stream_closed,
                    frame() + ": the request has ended (RFC 9113 section 5.1)");
    case Mark::reset: return odd(finding);
    case Mark::ended:
      return refuse(finding, Http2Code::stream_closed,
                    frame() + ": the stream has ended (RFC 9113 section 5.1)");
    case Mark::unused:
      return refuse(finding, Http2Code::protocol_error,
                    fmt::format("{}: stream {} was opened before it (RFC 9113 section 5.1.1)",
                                frame(), highest_));
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
    return refuse(finding, Http2Code::protocol_error,
                  "PRIORITY_UPDATE names stream 0, which is no request (RFC 9218 section 7.1)");
  }
  return true;
}

}  // namespace tern::fallback
