#include <algorithm>

#include <fmt/format.h>

#include "http/fallback/http2_core.h"

/// An HTTP/2 session's clock: time limits, and the steps of a drain.

namespace tern::fallback {

namespace {

/// How often time limits of requests are looked at while one could be passed.
constexpr Duration kWatchInterval = std::chrono::milliseconds(500);
/// For the peer to acknowledge our SETTINGS (RFC 9113 §6.5.3): it may have much to send before.
constexpr Duration kSettingsTimeout = std::chrono::seconds(30);
/// Between the two GOAWAYs of a drain: a round trip, within these bounds.
constexpr Duration kMinNotice = std::chrono::milliseconds(20);
constexpr Duration kMaxNotice = std::chrono::seconds(1);

}  // namespace

void Http2Session::watch_streams() { watch(now() + kWatchInterval); }

void Http2Session::drain() {
  if (over() || failure_ || drain_ != Drain::no) return;
  if (!is_server()) {
    drain_ = Drain::commenced;
    end_if_drained();
    return;
  }
  drain_ = Drain::noticed;
  bridge_.submit_shutdown_notice();
  wake();
  const Duration notice = std::clamp<Duration>(stream().info().rtt * 3 / 2, kMinNotice, kMaxNotice);
  shutdown_at_ = now() + notice;
  watch(shutdown_at_);
  for (Http2Stream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    stream->drain();
  }
}

void Http2Session::commence_shutdown() {
  shutdown_at_ = kNever;
  drain_ = Drain::commenced;
  bridge_.submit_goaway();
  wake();
  end_if_drained();
}

Timestamp Http2Session::check_times(Timestamp now) {
  if (failure_ || ending()) return kNever;
  if (now >= shutdown_at_) commence_shutdown();
  if (!check_connection(now)) return kNever;
  const bool watched = check_streams(now);
  if (failure_) return kNever;

  Timestamp next = shutdown_at_;
  if (watched) next = std::min(next, now + kWatchInterval);
  if (!settings_came_) next = std::min(next, began_ + options().head_timeout);
  if (!settings_acknowledged_) next = std::min(next, began_ + kSettingsTimeout);
  if (section_since_ != kNever) next = std::min(next, section_since_ + options().head_timeout);
  if (table_.empty() && drain_ == Drain::no) {
    next = std::min(next, idle_since_ + options().idle_timeout);
  }
  return next;
}

/// False: it ends.
bool Http2Session::check_connection(Timestamp now) {
  const SessionOptions& limits = options();
  const auto late = [&](Http2Code code, std::string_view reason) {
    counts().timeouts.add();
    fail(code, reason);
    return false;
  };
  if (!settings_came_ && now - began_ >= limits.head_timeout) {
    return late(Http2Code::protocol_error,
                fmt::format("the peer's SETTINGS did not come within {} (head_timeout)",
                            seconds(limits.head_timeout)));
  }
  if (!settings_acknowledged_ && now - began_ >= kSettingsTimeout) {
    return late(Http2Code::settings_timeout,
                fmt::format("the peer did not acknowledge our SETTINGS within {}",
                            seconds(kSettingsTimeout)));
  }
  if (section_since_ != kNever && now - section_since_ >= limits.head_timeout) {
    return late(Http2Code::enhance_your_calm,
                fmt::format("a header section did not end within {} (head_timeout)",
                            seconds(limits.head_timeout)));
  }
  if (table_.empty() && drain_ == Drain::no && now - idle_since_ >= limits.idle_timeout) drain();
  return true;
}

/// Returns whether any could become late.
bool Http2Session::check_streams(Timestamp now) {
  if (!is_server()) return false;
  bool watched = false;
  bool pending = false;
  for (Http2Stream* stream = table_.first(); stream != nullptr && !failure_;) {
    Http2Stream& current = *stream;
    stream = stream->next;
    if (current.is_closed()) continue;
    switch (current.late(now, bridge_.stream_window(current.id()))) {
      case Http2Stream::Late::no: watched = watched || current.watched(); break;
      case Http2Stream::Late::answered: current.end_request(); break;
      case Http2Stream::Late::body:
        counts().timeouts.add();
        log(LogLevel::info,
            fmt::format("stream {}: the request's body did not go on for {} (body_timeout)",
                        current.id(), seconds(options().body_timeout)));
        current.fail(Http2Code::cancel, Error(Code::timed_out, "the request did not go on"));
        break;
      case Http2Stream::Late::stalled:
        counts().stalled.add();
        log(LogLevel::info,
            fmt::format("stream {}: the client did not open its window for {} (send_timeout)",
                        current.id(), seconds(options().send_timeout)));
        current.fail(Http2Code::enhance_your_calm,
                     Error(Code::timed_out, "the client does not read the response"));
        break;
    }
    pending = pending || current.wants_to_send();
  }
  if (!pending || bridge_.connection_window() > 0) {
    blocked_since_ = kNever;
  } else if (blocked_since_ == kNever) {
    blocked_since_ = now;
  } else if (now - blocked_since_ >= options().send_timeout) {
    counts().stalled.add();
    fail(Http2Code::enhance_your_calm,
         fmt::format("the client did not open the connection's window for {} (send_timeout)",
                     seconds(options().send_timeout)));
  }
  return watched;
}

}  // namespace tern::fallback
