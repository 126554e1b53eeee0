#include "http/websocket_core.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "http/utf8.h"

namespace tern::http {

namespace {

/// What a peer may still send after the end, so that it finds its close frame rather than a reset.
constexpr std::size_t kMaxLinger = 1024 * 1024;
constexpr Duration kControlWindow = std::chrono::seconds(10);

WebSocketProtocol::Limits limits_of(const WebSocketOptions& options) {
  WebSocketProtocol::Limits limits;
  limits.max_message = options.max_message();
  limits.max_ratio = options.deflate().max_ratio();
  limits.ratio_grace = options.deflate().grace();
  return limits;
}

}  // namespace

/// Waits until the list is woken.
class WebSocketCore::Next {
 public:
  explicit Next(std::vector<Waiter*>& list) noexcept : list_(list) {}
  Next(const Next&) = delete;
  Next& operator=(const Next&) = delete;
  ~Next() { leave(); }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.suspend(handle);
    list_.push_back(&waiter_);
  }
  void await_resume() noexcept { leave(); }

 private:
  void leave() noexcept {
    const auto found = std::find(list_.begin(), list_.end(), &waiter_);
    if (found != list_.end()) list_.erase(found);
  }
  std::vector<Waiter*>& list_;
  Waiter waiter_;
};

WebSocketCore::WebSocketCore(detail::Ends& ends, WebSocketProtocol::Role role,
                             std::shared_ptr<const WebSocketOptions> options, WebSocketTerms terms)
    : runtime_(ends.runtime()),
      ends_(ends),
      options_(std::move(options)),
      terms_(std::move(terms)),
      protocol_(role, limits_of(*options_), runtime_.random(), terms_.deflate, options_->deflate()),
      demand_(runtime_),
      last_received_(runtime_.now()),
      last_message_(runtime_.now()),
      control_frames_(options_->max_control_frames(), kControlWindow),
      scope_(runtime_.ready()) {
  runtime_.counters().at("websocket.opened").add();
  // A client's application may go on; its server closes when it has to.
  if (role == WebSocketProtocol::Role::server) ends_.set_drain_listener(this);
  scope_.spawn(pump());
  expire(runtime_.now());
}

WebSocketCore::~WebSocketCore() {
  TERN_CHECK(waiting_ == 0 && receiver_ == nullptr);
  ends_.set_drain_listener(nullptr);
  if (!gone_ && !over_) ends_.abort(Abort::cancelled);
  runtime_.counters().at("websocket.closed").add();
}

// ---- receiving ----------------------------------------------------------------------------------

Task<void> WebSocketCore::pump() {
  Bytes piece;
  for (;;) {
    while (!wants_input()) {
      paused_ = true;
      co_await demand_.wait();
      paused_ = false;
    }
    if (!over_) {
      const std::optional<Event> event = protocol_.next();
      if (event) {
        handle(*event);
        continue;
      }
    }
    piece = Bytes();
    Result<Bytes> read = co_await ends_.read();
    if (gone_) co_return;
    if (!read) {
      if (over_) {
        gone();
      } else if (peer_close_) {
        end(peer_close_->code, peer_close_->reason, std::move(read).error());
        gone();
      } else {
        end(websocket_code::kAbnormal, {}, std::move(read).error());
        break_off(Abort::cancelled, *error_);
      }
      co_return;
    }
    if (read->empty()) {
      if (peer_close_ && !over_) {
        stream_ended_ = true;
        co_return;
      }
      if (!over_) {
        end(websocket_code::kAbnormal, {},
            Error(Code::closed, "the peer has ended its stream without a close frame",
                  Origin::remote));
      }
      gone();
      co_return;
    }
    piece = std::move(*read);
    last_received_ = runtime_.now();
    stats_.wire_received += piece.size();
    if (!over_) {
      protocol_.feed(piece);
      continue;
    }
    lingered_ += piece.size();
    if (lingered_ <= kMaxLinger) continue;
    ends_.stop_reading();
    gone();
    co_return;
  }
}

