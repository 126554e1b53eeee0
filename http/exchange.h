#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fifo.h"
#include "base/ready_queue.h"
#include "base/recycled_memory.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "base/task.h"
#include "http/carrier.h"
#include "http/message.h"

/// One request and its response, the same on every protocol. A server's handler gets an
/// `Exchange`, a client's caller a `ClientExchange`. Both are made of an `Incoming` message body
/// (what the peer sends) and an `Outgoing` one (back-pressure for what we send).
///
/// Everything here belongs to one runtime's thread.

namespace tern::http {

/// The body and trailers the peer sends. Filled by the carrier, drained by one reader.
class Incoming {
 public:
  explicit Incoming(Runtime& runtime) noexcept : runtime_(runtime) {}

  // For the carrier.
  /// Appends a piece. False: nobody wants it (`ended()`), it is dropped and the carrier credits it
  /// to flow control itself.
  bool push(Bytes bytes);
  /// The same for bytes the carrier cannot keep: copies them through `arena`, into the piece pushed
  /// last where that has room. So a peer that sends byte by byte costs no piece for each.
  bool push(ChunkArena& arena, ByteView bytes);
  void finish() noexcept;
  void set_trailers(Fields trailers) { trailers_ = std::move(trailers); }
  void push_datagram(Bytes payload);
  /// Ends the body with an error, unless it is complete. What was pushed before is still read
  /// first.
  void fail(Error error);
  bool ended() const noexcept { return finished_ || error_.has_value(); }
  /// The body is complete.
  bool finished() const noexcept { return finished_; }
  /// Bytes pushed and not taken.
  std::size_t buffered() const noexcept { return buffered_; }

  // For the reader.
  /// Datagrams kept for a reader that does not keep up; the oldest is dropped beyond it.
  static constexpr std::size_t kMaxDatagrams = 64;
  bool readable() const noexcept { return !queue_.empty() || ended(); }
  /// What came, at most one queued piece; empty at the end of the body.
  Result<Bytes> take();
  const Fields& trailers() const noexcept { return trailers_; }
  bool datagram_readable() const noexcept { return !datagrams_.empty() || ended(); }
  Result<Bytes> take_datagram();
  /// Drops what is queued and returns its size.
  std::size_t discard() noexcept;
  const std::optional<Error>& error() const noexcept { return error_; }

  Waiter* reader = nullptr;  // set by the awaitables below
  Waiter* datagram_reader = nullptr;
  Waiter* head_reader = nullptr;

 private:
  void wake(Waiter* waiter) noexcept;

  Runtime& runtime_;
  Fifo<Bytes> queue_;
  Fifo<Bytes> datagrams_;
  std::size_t buffered_ = 0;
  Fields trailers_;
  bool finished_ = false;
  std::optional<Error> error_;
};

/// Back-pressure for what we send: a writer is held once more than `kHighWater` bytes are queued,
/// until no more than `kLowWater` are.
class Outgoing {
 public:
  static constexpr std::size_t kHighWater = 256 * 1024;
  static constexpr std::size_t kLowWater = 128 * 1024;

  Outgoing(Runtime& runtime, const Carrier& carrier) noexcept
      : runtime_(runtime), carrier_(&carrier) {}

  // For the carrier.
  /// Bytes left the queue (`Carrier::unsent` has fallen). Cheap: may be called for every packet.
  void drained() noexcept;
  /// The peer does not want the message any more, or the connection is gone.
  void fail(Error error);

  bool failed() const noexcept { return error_.has_value(); }
  const Error& error() const { return *error_; }
  /// Whether a writer has to wait now.
  bool full() const noexcept {
    return !failed() && carrier_ != nullptr && carrier_->unsent() > kHighWater;
  }
  /// The carrier is gone.
  void release() noexcept;

  Waiter* writer = nullptr;
  /// Woken when the message fails, whoever writes: for those who would stop working then.
  Waiter* watcher = nullptr;

 private:
  Runtime& runtime_;
  const Carrier* carrier_;
  std::optional<Error> error_;
};

namespace detail {

/// Wants to know that an exchange's connection drains.
class DrainListener {
 public:
  virtual void on_drain() noexcept = 0;

 protected:
  ~DrainListener() = default;
};

/// State that `Exchange` and `ClientExchange` share.
class Ends {
 public:
  Ends(Runtime& runtime, Carrier& carrier) noexcept
      : runtime_(runtime), carrier_(&carrier), incoming_(runtime), outgoing_(runtime, carrier) {}
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;

