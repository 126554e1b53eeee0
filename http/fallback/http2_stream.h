#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "http/broken_rule.h"
#include "http/carrier.h"
#include "http/exchange.h"
#include "http/fallback/http2_body.h"
#include "http/fallback/http2_bridge.h"
#include "http/fallback/http2_code.h"
#include "http/message_lines.h"

namespace tern::fallback {

class Http2Session;

/// Field lines that streams look at themselves.
enum class Http2Name : std::uint8_t {
  other,
  method,
  scheme,
  authority,
  path,
  protocol,
  status,
  host,
  content_length,
  cookie,
};

/// One request and its response: what `http::Exchange` or `http::ClientExchange` stands on. Lives
/// until nghttp2 has closed the stream and the exchange has let go, or the connection is over.
/// Pooled by the Http2Pool.
class Http2Stream final : public http::Carrier {
 public:
  /// A blank object becomes a stream of `session`; `id` is 0 while a client's is not sent.
  void begin(Http2Session& session, Http2StreamId id, Timestamp now) noexcept;
  /// Blank again.
  void clear() noexcept;

  Http2StreamId id() const noexcept { return id_; }
  void attach(http::detail::Ends& ends) noexcept { ends_ = &ends; }
  bool attached() const noexcept { return ends_ != nullptr; }
  void drain() noexcept {
    if (ends_ != nullptr) ends_->drain();
  }

  // ---- Carrier
  http::Session* session() noexcept override;
  std::int64_t stream_id() const noexcept override { return id_; }
  std::string_view protocol() const noexcept override { return "h2"; }
  udp::Path path() const noexcept override;
  bool early_data() const noexcept override { return false; }
  void send_request(const http::RequestHead& head, bool end) override;
  void send_response(http::Status status, http::Fields fields, bool end) override;
  void send_body(Bytes bytes, bool end) override;
  void send_trailers(const http::Fields& trailers) override;
  std::size_t unsent() const noexcept override;
  void consumed(std::size_t count) override;
  void abort(http::Abort why) override;
  void stop_reading(http::Abort why) override;
  void set_priority(http::Priority priority) override;
  bool send_datagram(ByteView) override { return false; }
  std::size_t max_datagram() const noexcept override { return 0; }
  void detach() noexcept override;

  // ---- what comes in, from inside Http2Bridge::receive

  /// Something wrong with the message that nghttp2 does not look at; the session acts on it when
  /// nghttp2 has returned.
  enum class Fault : std::uint8_t { none, malformed, too_large, body_too_large };
  Fault fault() const noexcept { return fault_; }
  const std::string& fault_reason() const noexcept { return fault_reason_; }
  /// Which rule the message breaks that nghttp2 resets for `code`, for people.
  std::string rule(Http2Code code) const;
  void clear_fault() noexcept { fault_ = Fault::none; }

  void section_begins() noexcept;
  /// False: the section is a bomb, and the connection over.
  bool field(Http2Name name, std::string_view name_text, std::string_view value) noexcept;
  /// nghttp2 resets the stream for that line.
  void line_refused(std::string_view name, std::string_view value) noexcept;
  /// By the peer's WINDOW_UPDATE.
  void window_overflows() noexcept;
  void section_ends() noexcept;
  void body(ByteView bytes) noexcept;
  void message_ends() noexcept;
  void peer_reset(Http2Code code) noexcept;
  /// nghttp2 has closed the stream. True: nobody holds on to this object any more.
  bool closed(Http2Code code) noexcept;
  void connection_gone(const Error& error) noexcept;

  /// Ends the stream both ways with `code`; the exchange, if any, fails with `error`.
  void fail(Http2Code code, const Error& error) noexcept;
  /// The response is out, and no more of the request is wanted.
  void end_request() noexcept { reset(Http2Code::no_error); }
  /// The request has not been sent and may be sent elsewhere.
  void refuse(const Error& error) noexcept;
  /// The same for one that its session has taken from those that wait.
  void drop_waiting(const Error& error) noexcept {
    waiting_ = false;
    fail(Http2Code::cancel, error);
  }

  // ---- what goes out, from inside Http2Bridge::send
  Http2Bridge::Body read_body(std::size_t room) noexcept;
  void submit_trailers() noexcept;
  template <typename Sink>
  void take_body(std::size_t size, Sink&& sink) {
    body_.take(size, sink);
  }
  /// `take_body` is through.
  void sent() noexcept;
  void end_sent() noexcept;

