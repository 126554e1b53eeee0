#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ready_queue.h"
#include "base/recycled_memory.h"
#include "base/runtime.h"
#include "base/task.h"
#include "http/exchange.h"
#include "webtransport/error_code.h"

namespace tern::webtransport {

enum class Direction : std::uint8_t { bidirectional, unidirectional };

/// What a session's carrier does for one stream: the lower half of `Stream`. Lives as long as the
/// carrier needs it; both sides clear the other's pointer when they go. None of these calls
/// re-enters the stream.
class StreamCarrier {
 public:
  /// The bytes are held, not copied. Empty with `end` ends our side.
  virtual void send(Bytes bytes, bool end) = 0;
  /// Bytes queued and not sent yet.
  virtual std::size_t unsent() const noexcept = 0;
  /// The application has taken `count` bytes: flow control may open by as much.
  virtual void consumed(std::size_t count) = 0;
  virtual void reset(ApplicationCode code) = 0;
  virtual void stop_sending(ApplicationCode code) = 0;
  /// The stream goes away: forget it. What was queued before an end is still sent; a side that is
  /// not finished is reset, what still comes is not wanted.
  virtual void detach() noexcept = 0;

 protected:
  ~StreamCarrier() = default;
};

/// A stream of a WebTransport session, of either kind: the side that a unidirectional one does not
/// have has ended from the beginning. Owned by the application; destroying it before both sides
/// have ended resets what is open with code 0. It survives its session: then everything fails.
/// Belongs to the session's thread. One coroutine may read while another one writes.
class Stream final : public Recycled {
 public:
  /// Bytes queued beyond which a writer waits, and until how many are left.
  static constexpr std::size_t kHighWater = 256 * 1024;
  static constexpr std::size_t kLowWater = 128 * 1024;

  /// For carriers. `peers`: the peer has opened it.
  Stream(Runtime& runtime, StreamCarrier& carrier, std::uint64_t id, Direction direction,
         bool peers);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  // ---- facts
  /// Numbered as QUIC does (RFC 9000 §2.1), within the session over HTTP/2 and WebSocket, within
  /// the connection over HTTP/3.
  std::uint64_t id() const noexcept { return id_; }
  Direction direction() const noexcept { return direction_; }
  bool receives() const noexcept { return receives_; }
  bool sends() const noexcept { return sends_; }
  Runtime& runtime() const noexcept { return runtime_; }

  // ---- receiving
  class [[nodiscard]] Read {
   public:
    explicit Read(Stream& stream) noexcept : stream_(stream) {}
    Read(const Read&) = delete;
    Read& operator=(const Read&) = delete;
    ~Read();
    bool await_ready() const noexcept { return stream_.incoming_.readable(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    Result<Bytes> await_resume();

   private:
    Stream& stream_;
    Waiter waiter_;
  };
  /// The next piece; an empty one at the end. One reader at a time. Taking a piece opens flow
  /// control by its size. A reset by the peer is an Error of Domain::application with its code
  /// (`reset_code`).
  Read read() noexcept { return Read(*this); }
  /// Everything up to the end. Error limit when that is longer than `limit` bytes.
  Task<Result<std::string>> read_all(std::size_t limit = http::detail::Ends::kDefaultBufferedBody);
  /// What still comes is not wanted. What was not read is dropped.
  void stop_sending(ApplicationCode code = 0);
  /// With what the peer has reset its side; nothing if it has not, or without a code.
  std::optional<ApplicationCode> reset_code() const noexcept { return reset_code_; }

  // ---- sending
  class [[nodiscard]] Write {
   public:
    Write(Stream& stream, std::optional<Error> refused) noexcept
        : stream_(stream), refused_(std::move(refused)) {}
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;
    ~Write();
    bool await_ready() const noexcept { return refused_.has_value() || !stream_.full(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    Result<void> await_resume();

   private:
    Stream& stream_;
    std::optional<Error> refused_;
    Waiter waiter_;
  };
  /// Done at once unless more than `kHighWater` bytes are queued; then when they have drained. One
  /// writer at a time. Error invalid after the end or on a side that does not send; the peer's
  /// STOP_SENDING is an Error of Domain::application with its code (`stop_code`).
  Write write(Bytes bytes) { return send(std::move(bytes), false); }
  /// Ends our side, with a last piece perhaps.
  Write finish() { return send(Bytes(), true); }
  Write finish(Bytes last) { return send(std::move(last), true); }
  bool finished() const noexcept { return finished_; }
  /// Gives our side up: what is queued is not sent. Nothing after the end.
  void reset(ApplicationCode code = 0);
  /// With what the peer has asked us to stop.
  std::optional<ApplicationCode> stop_code() const noexcept { return stop_code_; }

  // ---- for the carrier
  http::Incoming& incoming() noexcept { return incoming_; }
  /// The peer's RESET_STREAM: what came and was not read yet is dropped (the carrier credits it
  /// before).
  void on_reset(std::optional<ApplicationCode> code);
  void on_stop_sending(std::optional<ApplicationCode> code);
  /// Bytes have left the queue.
  void drained() noexcept;
  /// The session is over: sides that are open fail with `error`.
  void carrier_gone(const Error& error);

 private:
  bool full() const noexcept {
    return !send_error_ && carrier_ != nullptr && carrier_->unsent() > kHighWater;
  }
  Write send(Bytes bytes, bool end);
  void fail_sending(Error error);

  Runtime& runtime_;
  StreamCarrier* carrier_;
  std::uint64_t id_;
  Direction direction_;
  bool receives_;
  bool sends_;
  bool finished_;
  http::Incoming incoming_;
  Waiter* writer_ = nullptr;
  std::optional<Error> send_error_;
  std::optional<ApplicationCode> reset_code_;
  std::optional<ApplicationCode> stop_code_;
};

}  // namespace tern::webtransport
