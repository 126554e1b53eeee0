#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "http/carrier.h"
#include "http/exchange.h"
#include "http3/body_queue.h"
#include "http3/error_code.h"
#include "http3/frame_walker.h"
#include "http3/nghttp3_bridge.h"
#include "transport/quic/event.h"

namespace tern::http3 {

class SessionCore;

/// The three digits of a status, without an allocation.
class StatusText {
 public:
  StatusText() noexcept = default;
  explicit StatusText(http::Status status) noexcept {
    const int number = http::code(status);
    digits_[0] = static_cast<char>('0' + number / 100 % 10);
    digits_[1] = static_cast<char>('0' + number / 10 % 10);
    digits_[2] = static_cast<char>('0' + number % 10);
  }
  operator std::string_view() const noexcept { return {digits_.data(), digits_.size()}; }

 private:
  std::array<char, 3> digits_{};
};

/// One request and its response on one stream: what `http::Exchange` or `http::ClientExchange`
/// stands on. Lives until the stream is closed and the exchange has let go, or the connection is
/// over. Pooled by the Context.
class RequestStream final : public http::Carrier {
 public:
  /// A blank object becomes a stream of `session`; `id` is -1 while a client's is not open.
  void begin(SessionCore& session, quic::StreamId id, Timestamp now) noexcept;
  /// Blank again.
  void clear() noexcept;

  quic::StreamId id() const noexcept { return id_; }
  void attach(http::detail::Ends& ends) noexcept { ends_ = &ends; }
  bool attached() const noexcept { return ends_ != nullptr; }
  void drain() noexcept {
    if (ends_ != nullptr) ends_->drain();
  }

  // ---- Carrier
  std::string_view protocol() const noexcept override { return "h3"; }
  udp::Path path() const noexcept override;
  bool early_data() const noexcept override;
  void send_request(const http::RequestHead& head, bool end) override;
  void send_response(http::Status status, http::Fields fields, bool end) override;
  void send_body(Bytes bytes, bool end) override;
  void send_trailers(const http::Fields& trailers) override;
  std::size_t unsent() const noexcept override { return body_.unsent(); }
  void consumed(std::size_t count) override;
  void abort(http::Abort why) override;
  void stop_reading(http::Abort why) override;
  void set_priority(http::Priority priority) override;
  bool send_datagram(ByteView payload) override;
  std::size_t max_datagram() const noexcept override;
  void detach() noexcept override;

  // ---- what comes in, from the session

  /// Something wrong with the message; the session acts on it when nghttp3 has returned.
  enum class Fault : std::uint8_t {
    none,
    malformed,
    incomplete,
    too_large,  ///< the header section
    body_too_large,
    rejected,  ///< after our GOAWAY
  };
  Fault fault() const noexcept { return fault_; }
  const char* fault_reason() const noexcept { return fault_reason_; }
  void set_fault(Fault fault, const char* reason) noexcept;
  void clear_fault() noexcept { fault_ = Fault::none; }

  /// What is found in bytes before nghttp3 reads them.
  struct Inspection {
    /// Bytes to hand on.
    std::size_t size = 0;
    /// They end with a header section, which says what may follow: inspect the rest (or the
    /// stream's end) afterwards.
    bool more = false;
    Fault fault = Fault::none;
    ErrorCode connection_error = ErrorCode::no_error;
    const char* reason = "";
  };
  Inspection inspect(ByteView bytes, bool fin) noexcept;

  void section_begins(bool trailers) noexcept;
  /// False: the section is a bomb, and the connection over.
  bool field(Nghttp3Bridge::Name name, std::string_view name_text, std::string_view value,
             bool trailers) noexcept;
  void section_ends(bool trailers) noexcept;
  void body(ByteView bytes) noexcept;
  void message_ends() noexcept;
  void datagram(Bytes payload);
  void peer_reset(std::uint64_t code) noexcept;
  /// Nothing more can be sent. Called while packets are filled.
  void peer_stopped() noexcept;
  /// The stream is closed in QUIC. True: nobody holds on to this object any more.
  bool closed(std::uint64_t code) noexcept;
  void connection_gone(const Error& error) noexcept;

  /// Ends the stream both ways with `code`; the exchange, if any, fails with `error`.
  void fail(ErrorCode code, const Error& error) noexcept;
  /// The request has not been processed and may be sent again.
  void refuse(const Error& error) noexcept;

  // ---- what goes out, from the session
  Nghttp3Bridge::Body read_body(std::span<quic::Vec> vecs) noexcept;
  void body_acked(std::uint64_t count) noexcept { body_.acked(count); }
  /// `count` bytes of `vecs` left in a packet, with the stream's end if `fin`.
  void sent(std::span<const quic::Vec> vecs, std::size_t count, bool fin, Timestamp now) noexcept;
  void set_blocked(bool blocked, Timestamp now) noexcept;
  /// nghttp3 has offered the stream's end alone, without bytes. When what is before it is
  /// acknowledged while the end has not left, nghttp3 1.8 takes the end for acknowledged too and
  /// offers it never again: it hears of those acknowledgements later.
  void note_bare_end() noexcept { bare_end_ = true; }
  /// True: kept until `take_held_acks`.
  bool hold_ack(std::uint64_t count) noexcept {
    if (!bare_end_ || sending_done()) return false;
    held_acks_ += count;
    return true;
  }
  std::uint64_t take_held_acks() noexcept { return std::exchange(held_acks_, 0); }