  // ---- client: a request on its way
  bool waiting() const noexcept { return waiting_; }
  const http::RequestHead& kept_head() const noexcept { return head_; }
  void submit_kept();
  /// Its turn is over for now; `resume_turn` when the others had theirs.
  bool turn_over() const noexcept { return turn_over_; }
  void resume_turn();

  // ---- state
  bool head_complete() const noexcept { return head_complete_; }
  bool receiving_done() const noexcept { return receiving_done_; }
  bool sending_done() const noexcept { return end_sent_ || write_shut_; }
  bool is_closed() const noexcept { return closed_; }
  /// The reset that goes out is ours, not what nghttp2 answers the peer's faults with.
  bool reset_by_us() const noexcept { return reset_; }
  bool peer_has_reset() const noexcept { return peer_reset_; }
  http::RequestHead& head() noexcept { return head_; }
  bool wants_to_send() const noexcept {
    return submitted_ && !sending_done() && body_.unsent() > 0;
  }

  /// Which of the session's time limits this stream has passed at `now`, if any. `window`: what the
  /// peer allows to send on it.
  enum class Late : std::uint8_t { no, answered, body, stalled };
  Late late(Timestamp now, std::int32_t window) noexcept;
  /// Something may become late.
  bool watched() const noexcept { return !closed_ && (!receiving_done_ || wants_to_send()); }

  // The session's list and table.
  Http2Stream* previous = nullptr;
  Http2Stream* next = nullptr;
  Http2Stream* next_in_bucket = nullptr;
  bool indexed = false;
  bool flagged = false;
  bool counted = false;  // as cancelled by the peer, or because of it

 private:
  bool is_server() const noexcept;
  void set_fault(Fault fault, std::string reason) noexcept;
  http::PartOfMessage message() const noexcept;
  bool too_many(std::string_view name, std::string_view value) noexcept;
  void keep(Http2Name name, std::string_view name_text, std::string_view value) noexcept;
  void finish_head() noexcept;
  void finish_response() noexcept;
  void reset(Http2Code code) noexcept;
  bool may_linger() const noexcept;
  void linger() noexcept;
  void resume_body();
  void count_queued() noexcept;

  Http2Session* session_ = nullptr;
  http::detail::Ends* ends_ = nullptr;
  Http2StreamId id_ = 0;
  Http2Body body_;
  std::size_t counted_ = 0;  // of it, in the session's sum

  // What comes in.
  http::RequestHead head_;  // server: the request; client: the request until it is sent
  http::Fields fields_;     // client: the response's; both: trailers
  std::string cookie_;
  std::size_t section_size_ = 0;
  std::size_t section_lines_ = 0;
  std::int64_t content_length_ = -1;
  std::uint64_t received_ = 0;
  int status_ = 0;
  bool has_host_ = false;
  Timestamp last_received_{};
  Timestamp blocked_since_ = kNever;  // by the peer's window
  Timestamp lingers_until_ = kNever;  // answered; what comes of the request is dropped
  std::string fault_reason_;
  std::string rule_;  // what nghttp2 resets the stream for, where it has told
  Fault fault_ = Fault::none;
  bool head_complete_ = false;
  bool in_trailers_ = false;
  bool receiving_done_ = false;
  bool discarding_ = false;  // what comes is not wanted, and the stream's window stays closed
  bool tunnel_ = false;
  bool expects_ = false;  // 100 (Continue), before its body
  bool peer_reset_ = false;

  // What goes out.
  http::Fields kept_fields_;  // server: the response's
  http::Fields trailers_;
  http::StatusText status_text_;
  http::Priority wanted_priority_;
  std::size_t turn_ = 0;  // bytes sent in a row
  bool priority_set_ = false;
  bool submitted_ = false;   // the head is with nghttp2
  bool body_ended_ = false;  // the exchange has given all of the body
  bool has_trailers_ = false;
  bool body_waits_ = false;  // nghttp2 was told that there is no more body now
  bool turn_over_ = false;
  bool end_sent_ = false;
  bool write_shut_ = false;  // reset, by us or the peer
  bool reset_ = false;
  bool waiting_ = false;  // client: for the server to allow more streams
  bool responding_ = false;
  bool closed_ = false;
};

}  // namespace tern::fallback
