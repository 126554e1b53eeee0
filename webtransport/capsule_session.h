#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fifo.h"
#include "base/runtime.h"
#include "webtransport/capsule_reader.h"
#include "webtransport/capsule_stream.h"
#include "webtransport/session.h"
#include "webtransport/session_options.h"

namespace tern::webtransport {

/// What one end lets the other do before any WT_MAX_… capsule
/// (draft-ietf-webtrans-http2-15 §4.3).
struct CapsuleWindows {
  std::uint64_t data = 0;
  std::uint64_t stream_data_uni = 0;
  /// Of bidirectional streams opened by the end that grants it, and by the other one.
  std::uint64_t stream_data_bidi_local = 0;
  std::uint64_t stream_data_bidi_remote = 0;
  std::uint64_t streams_uni = 0;
  std::uint64_t streams_bidi = 0;
  /// What the peer is sure to know of each stream's window: the rest stands where it may not have
  /// read it, and is said again when the stream uses it up.
  std::uint64_t stream_data_known = UINT64_MAX;
};

/// WebTransport as capsules on one reliable stream of bytes, HTTP/2's or a WebSocket's messages:
/// streams, their states and flow control, datagrams and the end. Without I/O: `feed` what came,
/// send what `next_output` gives whenever `Output::wanted` is called. Docs: the draft, and
/// docs/webtransport.md for WebSocket.
class CapsuleSession {
 public:
  enum class Role : std::uint8_t { client, server };

  /// Who sends: `wanted` may be called at any time, and often; it does not re-enter the session.
  class Output {
   public:
    virtual void wanted() = 0;

   protected:
    ~Output() = default;
  };

  /// The references outlive it. `granted`: what the handshake has told the peer (it may be less
  /// than `options` say); `allowed`: what the peer has told us.
  CapsuleSession(Runtime& runtime, Role role, const SessionOptions& options,
                 const CapsuleWindows& granted, const CapsuleWindows& allowed, Output& output);
  CapsuleSession(const CapsuleSession&) = delete;
  CapsuleSession& operator=(const CapsuleSession&) = delete;
  ~CapsuleSession();

  /// Before anything else; what `options` grant beyond `granted` goes out first.
  void attach(Session& session);

  // ---- what comes
  /// Any piece of the peer's bytes. After a violation (`failure`) everything is ignored.
  void feed(const Bytes& piece);
  /// The peer has ended its bytes.
  void end_of_input();
  /// The stream beneath is gone.
  void broken(const Error& error);
  /// The peer has broken a rule: the stream beneath is to be reset.
  const std::optional<Error>& failure() const noexcept { return failure_; }
  /// The session is over: nothing more is sent once `next_output` gives nothing.
  bool over() const noexcept { return over_; }

  // ---- what goes
  /// The next bytes to be sent; nothing when there are none now.
  std::optional<Bytes> next_output();
  /// What `next_output` gave last was not the end of its capsule.
  bool within_capsule() const noexcept { return !body_.empty(); }

  // ---- of `SessionCarrier`
  bool may_open(Direction direction) const noexcept;
  std::unique_ptr<Stream> open(Direction direction);
  bool send_datagram(Bytes payload);
  void drain();
  void close(ApplicationCode code, std::string_view reason);

  std::uint64_t progress() const noexcept { return received_ + sent_; }

  /// Records of streams, for tests and counters.
  std::size_t streams() const noexcept { return streams_.size(); }

 private:
  friend class CapsuleStream;

  /// Streams of one kind that one side has opened.
  struct Opened {
    std::uint64_t count = 0;    ///< ever
    std::uint64_t ended = 0;    ///< and over
    std::uint64_t allowed = 0;  ///< may be opened, ever
    bool due = false;           ///< the peer is to be told of `allowed`
  };
  struct Datagram {
    Bytes payload;
    Timestamp deadline;
  };

  static std::size_t index(Direction direction) noexcept {
    return static_cast<std::size_t>(direction);
  }
  bool is_ours(std::uint64_t id) const noexcept {
    return (id & 1) == (role_ == Role::server ? 1u : 0u);
  }

  void on_stream_data(const Bytes& piece, const CapsuleReader::Event& event);
  void on_capsule(std::uint64_t type, ByteView payload);
  void on_max_streams(Direction direction, std::uint64_t count);
  void on_reset_stream(ByteView payload);
  void on_stop_sending(ByteView payload);
  void on_max_stream_data(ByteView payload);
  void on_close_session(ByteView payload);

  /// What an ID of the peer's capsule means.
  enum class Half : std::uint8_t { receiving, sending };
  /// The record; opens what the peer opens with it. Null: it is over already, or the session has
  /// failed (`failure`).
  CapsuleStream* find(std::uint64_t id, Half half);
  CapsuleStream& add(std::uint64_t id);
  void accept(std::uint64_t id);
  void violated(std::string what);
  void finish(SessionClose close);

  // For streams.
  void credit(std::uint64_t count);
  void want_control(CapsuleStream& stream);
  void want_data(CapsuleStream& stream);
  void remove(CapsuleStream& stream);

  std::optional<Bytes> session_control();
  std::optional<Bytes> stream_control();
  void drop_expired_datagrams();
  std::optional<Bytes> next_datagram();
  std::optional<Bytes> stream_data();

  Runtime& runtime_;
  Role role_;
  const SessionOptions& options_;
  CapsuleWindows granted_;
  CapsuleWindows allowed_;
  // What is granted from then on: bytes that were not read, streams that are not over.
  std::uint64_t window_;
  std::array<std::uint64_t, 2> stream_window_;
  Output& output_;
  Session* session_ = nullptr;
  CapsuleReader reader_;
  ChunkArena arena_;

  std::unordered_map<std::uint64_t, std::unique_ptr<CapsuleStream>> streams_;
  std::array<Opened, 2> ours_;
  std::array<Opened, 2> peers_;

  std::uint64_t received_ = 0;  // of all streams' data
  std::uint64_t consumed_ = 0;
  std::uint64_t max_receive_;
  bool max_data_due_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t max_send_;
  std::uint64_t blocked_at_ = UINT64_MAX;  // the limit the peer was told to be in our way

  Fifo<std::uint64_t> control_;  // IDs of streams with a capsule about themselves due
  Fifo<std::uint64_t> ready_;    // with data, in turn
  Fifo<Datagram> datagrams_;
  Bytes body_;  // follows the capsule header that was given out last
  bool drain_due_ = false;
  bool drain_sent_ = false;
  std::optional<SessionClose> close_due_;
  bool over_ = false;
  std::optional<Error> failure_;
};

}  // namespace tern::webtransport
