#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fifo.h"
#include "base/runtime.h"
#include "base/task.h"
#include "gateway/client_options.h"
#include "http/decode.h"
#include "http/exchange.h"
#include "http/message.h"
#include "http/uri.h"
#include "http/websocket.h"
#include "transport/quic/connection.h"
#include "transport/udp/network.h"
#include "webtransport/client_options.h"
#include "webtransport/session.h"

namespace tern::http {
class Url;
}

namespace tern {

class OriginConnection;
class ClientPool;
struct RequestFailure;

/// A request to an absolute https or http URL.
class ClientRequest {
 public:
  explicit ClientRequest(std::string url) : url_(std::move(url)) {}

  /// Default GET.
  ClientRequest& method(std::string name) { return method_ = std::move(name), *this; }
  /// One more field line. Names in any case; neither is checked before the request is sent (Error
  /// invalid).
  ClientRequest& field(std::string_view name, std::string_view value) {
    return fields_.add(name, value), *this;
  }
  /// All of the body; content-length is added. Held until the server has it.
  ClientRequest& body(Bytes bytes) { return body_ = std::move(bytes), *this; }
  ClientRequest& body(std::string text) { return body_ = Bytes::take(std::move(text)), *this; }
  /// The caller writes the body to the exchange and finishes it (Client::open alone).
  ClientRequest& streaming(bool on = true) { return streaming_ = on, *this; }
  /// Extended CONNECT (RFC 9220): method CONNECT with this `:protocol`. Wants `streaming`.
  ClientRequest& protocol(std::string name) {
    method_ = "CONNECT";
    return protocol_ = std::move(name), *this;
  }
  /// RFC 9218; not sent on HTTP/1.1. Default: none, which is urgency 3.
  ClientRequest& priority(http::Priority value) { return priority_ = value, *this; }

  const std::string& url() const noexcept { return url_; }
  const std::string& method() const noexcept { return method_; }
  const http::Fields& fields() const noexcept { return fields_; }
  bool is_streaming() const noexcept { return streaming_; }
  /// Becomes the request that a redirect response (301, 302, 303, 307, 308) asks for: another URL,
  /// perhaps GET, no credentials for another origin. False if `head` is none, or names no place.
  Result<bool> redirect(const http::Response& head);

 private:
  friend class Client;
  std::string url_;
  std::string method_ = "GET";
  std::string protocol_;
  http::Fields fields_;
  Bytes body_;
  bool streaming_ = false;
  std::optional<http::Priority> priority_;
};

/// When things happened, counted from the call. Zero: it did not.
struct ClientTimings {
  Duration resolved{};
  Duration connected{};   ///< handshake complete; zero on a connection that was there
  Duration first_byte{};  ///< the response's head
  Duration total{};
};

/// A response with all of its body.
class ClientResponse {
 public:
  http::Status status() const noexcept { return head_.status(); }
  bool ok() const noexcept { return http::code(status()) / 100 == 2; }
  const http::Fields& fields() const noexcept { return head_.fields(); }
  const http::Fields& trailers() const noexcept { return trailers_; }
  const std::string& body() const noexcept { return body_; }
  /// Where it came from, after redirects.
  const std::string& url() const noexcept { return url_; }
  std::size_t redirects() const noexcept { return redirects_; }
  /// "h3", "h2" or "http/1.1"
  const std::string& protocol() const noexcept { return protocol_; }
  /// It went, or was answered, as early data.
  bool early_data() const noexcept { return early_data_; }
  const ClientTimings& timings() const noexcept { return timings_; }
  /// How often the last of its requests was sent (RetryPolicy; ClientEvent::Type::retried says
  /// why).
  std::size_t attempts() const noexcept { return attempts_; }

 private:
  friend class Client;
  http::Response head_;
  http::Fields trailers_;
  std::string body_;
  std::string url_;
  std::size_t redirects_ = 0;
  std::string protocol_;
  bool early_data_ = false;
  ClientTimings timings_;
  std::size_t attempts_ = 1;
};

/// A request under way, as Client::open returns it: an exchange whose head has been sent. Read its
/// response with `response` and `read`; or from the exchange itself, as it came.
class ClientStream {
 public:
  http::ClientExchange& exchange() noexcept { return *exchange_; }
  /// The response's head, as it came; its cookies go to `ClientOptions::cookies`. Once, before
  /// `read`. The stream stays where it is meanwhile. Error unsupported: a content coding that was
  /// not asked for.
  Task<Result<http::Response>> response();
  /// The next piece of the body, an empty one at its end; decoded where `ClientOptions::decode` has
  /// asked for a coding. Holds at most some 16 MiB of what is decoded and not read. Error invalid:
  /// it is malformed or cut short; limit: it is a bomb (http::DecodeLimits).
  Task<Result<Bytes>> read();
  const std::string& url() const noexcept { return url_; }
  /// When `Client::open` was called.
  Timestamp begun() const noexcept { return begun_; }
  /// resolved and connected, as far as they have happened since.
  ClientTimings timings() const noexcept;
  /// The request went out before the handshake was complete.
  bool early_data() const noexcept { return early_data_; }
  /// Names the connection in Client::connections(); several requests share one.
  std::uint64_t connection() const noexcept;
  /// Its connection ended because no network led to the server any more, or the server had
  /// forgotten it meanwhile; over TCP also one that had served earlier requests and ended, as with
  /// a server's idle limit or restart. A request that is idempotent may be sent again (RFC 9110
  /// §9.2.2).
  bool path_lost() const noexcept;

