#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fifo.h"
#include "base/ready_queue.h"
#include "base/runtime.h"
#include "base/task.h"
#include "transport/udp/address.h"
#include "webtransport/error_code.h"
#include "webtransport/stream.h"

/// WebTransport, the same whatever carries it: HTTP/3 (its own streams and datagrams), HTTP/2 and
/// WebSocket (capsules on one stream). docs/webtransport.md is the guide.

namespace tern::webtransport {

class SessionCarrier;

/// How a session ended.
struct SessionClose {
  /// The code and reason of whoever closed it; 0 and empty when its stream just ended.
  ApplicationCode code = 0;
  std::string reason;
  Origin by = Origin::local;
  /// What went wrong, if it was not closed in order.
  std::optional<Error> error;
};

struct SessionStats {
  std::uint64_t streams_opened = 0;    ///< by us
  std::uint64_t streams_accepted = 0;  ///< opened by the peer
  std::uint64_t datagrams_sent = 0;
  /// Sent, over HTTP/3, and lost on the way, as QUIC judges it (RFC 9002 §6.1).
  std::uint64_t datagrams_lost = 0;
  // Not sent:
  std::uint64_t datagrams_expired = 0;  ///< waited for `SessionOptions::datagram_lifetime`
  std::uint64_t datagrams_too_large =
      0;                                ///< larger than `max_datagram`, which changes with the path
  std::uint64_t datagrams_refused = 0;  ///< too many waited, or the session had ended
  std::uint64_t datagrams_received = 0;
  /// Received and thrown away: nobody took them in time.
  std::uint64_t datagrams_dropped = 0;
  /// Of the connection beneath; 0 before there was a sample.
  Duration round_trip{};
  std::uint64_t bandwidth = 0;  ///< an estimate, bytes a second
};

/// One end of an open session. A server's handler gets a reference that is valid until it returns,
/// when the session is closed with code 0; a client owns its own. Belongs to one runtime's thread.
///
///   Task<void> echo(webtransport::Session& session) {
///     while (auto stream = co_await session.accept_bidirectional()) {
///       auto all = co_await stream->read_all();
///       if (all) co_await stream->finish(Bytes::take(std::move(*all)));
///     }
///   }
class Session {
 public:
  /// Received datagrams kept for a reader that does not keep up; the oldest is dropped beyond it.
  static constexpr std::size_t kMaxDatagrams = 128;
  /// Coroutines that may wait for leave to open a stream, of each kind.
  static constexpr std::size_t kMaxWaitingOpens = 1024;

  Session(Runtime& runtime, std::unique_ptr<SessionCarrier> carrier);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// An open one is closed with code 0.
  ~Session();

  // ---- streams
  class [[nodiscard]] Accept {
   public:
    Accept(Session& session, Direction direction) noexcept
        : session_(session), direction_(direction) {}
    Accept(const Accept&) = delete;
    Accept& operator=(const Accept&) = delete;
    ~Accept();
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    std::unique_ptr<Stream> await_resume();

   private:
    Session& session_;
    Direction direction_;
    Waiter waiter_;
  };
  /// The next stream of the peer's; null when the session has ended. One coroutine of each kind. A
  /// peer may open as many as the limits allow and no more until some have ended.
  Accept accept_bidirectional() noexcept { return Accept(*this, Direction::bidirectional); }
  Accept accept_unidirectional() noexcept { return Accept(*this, Direction::unidirectional); }

  /// A stream of ours, when the peer allows one more. The peer learns of it with its first byte or
  /// its end. Errors: closed; limit (kMaxWaitingOpens).
  Task<Result<std::unique_ptr<Stream>>> open_bidirectional() {
    return open(Direction::bidirectional);
  }
  Task<Result<std::unique_ptr<Stream>>> open_unidirectional() {
    return open(Direction::unidirectional);
  }

  // ---- datagrams
  /// False, and a counter: larger than `max_datagram`, `SessionOptions::max_waiting_datagrams`
  /// wait, or the session has ended. It waits while the network takes no more, and is dropped when
  /// that takes `SessionOptions::datagram_lifetime`. Over HTTP/3 it may be lost on the way;
  /// elsewhere it arrives, but late where the network is bad.
  bool send_datagram(Bytes payload);
  std::size_t max_datagram() const noexcept;
  /// They go over a reliable stream: nothing is lost, and one that is late makes the others late.
  bool datagrams_are_reliable() const noexcept;

  class [[nodiscard]] ReceiveDatagram {
   public:
    explicit ReceiveDatagram(Session& session) noexcept : session_(session) {}
    ReceiveDatagram(const ReceiveDatagram&) = delete;
    ReceiveDatagram& operator=(const ReceiveDatagram&) = delete;
    ~ReceiveDatagram();
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    std::optional<Bytes> await_resume();