bool WebSocketCore::wants_input() const noexcept {
  if (over_ || dropping_ || peer_close_) return true;
  if (buffered_ < options_->receive_buffer()) return true;
  return receiver_ != nullptr && receiver_whole_ && !readable(true);
}

void WebSocketCore::handle(const Event& event) {
  switch (event.type) {
    case Event::Type::part:
      if (!dropping_) keep(event);
      return;
    case Event::Type::ping:
    case Event::Type::pong:
      if (!control_frames_.allow(runtime_.now())) {
        fail_with(websocket_code::kPolicy, "too many pings");
      } else if (event.type == Event::Type::ping) {
        ++stats_.pings_received;
        answer_pong(event.payload);
      } else {
        on_pong(event.payload);
      }
      return;
    case Event::Type::close:
      peer_close_.emplace();
      peer_close_->code = event.code;
      peer_close_->reason = event.reason;
      if (!received_.empty() && !received_.back().last) drop_partial();
      // Not before the application had the chance to answer what came before it, which it has had
      // when it asks for more (RFC 6455 §5.5.1).
      if (close_sent_ || (received_.empty() && (receiver_ != nullptr || !has_received_))) {
        accept_close();
      } else {
        close_deadline_ = runtime_.now() + options_->close_timeout();
        arm(close_deadline_);
      }
      return;
    case Event::Type::failure: fail_with(event.code, event.reason); return;
  }
}

void WebSocketCore::keep(const Event& event) {
  if (received_.empty() || received_.back().last) {
    WebSocketMessage message;
    message.text = event.text;
    received_.push(std::move(message));
  }
  WebSocketMessage& message = received_.back();
  message.data.append(as_text(event.payload));
  message.last = event.last;
  buffered_ += event.payload.size();
  stats_.bytes_received += event.payload.size();
  if (event.last) {
    ++complete_;
    ++stats_.messages_received;
    last_message_ = runtime_.now();
    if (close_sent_) close_deadline_ = last_message_ + options_->close_timeout();
  }
  if (receiver_ != nullptr && readable(receiver_whole_)) receiver_->wake(runtime_.ready());
}

void WebSocketCore::wait_to_receive(Waiter& waiter, bool whole) noexcept {
  TERN_CHECK(receiver_ == nullptr);  // one receiver
  receiver_ = &waiter;
  receiver_whole_ = whole;
  has_received_ = true;
  if (paused_) demand_.notify();
}

void WebSocketCore::stop_receiving(const Waiter& waiter) noexcept {
  if (receiver_ == &waiter) receiver_ = nullptr;
}

std::optional<WebSocketMessage> WebSocketCore::take() {
  has_received_ = true;
  if (received_.empty()) {
    if (peer_close_ && !over_) accept_close();
    return std::nullopt;
  }
  WebSocketMessage message = received_.pop();
  if (message.last) --complete_;
  buffered_ -= message.data.size();
  if (paused_ && buffered_ < options_->receive_buffer()) demand_.notify();
  return message;
}

void WebSocketCore::answer_pong(ByteView payload) {
  if (close_sent_) return;
  if (full()) {
    // The latest alone has to be answered (RFC 6455 §5.5.3).
    pong_due_ = as_text(payload);
    start_draining();
    return;
  }
  write(protocol_.control(WebSocketOpcode::pong, payload));
}

void WebSocketCore::on_pong(ByteView payload) {
  std::uint64_t sequence = 0;
  if (payload.size() != sizeof(sequence)) return;  // an unsolicited one (§5.5.3)
  std::memcpy(&sequence, payload.data(), sizeof(sequence));
  if (sequence != ping_sequence_ || sequence == pong_sequence_) return;
  pong_sequence_ = sequence;
  stats_.round_trip = runtime_.now() - ping_sent_at_;
  wake(pong_waiters_);
}

// ---- sending ------------------------------------------------------------------------------------

