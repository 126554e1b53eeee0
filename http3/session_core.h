#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/timer_heap.h"
#include "http/rate_limit.h"
#include "http3/context.h"
#include "http3/control_reader.h"
#include "http3/nghttp3_bridge.h"
#include "http3/qlog_events.h"
#include "http3/request_stream.h"
#include "http3/session.h"
#include "http3/settings_splice.h"
#include "http3/stream_table.h"
#include "transport/quic/connection.h"

namespace tern::http3 {

/// The one implementation of Session, for both sides. Four files: session_core.cc (life and
/// events), session_streams.cc (request streams), session_source.cc (what to send next),
/// session_time.cc (time limits).
class SessionCore final : public Session,
                          private quic::StreamSource,
                          private Nghttp3Bridge::Listener,
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
  using Session::close;
  void close(ErrorCode why, std::string_view reason) override;
  const std::optional<Settings>& peer_settings() const noexcept override { return peer_settings_; }
  const Settings& local_settings() const noexcept override { return local_settings_; }
  std::vector<std::uint8_t> settings_blob() const override;
  void set_router(StreamRouter* router) noexcept override { router_ = router; }
  void adopt(quic::StreamId stream) override { routed_.push_back(stream); }
  quic::Connection& connection() noexcept override { return connection_; }
  void handle(const quic::Event& event) override;

  /// What options make a side announce, without grease.
  static Settings settings_of(const SessionOptions& options, bool server);

  // ---- for RequestStream
  Context& context() noexcept { return context_; }
  Runtime& runtime() noexcept { return context_.runtime(); }
  const SessionOptions& options() const noexcept { return context_.options(); }
  Nghttp3Bridge& bridge() noexcept { return *bridge_; }
  bool is_server() const noexcept { return server_; }
  Timestamp now() noexcept { return context_.runtime().now(); }
  Http3Qlog& qlog() noexcept { return qlog_; }

  /// There is something new to send.
  void wake() noexcept;
  /// Acts on the stream's fault once nghttp3 has returned.
  void flag(RequestStream& stream);
  /// One more oddity of the peer's; false: one too many.
  bool glitch() noexcept;
  /// The body of a section that is being built; reused.
  std::vector<Nghttp3Bridge::Line>& lines() noexcept { return lines_; }
  /// `view` as a slice of the event being handled, if it lies in there.
  std::optional<Bytes> slice(ByteView view) const noexcept;
  /// Server: the request's head is complete.
  void dispatch(RequestStream& stream);
  /// Client: sends the stream's request as soon as that may be.
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
  void body_waits() noexcept { body_waited_ = true; }
  /// Ends the connection: the peer broke the protocol or went too far.
  void fail(ErrorCode code, std::string_view reason) noexcept;
  /// The same for what nghttp3 returned, if it is an error. Returns whether it is fine.
  bool check(std::ptrdiff_t result) noexcept;
  bool send_datagram(quic::StreamId stream, ByteView payload);
  std::size_t max_datagram(quic::StreamId stream) const noexcept;
  std::uint64_t peer_field_limit() const noexcept;

 private:
  enum class Drain : std::uint8_t { no, noticed, commenced };

  /// The beginning of a peer's stream whose first varint has not come whole.
  struct Sniffed {
    quic::StreamId stream;
    Timestamp since{};
    std::uint8_t size = 0;
    std::array<std::uint8_t, 8> bytes{};
  };
  struct EarlyDatagram {
    quic::StreamId stream;
    Bytes payload;
  };
  enum class Route : std::uint8_t { more, http, routed, refused };

  // ---- session_core.cc
  void begin();
  void drop_offer() noexcept;
  void on_stream_data(const quic::Event& event);
  void on_uni_data(const quic::Event& event);
  void on_stream_closed(const quic::Event& event);
  void on_stream_reset(const quic::Event& event);
  void count_cancellation(RequestStream& stream);
  void on_early_data_rejected();
  void on_datagram(const quic::Event& event);
  void on_settings();
  void on_closed();
  void offer_session();
  Route sniff(quic::StreamId stream, const quic::Event& event, std::uint64_t& type,
              std::size_t& size);
  void said_nothing();
  void refuse_stream(quic::StreamId stream, ErrorCode code, std::size_t received);
  bool route_event(const quic::Event& event);
  void read_uni(quic::StreamId stream, ByteView bytes, bool fin);
  void forget_stream(quic::StreamId stream);
  void on_goaway();
  void commence_shutdown();
  void close_if_drained();
  void log(LogLevel level, std::string_view text) const;

  // ---- session_time.cc
  void expire(Timestamp now) override;
  void check_streams(Timestamp now);
  void check_sniffed(Timestamp now);
  void rearm();
  void listen_for_client();