   private:
    Session& session_;
    Waiter waiter_;
  };
  /// The next datagram; nothing when the session has ended. One coroutine.
  ReceiveDatagram receive_datagram() noexcept { return ReceiveDatagram(*this); }

  // ---- all of it
  /// One of the peer's streams or one of its datagrams; neither when the session has ended.
  struct Arrival {
    std::unique_ptr<Stream> stream;
    std::optional<Bytes> datagram;
    explicit operator bool() const noexcept { return stream != nullptr || datagram.has_value(); }
  };
  class [[nodiscard]] Next {
   public:
    explicit Next(Session& session) noexcept : session_(session) {}
    Next(const Next&) = delete;
    Next& operator=(const Next&) = delete;
    ~Next();
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    Arrival await_resume();

   private:
    Session& session_;
    Waiter waiter_;
  };
  /// What comes next, of either kind of stream or a datagram: for one coroutine that takes all of
  /// it, instead of one for each of the three above.
  Next next() noexcept { return Next(*this); }

  // ---- the end
  /// Tells the peer and ends: all streams are reset, what was queued may not arrive. A reason
  /// longer than 1024 bytes is cut at a character's end.
  void close(ApplicationCode code = 0, std::string_view reason = {});
  /// Asks the peer to come to an end; everything goes on.
  void drain();
  /// The peer asks us to come to an end, or our server does, which goes away.
  bool draining() const noexcept { return draining_; }
  bool ended() const noexcept { return close_ != nullptr; }
  /// How it ended, the session's; null while it is open.
  const SessionClose* closed() const noexcept { return close_.get(); }

  class [[nodiscard]] Until {
   public:
    enum class What : std::uint8_t { draining, gone };
    Until(Session& session, What what) noexcept : session_(session), what_(what) {}
    Until(const Until&) = delete;
    Until& operator=(const Until&) = delete;
    ~Until() { leave(); }
    bool await_ready() const noexcept { return session_.has_come(what_); }
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() noexcept { leave(); }

   private:
    friend class Session;
    void leave() noexcept { std::erase(session_.waiting_, this); }
    Session& session_;
    What what_;
    Waiter waiter_;
  };
  /// Resumes when the session has ended, or is `draining`.
  Until wait_until_draining() noexcept { return Until(*this, Until::What::draining); }
  /// Resumes when the session has ended, in our view, and all that is ours to say was handed over.
  Until wait_until_ended() noexcept { return Until(*this, Until::What::gone); }

  // ---- facts
  /// The application protocol agreed on; empty without one.
  std::string_view protocol() const noexcept;
  /// "h3", "h2" or "websocket".
  std::string_view carrier() const noexcept;
  udp::Path path() const noexcept;
  SessionStats stats() const;
  /// `size` bytes of keying material that both ends of this session can derive and nobody else: for
  /// another session of the connection, another label or another context it is another one. TLS's
  /// exporter (RFC 8446 §7.5) with the session in its context, as the drafts say; over WebSocket
  /// the same of its TLS, which a browser does not give to a page. The label has 1 to 255 bytes,
  /// the context at most 255, the output 1 to 8160: Error invalid. unsupported: there is no TLS, or
  /// it is 1.2 without the extended master secret. closed: the session has ended.
  Result<std::vector<std::uint8_t>> export_keying_material(std::string_view label, ByteView context,
                                                           std::size_t size) const;
  Runtime& runtime() const noexcept { return runtime_; }

  /// Another number than before whenever something of the application's has come or gone meanwhile.
  std::uint64_t progress() const noexcept;

  // ---- for the carrier
  void on_stream(std::unique_ptr<Stream> stream);
  /// Perhaps one more stream may be opened now.
  void on_credit(Direction direction) noexcept;
  void on_datagram(Bytes payload);
  void on_drain();
  /// Once. The carrier has failed all streams before.
  void on_closed(SessionClose close);
  /// The carrier is `gone`.
  void on_gone() noexcept { tell(); }
  SessionStats& counted() noexcept { return stats_; }

 private:
  static std::size_t index(Direction direction) noexcept {
    return static_cast<std::size_t>(direction);
  }
  class Turn;
  bool has_come(Until::What what) const noexcept;
  /// Wakes those whose time has come.
  void tell() noexcept;
  Task<Result<std::unique_ptr<Stream>>> open(Direction direction);

  Runtime& runtime_;
  std::unique_ptr<SessionCarrier> carrier_;
  std::array<Fifo<std::unique_ptr<Stream>>, 2> accepted_;
  std::array<Waiter*, 2> accepting_{};
  std::array<std::vector<Waiter*>, 2> opening_;
  Fifo<Bytes> datagrams_;
  Waiter* datagram_reader_ = nullptr;
  std::vector<Until*> waiting_;
  bool draining_ = false;
  std::unique_ptr<const SessionClose> close_;
  SessionStats stats_;
};

/// What an application writes. Runs from the handshake on.
using SessionHandler = std::function<Task<void>(Session&)>;

}  // namespace tern::webtransport
