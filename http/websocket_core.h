#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fifo.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "http/exchange.h"
#include "http/rate_limit.h"
#include "http/websocket.h"
#include "http/websocket_protocol.h"

namespace tern::http {

/// What an open WebSocket is: the protocol between an exchange's two bodies and the application's
/// coroutines. One task, the pump, reads and answers what answers itself; a second one exists while
/// senders wait; one timer looks after the deadlines.
class WebSocketCore final : TimerNode, detail::DrainListener {
 public:
  WebSocketCore(detail::Ends& ends, WebSocketProtocol::Role role,
                std::shared_ptr<const WebSocketOptions> options, WebSocketTerms terms);
  ~WebSocketCore();

  // ---- receiving
  bool readable(bool whole) const noexcept {
    return over_ || peer_close_ || (whole ? complete_ > 0 : !received_.empty());
  }
  void wait_to_receive(Waiter& waiter, bool whole) noexcept;
  void stop_receiving(const Waiter& waiter) noexcept;
  std::optional<WebSocketMessage> take();

  // ---- sending
  /// Sends at once or says why not (`send.error_`); false: it has to wait.
  bool try_now(WebSocket::Send& send);
  void wait_to_send(WebSocket::Send& send);
  void stop_sending(WebSocket::Send& send) noexcept;
  bool try_send(bool text, const Bytes& payload);
  Task<Result<Duration>> ping();

  // ---- the end
  void set_drain_listener(detail::DrainListener* listener) noexcept {
    drain_listener_ = listener;
    // Nobody else takes care of it any more.
    if (listener == nullptr && ends_.draining() && !gone_) arm(runtime_.now());
  }
  void start_close(std::uint16_t code, std::string_view reason);
  /// What comes from now on, and what was not taken yet, is of no interest.
  void drop_messages() noexcept;
  Task<void> wait_until_gone();

  Runtime& runtime() const noexcept { return runtime_; }
  detail::Ends& ends() const noexcept { return ends_; }
  bool over() const noexcept { return over_; }
  const WebSocketClose& closed() const noexcept { return closed_; }
  const std::optional<Error>& error() const noexcept { return error_; }
  const WebSocketTerms& terms() const noexcept { return terms_; }
  const WebSocketStats& stats() const noexcept { return stats_; }

 private:
  using Event = WebSocketProtocol::Event;
  class Next;

  Task<void> pump();
  Task<void> drain();
  bool wants_input() const noexcept;
  void handle(const Event& event);
  void keep(const Event& event);
  void drop_partial() noexcept;
  void answer_pong(ByteView payload);
  void on_pong(ByteView payload);

  bool full() const noexcept { return ends_.outgoing().full(); }
  bool may_send(const WebSocket::Send& send) const noexcept;
  void encode(WebSocket::Send& send);
  WebSocket::Send* next_sender();
  void write(WebSocketFrame frame);
  void write(Bytes bytes);
  void send_ping(Timestamp now);
  void send_close(std::uint16_t code, std::string_view reason);
  void start_draining();

  /// Answers the peer's close frame.
  void accept_close();
  /// No more messages come, and none goes.
  void end(std::uint16_t code, std::string reason, std::optional<Error> error);
  /// The peer broke a rule, as RFC 6455 §7.1.7 has it: tells it and ends.
  void fail_with(std::uint16_t code, const std::string& reason);
  /// The stream is of no use any more.
  void break_off(Abort why, Error error);
  /// Nothing is left to be waited for.
  void gone();
  void wake(std::vector<Waiter*>& waiters) noexcept;

  /// From inside the session: acts on it when it is the timers' turn.
  void on_drain() noexcept override {
    if (drain_listener_ != nullptr) return drain_listener_->on_drain();
    arm(runtime_.now());
  }
  void expire(Timestamp now) override;
  void arm(Timestamp deadline);
  /// Does what is due and says when to look again.
  Timestamp check_deadlines(Timestamp now);
  Timestamp check_ping(Timestamp now);

  Runtime& runtime_;
  detail::Ends& ends_;
  std::shared_ptr<const WebSocketOptions> options_;
  detail::DrainListener* drain_listener_ = nullptr;  // of the application
  WebSocketTerms terms_;
  WebSocketProtocol protocol_;

  Fifo<WebSocketMessage> received_;  // complete ones, and at its end perhaps a part
  std::size_t complete_ = 0;
  std::size_t buffered_ = 0;
  Waiter* receiver_ = nullptr;
  bool receiver_whole_ = false;
  Signal demand_;  // for the pump, while `paused_`
  bool paused_ = false;

  Fifo<WebSocket::Send*> senders_;  // waiting; null where one has given up
  std::size_t waiting_ = 0;
  bool in_parts_ = false;  // a message of ours has begun and not ended
  bool draining_ = false;
  std::optional<std::string> pong_due_;

  /// The peer's close frame, until it is answered: the application may answer first what came
  /// before.
  std::optional<WebSocketClose> peer_close_;
  bool has_received_ = false;  // the application asks for messages, so it will see the end
  bool stream_ended_ = false;  // by the peer, before we had answered its close frame
  bool close_sent_ = false;
  bool dropping_ = false;
  bool over_ = false;
  bool gone_ = false;
  std::size_t lingered_ = 0;  // bytes dropped after the end
  WebSocketClose closed_;
  std::optional<Error> error_;
  std::vector<Waiter*> gone_waiters_;
  std::vector<Waiter*> pong_waiters_;

  Timestamp armed_for_ = kNever;
  Timestamp close_deadline_ = kNever;
  Timestamp last_received_;
  Timestamp last_message_;
  Timestamp ping_sent_at_{};
  std::uint64_t ping_sequence_ = 0;
  std::uint64_t pong_sequence_ = 0;
  RateLimit control_frames_;
  WebSocketStats stats_;
  Scope scope_;  // last: its tasks use everything above
};

}  // namespace tern::http
