#include "http/fallback/http1_session.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "http/date.h"

namespace tern::fallback {

namespace {
/// Bytes of an unwanted body that are read and thrown away so that the connection may live on.
constexpr std::uint64_t kMaxDiscard = 64 * 1024;

Http1Limits limits_of(const SessionOptions& options) noexcept {
  return {options.max_target, static_cast<std::size_t>(options.max_field_section),
          options.max_fields};
}
}  // namespace

std::unique_ptr<SessionBase> make_http1_session(ContextCore& core,
                                                std::unique_ptr<tcp::Stream> stream, bool server,
                                                ClientHooks hooks) {
  return std::make_unique<Http1Session>(core, std::move(stream), server, std::move(hooks));
}

// ---- life ---------------------------------------------------------------------------------------

Http1Session::Http1Session(ContextCore& core, std::unique_ptr<tcp::Stream> stream, bool server,
                           ClientHooks hooks)
    : SessionBase(core, core.http1(), std::move(stream), server, std::move(hooks)),
      limits_(limits_of(core.options())),
      parser_(server, limits_),
      glitches_(core.options().max_glitches, core.options().window) {
  counts().sessions.add();
}

Http1Session::~Http1Session() = default;

void Http1Session::on_start() {
  idle_since_ = now();
  watch(idle_since_ + options().idle_timeout);
}

Http1Stream& Http1Session::add_stream() {
  auto made = std::make_unique<Http1Stream>(*this, now());
  made->index = streams_.size();
  streams_.push_back(std::move(made));
  return *streams_.back();
}

void Http1Session::remove(Http1Stream& stream) noexcept {
  std::erase(queue_, &stream);
  if (reading_ == &stream) reading_ = nullptr;
  const std::size_t place = stream.index;
  streams_[place].swap(streams_.back());
  streams_[place]->index = place;
  streams_.pop_back();
  if (streams_.empty() && !over()) {
    idle_since_ = now();
    watch(idle_since_ + options().idle_timeout);
  }
}

/// A client's response may have been read to its end, and the next request be about to be made,
/// before the turn comes to where the first is let go.
std::size_t Http1Session::requests() const noexcept {
  const bool one_is_over = !is_server() && !queue_.empty() && queue_.front()->sent &&
                           queue_.front()->receiving_done && queue_.front()->ends() == nullptr;
  return streams_.size() - (one_is_over ? 1 : 0);
}

bool Http1Session::in_queue(const Http1Stream& stream) const noexcept {
  return std::find(queue_.begin(), queue_.end(), &stream) != queue_.end();
}

void Http1Session::on_over(const Error& error) noexcept {
  queue_.clear();
  reading_ = nullptr;
  for (const auto& stream : streams_) {
    if (!is_server() && !stream->head_put) {
      stream->let_go(Error(Code::rejected, "the connection ended before the request was sent: " +
                                               error.to_string()));
    } else {
      stream->let_go(error);
    }
  }
}

void Http1Session::drain() {
  if (over() || draining_) return;
  draining_ = true;
  if (!is_server()) {
    if (streams_.empty()) end_when_sent(Error::closed("drained"));
    return;
  }
  if (queue_.empty() && parser_.idle() && held_.empty()) {
    last_ = true;
    end_when_sent(Error::closed("drained"));
  }
  tell_draining();
}

/// Unlike `drain` it does not close between two requests, where the next one may be on its way, nor
/// after an answer that did not say so: `connection: close` comes first, then the end.
void Http1Session::grow_old() {
  old_ = true;
  tell_draining();
}

void Http1Session::tell_draining() noexcept {
  for (const auto& stream : streams_) {
    if (stream->ends() != nullptr) stream->ends()->drain();
  }
}

void Http1Session::close() {
  if (over()) return;
  const bool in_mid_message = !queue_.empty() && queue_.front()->head_put && !queue_.front()->sent;
  const Error error = Error::closed("the connection was closed");
  if (in_mid_message) return end(error);  // half a message must not look like a whole one
  on_over(error);
  streams_.clear();
  end_when_sent(error);
}

void Http1Session::detached(Http1Stream& stream) noexcept {
  if (over()) return;
  // What waits for its turn is still sent; a client's request that was not is not sent any more.
  if (!in_queue(stream) || (!is_server() && !stream.head_put)) {
    remove(stream);
    if (draining_) wake();
    return;
  }
  wake();
}

void Http1Session::aborted(Http1Stream& stream) {
  if (over()) return;
  if (!is_server() && !stream.head_put) return;  // `detached` or `produce` drops it
  if (!in_queue(stream) || (stream.sent && stream.receiving_done)) return;
  if (!is_server()) return end_soon(Error(Code::cancelled, "a request was cancelled"));
  wake();
}

// ---- what comes in ------------------------------------------------------------------------------

void Http1Session::on_bytes(MutableBytes bytes) {
  ByteView view = bytes;
  if (!held_.empty()) {
    hold(view);
    return;
  }
  pump(view);
  if (over() || ending()) return;
  if (!view.empty()) hold(view);
  if (too_much_buffered()) pause();
}

void Http1Session::hold(ByteView bytes) {
  held_ += as_text(bytes);
  pause();
}

/// Nothing stands in the way of the next message.
bool Http1Session::may_read_on() const noexcept {
  if (last_ || !last_words_.empty()) return false;
  if (!is_server()) return true;
  if (queue_.empty()) return streams_.size() < options().max_requests;
  return !queue_.back()->may_switch && queue_.size() <= options().max_pipelined &&
         streams_.size() < options().max_requests;
}

void Http1Session::pump(ByteView& bytes) {
  using Event = Http1Parser::Event;
  while (!over() && !ending()) {
    if (last_words_.empty() && last_ && reading_ == nullptr) {
      bytes = {};  // after the last message nothing counts
      return;
    }
    if (!last_words_.empty()) {
      bytes = {};
      return;
    }
    if (reading_ == nullptr && !may_read_on()) return;
    if (reading_ != nullptr && is_server() && !reading_->dispatched) {
      reading_waits_ = true;  // nobody is there yet to take its body
      return;
    }
    switch (parser_.next(bytes)) {
      case Event::more:
        if (is_server() && parser_.in_head() && head_since_ == kNever) {
          head_since_ = now();
          watch(head_since_ + options().head_timeout);
        }
        return;
      case Event::head:
        head_since_ = kNever;
        if (is_server()) {
          on_request();
        } else {
          on_response();
        }
        break;
      case Event::body: on_body(parser_.body()); break;
      case Event::end: on_message_end(); break;
      case Event::failed: on_failure(parser_.failure()); break;
    }
  }
}

void Http1Session::pump_held() {
  if (pumping_ || (held_.empty() && !reading_waits_)) return;
  pumping_ = true;
  reading_waits_ = false;
  std::string bytes;
  bytes.swap(held_);
  ByteView view = as_bytes(bytes);
  pump(view);
  pumping_ = false;
  if (over() || ending()) return;
  held_.assign(as_text(view));
  if (held_.empty()) {
    if (peer_finished_) return on_end_of_stream();
    maybe_resume();
  }
}

bool Http1Session::too_much_buffered() const noexcept {
  return reading_ != nullptr && reading_->ends() != nullptr &&
         reading_->ends()->incoming().buffered() >= options().max_buffered_body;
}

void Http1Session::maybe_resume() {
  if (!paused() || !held_.empty() || peer_finished_) return;
  if (reading_ != nullptr && reading_->ends() != nullptr &&
      reading_->ends()->incoming().buffered() > options().max_buffered_body / 2) {
    return;
  }
  resume();
}

void Http1Session::consumed(Http1Stream& stream) {
  if (over() || ending()) return;
  if (&stream == reading_ || stream.unread) {
    maybe_resume();
    if (stream.unread) wake();
  }
}

void Http1Session::on_body(ByteView bytes) {
  if (reading_ == nullptr) {
    return on_failure({400, "bytes that belong to no message"});
  }
  Http1Stream& stream = *reading_;
  stream.last_received = now();
  stream.received += bytes.size();
  stream.expects_continue = false;
  if (is_server() && !stream.tunnel && options().max_body != 0 &&
      stream.received > options().max_body) {
    counts().limit_body.add();
    const std::string why = fmt::format("a body above {} bytes (max_body)", options().max_body);
    log(LogLevel::info, why);
    return end(Error::limit(why));
  }
  if (stream.ends() != nullptr && stream.ends()->incoming().push(core().arena(), bytes)) return;
  stream.discarded += bytes.size();
  if (stream.tunnel || stream.discarded <= kMaxDiscard) return;
  // Nobody wants it: what is left of our message is sent, and then the connection is closed.
  stream.close_after = last_ = true;
  stream.receiving_done = true;
  reading_ = nullptr;
  if (!is_server()) return end(Error(Code::cancelled, "our side does not read the response"));
  wake();
}

void Http1Session::on_message_end() {
  if (reading_ == nullptr) return;
  Http1Stream& stream = *std::exchange(reading_, nullptr);
  if (stream.may_switch && is_server()) return;  // what follows is a tunnel's, or the next request
  stream.receiving_done = true;
  if (stream.ends() != nullptr) {
    stream.ends()->incoming().set_trailers(std::move(parser_.trailers()));
    stream.ends()->incoming().finish();
  }
  if (!is_server() && !stream.sent && !stream.keep_alive) {
    // RFC 9112 §9.3: the rest of the request would go nowhere.
    tell_goaway();
    return end(Error(Code::closed, "the server answered and closed before it had the request",
                     Origin::remote));
  }
  wake();
}

void Http1Session::on_end_of_stream() {
  peer_finished_ = true;
  if (!held_.empty()) return;  // it is read first
  if (reading_ != nullptr && reading_->tunnel) {
    Http1Stream& stream = *std::exchange(reading_, nullptr);
    stream.receiving_done = true;
    if (stream.ends() != nullptr) stream.ends()->incoming().finish();
    return wake();
  }
  const bool nothing_came = parser_.idle();
  if (parser_.finish() == Http1Parser::Event::end && reading_ != nullptr) {
    if (!stream().ended_cleanly()) {
      // RFC 9112 §9.8: anybody could have cut the body short there.
      counts().peer_errors.add();
      return end(Error(Code::closed, "the response was cut off: TLS ended without close_notify",
                       Origin::remote));
    }
    last_ = true;
    return on_message_end();
  }
  last_ = true;
  if (is_server()) {
    if (reading_ != nullptr) {
      // RFC 9112 §8: the request is not complete; its handler is told, and may say something.
      Http1Stream& stream = *std::exchange(reading_, nullptr);
      counts().malformed.add();
      stream.receiving_done = stream.close_after = true;
      if (stream.ends() != nullptr) {
        stream.ends()->incoming().fail(
            Error(Code::closed, "the client left in the middle of the request", Origin::remote));
      }
    } else if (parser_.in_head()) {
      counts().malformed.add();
    }
    if (queue_.empty())
      return end_when_sent(Error(Code::closed, "the client left", Origin::remote));
    queue_.back()->close_after = true;
    return wake();
  }
  // The server has closed. What it owes an answer is lost; nobody knows whether it was processed.
  if (queue_.empty() || !queue_.front()->head_put) {
    tell_goaway();
    refuse_waiting(Error(Code::rejected, "the server closed the connection", Origin::remote));
    return end_when_sent(Error(Code::closed, "the server closed the connection", Origin::remote));
  }
  counts().peer_errors.add();
  end(Error(Code::closed,
            nothing_came ? "the server closed the connection without a response"
                         : "the server closed the connection in the middle of a response",
            Origin::remote));
}

void Http1Session::on_failure(const Http1Failure& failure) {
  if (failure.status == 431) {
    counts().limit_fields.add();
  } else {
    counts().malformed.add();
  }
  if (!is_server()) {
    log(LogLevel::info, failure.reason);
    if (failure.status == 431) return end(Error::limit(failure.reason));
    return end(Error(Code::invalid,
                     fmt::format("the server's answer breaks HTTP/1.1: {}", failure.reason),
                     Origin::remote));
  }
  if (reading_ != nullptr) {
    // In the middle of a body: its handler may have answered already.
    Http1Stream& stream = *std::exchange(reading_, nullptr);
    const bool answered = stream.has_head;
    const Error error(Domain::http, 400, failure.reason, Origin::remote);
    if (answered) {
      stream.receiving_done = stream.close_after = last_ = true;
      if (stream.ends() != nullptr) stream.ends()->incoming().fail(error);
      log(LogLevel::info, failure.reason);
      return wake();
    }
    stream.let_go(error);
    remove(stream);
  }
  fail_with(failure.status, failure.reason);
}

void Http1Session::fail_with(int status, std::string_view reason) {
  log(LogLevel::info, fmt::format("{}: {}", status, reason));
  if (ending() || !last_words_.empty()) return;
  const std::string_view phrase = http::reason(static_cast<http::Status>(status));
  failure_reason_ = reason;
  last_ = true;
  last_words_ = fmt::format(
      "HTTP/1.1 {} {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n"
      "connection: close\r\ndate: {}\r\n\r\n{}\n",
      status, phrase, phrase.size() + 1, std::string_view(http::HttpDate(runtime().unix_seconds())),
      phrase);
  wake();
}

// ---- time ---------------------------------------------------------------------------------------

/// A body does not go on although the handler would take it.
bool Http1Session::body_late(Timestamp now) const noexcept {
  if (reading_ == nullptr || reading_->tunnel || reading_->ends() == nullptr || paused())
    return false;
  if (!reading_->known_length && reading_->has_head) return false;
  if (reading_->ends()->incoming().buffered() > 0) return false;
  return now - reading_->last_received >= options().body_timeout;
}

Timestamp Http1Session::check_times(Timestamp now) {
  if (ending()) return kNever;
  if (!is_server()) {
    if (!queue_.empty() && queue_.front()->hold_body) {
      if (now < queue_.front()->hold_until) return queue_.front()->hold_until;
      queue_.front()->hold_body = false;
      wake();
    }
    if (!streams_.empty()) return kNever;
  } else {
    if (head_since_ != kNever) {
      const Timestamp due = head_since_ + options().head_timeout;
      if (now < due) return due;
      head_since_ = kNever;
      counts().timeouts.add();
      fail_with(408, "a request's head did not come in time (head_timeout)");
      return kNever;
    }
    if (body_late(now)) {
      counts().timeouts.add();
      Http1Stream& stream = *std::exchange(reading_, nullptr);
      const Error error(Code::timed_out, "the request did not go on", Origin::remote);
      if (stream.has_head) {
        log(LogLevel::info, "a request's body did not go on in time (body_timeout)");
        end(error);
        return kNever;
      }
      stream.let_go(error);
      remove(stream);
      fail_with(408, "a request's body did not go on in time (body_timeout)");
      return kNever;
    }
    if (reading_ != nullptr && !reading_->tunnel) return now + options().body_timeout / 4;
    if (!streams_.empty()) return kNever;
  }
  const Timestamp due = idle_since_ + options().idle_timeout;
  if (now < due) return due;
  if (!is_server()) tell_goaway();
  last_ = true;
  end_when_sent(Error(Code::timed_out, "the connection was idle"));
  return kNever;
}

}  // namespace tern::fallback