bool WebSocketCore::may_send(const WebSocket::Send& send) const noexcept {
  if (full()) return false;
  // Parts of a message follow each other; nothing but control frames goes between them.
  if (in_parts_) return send.part_;
  return waiting_ == 0 || send.waiting_;
}

bool WebSocketCore::try_now(WebSocket::Send& send) {
  if (over_ || close_sent_ || ends_.outgoing().failed()) {
    send.error_ = Error::closed("the WebSocket is closed");
  } else if (send.text_ && !send.part_ && !is_utf8(send.payload_)) {
    send.error_ = Error::invalid("a text message has to be UTF-8");
  } else if (may_send(send)) {
    encode(send);
  } else if (waiting_ >= options_->max_waiting_sends()) {
    send.error_ = Error::limit("too many messages wait to be sent");
  } else {
    return false;
  }
  return true;
}

void WebSocketCore::wait_to_send(WebSocket::Send& send) {
  send.waiting_ = true;
  send.deadline_ = runtime_.now() + options_->send_timeout();
  senders_.push(&send);
  ++waiting_;
  arm(send.deadline_);
  start_draining();
}

void WebSocketCore::stop_sending(WebSocket::Send& send) noexcept {
  if (!send.waiting_) return;
  send.waiting_ = false;
  --waiting_;
  for (std::size_t i = 0; i < senders_.size(); ++i) {
    WebSocket::Send* other = senders_.pop();
    senders_.push(other == &send ? nullptr : other);
  }
}

bool WebSocketCore::try_send(bool text, const Bytes& payload) {
  if (over_ || close_sent_ || waiting_ > 0 || in_parts_ || full()) return false;
  if (ends_.outgoing().failed()) return false;
  if (text && !is_utf8(payload)) return false;
  write(protocol_.message(text, payload, true, true));
  ++stats_.messages_sent;
  stats_.bytes_sent += payload.size();
  last_message_ = runtime_.now();
  return true;
}

void WebSocketCore::encode(WebSocket::Send& send) {
  const bool first = !in_parts_;
  stats_.bytes_sent += send.payload_.size();
  write(protocol_.message(send.text_, send.payload_, first, send.last_));
  in_parts_ = !send.last_;
  if (!send.last_) return;
  ++stats_.messages_sent;
  last_message_ = runtime_.now();
  if (waiting_ > 0) start_draining();
}

void WebSocketCore::write(WebSocketFrame frame) {
  write(std::move(frame.head));
  if (!frame.payload.empty()) write(std::move(frame.payload));
}

void WebSocketCore::write(Bytes bytes) {
  stats_.wire_sent += bytes.size();
  // Queued at once; who has to wait for room waits in `drain`. That it fails, as the peer does not
  // read any more, the pump learns too.
  const auto queued = ends_.write(std::move(bytes));
}

void WebSocketCore::start_draining() {
  if (draining_) return;
  draining_ = true;
  scope_.spawn(drain());
}

/// Runs while somebody waits for the peer to read.
Task<void> WebSocketCore::drain() {
  while (!over_ && !close_sent_ && (waiting_ > 0 || pong_due_)) {
    if (full()) {
      const Result<void> drained = co_await ends_.write(Bytes());
      if (!drained) break;
      continue;
    }
    if (pong_due_) {
      write(protocol_.control(WebSocketOpcode::pong, as_bytes(*pong_due_)));
      pong_due_.reset();
      continue;
    }
    WebSocket::Send* const chosen = next_sender();
    if (chosen == nullptr) break;  // they wait for a message in parts: its end comes back here
    chosen->waiting_ = false;
    --waiting_;
    encode(*chosen);
    chosen->waiter_.wake(runtime_.ready());
  }
  draining_ = false;
}

