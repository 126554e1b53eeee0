#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "http/fallback/http2_core.h"

/// An HTTP/2 session's requests.

namespace tern::fallback {

// ---- server -------------------------------------------------------------------------------------

Http2Stream* Http2Session::begin_request(Http2StreamId id) noexcept {
  // nghttp2 bounds the streams; handlers that still run when theirs has ended count as well.
  if (table_.listed() >= options().max_requests) {
    pool_.streams_refused.add();
    count_oddity(
        fmt::format("stream {}: a request more than the {} at once that we announced "
                    "(max_requests)",
                    id, options().max_requests));
    return nullptr;
  }
  Http2Stream* stream = pool_.take();
  stream->begin(*this, id, now());
  table_.add(*stream);
  table_.index(*stream);
  ++total_requests_;
  counts().requests.add();
  guard_.expect_replies(2);
  return stream;
}

void Http2Session::dispatch(Http2Stream& stream) {
  auto exchange = std::make_unique<http::Exchange>(runtime(), stream, std::move(stream.head()));
  stream.attach(*exchange);
  if (drain_ != Drain::no) stream.drain();
  serve(std::move(exchange));
}

void Http2Session::answer(Http2Stream& stream, http::Status status) {
  auto exchange = std::make_unique<http::Exchange>(runtime(), stream, std::move(stream.head()));
  stream.attach(*exchange);
  stream.stop_reading(http::Abort::no_error);
  SessionBase::answer(std::move(exchange), status);
}

// ---- both sides ---------------------------------------------------------------------------------

void Http2Session::stream_closed(Http2Stream& stream, Http2Code code) noexcept {
  // What is on the way to a stream that we have reset is nobody's fault.
  if (stream.id() != reset_id_) guard_.ended(stream.id());
  if (stream.indexed) table_.unindex(stream);
  allowance_changed_ = !waiting_.empty();
  if (stream.closed(code)) remove(stream);
}

void Http2Session::remove(Http2Stream& stream) noexcept {
  if (over()) return;
  if (stream.flagged) std::erase(flagged_, &stream);
  table_.remove(stream);
  pool_.recycle(&stream);
  if (!table_.empty()) return;
  idle_since_ = now();
  watch(idle_since_ + options().idle_timeout);
  end_if_drained();
}

void Http2Session::reset_sent(Http2StreamId id, Http2Code code) noexcept {
  reset_id_ = id;
  guard_.reset(id);
  Http2Stream* stream = table_.find(id);
  if (stream == nullptr || stream->reset_by_us()) return;
  // An answer that came before the request's end; nghttp2 of its own resets with errors only.
  if (code == Http2Code::no_error) return;
  counts().malformed.add();
  const std::string rule = stream->rule(code);
  const std::string why = fmt::format("stream {}: {}: {}", id, name(code), rule);
  log(LogLevel::info, why);
  count_reset(*stream);
  count_oddity(why);
  // By WINDOW_UPDATE it would be the stream's error, by SETTINGS it is the connection's (RFC 9113
  // §6.9.1, §6.9.2), and nghttp2 does not tell them apart.
  if (code == Http2Code::flow_control_error) fail(code, fmt::format("stream {}: {}", id, rule));
}

/// Each request that ends before its answer has cost us a handler.
void Http2Session::count_reset(Http2Stream& stream) noexcept {
  if (stream.peer_has_reset()) counts().peer_resets.add();
  if (!is_server() || stream.sending_done() || std::exchange(stream.counted, true)) return;
  if (resets_limit_.allow(now())) return;
  counts().limit_resets.add();
  fail_for_number(options().max_resets,
                  "requests that the peer cancelled, or had us cancel (max_resets)");
}

void Http2Session::flag(Http2Stream& stream) {
  if (stream.flagged) return;
  stream.flagged = true;
  flagged_.push_back(&stream);
}

/// Ends what was found to be wrong.
void Http2Session::settle(Http2Stream& stream) {
  using Fault = Http2Stream::Fault;
  const Fault fault = stream.fault();
  const std::string reason = stream.fault_reason();
  stream.clear_fault();
  if (fault == Fault::none || (is_server() && stream.is_closed())) return;
  Http2Code code = Http2Code::enhance_your_calm;
  Error error = Error::limit(reason);
  switch (fault) {
    case Fault::none: return;
    case Fault::malformed:
      counts().malformed.add();
      code = Http2Code::protocol_error;
      error = Error(Domain::application, static_cast<std::uint64_t>(code), reason);
      break;
    case Fault::too_large:
      counts().limit_fields.add();
      if (is_server() && !stream.head_complete()) {
        log(LogLevel::info, fmt::format("stream {}: 431: {}", stream.id(), reason));
        answer(stream, http::Status::header_fields_too_large);
        count_oddity(fmt::format("stream {}: {}", stream.id(), reason));
        return;
      }
      break;
    case Fault::body_too_large:
      counts().limit_body.add();
      if (is_server() && !stream.attached() && !stream.sending_done()) {
        log(LogLevel::info, fmt::format("stream {}: 413: {}", stream.id(), reason));
        answer(stream, http::Status::content_too_large);
        return;
      }
      break;
  }
  const std::string why = fmt::format("stream {}: {}: {}", stream.id(), name(code), reason);
  log(LogLevel::info, why);
  count_reset(stream);
  stream.fail(code, error);
  count_oddity(why);
}

// ---- client -------------------------------------------------------------------------------------

Result<std::unique_ptr<http::ClientExchange>> Http2Session::open() {
  TERN_CHECK(!is_server());
  if (!accepts_requests()) {
    return tern::fail(Error(Code::rejected, "the connection takes no more requests"));
  }
  if (waiting_.size() >= options().max_waiting_requests) {
    counts().limit_waiting.add();
    return tern::fail(Error::limit("too many requests wait for the server to allow more"));
  }
  Http2Stream* stream = pool_.take();
  stream->begin(*this, 0, now());
  table_.add(*stream);
  auto exchange = std::make_unique<http::ClientExchange>(runtime(), *stream);
  stream->attach(*exchange);
  return exchange;
}

void Http2Session::schedule(Http2Stream& stream) {
  waiting_.push_back(&stream);
  flush_waiting();
}

void Http2Session::unschedule(Http2Stream& stream) noexcept { std::erase(waiting_, &stream); }

/// Sends the requests that may be sent, in the order in which they were made.
void Http2Session::flush_waiting() {
  if (!accepts_requests()) return;
  std::size_t kept = 0;
  const std::uint64_t most = bridge_.peer_max_streams();
  std::vector<Http2Stream*> now_waiting;
  now_waiting.swap(waiting_);
  for (std::size_t i = 0; i < now_waiting.size(); ++i) {
    Http2Stream* stream = now_waiting[i];
    const bool extended = !stream->kept_head().protocol.empty();
    // RFC 8441 §3: an extended CONNECT waits for the server's SETTINGS.
    if ((extended && !settings_came_) || table_.indexed() >= most) {
      now_waiting[kept++] = stream;
      continue;
    }
    if (extended && !bridge_.peer_extended_connect()) {
      stream->drop_waiting(Error(Code::unsupported, "the server takes no extended CONNECT"));
      continue;
    }
    const std::string& protocol = stream->kept_head().protocol;
    if (extended && options().takes_protocol && !options().takes_protocol(protocol, *this)) {
      stream->drop_waiting(Error(Code::unsupported, "the server does not speak " + protocol));
      continue;
    }
    // They go ahead of it. Not with the first SETTINGS: most servers never see a use for them.
    if (extended && !options().extra_settings.empty() && !std::exchange(extensions_said_, true)) {
      bridge_.submit_settings(options().extra_settings);
    }
    ++total_requests_;
    counts().requests.add();
    stream->submit_kept();
    if (stream->id() == 0) continue;
    table_.index(*stream);
    guard_.sent(stream->id());
  }
  now_waiting.resize(kept);
  waiting_.swap(now_waiting);
}

}  // namespace tern::fallback