  // ---- client: a request on its way to a stream
  bool waiting() const noexcept { return waiting_; }
  const http::RequestHead& kept_head() const noexcept { return *head_; }
  /// Sends the kept head on the stream `id`.
  void submit_kept(quic::StreamId id);
  /// The handshake is complete: what was sent in 0-RTT need not be sent again.
  void forget_kept() noexcept;
  /// 0-RTT was refused. True: waits for a new stream; false: there is nothing to send again.
  bool rewind() noexcept;

  // ---- state
  bool head_complete() const noexcept { return head_complete_; }
  bool receiving_done() const noexcept { return receiving_done_; }
  bool sending_done() const noexcept { return fin_sent_ || write_shut_; }
  bool is_closed() const noexcept { return closed_; }
  /// Server: the exchange, its head filled in as far as it has come. Once.
  std::unique_ptr<http::Exchange> take_exchange();
  void set_early(bool early) noexcept { early_ = early; }

  /// Which of the session's time limits this stream has passed at `now`, if any.
  enum class Late : std::uint8_t { no, head, body, stalled };
  Late late(Timestamp now) const noexcept;
  /// Something may become late.
  bool watched() const noexcept;
  void touch(Timestamp now) noexcept { last_received_ = now; }
  bool wants_to_send() const noexcept { return submitted_ && !sending_done() && unsent() > 0; }

  // The session's list and table.
  RequestStream* previous = nullptr;
  RequestStream* next = nullptr;
  RequestStream* next_in_bucket = nullptr;
  bool indexed = false;
  bool flagged = false;
  bool counted = false;  // as cancelled by the peer
  /// QUIC has closed the stream, with this code, but a field section in it waits for QPACK.
  std::optional<std::uint64_t> closed_with;

 private:
  bool is_server() const noexcept { return server_; }
  void submit_request(const http::RequestHead& head, bool body);
  void finish_head() noexcept;
  void finish_response() noexcept;
  void keep(Nghttp3Bridge::Name name, std::string_view name_text, std::string_view value) noexcept;
  void server_field(Nghttp3Bridge::Name name, std::string_view name_text,
                    std::string_view value) noexcept;
  void expect_length(std::string_view method) noexcept;
  void read_content_length(std::string_view value) noexcept;
  void drop_exchange() noexcept;
  void stop_receiving(ErrorCode code) noexcept;
  void stop_sending(ErrorCode code) noexcept;
  void resume_body();

  SessionCore* session_ = nullptr;
  http::detail::Ends* ends_ = nullptr;
  quic::StreamId id_ = -1;
  BodyQueue body_;
  FrameWalker walker_;

  // What comes in.
  std::unique_ptr<http::Exchange> exchange_;  // server: until its head is complete
  std::unique_ptr<http::RequestHead> head_;   // client: the request, while it may be needed
  http::Fields fields_;                       // client: the response's; both: trailers
  std::string cookie_;
  std::size_t section_size_ = 0;
  std::size_t section_lines_ = 0;
  std::int64_t content_length_ = -1;
  std::int64_t expected_ = -1;   // body bytes that must come; -1: any number
  std::uint64_t announced_ = 0;  // in the headers of DATA frames
  std::uint32_t headers_frames_ = 0;
  int status_ = 0;
  Timestamp opened_{};
  Timestamp last_received_{};
  Timestamp last_sent_{};
  const char* fault_reason_ = "";
  Fault fault_ = Fault::none;
  bool server_ = false;
  bool known_ = false;  // to nghttp3, as the stream's owner
  bool have_method_ = false;
  bool have_scheme_ = false;
  bool have_path_ = false;
  bool head_complete_ = false;
  bool receiving_done_ = false;
  bool early_ = false;
  bool tunnel_ = false;
  bool had_empty_data_ = false;   // a DATA frame without bytes
  bool head_request_ = false;     // client: the method was HEAD
  bool connect_request_ = false;  // client: the method was CONNECT

  // What goes out.
  http::Fields kept_fields_;  // server: the response's; client, while in 0-RTT: the trailers
  StatusText status_text_;    // server: the response's
  http::Priority wanted_priority_;
  bool priority_set_ = false;
  bool submitted_ = false;   // the head is with nghttp3
  bool body_ended_ = false;  // the exchange has given all of the body
  bool has_trailers_ = false;
  bool body_waits_ = false;  // nghttp3 was told that there is no more body now
  bool fin_sent_ = false;
  bool bare_end_ = false;
  std::uint64_t held_acks_ = 0;
  bool write_shut_ = false;  // reset by us, or not wanted by the peer
  bool blocked_ = false;     // by flow control
  bool waiting_ = false;     // client: for a stream
  bool keep_head_ = false;
  bool responding_ = false;  // server: the final response's head is with nghttp3
  bool closed_ = false;
};

}  // namespace tern::http3
