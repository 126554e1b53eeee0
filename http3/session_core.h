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
#include <vector>

#include "base/bytes.h"
#include "base/timer_heap.h"
#include "http/queued_bytes.h"
#include "http/rate_limit.h"
#include "http3/context.h"
#include "http3/control_reader.h"
#include "http3/known_sections.h"
#include "http3/qlog_events.h"
#include "http3/qpack_decoder.h"
#include "http3/qpack_encoder.h"
#include "http3/request_stream.h"
#include "http3/scheduler.h"
#include "http3/send_queue.h"
#include "http3/session.h"
#include "http3/stream_table.h"
#include "transport/quic/connection.h"

namespace tern::http3 {

/// The one implementation of Session, for both sides. Five files: session_core.cc (life and
/// events), session_peer.cc (the peer's new and unidirectional streams), session_streams.cc
/// (request streams), session_source.cc (what to send next), session_time.cc (time limits).
class SessionCore final : public Session,
                          private quic::StreamSource,
                          private quic::DatagramSource,
                          private TimerNode {
 public:
  SessionCore(Context& context, quic::Connection& connection, ClientHooks hooks);
  ~SessionCore();

  // ---- Session
  Result<std::unique_ptr<http::ClientExchange>> open() override;
  bool accepts_requests() const noexcept override;
  std::size_t requests() const noexcept override { return table_.listed(); }
  std::uint64_t total_requests() const noexcept override { return total_requests_; }
  void drain() override;
  bool draining() const noexcept override { return drain_ != Drain::no; }
  Result<void> export_keying_material(std::string_view label, ByteView context,
                                      MutableBytes out) const override {
    return connection_.export_keying_material(label, context, out);
  }
  using Session::close;
  void close(ErrorCode why, std::string_view reason) override;
  const std::optional<Settings>& peer_settings() const noexcept override { return peer_settings_; }
  const Settings& local_settings() const noexcept override { return local_settings_; }
  void set_router(StreamRouter* router) noexcept override { router_ = router; }
  StreamRouter* router() override;
  void adopt(quic::StreamId stream) override { routed_.push_back(stream); }
  quic::Connection& connection() noexcept override { return connection_; }
  void handle(const quic::Event& event) override;

  /// What options make a side announce, without grease.
  static Settings settings_of(const SessionOptions& options, bool server);

  // ---- for RequestStream
  Context& context() noexcept { return context_; }
  Runtime& runtime() noexcept { return context_.runtime(); }
  const SessionOptions& options() const noexcept { return context_.options(); }
  QpackEncoder& encoder() noexcept { return *encoder_; }
  QpackDecoder& decoder() noexcept { return *decoder_; }
  KnownSections& known_sections() noexcept { return known_sections_; }
  bool is_server() const noexcept { return server_; }
  Timestamp now() noexcept { return context_.runtime().now(); }
  Http3Qlog& qlog() noexcept { return qlog_; }
  http::QueuedBytes& queued() noexcept { return queued_; }

  bool over() const noexcept { return over_; }

  /// There is something new to send.
  void wake() noexcept { connection_.wake(); }
  /// The stream takes part in what is sent, if it has something; no more.
  void take_turn(RequestStream& stream) noexcept;
  void leave_turn(RequestStream& stream) noexcept { scheduler_.remove(stream); }
  /// Client: tells the server (RFC 9218 §7.2).
  void send_priority_update(quic::StreamId stream, std::string_view field_value);
  /// Acts on the stream's fault once what came is read.
  void flag(RequestStream& stream);
  /// One more oddity of the peer's; false: one too many, and the connection is over.
  bool glitch(std::string_view what) noexcept;
  /// A section of the stream waits for the peer's encoder. False: more than it may let wait.
  bool wait_for_qpack(RequestStream& stream);
  void waits_no_more(RequestStream& stream) noexcept;
  /// `RequestStream::receive` for bytes that came before; `piece` is what `slice` shares.
  std::size_t receive_again(RequestStream& stream, const Bytes& piece, bool fin);
  /// Sections of the stream are not read any further.
  void cancel_sections(quic::StreamId stream) noexcept;
  /// `view` as a slice of the event being handled, if it lies in there.
  std::optional<Bytes> slice(ByteView view) const noexcept;
  /// Server: the request's head is complete.
  void dispatch(RequestStream& stream);
  /// Client: sends the stream's request at once. False: it has to wait, for a stream perhaps.
  bool submit_now(RequestStream& stream, const http::RequestHead& head);
  /// Sends the request whose head the stream keeps as soon as that may be.
  void schedule(RequestStream& stream);
  void unschedule(RequestStream& stream) noexcept;
  /// Client: a request of that kind may be sent now.
  bool may_send(const http::RequestHead& head) const noexcept;
  /// In 0-RTT: what is sent may have to be sent again.
  bool in_early_data() const noexcept;
  /// Nobody holds on to it any more.
  void remove(RequestStream& stream) noexcept;
  /// Looks after the streams' time limits.
  void watch();
  /// Ends the connection: the peer broke the protocol or went too far. `reason` is for the log and
  /// the peer: what came from there is escaped in it.
  void fail(ErrorCode code, std::string_view reason) noexcept;
  bool send_datagram(quic::StreamId stream, ByteView payload);
  std::size_t max_datagram(quic::StreamId stream) const noexcept;
  std::uint64_t peer_field_limit() const noexcept;

 private:
  enum class Drain : std::uint8_t { no, noticed, commenced };

  /// A peer's stream that has not said what it is. Two varints at most do (WebTransport's).
  struct Opening {
    quic::StreamId stream = -1;
    Timestamp since{};
    std::uint8_t size = 0;
    std::array<std::uint8_t, 2 * kMaxVarintSize> bytes{};
    ByteView view() const noexcept { return {bytes.data(), size}; }
  };
  struct Beginning {
    enum class Kind : std::uint8_t {
      more,           ///< it goes on; what came is kept
      nothing,        ///< it has ended
      type,           ///< `type` is known
      web_transport,  ///< and `session`
    };
    Kind kind = Kind::more;
    std::uint64_t type = 0;
    std::uint64_t session = 0;
    std::size_t size = 0;  ///< of these
    Opening before;        ///< what came before the event
    /// Bytes of the event that belong to it.
    std::size_t skip() const noexcept { return size - before.size; }
  };
  /// One of our three unidirectional streams.
  struct OwnStream {
    quic::StreamId id = -1;
    bool blocked = false;
    SendQueue queue;
  };
  struct EarlyDatagram {
    quic::StreamId stream;
    Bytes payload;
  };
  /// Client's wishes for streams that have not begun.
  struct EarlyPriority {
    quic::StreamId stream;
    http::Priority priority;
  };

  // ---- session_core.cc
  void begin();
  void on_stream_data(const quic::Event& event);
  void on_stream_acked(const quic::Event& event);
  void on_stream_writable(quic::StreamId id);
  void on_stream_closed(const quic::Event& event);
  void on_stream_reset(const quic::Event& event);
  void count_cancellation(RequestStream& stream);
  void on_early_data_rejected();
  void on_datagram(const quic::Event& event);
  void on_closed();
  void offer_session();
  void forget_stream(quic::StreamId stream);
  void commence_shutdown();
  void pass_age(Timestamp now);
  void close_if_drained();
  void log(LogLevel level, std::string_view text) const;

  // ---- session_peer.cc
  Beginning identify(const quic::Event& event);
  void on_new_bidi(const quic::Event& event);
  void on_uni_data(const quic::Event& event);
  void hand_over(const quic::Event& event, const Beginning& beginning, bool accepted,
                 ErrorCode refusal);
  void to_router(const quic::Event& event, const Beginning& beginning);
  void said_nothing();
  void refuse_stream(quic::StreamId stream, ErrorCode code, std::size_t received);
  bool route_event(const quic::Event& event);
  bool is_critical(quic::StreamId id) const noexcept;
  std::string critical_name(quic::StreamId id) const;
  static std::string seconds(Duration time);
  OwnStream* own(quic::StreamId id) noexcept;
  bool claim(quic::StreamId& role, quic::StreamId id);
  void read_critical(quic::StreamId id, ByteView bytes, bool fin);
  void read_control(ByteView bytes);
  bool on_control_frame(const ControlReader::Frame& frame);
  bool on_priority_update(const ControlReader::Frame& frame);
  void read_instructions(ByteView bytes);
  void on_settings();
  void on_goaway();
  void queue_control(std::uint64_t type, ByteView payload);
  void queue_goaway(std::uint64_t id);

  // ---- session_time.cc
  void expire(Timestamp now) override;
  void check_streams(Timestamp now);
  void check_openings(Timestamp now);
  void end_late(RequestStream& stream, ErrorCode code, Counter& counter, const std::string& why);
  void rearm();
  void listen_for_client();

  // ---- session_streams.cc
  RequestStream* accept_stream(quic::StreamId id);
  void feed(RequestStream& stream, ByteView bytes, bool fin);
  void settle_flagged();
  void settle(RequestStream& stream);
  void finish(RequestStream& stream, std::uint64_t code);
  void answer(RequestStream& stream, http::Status status);
  void flush_waiting();
  bool try_open(RequestStream& stream);
  void give_early_datagrams(RequestStream& stream);

  // ---- session_source.cc: quic::StreamSource
  bool next(Write& write) override;
  void sent(quic::StreamId stream, std::size_t count, bool fin) override;
  void blocked(quic::StreamId stream) override;
  void gone(quic::StreamId stream) override;
  // ---- session_source.cc: quic::DatagramSource
  bool next_datagram(Timestamp now, Datagram& datagram) override;
  void datagram_done(bool sent) override;
  void datagram_lost(std::uint64_t id) override;
  bool offer(Write& write);
  bool offer(OwnStream& own, Write& write);

  Context& context_;
  quic::Connection& connection_;
  std::unique_ptr<ClientHooks> hooks_;  // client
  Http3Qlog qlog_;
  std::optional<QpackEncoder> encoder_;
  std::optional<QpackDecoder> decoder_;
  KnownSections known_sections_;
  Settings local_settings_;
  std::optional<Settings> peer_settings_;
  std::optional<Settings> remembered_;
  ControlReader control_reader_;
  http::QueuedBytes queued_;
  StreamTable table_;
  Scheduler scheduler_;
  StreamRouter* router_ = nullptr;
  std::unique_ptr<StreamRouter> own_router_;
  std::vector<quic::StreamId> routed_;
  std::vector<Opening> openings_;
  std::vector<quic::StreamId> ignored_;  // refused, but not closed yet
  std::vector<RequestStream*> flagged_;
  std::vector<RequestStream*> waiting_for_qpack_;
  std::vector<RequestStream*> finished_late_;  // some time after QUIC had closed them
  std::vector<RequestStream*> waiting_;
  std::vector<EarlyDatagram> early_datagrams_;
  std::vector<EarlyPriority> early_priorities_;
  const Bytes* current_ = nullptr;  // data of the event being handled
  http::RateLimit resets_limit_;
  http::RateLimit glitches_limit_;

  OwnStream control_;
  OwnStream encoder_stream_;
  OwnStream decoder_stream_;
  quic::StreamId peer_control_id_ = -1;
  quic::StreamId peer_encoder_id_ = -1;
  quic::StreamId peer_decoder_id_ = -1;
  quic::StreamId highest_request_ = -4;       // opened by the client
  quic::StreamId goaway_id_ = -1;             // the peer's; -1: none
  quic::StreamId rejected_from_ = INT64_MAX;  // by our final GOAWAY
  std::uint64_t total_requests_ = 0;
  std::uint64_t max_client_streams_ = 0;
  std::unique_ptr<quic::Session> held_session_;  // waits for the server's SETTINGS
  Timestamp shutdown_at_ = kNever;
  Timestamp watch_at_ = kNever;
  Timestamp drained_at_ = kNever;  // when the final GOAWAY has had time to leave
  Timestamp listen_at_ = kNever;   // draining: whether the client is still there
  Timestamp heard_at_{};
  std::uint64_t heard_packets_ = 0;
  Timestamp last_sent_{};
  http::AgeClock age_;  // of a server's connection

  // What is being sent.
  OwnStream* offered_own_ = nullptr;
  RequestStream* offered_ = nullptr;
  bool offered_raw_ = false;  // the last offer was the default source's
  bool raw_turn_ = false;
  Datagram offered_datagram_;

  Drain drain_ = Drain::no;
  bool server_;
  bool bound_ = false;
  bool over_ = false;  // closed, or being closed
};

/// Takes the lines of a section to send, in order, for QPACK and for qlog.
class SectionWriter {
 public:
  SectionWriter(SessionCore& session, quic::StreamId stream)
      : session_(session), stream_(stream), logged_(session.qlog().on()) {
    session.encoder().begin(stream);
  }
  /// Views live until `finish`.
  void operator()(std::string_view name, std::string_view value) {
    session_.encoder().add(name, value);
    if (logged_) lines_.push_back({FieldName::other, name, value});
  }
  /// The HEADERS frame, as QpackEncoder::finish says.
  ByteView finish() {
    if (logged_) session_.qlog().headers_created(stream_, lines_);
    return session_.encoder().finish();
  }

 private:
  SessionCore& session_;
  std::vector<FieldLine> lines_;
  quic::StreamId stream_;
  bool logged_;
};

}  // namespace tern::http3
