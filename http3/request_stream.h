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
#include "base/fifo.h"
#include "base/recycled_memory.h"
#include "base/time.h"
#include "http/broken_rule.h"
#include "http/carrier.h"
#include "http/exchange.h"
#include "http3/error_code.h"
#include "http3/frame_walker.h"
#include "http3/message_rules.h"
#include "http3/qpack_decoder.h"
#include "http3/send_queue.h"
#include "transport/quic/event.h"

namespace tern::http3 {

class SessionCore;

/// What a reset or STOP_SENDING of the peer's with that code means.
Error peer_error(std::uint64_t code);

/// One request and its response on one stream: what `http::Exchange` or `http::ClientExchange`
/// stands on. Lives until the stream is closed and the exchange has let go, or the connection is
/// over. Pooled by the Context. Two files: request_stream.cc (life and what goes out),
/// request_reading.cc (what comes in).
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
  http::Session* session() noexcept override;
  std::int64_t stream_id() const noexcept override { return id(); }
  std::string_view protocol() const noexcept override { return "h3"; }
  udp::Path path() const noexcept override;
  bool early_data() const noexcept override;
  void send_request(const http::RequestHead& head, bool end) override;
  void send_response(http::Status status, http::Fields fields, bool end) override;
  void send_body(Bytes bytes, bool end) override;
  void send_trailers(const http::Fields& trailers) override;
  std::size_t unsent() const noexcept override;
  void consumed(std::size_t count) override;
  void abort(http::Abort why) override;
  void stop_reading(http::Abort why) override;
  void set_priority(http::Priority priority) override;
  bool send_datagram(ByteView payload) override;
  std::size_t max_datagram() const noexcept override;
  void detach() noexcept override;

  // ---- what comes in, from the session

  /// Something wrong with the message; the session acts on it when what came was read.
  enum class Fault : std::uint8_t {
    none,
    malformed,
    incomplete,
    too_large,  ///< the header section
    body_too_large,
    rejected,  ///< after our GOAWAY
  };
  Fault fault() const noexcept { return fault_; }
  /// In words, with what the peer has put in escaped.
  const std::string& fault_reason() const noexcept { return fault_reason_; }
  void set_fault(Fault fault, std::string reason) noexcept;
  void clear_fault() noexcept { fault_ = Fault::none; }

  /// Bytes of the stream, in order, and its end. Returns how many of them are done with: not those
  /// of the body, nor those that wait for QPACK, which are accounted for when they are read.
  std::size_t receive(ByteView bytes, bool fin) noexcept;
  /// A field section waits for the peer's encoder stream, and everything behind it.
  bool waits_for_qpack() const noexcept { return waits_for_qpack_; }
  const QpackDecoder::Section& section() const noexcept { return section_; }
  /// The instructions have come.
  void resume_reading() noexcept;
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
  /// There is something to send, and nothing that speaks against it.
  bool ready_to_send() const noexcept {
    return (queue_.unsent() > 0 || (end_queued_ && !fin_sent_)) && submitted_ && !write_shut_ &&
           !blocked_ && !closed_;
  }
  /// What to send next; `fin`: the stream ends behind it.
  std::size_t offer(std::span<quic::Vec> vecs, bool& fin) const noexcept;
  /// `count` bytes of what was offered left in a packet, with the stream's end if `fin`.
  void sent(std::size_t count, bool fin, Timestamp now) noexcept;
  void acked(std::uint64_t count) noexcept;
  void set_blocked(bool blocked, Timestamp now) noexcept;
  http::Priority priority() const noexcept { return priority_; }
  /// Server: the client's wish (RFC 9218 §7); nothing against ours. False: it changes nothing.
  bool wish(http::Priority priority) noexcept;

  // ---- client: a request on its way to a stream
  bool waiting() const noexcept { return waiting_; }
  const http::RequestHead& kept_head() const noexcept { return *head_; }
  /// Sends the request on the stream `id`; or the one whose head was kept.
  void submit(quic::StreamId id, const http::RequestHead& head);
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
  enum class Late : std::uint8_t { no, head, body, stalled, endless };
  Late late(Timestamp now) const noexcept;
  /// STOP_SENDING for the request, if it has not gone: it was answered, and does not end.
  void stop_owed() noexcept;
  /// Something may become late.
  bool watched() const noexcept;
  void touch(Timestamp now) noexcept { last_received_ = now; }
  bool wants_to_send() const noexcept {
    return submitted_ && !sending_done() && queue_.unsent() > 0;
  }

  // The session's list and table.
  RequestStream* previous = nullptr;
  RequestStream* next = nullptr;
  RequestStream* next_in_bucket = nullptr;
  bool indexed = false;
  bool flagged = false;
  bool counted = false;  // as cancelled by the peer
  /// QUIC has closed the stream, with this code, but a field section in it waits for QPACK.
  std::optional<std::uint64_t> closed_with;
  // The scheduler's.
  RequestStream* previous_scheduled = nullptr;
  RequestStream* next_scheduled = nullptr;
  std::uint32_t run = 0;          // bytes sent in this turn
  std::int8_t scheduled_as = -1;  // with this urgency

