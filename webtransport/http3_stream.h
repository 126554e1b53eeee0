#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/fifo.h"
#include "transport/quic/connection.h"
#include "transport/quic/event.h"
#include "webtransport/stream.h"

namespace tern::webtransport {

class Http3Carrier;
class Http3Flow;
class Http3Sessions;

/// A QUIC stream that belongs to a session (draft-ietf-webtrans-http3-16 §4). Owned by its
/// connection's `Http3Sessions`, until the application has let go of its `Stream` and QUIC of the
/// stream.
class Http3Stream final : public StreamCarrier {
 public:
  /// `carrier` is its session's, until `abandon`; streams of ours announce it with their first
  /// bytes.
  Http3Stream(Http3Sessions& sessions, quic::Connection& connection, quic::StreamId id,
              Http3Carrier& carrier) noexcept;
  Http3Stream(const Http3Stream&) = delete;
  Http3Stream& operator=(const Http3Stream&) = delete;
  ~Http3Stream();

  quic::StreamId id() const noexcept { return id_; }
  quic::StreamId session() const noexcept { return session_; }
  void attach(Stream& stream) noexcept { stream_ = &stream; }
  Stream* stream() const noexcept { return stream_; }
  /// Bytes that have come, and that have arrived at the peer.
  std::uint64_t moved() const noexcept { return received_ + acked_; }

  // ---- of StreamCarrier
  void send(Bytes bytes, bool end) override;
  std::size_t unsent() const noexcept override;
  void consumed(std::size_t count) override;
  void reset(ApplicationCode code) override;
  void stop_sending(ApplicationCode code) override;
  void detach() noexcept override;

  /// An event of this stream. False: it is over, and nobody holds on to it any more.
  bool handle(const quic::Event& event);
  /// The session has credit again.
  void pump();
  /// The session is over: `stream()` was told, and both sides end with the code that says so. False
  /// as above.
  bool abandon();

 private:
  bool is_ours() const noexcept;
  Direction direction() const noexcept {
    return quic::is_unidirectional(id_) ? Direction::unidirectional : Direction::bidirectional;
  }
  Http3Flow* flow() const noexcept;
  /// Gives them to QUIC, the stream's first bytes in front.
  void hand_over(Bytes bytes, bool end);
  void on_reset(const quic::Event& event);
  void on_closed(const quic::Event& event);
  bool may_reset() const noexcept { return acked_ >= header_size_; }
  void give_up(std::uint64_t code);
  bool over() const noexcept { return closed_ && stream_ == nullptr; }

  Http3Sessions& sessions_;
  quic::Connection& connection_;
  quic::StreamId id_;
  quic::StreamId session_;
  Http3Carrier* carrier_;  // null when its session is over
  Stream* stream_ = nullptr;
  // What the session's flow control has kept from QUIC so far.
  Fifo<Bytes> held_;
  std::size_t held_size_ = 0;
  bool held_end_ = false;
  bool waits_for_credit_ = false;
  std::uint64_t handed_over_ = 0;  // headers not counted
  /// Without RESET_STREAM_AT a reset could overtake the bytes that say whose the stream is: it
  /// waits until they were acknowledged (§4.4).
  std::size_t header_size_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t acked_ = 0;
  std::optional<std::uint64_t> reset_due_;
  bool send_over_;
  bool receive_over_;
  bool closed_ = false;  // by QUIC
};

}  // namespace tern::webtransport
