#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "http3/session_core.h"

/// A session's request streams: how bytes become requests and responses.

namespace tern::http3 {

RequestStream* SessionCore::accept_stream(quic::StreamId id) {
  if (!server_ || quic::is_server_initiated(id)) {
    // A stream of ours that nobody knows any more.
    return nullptr;
  }
  RequestStream* stream = context_.take_stream();
  stream->begin(*this, id, now());
  table_.add(*stream);
  table_.index(*stream);
  highest_request_ = std::max(highest_request_, id);
  ++total_requests_;
  context_.counts().requests.add();
  if (qlog_.on()) qlog_.request_stream(false, id);
  if (id >= rejected_from_) {
    stream->set_fault(RequestStream::Fault::rejected,
                      "the request came after our GOAWAY (RFC 9114 section 5.2)");
  } else if (!early_priorities_.empty()) {
    for (const EarlyPriority& early : early_priorities_) {
      if (early.stream == id) stream->wish(early.priority);
    }
    std::erase_if(early_priorities_,
                  [&](const EarlyPriority& early) { return early.stream == id; });
  }
  return stream;
}

void SessionCore::remove(RequestStream& stream) noexcept {
  if (stream.flagged) std::erase(flagged_, &stream);
  if (stream.closed_with) std::erase(finished_late_, &stream);
  if (stream.waits_for_qpack()) {
    waits_no_more(stream);
    cancel_sections(stream.id());
  }
  leave_turn(stream);
  const quic::StreamId id = stream.id();
  table_.remove(stream);
  context_.recycle(&stream);
  if (over_) return;
  if (id >= 0) forget_stream(id);
  if (drain_ == Drain::commenced || goaway_id_ >= 0) close_if_drained();
}

std::optional<Bytes> SessionCore::slice(ByteView view) const noexcept {
  if (current_ == nullptr || view.data() < current_->data() ||
      view.data() + view.size() > current_->data() + current_->size()) {
    return std::nullopt;
  }
  return current_->slice(view);
}

/// Bytes of a request stream, in order.
void SessionCore::feed(RequestStream& stream, ByteView bytes, bool fin) {
  const std::size_t done = stream.receive(bytes, fin);
  if (over_) return;
  if (done > 0) {
    if (fin) {
      connection_.credit(done);  // its own window is of no use any more
    } else {
      connection_.consumed(stream.id(), done);
    }
  }
  if (!flagged_.empty()) settle_flagged();
  if (over_) return;
  if (!stream.receiving_done()) watch();
  // QPACK may have to acknowledge the section.
  wake();
}

std::size_t SessionCore::receive_again(RequestStream& stream, const Bytes& piece, bool fin) {
  const Bytes* const before = std::exchange(current_, &piece);
  const std::size_t done = stream.receive(piece.view(), fin);
  current_ = before;
  return done;
}

// ---- sections that wait for the peer's encoder stream -------------------------------------------

bool SessionCore::wait_for_qpack(RequestStream& stream) {
  if (waiting_for_qpack_.size() >= local_settings_.qpack_blocked_streams) {
    fail(ErrorCode::qpack_decompression_failed,
         fmt::format("stream {}: more than {} streams wait for QPACK's table (RFC 9204 section "
                     "2.1.2)",
                     stream.id(), local_settings_.qpack_blocked_streams));
    return false;
  }
  waiting_for_qpack_.push_back(&stream);
  return true;
}

void SessionCore::waits_no_more(RequestStream& stream) noexcept {
  std::erase(waiting_for_qpack_, &stream);
}

void SessionCore::cancel_sections(quic::StreamId stream) noexcept {
  if (over_) return;
  if (decoder_->cancel(stream)) {
    wake();
  } else {
    fail(decoder_->error(),
         fmt::format("stream {}: QPACK cannot cancel its sections (RFC 9204 section 6)", stream));
  }
}

void SessionCore::flag(RequestStream& stream) {
  if (stream.flagged) return;
  stream.flagged = true;
  flagged_.push_back(&stream);
}

void SessionCore::settle_flagged() {
  while (!flagged_.empty() && !over_) {
    RequestStream& stream = *flagged_.back();
    flagged_.pop_back();
    stream.flagged = false;
    settle(stream);
  }
  while (!finished_late_.empty() && !over_) {
    RequestStream& stream = *finished_late_.back();
    finished_late_.pop_back();
    finish(stream, *std::exchange(stream.closed_with, std::nullopt));
  }
}

/// Ends what was found to be wrong.
void SessionCore::settle(RequestStream& stream) {
  using Fault = RequestStream::Fault;
  const Fault fault = stream.fault();
  const std::string reason = stream.fault_reason();
  stream.clear_fault();
  if (fault == Fault::none || stream.is_closed()) return;
  ErrorCode code = ErrorCode::message_error;
  Error error(Domain::application, http3::code(ErrorCode::message_error), reason);
  switch (fault) {
    case Fault::none: return;
    case Fault::rejected:
      context_.counts().rejected.add();
      stream.fail(ErrorCode::request_rejected, Error(Code::rejected, reason));
      return;
    case Fault::malformed: context_.counts().malformed.add(); break;
    case Fault::incomplete:
      context_.counts().malformed.add();
      code = ErrorCode::request_incomplete;
      error.code = http3::code(code);
      break;
    case Fault::too_large:
      context_.counts().limit_fields.add();
      if (server_ && !stream.head_complete()) {
        log(LogLevel::info, fmt::format("stream {}: 431: {}", stream.id(), reason));
        answer(stream, http::Status::header_fields_too_large);
        glitch(fmt::format("stream {}: {}", stream.id(), reason));
        return;
      }
      code = ErrorCode::excessive_load;
      error = Error::limit(reason);
      break;
    case Fault::body_too_large:
      context_.counts().limit_body.add();
      if (server_ && !stream.attached()) {
        log(LogLevel::info, fmt::format("stream {}: 413: {}", stream.id(), reason));
        answer(stream, http::Status::content_too_large);
        return;
      }
      code = ErrorCode::excessive_load;
      error = Error::limit(reason);
      break;
  }
  const std::string why = fmt::format("stream {}: {}: {}", stream.id(), name(code), reason);
  log(LogLevel::info, why);
  // A reset that the client has brought about costs what one of its own does (CVE-2025-8671).
  if (stream.attached()) count_cancellation(stream);
  if (over_) return;
  stream.fail(code, error);
  glitch(why);
}

namespace {

Task<void> respond_with(http::Exchange& exchange, http::Status status) {
  co_await exchange.respond(status);
}

}  // namespace

/// Answers a request ourselves, without its handler; it shows in the access log like any other.
void SessionCore::answer(RequestStream& stream, http::Status status) {
  auto exchange = stream.take_exchange();
  stream.attach(*exchange);
  stream.stop_reading(http::Abort::no_error);
  exchange->incoming().fail(Error::limit("our side does not read the request"));
  context_.tasks().spawn(
      http::serve([status](http::Exchange& e) { return respond_with(e, status); },
                  std::move(exchange), context_.hooks().done));
}

void SessionCore::dispatch(RequestStream& stream) {
  auto exchange = stream.take_exchange();
  stream.attach(*exchange);
  if (!early_datagrams_.empty()) give_early_datagrams(stream);
  if (drain_ != Drain::no) stream.drain();
  // The Context, whose hooks these are, outlives the task.
  const http::ServerHooks& hooks = context_.hooks();
  http::serve_in(context_.tasks(), hooks.handler, std::move(exchange), hooks.done);
}

void SessionCore::give_early_datagrams(RequestStream& stream) {
  for (EarlyDatagram& datagram : early_datagrams_) {
    if (datagram.stream == stream.id()) stream.datagram(std::move(datagram.payload));
  }
  std::erase_if(early_datagrams_,
                [&](const EarlyDatagram& datagram) { return datagram.stream == stream.id(); });
}

// ---- client -------------------------------------------------------------------------------------

Result<std::unique_ptr<http::ClientExchange>> SessionCore::open() {
  TERN_CHECK(!server_);
  if (!accepts_requests()) {
    return tern::fail(Error(Code::rejected, "the connection takes no more requests"));
  }
  if (waiting_.size() >= options().max_waiting_requests) {
    context_.counts().limit_waiting.add();
    return tern::fail(Error::limit("too many requests wait for the server to allow more"));
  }
  RequestStream* stream = context_.take_stream();
  stream->begin(*this, -1, now());
  table_.add(*stream);
  auto exchange = std::make_unique<http::ClientExchange>(runtime(), *stream);
  stream->attach(*exchange);
  return exchange;
}

bool SessionCore::accepts_requests() const noexcept {
  return !server_ && !over_ && drain_ == Drain::no && goaway_id_ < 0;
}

bool SessionCore::in_early_data() const noexcept { return !connection_.handshake_complete(); }

bool SessionCore::may_send(const http::RequestHead& head) const noexcept {
  // RFC 8470 §4: early data may be replayed.
  if (in_early_data() && !http::is_safe(head.method)) return false;
  // RFC 9220 §3: an extended CONNECT waits for the server's SETTINGS.
  return head.protocol.empty() || peer_settings_.has_value();
}

bool SessionCore::submit_now(RequestStream& stream, const http::RequestHead& head) {
  if (!bound_ || !waiting_.empty() || in_early_data() || !head.protocol.empty()) return false;
  const auto id = connection_.open_bidi();
  if (!id) return false;
  ++total_requests_;
  context_.counts().requests.add();
  stream.submit(*id, head);
  table_.index(stream);
  return true;
}

void SessionCore::schedule(RequestStream& stream) {
  waiting_.push_back(&stream);
  flush_waiting();
}

void SessionCore::unschedule(RequestStream& stream) noexcept {
  const auto found = std::find(waiting_.begin(), waiting_.end(), &stream);
  if (found != waiting_.end()) waiting_.erase(found);
}

/// False: the server allows no more streams now.
bool SessionCore::try_open(RequestStream& stream) {
  if (!stream.kept_head().protocol.empty() && !peer_settings_->extended_connect) {
    stream.refuse(Error(Code::unsupported, "the server takes no extended CONNECT"));
    return true;
  }
  const std::string& protocol = stream.kept_head().protocol;
  if (!protocol.empty() && options().takes_protocol &&
      !options().takes_protocol(protocol, *peer_settings_)) {
    stream.refuse(Error(Code::unsupported, "the server does not speak " + protocol));
    return true;
  }
  const auto id = connection_.open_bidi();
  if (!id) return false;
  ++total_requests_;
  context_.counts().requests.add();
  stream.submit_kept(*id);
  table_.index(stream);
  return true;
}

void SessionCore::flush_waiting() {
  if (!accepts_requests() || !bound_) return;
  // One that has to wait for the handshake or SETTINGS does not hold up the rest.
  for (std::size_t i = 0; i < waiting_.size() && !over_;) {
    RequestStream* stream = waiting_[i];
    const auto at = waiting_.begin() + static_cast<std::ptrdiff_t>(i);
    if (!may_send(stream->kept_head())) {
      ++i;
      continue;
    }
    waiting_.erase(at);
    if (try_open(*stream)) continue;
    waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(i), stream);
    return;
  }
}

}  // namespace tern::http3