  // ---- for the carrier
  Incoming& incoming() noexcept { return incoming_; }
  Outgoing& outgoing() noexcept { return outgoing_; }
  /// Nothing came of it: neither side hears of the other again.
  void disown() noexcept { carrier_ = nullptr; }
  /// The stream or its connection is gone; the carrier is not called again. Unfinished directions
  /// fail with `error`. Body bytes that are buffered stay readable; as `consumed` will not be
  /// called for them, the carrier credits `incoming().buffered()` to the connection first.
  void carrier_gone(Error error);
  /// The connection drains: we are a server that goes away, or a client whose server has said
  /// GOAWAY. It will wait for this exchange, but not without end.
  void drain() noexcept {
    if (!std::exchange(draining_, true) && drain_listener_ != nullptr) drain_listener_->on_drain();
  }

  // ---- for applications
  Runtime& runtime() const noexcept { return runtime_; }
  /// "h3", "h2" or "http/1.1"; stays readable after the connection has gone. The view lives as long
  /// as the exchange.
  std::string_view protocol() const noexcept;
  /// Where it runs: our address and the peer's, the present ones of a connection that has moved,
  /// the last ones of one that has gone.
  udp::Path path() const noexcept;
  /// `Carrier::session` and `stream_id`, for extensions of a protocol.
  Session* session() const noexcept { return carrier_ != nullptr ? carrier_->session() : nullptr; }
  std::int64_t stream_id() const noexcept {
    return carrier_ != nullptr ? carrier_->stream_id() : -1;
  }