 private:
  friend class Client;
  std::shared_ptr<OriginConnection> connection_;
  std::unique_ptr<http::ClientExchange> exchange_;  // before the connection in destruction
  std::string url_;
  Timestamp begun_{};
  bool early_data_ = false;
  bool reused_ = false;  // over TCP, and not its connection's first
  std::shared_ptr<http::CookieJar> jar_;
  bool decode_ = false;  // a coding was asked for
  std::optional<http::ContentDecoder> decoder_;
  Fifo<Bytes> decoded_;
  Bytes coded_;  // what is left of the last piece
  bool some_came_ = false;
  bool all_came_ = false;
};

/// A request under way, and no more than that: what Client::try_open returns.
struct BareStream {
  std::shared_ptr<OriginConnection> connection;  ///< stays while its exchange is there
  std::unique_ptr<http::ClientExchange> exchange;
};

/// A connection of a client, as Client::connections() shows it.
struct ClientConnectionInfo {
  std::uint64_t id = 0;
  std::string origin;
  udp::Path path;
  quic::HandshakeInfo handshake;
  quic::ConnectionStats stats;
  std::uint64_t requests = 0;
  bool early_data = false;  ///< it was opened with 0-RTT
  bool open = false;        ///< else these are its last facts
  bool over_tcp = false;    ///< HTTP/2 or HTTP/1.1; handshake.alpn says which
};

/// An HTTP client: a pool with one connection for each origin, opened when it is needed, shared by
/// all requests that run at the same time (HTTP/1.1 has up to six, a request each). HTTP/3 where
/// UDP gets through and the server has it, else HTTP/2 or HTTP/1.1 over TCP, without the caller
/// seeing more of it than `protocol()`; docs/fallback.md is the manual. Belongs to the runtime's
/// thread.
///
///   auto response = co_await client.get("https://localhost:4433/hello");
///
/// Errors, besides what servers and networks cause (Domain::quic, ::application, ::tls, ::os):
///   Code::invalid      the URL, a field or an option; or the answer (Origin::remote)
///   Code::not_found    the name does not resolve
///   Code::timed_out    a limit of ClientOptions passed, or nobody answered
///   Code::certificate  the server's certificate is not trusted
///   Code::limit        the response is larger than max_body, or decodes like a bomb, or redirects
///                      went on
///   Code::unsupported  a content coding that was not asked for
///   Code::rejected     the server refused before processing; safe to send again
///   Code::closed       the connection ended in the middle of the response, or the client did
class Client {
 public:
  static constexpr std::size_t kMaxOrigins = 256;  ///< idle connections make room beyond it
  /// Times that a request is sent whose connections end before the server has processed it
  /// (RetryPolicy): a server that takes a few requests on each connection lets go of most of a
  /// burst again and again.
  static constexpr std::size_t kMaxSends = 10;

