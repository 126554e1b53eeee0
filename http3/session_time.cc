#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "http3/session_core.h"

/// A session's clock: time limits of streams, and the steps of a drain.

namespace tern::http3 {

namespace {
/// How often time limits are looked at while something could pass one.
constexpr Duration kWatchInterval = std::chrono::milliseconds(500);
/// How long the client of a draining connection may be silent, or three PTOs, while nothing but its
/// acknowledgements is waited for. Longer than phones usually take to change their network.
constexpr Duration kMinSilence = std::chrono::milliseconds(2500);
}  // namespace

void SessionCore::watch() {
  if (watch_at_ != kNever) return;
  watch_at_ = now() + kWatchInterval;
  rearm();
}

void SessionCore::rearm() {
  const Timestamp drained = now() < drained_at_ ? drained_at_ : kNever;
  const Timestamp next = std::min({watch_at_, shutdown_at_, drained, listen_at_, age_.next()});
  if (next != kNever) runtime().timers().arm(*this, next);
}

void SessionCore::expire(Timestamp now) {
  if (over_) return;
  if (now >= watch_at_) {
    watch_at_ = kNever;
    check_streams(now);
  }
  if (!over_ && now >= shutdown_at_) commence_shutdown();
  if (!over_ && now >= drained_at_) close_if_drained();
  if (!over_ && now >= listen_at_) listen_for_client();
  if (!over_) pass_age(now);
  if (!over_) rearm();
}

void SessionCore::pass_age(Timestamp now) {
  using Step = http::AgeClock::Step;
  switch (age_.pass(context_.hooks().age, now)) {
    case Step::nothing: break;
    case Step::drain:
      if (!draining()) context_.counts().aged.add();
      drain();
      break;
    case Step::close:
      log(LogLevel::info, fmt::format("too old: ended with {} requests open", requests()));
      close(ErrorCode::no_error, "the connection is too old");
      break;
  }
}

/// Draining, with answers that have left whole: does anybody acknowledge them? A client that went
/// without a CONNECTION_CLOSE does not, and need not be waited for.
void SessionCore::listen_for_client() {
  const quic::ConnectionStats stats = connection_.stats();
  bool answered = true;
  for (const RequestStream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    answered = answered && stream->sending_done();
  }
  if (!answered || stats.packets_received != heard_packets_) {
    heard_packets_ = stats.packets_received;
    heard_at_ = now();
  }
  // RFC 9002 §6.2.1, with the delay of acknowledgements that is usual.
  constexpr Duration kAckDelay = std::chrono::milliseconds(25);
  const Duration pto = stats.smoothed_rtt + 4 * stats.rtt_variation + kAckDelay;
  if (now() - heard_at_ >= std::max(kMinSilence, 3 * pto)) {
    close(ErrorCode::no_error, "drained");
    return;
  }
  listen_at_ = now() + kWatchInterval;
}

/// Streams that began and do not say what they are.
void SessionCore::check_openings(Timestamp now) {
  for (std::size_t i = 0; i < openings_.size() && !over_;) {
    const Opening late = openings_[i];
    if (now - late.since < options().head_timeout) {
      ++i;
      continue;
    }
    openings_.erase(openings_.begin() + static_cast<std::ptrdiff_t>(i));
    context_.counts().timeouts.add();
    log(LogLevel::info, fmt::format("stream {}: its type did not come within {} (head_timeout)",
                                    late.stream, seconds(options().head_timeout)));
    const bool request = server_ && !quic::is_unidirectional(late.stream);
    refuse_stream(late.stream,
                  request ? ErrorCode::request_incomplete : ErrorCode::stream_creation_error,
                  late.size);
  }
}

void SessionCore::end_late(RequestStream& stream, ErrorCode code, Counter& counter,
                           const std::string& why) {
  counter.add();
  log(LogLevel::info, fmt::format("stream {}: {}", stream.id(), why));
  stream.fail(code, Error(Code::timed_out, why));
}

void SessionCore::check_streams(Timestamp now) {
  check_openings(now);
  bool go_on = !openings_.empty();
  bool pending = false;
  for (RequestStream* stream = table_.first(); stream != nullptr && !over_;) {
    RequestStream& current = *stream;
    stream = stream->next;
    if (!server_) continue;
    switch (current.late(now)) {
      case RequestStream::Late::no: go_on = go_on || current.watched(); break;
      case RequestStream::Late::head:
        end_late(current, ErrorCode::request_incomplete, context_.counts().timeouts,
                 fmt::format("the request's head did not come within {} (head_timeout)",
                             seconds(options().head_timeout)));
        break;
      case RequestStream::Late::body:
        end_late(current, ErrorCode::request_incomplete, context_.counts().timeouts,
                 fmt::format("the request's body did not go on for {} (body_timeout)",
                             seconds(options().body_timeout)));
        break;
      case RequestStream::Late::endless: current.stop_owed(); break;
      case RequestStream::Late::stalled:
        end_late(current, ErrorCode::excessive_load, context_.counts().stalled,
                 fmt::format("the client took nothing of the answer for {} (send_timeout)",
                             seconds(options().send_timeout)));
        break;
    }
    pending = pending || current.wants_to_send();
  }
  if (!over_ && decoder_ && decoder_->defers_feedback()) {
    decoder_->hurry_feedback();
    wake();
  }
  if (!pending) {
    last_sent_ = now;
  } else if (now - last_sent_ >= options().send_timeout) {
    context_.counts().stalled.add();
    fail(ErrorCode::excessive_load,
         fmt::format("the client took nothing of what we send for {} (send_timeout)",
                     seconds(options().send_timeout)));
  }
  if (go_on && !over_) watch_at_ = now + kWatchInterval;
}

}  // namespace tern::http3