  class [[nodiscard]] Read {
   public:
    explicit Read(Ends& ends) noexcept : ends_(ends) {}
    Read(const Read&) = delete;
    Read& operator=(const Read&) = delete;
    ~Read();
    bool await_ready() const noexcept { return ends_.incoming_.readable(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    Result<Bytes> await_resume();

   private:
    Ends& ends_;
    Waiter waiter_;
  };
  /// The next piece of the peer's body; an empty one at its end. One reader at a time. Taking a
  /// piece opens flow control by its size. A server's first read, or a successful `start` before
  /// it, answers `expect: 100-continue` (RFC 9110 §10.1.1) if nothing of the body has come.
  Read read() {
    if (continue_wanted_) send_continue();
    return Read(*this);
  }

  class [[nodiscard]] ReadDatagram {
   public:
    explicit ReadDatagram(Ends& ends) noexcept : ends_(ends) {}
    ReadDatagram(const ReadDatagram&) = delete;
    ReadDatagram& operator=(const ReadDatagram&) = delete;
    ~ReadDatagram();
    bool await_ready() const noexcept { return ends_.incoming_.datagram_readable(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    Result<Bytes> await_resume();

   private:
    Ends& ends_;
    Waiter waiter_;
  };
  /// The next HTTP datagram; Error closed when the peer has ended its stream.
  ReadDatagram receive_datagram() noexcept { return ReadDatagram(*this); }
  /// Sends one (RFC 9297), unreliably; the bytes are copied. False, and it is dropped: larger than
  /// `max_datagram`, too many are queued, or the connection is gone.
  bool send_datagram(ByteView payload);
  /// Bytes that fit into one now; 0 where the peer takes none, which is always so on HTTP/2 and
  /// HTTP/1.1.
  std::size_t max_datagram() const noexcept;

  /// The whole rest of the body. Error limit when it is longer than `limit` bytes.
  Task<Result<std::string>> read_all(std::size_t limit = kDefaultBufferedBody);
  static constexpr std::size_t kDefaultBufferedBody = 128 * 1024 * 1024;
  /// The peer's trailers, once `read` has returned the end.
  const Fields& trailers() const noexcept { return incoming_.trailers(); }

  /// What `write`, `finish` and `respond` return: done at once unless the queue is above
  /// `Outgoing::kHighWater`; then when it has drained. Error closed when the peer is gone or does
  /// not want more.
  class [[nodiscard]] Write {
   public:
    Write(Ends& ends, std::optional<Error> refused) noexcept
        : ends_(ends), refused_(std::move(refused)) {}
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;
    ~Write();
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    Result<void> await_resume();

   private:
    Ends& ends_;
    std::optional<Error> refused_;
    Waiter waiter_;
  };
  /// A piece of our body. Error invalid, and nothing is sent, before the head, after the end, or
  /// when the body would get longer than its content-length.
  Write write(Bytes bytes) { return send_piece(std::move(bytes), false); }
  /// Ends our message, with a last piece perhaps. A body shorter than its content-length is reset
  /// instead: Error invalid.
  Write finish() { return send_piece(Bytes(), true); }
  Write finish(Bytes last) { return send_piece(std::move(last), true); }
  /// Ends our message with trailers.
  Write finish(const Fields& trailers);
  bool finished() const noexcept { return finished_; }
  /// Body bytes given to the carrier, for the access log.
  std::uint64_t sent_bytes() const noexcept { return sent_bytes_; }

  /// The connection is to end when its exchanges have: the server goes away (`Server::drain`), or
  /// on a client says so. A handler that would go on for ever (WebSocket and EventStream see to it
  /// themselves) had better come to its end; at the latest after ServerOptions::drain_timeout it is
  /// broken off.
  bool draining() const noexcept { return draining_; }
  /// Told when that begins; null: nobody. The listener removes itself.
  void set_drain_listener(DrainListener* listener) noexcept { drain_listener_ = listener; }

  /// RFC 9218. A client's goes with the request, or after it (PRIORITY_UPDATE); a server's own
  /// overrides what the client has asked for. HTTP/1.1 has none: nothing happens.
  void set_priority(Priority priority);
  /// Gives up: resets the stream both ways. The first call counts.
  void abort(Abort why);
  /// The rest of the peer's body is not needed. What was not read is dropped.
  void stop_reading(Abort why = Abort::no_error);

 protected:
  ~Ends();

  static constexpr std::uint64_t kUnknownLength = UINT64_MAX;

  Write send_piece(Bytes bytes, bool end);
  Write done() noexcept { return Write(*this, std::nullopt); }
  Write refuse(Error error) noexcept { return Write(*this, std::move(error)); }
  /// Why a message's end, or a piece of it, may not be sent now.
  std::optional<Error> refusal() const;
  void send_continue();

  Runtime& runtime_;
  Carrier* carrier_;
  Incoming incoming_;
  Outgoing outgoing_;
  bool head_sent_ = false;
  bool finished_ = false;
  bool aborted_ = false;
  bool continue_wanted_ = false;
  bool bodyless_ = false;  // the message has ended with its head; what is written is dropped
  bool draining_ = false;
  std::uint64_t remaining_ = kUnknownLength;  // of a declared content-length
  std::uint64_t sent_bytes_ = 0;

 private:
  /// What the carrier said, kept when it goes.
  struct Gone {
    std::string protocol;
    udp::Path path;
  };
  std::unique_ptr<Gone> gone_;
  DrainListener* drain_listener_ = nullptr;
};

}  // namespace detail

class Exchange;

/// What an application writes. Called once for each request; may suspend for minutes.
using Handler = std::function<Task<void>(Exchange&)>;

/// A server's side of one request. Made by the session, owned by the task that runs the handler;
/// the handler's reference is valid until it returns. A handler that returns without having
/// responded gives a 500; one that returns in mid-body resets the stream (a tunnel is ended).
class Exchange final : public detail::Ends, public Recycled {
 public:
  Exchange(Runtime& runtime, Carrier& carrier, RequestHead&& request);
  /// For a carrier that has the request's head still to come: it fills `head()` and calls `begin`
  /// before the handler runs; or calls `disown` if nothing comes of it.
  Exchange(Runtime& runtime, Carrier& carrier) noexcept;
  RequestHead& head() noexcept { return request_; }
  void begin() noexcept;
  ~Exchange();

  const RequestHead& request() const noexcept { return request_; }
  std::string_view method() const noexcept { return request_.method; }
  /// When the exchange was made.
  Timestamp started() const noexcept { return started_; }
  /// The path (no query) below the prefix that a router has mounted the handler at: "/a" for
  /// "/files/a" under mount("/files"). The whole path without a mount. Empty for plain CONNECT.
  std::string_view mounted_path() const noexcept {
    return {request_.path.data() + mount_size_, path_size_ - mount_size_};
  }
  /// The first `prefix_size` bytes of the path are the mount's.
  void set_mount(std::size_t prefix_size) noexcept { mount_size_ = prefix_size; }
  /// What the router matched, e.g. parameters of the route by name; empty if absent.
  std::string_view parameter(std::string_view name) const noexcept;
  void set_parameter(std::string_view name, std::string_view value);
  /// The request may be a replay: it came in 0-RTT, or an intermediary says that it did (RFC 8470
  /// §5.1). The router answers 425 unless the method is safe.
  bool early_data() const noexcept;

  // Responses: `date` is added where it is missing. Error invalid, and nothing is sent, when there
  // was a final response already, or a field is malformed (then a 500 may still be sent).

  /// A complete response. content-length is added; for HEAD, 204 and 304 the body is left out.
  Write respond(Response response);
  Write respond(Status status) { return respond(Response(status)); }
  Write respond(Status status, std::string text) {
    return respond(Response(status).text(std::move(text)));
  }
  Write respond(Status status, const char* text) { return respond(status, std::string(text)); }
  /// An interim response (1xx, not 101), before the final one.
  Write inform(Status status, const Fields& fields);
  /// The head of a response whose body is written piece by piece (or of a tunnel, after CONNECT).
  /// A body in `response` is its first piece. For HEAD, 204 and 304 what is written is dropped.
  Write start(Response response);
  bool responded() const noexcept { return head_sent_; }
  /// Status of the final response; 0 before it is sent.
  int status() const noexcept { return status_; }
  /// A 2xx answer to CONNECT was sent: both bodies are a tunnel's (or a capsule protocol's) bytes.
  bool tunnel() const noexcept { return tunnel_; }

 private:
  template <typename Coroutine, typename... Owner>
  friend Coroutine run_handler(Owner&..., const Handler*, std::unique_ptr<Exchange>,
                               const std::function<void(const Exchange&)>*);

  std::optional<Error> prepare(Response& response, bool whole);
  void end_after_handler(bool threw);

  RequestHead request_;
  std::vector<std::pair<std::string, std::string>> parameters_;
  Timestamp started_;
  std::size_t path_size_ = 0;  // without the query
  std::size_t mount_size_ = 0;
  int status_ = 0;
  bool tunnel_ = false;
};

/// A client's side of one request. Owned by the caller; destroying it before the response is
/// complete cancels the request. Survives its connection: then everything fails with the error.
class ClientExchange final : public detail::Ends, public Recycled {
 public:
  ClientExchange(Runtime& runtime, Carrier& carrier);
  ~ClientExchange();

  /// Sends the head; `end`: no body follows. Once. Error invalid, and nothing is sent, when the
  /// head is malformed.
  Write send(const RequestHead& head, bool end);

  // ---- for the carrier
  void on_interim(Status status, Fields fields);
  /// The final response; before `incoming().finish()`.
  void on_response(Status status, Fields fields);

  class [[nodiscard]] Head {
   public:
    explicit Head(ClientExchange& exchange) noexcept : exchange_(exchange) {}
    Head(const Head&) = delete;
    Head& operator=(const Head&) = delete;
    ~Head();
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    /// The final response's head (its body is read with `read`). Taken once.
    Result<Response> await_resume();

   private:
    ClientExchange& exchange_;
    Waiter waiter_;
  };
  /// Waits for the final response's head. Errors: Domain::application with the protocol's code when
  /// the server reset the request; rejected when it certainly has not processed it; closed when the
  /// connection ended; invalid or limit for a response that is malformed or beyond our limits.
  Head response() noexcept { return Head(*this); }
  /// Interim responses seen so far; at most kMaxInterim are kept.
  static constexpr std::size_t kMaxInterim = 16;
  const std::vector<Response>& interim() const noexcept { return interim_; }

  void abort(Abort why = Abort::cancelled) { Ends::abort(why); }

 private:
  std::optional<Response> response_;
  std::vector<Response> interim_;
};

/// Runs `handler` for an exchange it owns: turns exceptions into 500 or a reset, answers 500 if the
/// handler did not, ends what it left open. `done` is called at the end, when everything is handed
/// to the carrier (access log); may be null.
Task<void> serve(Handler handler, std::unique_ptr<Exchange> exchange,
                 std::function<void(const Exchange&)> done);
/// What the first parameter and `done` of the function above cost (a copy of two std::functions, so
/// perhaps two allocations) saved: both outlive the task; `done` may be null or empty.
Task<void> serve(const Handler* handler, std::unique_ptr<Exchange> exchange,
                 const std::function<void(const Exchange&)>* done);
/// The same, spawned in `scope` with one coroutine frame less. Handler and `done` outlive it.
void serve_in(Scope& scope, const Handler& handler, std::unique_ptr<Exchange> exchange,
              const std::function<void(const Exchange&)>& done);

}  // namespace tern::http
