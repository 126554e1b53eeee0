#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fifo.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "http/exchange.h"
#include "webtransport/beneath.h"
#include "webtransport/capsule_reader.h"
#include "webtransport/http3_flow.h"
#include "webtransport/http3_sessions.h"
#include "webtransport/session_carrier.h"
#include "webtransport/session_options.h"

namespace tern::webtransport {

/// A session over HTTP/3: its streams are the connection's own, its datagrams QUIC's, and the
/// CONNECT's two bodies say in capsules how it ends (draft-ietf-webtrans-http3-16).
class Http3Carrier final : public SessionCarrier, TimerNode {
 public:
  /// A PING so often while the session is open: QUIC ends a connection that is silent for 30 s, and
  /// Chromium leaves it to the server to keep it.
  static constexpr Duration kKeepAlive = std::chrono::seconds(20);

  /// `ends`: the CONNECT, which has been accepted; outlives it. On a client `owner` holds it.
  Http3Carrier(Http3Sessions& sessions, http::detail::Ends& ends, const SessionOptions& options,
               std::string protocol, std::shared_ptr<void> owner = nullptr);
  ~Http3Carrier() override;

  quic::StreamId id() const noexcept { return id_; }

  // ---- of SessionCarrier
  void attach(Session& session) override;
  std::string_view name() const noexcept override { return "h3"; }
  std::string_view protocol() const noexcept override { return protocol_; }
  udp::Path path() const noexcept override { return ends_.path(); }
  bool datagrams_are_reliable() const noexcept override { return false; }
  bool may_open(Direction direction) const noexcept override;
  std::unique_ptr<Stream> open(Direction direction) override;
  bool send_datagram(Bytes payload) override;
  std::size_t max_datagram() const noexcept override { return ends_.max_datagram(); }
  void drain() override;
  void close(ApplicationCode code, std::string_view reason) override;
  bool gone() const noexcept override { return gone_; }
  void measure(SessionStats& stats) const override { webtransport::measure(ends_, stats); }
  Result<void> export_keying_material(std::string_view label, ByteView context,
                                      MutableBytes out) const override {
    return webtransport::export_keying_material(ends_, label, context, out);
  }
  std::uint64_t progress() const noexcept override;

  // ---- for Http3Sessions
  void accept(Http3Stream& stream);
  void streams_available();
  void connection_gone();
  void on_datagram(Bytes payload);
  /// The datagram that has waited longest, whole; null when there is none that is young enough.
  const Bytes* next_datagram(Timestamp now);
  void datagram_done(bool sent);
  void datagram_lost();
  /// It stands in the list of those that have datagrams.
  bool in_turn = false;

  // ---- for its streams
  /// Null without flow control, and when the session is over.
  Http3Flow* flow() const noexcept { return over_ ? nullptr : flow_.get(); }
  /// There may be capsules due.
  void flow_changed();
  /// `pump` of the stream is called when there is credit.
  void wait_for_credit(quic::StreamId stream);
  void release();
  /// The peer has exceeded what it may; acted upon when coroutines have their turn.
  void fail_flow(std::string_view what);

 private:
  struct Datagram {
    Bytes whole;  // the quarter stream ID in front (RFC 9297 §2.1)
    Timestamp deadline;
  };

  /// Until the session is over a PING is due, then the peer's end.
  void expire(Timestamp now) override;
  class Input;
  static Scope::Spawned read(Scope& scope, Http3Carrier& self);
  /// False: nothing more is read.
  bool on_input(Result<Bytes> piece);
  Task<void> finish();
  Task<void> end_for_flow();
  std::string next_words();
  bool on_capsule(const CapsuleReader::Event& event);
  bool on_close_session(ByteView payload);
  bool on_flow_capsule(std::uint64_t type, ByteView payload);
  void violated(std::string what);
  void end(SessionClose close);
  void leave();

  Http3Sessions* sessions_;  // null when the session is over or the connection gone
  http::detail::Ends& ends_;
  const Duration close_timeout_;
  const Duration datagram_lifetime_;
  const std::size_t max_waiting_datagrams_;
  std::string protocol_;
  std::shared_ptr<void> owner_;
  std::unique_ptr<Http3Flow> flow_;
  Fifo<quic::StreamId> waiting_;  // streams that want credit
  Fifo<Datagram> datagrams_;
  std::string_view flow_failure_;
  Runtime& runtime_;
  quic::StreamId id_;
  Session* session_ = nullptr;
  CapsuleReader reader_;
  bool over_ = false;
  bool ended_by_peer_ = false;
  std::string last_words_;  // capsules that are still to be written
  bool writing_ = false;
  bool read_all_ = false;
  bool written_all_ = false;
  bool gone_ = false;
  Scope scope_;  // last: its tasks use everything above
};

}  // namespace tern::webtransport
