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

#include "base/bytes.h"
#include "base/error.h"
#include "base/ready_queue.h"
#include "base/runtime.h"
#include "base/task.h"
#include "http/exchange.h"
#include "http/websocket_handshake.h"
#include "http/websocket_options.h"
#include "http/websocket_protocol.h"

/// WebSocket (RFC 6455), the same on HTTP/1.1, HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220), for servers
/// and for clients. docs/websocket.md is the guide.

namespace tern::http {

class WebSocketCore;

/// A message, or a part of one.
struct WebSocketMessage {
  bool text = false;  ///< UTF-8, checked; else binary
  std::string data;
  bool last = true;  ///< of `receive_part`: the message ends with it

  std::string_view view() const noexcept { return data; }
  ByteView bytes() const noexcept { return as_bytes(data); }
};

/// How a WebSocket ended (RFC 6455 §7.1.5).
struct WebSocketClose {
  /// The peer's code; ours where we failed the connection; kNone (1005) for a close frame without a
  /// code, kAbnormal (1006) when none came. 0: it is open.
  std::uint16_t code = 0;
  std::string reason;
  /// Both close frames were exchanged.
  bool clean = false;
};

struct WebSocketStats {
  std::uint64_t messages_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_received = 0;  ///< of messages, inflated
  std::uint64_t bytes_sent = 0;      ///< likewise
  std::uint64_t wire_received = 0;   ///< with frames' heads, as compressed
  std::uint64_t wire_sent = 0;
  std::uint64_t pings_received = 0;
  std::uint64_t pings_sent = 0;
  Duration round_trip{};  ///< of the last ping that was answered
};

/// One end of an open WebSocket. A server's handler gets a reference that is valid until it
/// returns; a client owns its own (`open_websocket`, `Client::websocket`). Belongs to one runtime's
/// thread.
///
///   Task<void> echo(http::WebSocket& socket) {
///     while (auto message = co_await socket.receive()) {
///       co_await socket.send(std::move(*message));
///     }
///   }
///
/// Pings are answered, the peer watched and its close frame answered by itself, whatever the
/// application waits for meanwhile. One coroutine receives; any number may send.
class WebSocket {
 public:
  /// `ends` outlives it; the handshake is through. `options` are kept.
  WebSocket(detail::Ends& ends, WebSocketProtocol::Role role,
            std::shared_ptr<const WebSocketOptions> options, WebSocketTerms terms);
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;
  /// An open one is broken off: `close` first.
  ~WebSocket();

  // ---- receiving
  template <bool kWhole>
  class [[nodiscard]] Receiving {
   public:
    explicit Receiving(WebSocketCore& core) noexcept : core_(core) {}
    Receiving(const Receiving&) = delete;
    Receiving& operator=(const Receiving&) = delete;
    ~Receiving() { give_up(); }
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    std::optional<WebSocketMessage> await_resume();

   private:
    void give_up() noexcept;
    WebSocketCore& core_;
    Waiter waiter_;
  };
  using Receive = Receiving<true>;
  using ReceivePart = Receiving<false>;

  /// The next message; nothing when the WebSocket has ended (`closed`, `error`).
  Receive receive() noexcept { return Receive(*core_); }
  /// What has come of the next message, perhaps not all of it: for messages too large to be held.
  ReceivePart receive_part() noexcept { return ReceivePart(*core_); }

  // ---- sending
  /// Done at once, unless the peer is behind (`Outgoing::kHighWater` bytes are queued): then when
  /// the message was queued. Nothing is sent unless it is awaited; given up while it waits, it is
  /// not sent. Errors: closed; invalid (text that is no UTF-8); limit (too many wait); timed_out
  /// (send_timeout has passed; the connection is gone).
  class [[nodiscard]] Send {
   public:
    Send(WebSocketCore& core, bool text, Bytes payload) noexcept
        : core_(core), payload_(std::move(payload)), text_(text) {}
    Send(WebSocketCore& core, bool text, Bytes part, bool last) noexcept
        : core_(core), payload_(std::move(part)), text_(text), part_(true), last_(last) {}
    Send(const Send&) = delete;
    Send& operator=(const Send&) = delete;
    ~Send();
    bool await_ready();
    void await_suspend(std::coroutine_handle<> handle);
    Result<void> await_resume();

   private:
    friend class WebSocketCore;
    WebSocketCore& core_;
    Bytes payload_;
    bool text_;
    bool part_ = false;
    bool last_ = true;
    bool waiting_ = false;
    Timestamp deadline_{};
    std::optional<Error> error_;
    Waiter waiter_;
  };