/// The next in turn; within a message in parts, its next part.
WebSocket::Send* WebSocketCore::next_sender() {
  while (!senders_.empty() && senders_.front() == nullptr) senders_.pop();
  if (senders_.empty()) return nullptr;
  if (may_send(*senders_.front())) return senders_.pop();
  WebSocket::Send* chosen = nullptr;
  for (std::size_t i = senders_.size(); i > 0; --i) {
    WebSocket::Send* const send = senders_.pop();
    if (send == nullptr) continue;
    if (chosen == nullptr && may_send(*send)) {
      chosen = send;
    } else {
      senders_.push(send);
    }
  }
  return chosen;
}

void WebSocketCore::send_ping(Timestamp now) {
  ++ping_sequence_;
  ping_sent_at_ = now;
  ++stats_.pings_sent;
  std::array<std::uint8_t, sizeof(ping_sequence_)> payload;
  std::memcpy(payload.data(), &ping_sequence_, payload.size());
  write(protocol_.control(WebSocketOpcode::ping, payload));
}

Task<Result<Duration>> WebSocketCore::ping() {
  if (!over_ && !close_sent_) {
    if (ping_sequence_ == pong_sequence_) {
      send_ping(runtime_.now());
      arm(runtime_.now() + options_->pong_timeout());
    }
    const std::uint64_t wanted = ping_sequence_;
    while (!over_ && pong_sequence_ < wanted) co_await Next(pong_waiters_);
    if (pong_sequence_ >= wanted) co_return stats_.round_trip;
  }
  co_return fail(error_ ? *error_ : Error::closed("the WebSocket is closed"));
}

// ---- the end ------------------------------------------------------------------------------------

void WebSocketCore::send_close(std::uint16_t code, std::string_view reason) {
  close_sent_ = true;
  close_deadline_ = runtime_.now() + options_->close_timeout();
  write(protocol_.close(code, reason));
  arm(close_deadline_);
}

/// The code goes back as it came.
void WebSocketCore::accept_close() {
  closed_.clean = true;
  if (!close_sent_) send_close(peer_close_->code, {});
  end(peer_close_->code, peer_close_->reason, std::nullopt);
}

void WebSocketCore::start_close(std::uint16_t code, std::string_view reason) {
  if (over_ || close_sent_) return;
  if (peer_close_) return accept_close();
  if (code != websocket_code::kNone && !valid_close_code(code)) {
    code = websocket_code::kInternalError;
  }
  // Those that wait to send are told when it has ended.
  send_close(code, is_utf8(as_bytes(reason)) ? reason : std::string_view());
}

void WebSocketCore::drop_messages() noexcept {
  if (over_) return;
  dropping_ = true;
  received_.clear();
  complete_ = buffered_ = 0;
  if (paused_) demand_.notify();
}

void WebSocketCore::end(std::uint16_t code, std::string reason, std::optional<Error> error) {
  if (over_) return;
  over_ = true;
  closed_.code = code;
  closed_.reason = std::move(reason);
  error_ = std::move(error);
  if (!received_.empty() && !received_.back().last) drop_partial();
  if (!closed_.clean) runtime_.counters().at("websocket.failed").add();
  const Error why = error_ ? *error_ : Error::closed("the WebSocket is closed");
  while (!senders_.empty()) {
    WebSocket::Send* const send = senders_.pop();
    if (send == nullptr) continue;
    send->waiting_ = false;
    send->error_ = why;
    send->waiter_.wake(runtime_.ready());
  }
  waiting_ = 0;
  if (receiver_ != nullptr) receiver_->wake(runtime_.ready());
  wake(pong_waiters_);
  if (paused_) demand_.notify();
  // Our last word. The peer's end is waited for, not long.
  if (!ends_.finished() && !ends_.outgoing().failed()) {
    const auto finished = ends_.finish();
  }
  if (close_deadline_ == kNever) {
    close_deadline_ = runtime_.now() + options_->close_timeout();
    arm(close_deadline_);
  }
  if (stream_ended_) gone();
}