 private:
  /// Where the message is: what frame may come next.
  enum class Part : std::uint8_t { head, body, trailers, end };

  bool is_server() const noexcept { return server_; }

  // request_reading.cc
  bool reads_on() const noexcept;
  void frame_begins() noexcept;
  void data_begins(std::uint64_t length) noexcept;
  void headers_begin(std::uint64_t length) noexcept;
  void other_begins(std::uint64_t type) noexcept;
  void stream_ends() noexcept;
  void read_section(ByteView& payload) noexcept;
  bool recall_section(ByteView payload) noexcept;
  void learn_section() noexcept;
  void hold(ByteView bytes, bool fin) noexcept;
  void leave_section() noexcept;
  bool field(const FieldLine& line) noexcept;
  bool pass_over() noexcept;
  void refuse_line(const FieldLine& line) noexcept;
  http::PartOfMessage message() const noexcept;
  std::string section_too_large() const;
  std::string body_too_long() const;
  void section_ends() noexcept;
  void finish_head() noexcept;
  void finish_response() noexcept;
  void keep(const FieldLine& line) noexcept;
  void expect_length(std::string_view method) noexcept;
  void body(ByteView bytes) noexcept;
  void message_ends() noexcept;
  void fatal(ErrorCode code, std::string_view why) noexcept;

  // request_stream.cc
  void submit_request(const http::RequestHead& head);
  void queue_head(ByteView frame);
  void queue_frame(ByteView bytes);
  void queue_body(Bytes bytes);
  void count_queued() noexcept;
  void queue_trailers(const http::Fields& trailers);
  void drop_exchange() noexcept;
  void stop_receiving(ErrorCode code) noexcept;
  void stop_sending(ErrorCode code) noexcept;
  void resume_sending();

  SessionCore* session_ = nullptr;
  http::detail::Ends* ends_ = nullptr;
  quic::StreamId id_ = -1;
  SendQueue queue_;
  std::size_t counted_ = 0;  // of the queue, in the session's sum
  FrameWalker walker_;

  // What comes in.
  std::unique_ptr<http::Exchange> exchange_;  // server: until its head is complete
  std::unique_ptr<http::RequestHead> head_;   // client: the request, while it may be needed
  http::Fields fields_;                       // client: the response's; both: trailers
  std::string cookie_;
  std::optional<http::Fields> kept_trailers_;  // client: until there is a stream
  QpackDecoder::Section section_;
  MessageRules rules_;
  MessageRules begun_;  // as they were before the section's first line
  ByteView whole_;      // the section's bytes, while it is read, if they came in one piece
  Fifo<Bytes> held_;    // behind a section that waits
  std::size_t held_size_ = 0;
  std::size_t section_size_ = 0;
  std::size_t section_lines_ = 0;
  std::int64_t expected_ = -1;   // body bytes that must come; -1: any number
  std::uint64_t announced_ = 0;  // in the headers of DATA frames
  Timestamp opened_{};
  Timestamp last_received_{};
  Timestamp last_sent_{};
  std::string fault_reason_;
  Fault fault_ = Fault::none;
  Part part_ = Part::head;
  bool server_ = false;
  bool have_head_ = false;  // a HEADERS frame has begun
  bool have_method_ = false;
  bool have_scheme_ = false;
  bool have_path_ = false;
  bool head_complete_ = false;
  bool receiving_done_ = false;
  bool stop_owed_ = false;  // STOP_SENDING, should the end not come next
  bool waits_for_qpack_ = false;
  bool held_end_ = false;  // of the stream, behind what is held
  bool early_ = false;
  bool tunnel_ = false;
  bool had_empty_data_ = false;   // a DATA frame without bytes
  bool head_request_ = false;     // client: the method was HEAD
  bool connect_request_ = false;  // client: the method was CONNECT

  // What goes out.
  http::Priority priority_;
  bool priority_set_ = false;     // by us
  bool priority_wished_ = false;  // server: by a PRIORITY_UPDATE frame
  bool head_queued_ = false;
  bool submitted_ = false;   // the head may leave
  bool end_queued_ = false;  // nothing follows what is queued
  bool fin_sent_ = false;
  bool write_shut_ = false;  // reset by us, or not wanted by the peer
  bool blocked_ = false;     // by flow control
  bool waiting_ = false;     // client: for a stream
  bool keep_head_ = false;
  bool responding_ = false;  // server: the final response's head is queued
  bool closed_ = false;

  /// Frames' headers, field sections and small bodies, while there is room; usually all of an
  /// answer but a large body. Null while all of it is acknowledged: a tunnel that rests has none.
  struct FrameSpace : Recycled {
    std::size_t size = 0;
    std::array<std::uint8_t, 248> bytes;
  };
  std::unique_ptr<FrameSpace> frames_;
};

}  // namespace tern::http3