  Send send_text(std::string text) { return Send(*core_, true, Bytes::take(std::move(text))); }
  Send send_binary(Bytes bytes) { return Send(*core_, false, std::move(bytes)); }
  /// The same kind of message, as for an echo.
  Send send(WebSocketMessage message) {
    return Send(*core_, message.text, Bytes::take(std::move(message.data)));
  }
  /// A message in parts, each a fragment of its own (RFC 6455 §5.4): one coroutine sends them, from
  /// the first to the one that is `last`. Other messages wait until then. Text may be cut anywhere,
  /// and is not checked.
  Send send_part(bool text, Bytes part, bool last) {
    return Send(*core_, text, std::move(part), last);
  }
  /// Sends a message if that can be done at once. False: the peer is behind, or it is closed; for
  /// broadcasts that leave out who is slow.
  bool try_send(bool text, const Bytes& payload);

  /// A round trip. Error closed, or timed_out when nothing came in `pong_timeout` (the connection
  /// is then gone).
  Task<Result<Duration>> ping();

  // ---- the end
  /// Sends a close frame: we have said everything. What the peer still says can be received until
  /// it answers, for at most close_timeout after its last message.
  void start_close(std::uint16_t code = websocket_code::kNormal, std::string_view reason = {});
  /// Sends a close frame and waits until the peer has answered it and ended its stream, for at most
  /// close_timeout. What the peer still sends is dropped. A code that may not be sent is taken for
  /// 1011. Returns at once when it is closed already.
  Task<void> close(std::uint16_t code = websocket_code::kNormal,
                   std::string reason = std::string());
  /// No more messages come.
  bool ended() const noexcept;
  /// How it ended; code 0 while it is open.
  const WebSocketClose& closed() const noexcept;
  /// What went wrong, if not all was well: the stream was reset, a rule was broken, time ran out.
  const std::optional<Error>& error() const noexcept;

  /// Server: it is going away (`Server::drain`).
  bool draining() const noexcept;
  /// Who is told so instead of the peer, which is sent a close frame (1001) otherwise: `on_drain`
  /// is called from inside the connection. Null: nobody any more. The listener outlives it.
  void set_drain_listener(detail::DrainListener* listener) noexcept;

  // ---- facts
  /// The subprotocol agreed on; empty without one.
  std::string_view subprotocol() const noexcept;
  /// permessage-deflate was agreed on.
  bool compressed() const noexcept;
  /// "h3", "h2" or "http/1.1".
  std::string_view carrier() const noexcept;
  udp::Path path() const noexcept;
  const WebSocketStats& stats() const noexcept;
  Runtime& runtime() const noexcept;
  /// Server: the request it came with, its parameters and fields; null on a client.
  const Exchange* exchange() const noexcept { return exchange_; }
  /// The exchange beneath on either side, for facts about its connection.
  const detail::Ends& ends() const noexcept;

 private:
  friend class WebSocketRoute;
  friend Result<std::unique_ptr<WebSocket>> accept_websocket(std::unique_ptr<ClientExchange>,
                                                             const Response&, WebSocketOptions,
                                                             std::shared_ptr<void>);

  const Exchange* exchange_ = nullptr;
  // Client: what it runs on, owner first, as it outlives the exchange.
  std::shared_ptr<void> owner_;
  std::unique_ptr<ClientExchange> client_;
  std::unique_ptr<WebSocketCore> core_;
};

/// What an application writes. Runs from the handshake on; when it returns, the WebSocket is closed
/// with 1000, and with 1011 when it throws.
using WebSocketHandler = std::function<Task<void>(WebSocket&)>;

/// A handler for extended CONNECT with protocol "websocket" (`Router::websocket` registers it):
/// answers the handshake as the options say, then runs `handler`.
Handler websocket(WebSocketHandler handler, WebSocketOptions options = WebSocketOptions());

/// Client: the handshake on an exchange that nothing was sent on. `request` holds authority, path,
/// scheme and fields (an origin, a token); method, protocol and WebSocket's own fields are filled
/// in. `owner`: kept until the exchange is destroyed. A refusal is an Error of Domain::http.
Task<Result<std::unique_ptr<WebSocket>>> open_websocket(std::unique_ptr<ClientExchange> exchange,
                                                        RequestHead request,
                                                        WebSocketOptions options,
                                                        std::shared_ptr<void> owner = nullptr);
/// Its second half: waits for the answer to a handshake that has been sent, with what
/// `complete_websocket_request` adds.
Task<Result<std::unique_ptr<WebSocket>>> await_websocket(std::unique_ptr<ClientExchange> exchange,
                                                         WebSocketOptions options,
                                                         std::shared_ptr<void> owner = nullptr);
/// What that is when the answer has come.
Result<std::unique_ptr<WebSocket>> accept_websocket(std::unique_ptr<ClientExchange> exchange,
                                                    const Response& answer,
                                                    WebSocketOptions options,
                                                    std::shared_ptr<void> owner = nullptr);

}  // namespace tern::http