/// What will not be complete. It is the last in the queue: what is before it goes round once.
void WebSocketCore::drop_partial() noexcept {
  for (std::size_t i = received_.size(); i > 1; --i) received_.push(received_.pop());
  buffered_ -= received_.pop().data.size();
}

void WebSocketCore::fail_with(std::uint16_t code, const std::string& reason) {
  if (!close_sent_) send_close(code, reason);
  end(code, reason, Error(Code::invalid, reason, Origin::remote));
}

void WebSocketCore::break_off(Abort why, Error error) {
  end(websocket_code::kAbnormal, {}, std::move(error));
  ends_.abort(why);
  gone();
}

void WebSocketCore::gone() {
  if (std::exchange(gone_, true)) return;
  runtime_.timers().disarm(*this);
  wake(gone_waiters_);
}

void WebSocketCore::wake(std::vector<Waiter*>& waiters) noexcept {
  for (Waiter* waiter : waiters) waiter->wake(runtime_.ready());
}

Task<void> WebSocketCore::wait_until_gone() {
  while (!gone_) co_await Next(gone_waiters_);
}

// ---- deadlines ----------------------------------------------------------------------------------

void WebSocketCore::arm(Timestamp deadline) {
  if (gone_ || deadline >= armed_for_) return;
  armed_for_ = deadline;
  runtime_.timers().arm(*this, deadline);
}

void WebSocketCore::expire(Timestamp now) {
  armed_for_ = kNever;
  const Timestamp next = check_deadlines(now);
  arm(next);
}

Timestamp WebSocketCore::check_deadlines(Timestamp now) {
  if (gone_) return kNever;
  if (ends_.draining() && drain_listener_ == nullptr) {
    start_close(websocket_code::kGoingAway, "the server is going away");
  }
  if (over_ || close_sent_) {
    // An application that does not take what came is the one that makes the peer wait.
    if (paused_ && !over_) close_deadline_ = now + options_->close_timeout();
    if (now < close_deadline_) return close_deadline_;
    if (over_) {  // all was said, but the peer does not end its stream
      ends_.stop_reading();
      gone();
    } else {
      break_off(Abort::cancelled,
                Error(Code::timed_out, "the peer did not answer the close frame in time"));
    }
    return kNever;
  }
  Timestamp next = kNever;
  while (!senders_.empty() && senders_.front() == nullptr) senders_.pop();
  if (!senders_.empty()) {
    next = senders_.front()->deadline_;
    if (next <= now) {
      break_off(Abort::too_much,
                Error(Code::timed_out, "the peer did not read for too long: a message timed out"));
      return kNever;
    }
  }
  if (peer_close_) {
    if (waiting_ > 0) close_deadline_ = now + options_->close_timeout();
    if (now >= close_deadline_) accept_close();
    return std::min(next, close_deadline_);
  }
  if (options_->idle_timeout() > Duration::zero()) {
    const Timestamp due = last_message_ + options_->idle_timeout();
    if (due <= now) {
      start_close(websocket_code::kGoingAway, "idle");
      return close_deadline_;
    }
    next = std::min(next, due);
  }
  return std::min(next, check_ping(now));
}

Timestamp WebSocketCore::check_ping(Timestamp now) {
  const bool outstanding = ping_sequence_ != pong_sequence_ && ping_sent_at_ >= last_received_;
  if (outstanding) {
    // While the application does not take what came, no pong can be read.
    if (paused_) ping_sent_at_ = now;
    const Timestamp due = ping_sent_at_ + options_->pong_timeout();
    if (due > now) return due;
    break_off(Abort::cancelled, Error(Code::timed_out, "the peer did not answer a ping in time"));
    return kNever;
  }
  if (options_->ping_interval() <= Duration::zero()) return kNever;
  const Timestamp due = last_received_ + options_->ping_interval();
  if (due > now) return due;
  // A peer that does not read is the send timeout's.
  if (paused_ || full()) return now + options_->ping_interval();
  send_ping(now);
  return now + options_->pong_timeout();
}

}  // namespace tern::http
