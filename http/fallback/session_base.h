#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/timer_heap.h"
#include "http/carrier.h"
#include "http/connection_age.h"
#include "http/exchange.h"
#include "http/fallback/context_core.h"
#include "http/fallback/session.h"
#include "http/rate_limit.h"

namespace tern::fallback {

/// Internal to http/fallback: what a session is apart from its protocol. It owns the byte stream
/// and hears from it; gathers what a turn sends, and stops while the peer does not read; ends the
/// connection; looks after time limits; runs handlers.
///
/// A protocol derives from it and implements the functions under "the protocol". Calls of them come
/// from the network's reap (`on_…`), from the flush phase (`produce`) and from timers. A session
/// that has ended (`over()`) is not called again, and lives until the next drain phase: after
/// anything that may end it, check.
class SessionBase : public Session, private tcp::StreamSink, private TimerNode {
 public:
  SessionBase(ContextCore& core, ContextCore::Counts& counts, std::unique_ptr<tcp::Stream> stream,
              bool server, ClientHooks hooks);
  ~SessionBase() override;

  // ---- Session
  const tcp::Stream& stream() const noexcept override { return *stream_; }

  // ---- for the Context
  /// Begins to receive. Once.
  void start();
  /// Bytes that somebody else has received, before those to come.
  void feed(MutableBytes bytes) {
    // After the last word nobody listens any more.
    if (!over_ && !ending_ && !dropping_) on_bytes(bytes);
  }
  void flush();
  bool over() const noexcept { return over_; }
  /// Tells the client's owner what there is to tell, in the drain phase.
  void report();
  /// Another session has its stream.
  virtual bool hidden() const noexcept { return false; }
  /// Ends at once: nothing more is sent, open exchanges fail with `error`. The stream is reset
  /// unless our direction was finished.
  void end(const Error& error) noexcept;

  /// The session that stands in front of this one, whose stream it has taken; it ends with it.
  SessionBase* in_front = nullptr;
  // The Context's.
  std::size_t index = 0;
  bool queued_to_flush = false;

 protected:
  // ---- the protocol

  /// The connection stands.
  virtual void on_start() {}
  /// The peer's bytes, to be taken whole; they may be changed and are valid during the call. What
  /// cannot be taken now is copied, and the stream paused (`pause`).
  virtual void on_bytes(MutableBytes bytes) = 0;
  /// The peer has finished its direction.
  virtual void on_end_of_stream() = 0;
  /// Sends what there is to send with `put`, as long as there is `room()`; only without room it may
  /// leave something. Returns whether nothing is left. Called in the flush phase after `wake`, and
  /// again by itself when there is room.
  virtual bool produce() = 0;
  /// The connection is over: open exchanges fail with `error`. Does not send.
  virtual void on_over(const Error& error) noexcept = 0;
  /// Looks at time limits. Returns when to call again; kNever: nothing can become late.
  virtual Timestamp check_times(Timestamp now) = 0;
  /// Server: the connection is as old as it may get. It ends in a way that loses no request that
  /// may be on its way.
  virtual void grow_old() { drain(); }

  // ---- what it may use
  ContextCore& core() noexcept { return core_; }
  ContextCore::Counts& counts() noexcept { return counts_; }
  const SessionOptions& options() const noexcept { return core_.options(); }
  Runtime& runtime() noexcept { return core_.runtime(); }
  Timestamp now() noexcept { return core_.runtime().now(); }
  bool is_server() const noexcept { return server_; }
  const ClientHooks& hooks() const noexcept { return hooks_; }
  udp::Path path() const noexcept { return {stream_->local(), stream_->remote()}; }

  /// There is something to send: `produce` is called at the end of the turn.
  void wake() { core_.wake(*this); }
  /// Bytes that may be queued before it is time to wait for the peer to read; what is put when
  /// there is room may exceed it.
  std::size_t room() const noexcept;
  /// Only inside `produce`. Views are copied, small pieces too; others are held until TCP has them.
  void put(ByteView bytes);
  void put(std::string_view text) { put(as_bytes(text)); }
  void put(Bytes bytes);
  /// The peer is behind: what was put waits for it to read.
  bool blocked() const noexcept { return blocked_; }

  /// When everything that `produce` has to say is said, our direction is finished and the session
  /// ends with `error`. What the peer still sends is thrown away.
  void end_when_sent(Error error);
  bool ending() const noexcept { return ending_.has_value(); }
  /// The same at the end of this turn without saying anything more: for calls that exchanges make,
  /// which must not be called back. The stream is reset.
  void end_soon(Error error);
  /// Ends our direction once `produce` has nothing left; goes on receiving.
  void finish_sending() noexcept { finishing_ = true; }
  /// Client: `ClientHooks::goaway` is called in the next drain phase, once.
  void tell_goaway();

  void pause() { stream_->pause(); }
  void resume() { stream_->resume(); }
  bool paused() const noexcept { return stream_->paused(); }

  /// `check_times` is called at `deadline` at the latest.
  void watch(Timestamp deadline);

  /// Server: the `alt-svc` of responses that have none; empty: none.
  const std::string& alt_svc() const noexcept { return alt_svc_; }

  /// Runs the handler, in a task of the Context's.
  void serve(std::unique_ptr<http::Exchange> exchange);
  /// Answers a request ourselves, without its handler; it shows in the access log like any other.
  void answer(std::unique_ptr<http::Exchange> exchange, http::Status status);

  /// "http1 with 192.0.2.1:4711: text".
  void log(LogLevel level, std::string_view text) const;

  /// For a session that takes this one's place on the stream.
  std::unique_ptr<tcp::Stream> release_stream() noexcept { return std::move(stream_); }

 private:
  void receive(tcp::Stream& stream, MutableBytes bytes) override;
  void end_of_stream(tcp::Stream& stream) override;
  void writable(tcp::Stream& stream) override;
  void failed(tcp::Stream& stream, const Error& error) override;
  void expire(Timestamp now) override;
  bool write_out();
  bool stalled(Timestamp now) noexcept;
  void pass_age(Timestamp now);

  ContextCore& core_;
  ContextCore::Counts& counts_;
  std::unique_ptr<tcp::Stream> stream_;
  ClientHooks hooks_;
  std::vector<Bytes> output_;  // of this flush
  std::size_t output_size_ = 0;
  std::size_t flushed_ = 0;    // bytes put in this flush
  std::uint64_t written_ = 0;  // bytes given to the stream, ever
  std::uint64_t taken_ = 0;    // of them, those that had left its queue when last looked at
  Timestamp last_moved_{};     // when some did
  Timestamp watched_ = kNever;
  http::AgeClock age_;             // a server's
  std::optional<Error> ending_;    // once all is sent
  std::optional<Error> dropping_;  // at the end of the turn
  Error reason_;
  std::string alt_svc_;
  bool server_;
  bool blocked_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  bool over_ = false;
  bool goaway_due_ = false;
  bool goaway_told_ = false;
  bool closed_told_ = false;
};

}  // namespace tern::fallback