  // ---- session_streams.cc
  RequestStream* accept_stream(quic::StreamId id);
  void feed(RequestStream& stream, ByteView bytes, bool fin);
  bool read_into(RequestStream& stream, ByteView bytes, bool fin, bool ended);
  void settle_flagged();
  void settle(RequestStream& stream);
  void finish(RequestStream& stream, std::uint64_t code);
  void answer(RequestStream& stream, http::Status status);
  void flush_waiting();
  bool try_open(RequestStream& stream);
  void give_early_datagrams(RequestStream& stream);

  // Nghttp3Bridge::Listener
  RequestStream* find(quic::StreamId stream) noexcept override { return table_.find(stream); }
  void consumed(quic::StreamId stream, std::size_t count) noexcept override;
  void wants_reset(quic::StreamId stream, std::uint64_t code) noexcept override;
  void forgotten(RequestStream& stream) noexcept override;
  void goaway(quic::StreamId id) noexcept override;

  // ---- session_source.cc: quic::StreamSource
  bool next(Write& write) override;
  void sent(quic::StreamId stream, std::size_t count, bool fin) override;
  void blocked(quic::StreamId stream) override;
  void gone(quic::StreamId stream) override;
  bool offer(Write& write);
  void fail_later(std::ptrdiff_t failure) noexcept;

  Context& context_;
  quic::Connection& connection_;
  ClientHooks hooks_;
  Http3Qlog qlog_;
  std::unique_ptr<Nghttp3Bridge> bridge_;
  Settings local_settings_;
  std::optional<Settings> peer_settings_;
  std::optional<Settings> remembered_;
  SettingsSplice splice_;
  ControlReader control_reader_;
  StreamTable table_;
  StreamRouter* router_ = nullptr;
  std::vector<quic::StreamId> routed_;
  std::vector<Sniffed> sniffed_;
  std::vector<quic::StreamId> ignored_;  // refused, but not closed yet
  std::vector<RequestStream*> flagged_;
  std::vector<RequestStream*> forgotten_;  // by nghttp3, some time after QUIC had closed them
  std::vector<std::pair<quic::StreamId, std::uint64_t>> resets_;  // that nghttp3 wants
  std::vector<RequestStream*> waiting_;
  std::vector<EarlyDatagram> early_datagrams_;
  std::vector<Nghttp3Bridge::Line> lines_;
  const Bytes* current_ = nullptr;  // data of the event being handled
  http::RateLimit resets_limit_;
  http::RateLimit glitches_limit_;

  quic::StreamId control_id_ = -1;  // ours
  quic::StreamId encoder_id_ = -1;  // ours
  quic::StreamId decoder_id_ = -1;  // ours
  quic::StreamId peer_control_id_ = -1;
  quic::StreamId peer_encoder_id_ = -1;
  quic::StreamId peer_decoder_id_ = -1;
  quic::StreamId highest_request_ = -4;  // opened by the client
  quic::StreamId goaway_id_ = -1;        // the peer's; -1: none
  std::uint64_t total_requests_ = 0;
  std::uint64_t max_client_streams_ = 0;
  std::optional<quic::Session> held_session_;  // waits for the server's SETTINGS
  Timestamp shutdown_at_ = kNever;
  Timestamp watch_at_ = kNever;
  Timestamp drained_at_ = kNever;  // when the final GOAWAY has had time to leave
  Timestamp listen_at_ = kNever;   // draining: whether the client is still there
  Timestamp heard_at_{};
  std::uint64_t heard_packets_ = 0;
  Timestamp last_sent_{};

  // What is being sent: the rest of what nghttp3 offered last.
  static constexpr std::size_t kMaxVecs = 16;
  /// Bytes of one stream in a row while others wait, so that incremental ones share (RFC 9218 §10).
  static constexpr std::size_t kRun = 16 * 1024;
  std::array<quic::Vec, kMaxVecs> vecs_;
  std::size_t vecs_begin_ = 0;
  std::size_t vecs_end_ = 0;
  std::size_t run_left_ = 0;
  quic::StreamId offered_id_ = -1;
  RequestStream* offered_ = nullptr;
  bool offered_fin_ = false;
  bool offered_raw_ = false;  // the last offer was the default source's
  bool raw_turn_ = false;
  bool body_waited_ = false;
  bool bare_ends_ = false;  // a stream's end was offered without bytes, some time
  std::ptrdiff_t send_failure_ = 0;

  Drain drain_ = Drain::no;
  bool server_;
  bool goaway_came_ = false;  // and is to be acted on
  bool bound_ = false;
  bool over_ = false;  // closed, or being closed
};

}  // namespace tern::http3
