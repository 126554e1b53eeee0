#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "http3/session_core.h"

/// A session's clock: time limits of streams, and the steps of a drain.

namespace tern::http3 {

namespace {
/// How often time limits are looked at while something could pass one.
constexpr Duration kWatchInterval = std::chrono::milliseconds(500);
}  // namespace

void SessionCore::watch() {
  if (watch_at_ != kNever) return;
  watch_at_ = now() + kWatchInterval;
  runtime().timers().arm(*this, std::min({watch_at_, shutdown_at_, drained_at_}));
}

void SessionCore::expire(Timestamp now) {
  if (over_) return;
  if (send_failure_ < 0) {
    check(send_failure_);
    return;
  }
  if (now >= watch_at_) {
    watch_at_ = kNever;
    check_streams(now);
  }
  if (!over_ && now >= shutdown_at_) commence_shutdown();
  if (!over_ && now >= drained_at_) close_if_drained();
  if (over_) return;
  const Timestamp next =
      std::min({watch_at_, shutdown_at_, now < drained_at_ ? drained_at_ : kNever});
  if (next != kNever) runtime().timers().arm(*this, next);
}

/// Streams that began and do not say what they are.
void SessionCore::check_sniffed(Timestamp now) {
  for (std::size_t i = 0; i < sniffed_.size() && !over_;) {
    const Sniffed late = sniffed_[i];
    if (now - late.since < options().head_timeout) {
      ++i;
      continue;
    }
    sniffed_.erase(sniffed_.begin() + static_cast<std::ptrdiff_t>(i));
    context_.counts().timeouts.add();
    log(LogLevel::info, fmt::format("stream {}: its type did not come", late.stream));
    const bool request = server_ && !quic::is_unidirectional(late.stream);
    refuse_stream(late.stream,
                  request ? ErrorCode::request_incomplete : ErrorCode::stream_creation_error,
                  late.size);
  }
}

void SessionCore::check_streams(Timestamp now) {
  check_sniffed(now);
  bool go_on = !sniffed_.empty();
  bool pending = false;
  for (RequestStream* stream = table_.first(); stream != nullptr && !over_;) {
    RequestStream& current = *stream;
    stream = stream->next;
    if (!server_) continue;
    switch (current.late(now)) {
      case RequestStream::Late::no: go_on = go_on || current.watched(); break;
      case RequestStream::Late::head:
      case RequestStream::Late::body:
        context_.counts().timeouts.add();
        log(LogLevel::info, fmt::format("stream {}: the request did not go on", current.id()));
        current.fail(ErrorCode::request_incomplete,
                     Error(Code::timed_out, "the request did not go on"));
        break;
      case RequestStream::Late::stalled:
        context_.counts().stalled.add();
        log(LogLevel::info, fmt::format("stream {}: the client does not read", current.id()));
        current.fail(ErrorCode::excessive_load,
                     Error(Code::timed_out, "the client does not read the response"));
        break;
    }
    pending = pending || current.wants_to_send();
  }
  if (!pending) {
    last_sent_ = now;
  } else if (now - last_sent_ >= options().send_timeout) {
    context_.counts().stalled.add();
    fail(ErrorCode::excessive_load, "the client does not read");
  }
  if (go_on && !over_) watch_at_ = now + kWatchInterval;
}

}  // namespace tern::http3
