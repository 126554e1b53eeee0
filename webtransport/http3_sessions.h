#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/fifo.h"
#include "base/ready_queue.h"
#include "base/runtime.h"
#include "base/timer_heap.h"
#include "http/exchange.h"
#include "http3/options.h"
#include "http3/session.h"
#include "webtransport/http3_flow.h"
#include "webtransport/http3_stream.h"

namespace tern::webtransport {

class Http3Carrier;

/// The sessions of one HTTP/3 connection, and their streams, which come with a session's ID and
/// perhaps before it. Owned by the connection's `http3::Session`.
class Http3Sessions final : public http3::StreamRouter, TimerNode {
 public:
  /// Sessions of one connection: announced in SETTINGS, and one more is refused with 429. A small
  /// number, as sessions of the drafts without flow control of their own share the connection's.
  static constexpr std::size_t kMaxSessions = 16;
  /// Streams and their bytes that wait for a session; more are refused (§4.6).
  static constexpr std::size_t kMaxEarlyStreams = 32;
  /// How long they wait.
  static constexpr Duration kEarlyTimeout = std::chrono::seconds(5);
  /// How long a client's SETTINGS are waited for behind its CONNECT.
  static constexpr Duration kSettingsTimeout = std::chrono::seconds(5);

  Http3Sessions(http3::Session& http3, Runtime& runtime) noexcept
      : http3_(http3), runtime_(runtime) {}
  ~Http3Sessions() override;

  /// Of the connection that the request came on or goes to; null where there is none, or it is not
  /// HTTP/3's.
  static Http3Sessions* of(const http::detail::Ends& ends);

  http3::Session& http3() noexcept { return http3_; }
  Runtime& runtime() noexcept { return runtime_; }
  std::size_t sessions() const noexcept { return carriers_.size(); }

  // ---- what the peer's SETTINGS and transport parameters say; when they have come (`settled`)
  /// It takes datagrams, HTTP's and QUIC's: without them there are no sessions (§3.1).
  bool peer_takes_datagrams() const noexcept;
  /// There may be several sessions at once: their flow control is on, or the peer's drafts (02 to
  /// 12) do not know it (§5.1).
  bool may_share() const noexcept;

  // ---- for carriers
  /// Gives it the streams that have come before it.
  void add(Http3Carrier& carrier);
  /// Ends its streams, which fail with `error`.
  void remove(Http3Carrier& carrier, const Error& error);
  bool may_open(Direction direction) const noexcept;
  /// Only after `may_open`.
  Http3Stream& open(Direction direction, Http3Carrier& carrier);
  /// Null if it is over.
  Http3Stream* find(quic::StreamId stream) noexcept;
  /// By the SETTINGS of both; null: the peer has not asked for any.
  std::unique_ptr<Http3Flow> make_flow(std::uint64_t max_streams) const;
  /// The carrier's first datagram waits: it has its turn from now on.
  void has_datagrams(quic::StreamId session) { with_datagrams_.push(session); }
  /// A CONNECT that was not accepted: what came for it is refused.
  void refuse(quic::StreamId session);

  /// Bytes that have come and gone on the streams of `session` that are open.
  std::uint64_t progress(quic::StreamId session) const noexcept;

  /// Waits for the peer's SETTINGS, kSettingsTimeout at most, or for the connection's end: whether
  /// they have come, and whether there still is a connection, is to be looked at afterwards.
  class [[nodiscard]] Settled final : TimerNode {
   public:
    explicit Settled(Http3Sessions& sessions) noexcept : sessions_(&sessions) {}
    ~Settled() { leave(); }
    bool await_ready() const noexcept { return sessions_->http3_.peer_settings().has_value(); }
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() noexcept { leave(); }

   private:
    friend class Http3Sessions;
    void expire(Timestamp) override;
    void leave() noexcept;
    Http3Sessions* sessions_;  // null when it is gone
    Waiter waiter_;
  };
  Settled settled() noexcept { return Settled(*this); }

  // ---- for streams
  void forget(Http3Stream& stream) { streams_.erase(stream.id()); }

  // ---- of StreamRouter
  bool accept(quic::StreamId stream, quic::StreamId session) override;
  http3::ErrorCode refusal() const noexcept override { return refusal_; }
  void handle(const quic::Event& event) override;
  void streams_available() override;
  void settings_received() override;
  bool take_datagram(quic::StreamId stream, Bytes& payload) override;
  bool next_datagram(Timestamp now, quic::DatagramSource::Datagram& datagram) override;
  void datagram_done(bool sent) override;
  void datagram_lost(quic::StreamId session) override;

 private:
  /// IDs of sessions that are over, so that a late stream is told so.
  static constexpr std::size_t kMaxEnded = 64;

  struct Early {
    quic::StreamId stream = -1;
    quic::StreamId session = -1;
    Timestamp since{};
    std::vector<quic::Event> events;
  };

  void expire(Timestamp now) override;
  void give(Early& early, Http3Carrier& carrier);
  void refuse(Early& early, http3::ErrorCode why);
  void note_ended(quic::StreamId session);

  http3::Session& http3_;
  Runtime& runtime_;
  std::unordered_map<quic::StreamId, Http3Carrier*> carriers_;
  std::unordered_map<quic::StreamId, std::unique_ptr<Http3Stream>> streams_;
  std::vector<Early> early_;
  std::vector<quic::StreamId> ended_;
  Fifo<quic::StreamId> with_datagrams_;  // sessions, in turn
  std::vector<Settled*> waiting_for_settings_;
  http3::ErrorCode refusal_ = http3::ErrorCode::wt_buffered_stream_rejected;
};

}  // namespace tern::webtransport