  /// Runtime and network outlive the client; the network is the runtime's driver.
  Client(Runtime& runtime, udp::Network& network, ClientOptions options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  /// Ends its connections without a word (see `close`). The tasks it has given out must be gone;
  /// the exchanges live on, and fail.
  ~Client();

  Task<Result<ClientResponse>> get(std::string url);
  /// Sends it and collects the response, within `timeout`; follows redirects as the options say.
  Task<Result<ClientResponse>> send(ClientRequest request);
  /// Sends the head (and the body, unless it streams). Follows no redirects and repeats nothing
  /// after the head was sent.
  Task<Result<ClientStream>> open(ClientRequest request);
  /// The same at once, for who sends many: a head that is sent as it is, to `url` whose `origin()`
  /// is `origin`, if there is a connection that takes it now. The caller writes the body to the
  /// exchange, and finishes it. Nothing: use `open`; always so where the options ask for cookies
  /// or decoding.
  std::optional<Result<BareStream>> try_open(const http::Url& url, const std::string& origin,
                                             const http::RequestHead& head);
  /// A WebSocket to a wss:// or ws:// (https://, http://) URL: over HTTP/3 (RFC 9220) or HTTP/2
  /// (RFC 8441), beside requests, where the connection that requests would take is one and the
  /// server has WebSockets there, else over HTTP/1.1 (RFC 6455) on a connection of its own;
  /// `WebSocket::carrier` says which (docs/fallback.md). `request` may have fields, a token or an
  /// origin; its method and body are not looked at. Error of Domain::http when the server refuses
  /// it (redirects too: browsers follow none); unsupported when it has no WebSocket in the one
  /// version of HTTP that the options leave; timed_out when it has not answered within `timeout`.
  /// Cookies go with the handshake and come with its answer, as `ClientOptions::cookies` says; a
  /// handshake that the server has not looked at goes again as `ClientOptions::retry` says. The
  /// WebSocket must be gone before the client.
  Task<Result<std::unique_ptr<http::WebSocket>>> websocket(
      ClientRequest request, http::WebSocketOptions options = http::WebSocketOptions());
  /// A WebTransport session to an https:// URL (wt:// is another name for it): over HTTP/3, else
  /// HTTP/2, else WebSocket, or over the one that `webtransport::ClientOptions::carrier` names
  /// (docs/webtransport.md); `Session::carrier` says which. An http:// URL has WebSocket alone.
  /// `request` may have fields, a token or an origin; its method and body are not looked at. Errors
  /// as for `websocket`; unsupported when the server has no sessions on any carrier that was to be
  /// tried. The session must be gone before the client.
  Task<Result<std::unique_ptr<webtransport::Session>>> webtransport(
      ClientRequest request, webtransport::ClientOptions options = webtransport::ClientOptions());
  /// Has a connection to the URL's origin ready; done when one stands. Errors as for a request.
  Task<Result<void>> connect(std::string url);

  /// For those who send again what they have sent with `open`: whether the client's RetryPolicy
  /// allows it, after `tries` times and that end, and its budget has something left, which it pays
  /// with if it has to; and how long to wait before. `stream`: null when `open` itself failed. The
  /// caller knows whether it can send the body once more.
  std::optional<Duration> may_repeat(const ClientRequest& request, std::size_t tries,
                                     const Error& error, const ClientStream* stream);
  /// The same after a response.
  std::optional<Duration> may_repeat(const ClientRequest& request, std::size_t tries,
                                     const http::Response& head, const ClientStream& stream);

  /// Moves every QUIC connection to a new port of `local`, or of the address it has if unspecified:
  /// servers see a migration (RFC 9000 §9). Probes first unless `now`. They stay there until that
  /// path dies, whatever the network policy likes better. Error invalid where there is none.
  Result<void> migrate(const udp::Address& local = udp::Address(), bool now = false);
  /// Updates the keys of every QUIC connection (RFC 9001 §6). Error invalid where there is none.
  Result<void> update_keys();

  /// Those open or being made (UDP may be tried beside TCP still), and the last that have closed.
  std::vector<ClientConnectionInfo> connections() const;
  SessionCache& sessions() noexcept;
  /// Closes the connections with H3_NO_ERROR and waits until the close packets have left; new
  /// requests are refused.
  Task<void> close();

 private:
  Task<Result<std::unique_ptr<http::WebSocket>>> open_websocket(ClientRequest request,
                                                                http::WebSocketOptions options);
  Task<Result<std::unique_ptr<http::WebSocket>>> websocket_on(
      std::shared_ptr<OriginConnection> connection, http::Url url, http::RequestHead head,
      http::WebSocketOptions options);
  Task<Result<std::unique_ptr<webtransport::Session>>> open_webtransport(
      ClientRequest request, webtransport::ClientOptions options);
  Task<Result<std::unique_ptr<webtransport::Session>>> webtransport_on(
      std::shared_ptr<OriginConnection> connection, http::RequestHead head,
      webtransport::ClientOptions options);
  Task<Result<std::unique_ptr<webtransport::Session>>> webtransport_over_websocket(
      ClientRequest request, webtransport::ClientOptions options);
  /// Where the request goes, and its fields.
  static http::RequestHead head_of(const ClientRequest& request, const http::Url& url);
  Task<Result<ClientResponse>> follow(ClientRequest request);
  Task<Result<ClientResponse>> exchange_once(ClientRequest& request);
  std::optional<Duration> repeat(const ClientRequest& request, const RequestFailure& failure,
                                 std::size_t tries, const std::string& why,
                                 const OriginConnection* connection);
  /// After a handshake that the server has certainly not processed: waits until it may go again;
  /// false: it may not.
  Task<bool> may_repeat_handshake(const ClientRequest& request, const OriginConnection& connection,
                                  std::size_t tries, const Error& error);
  Duration pause(std::size_t times);
  void tell_repetition(const ClientRequest& request, Duration wait, const std::string& why,
                       const OriginConnection* connection) const;
  Task<Result<ClientResponse>> collect(ClientStream& stream);

  std::unique_ptr<ClientPool> pool_;
};

}  // namespace tern
