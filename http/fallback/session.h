#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "http/exchange.h"
#include "transport/tcp/network.h"

namespace tern::fallback {

/// HTTP/2 (RFC 9113) or HTTP/1.1 (RFC 9112) on one byte stream: requests in on a server, out on a
/// client. The session does not know whether the stream is TLS or bare TCP (`tls::SecureStream` is
/// a `tcp::Stream`). Made and owned by a `Context`, used on its runtime's thread, destroyed by it
/// in the drain phase after the one that ended it.
///
/// A peer that breaks the protocol ends the connection (HTTP/2: GOAWAY with the code that RFC 9113
/// names; HTTP/1.1: an error response, then close), with one line in the log and a counter; what
/// RFC 9113 calls a stream error ends its stream alone.
///
/// Tunnels look the same on every protocol: a WebSocket handshake over HTTP/1.1 (GET with
/// `upgrade: websocket`, RFC 6455 §4) is an extended CONNECT (RFC 8441, RFC 9220) to the exchange:
/// method "CONNECT", protocol "websocket". The 2xx answer that `Exchange::start` sends becomes 101
/// with `sec-websocket-accept` there, and a client sees the 101 as 200.
class Session {
 public:
  virtual ~Session() = default;

  /// "h2" or "http/1.1".
  virtual std::string_view protocol() const noexcept = 0;

  /// Client: a new request. Nothing is sent before `ClientExchange::send`; then it goes as soon as
  /// the peer's limits allow (HTTP/1.1: when the one before it has its response). Error rejected:
  /// this connection takes no more requests (closed, draining or GOAWAY); limit: too many wait.
  virtual Result<std::unique_ptr<http::ClientExchange>> open() = 0;
  /// Client: `open` makes sense.
  virtual bool accepts_requests() const noexcept = 0;

  /// Requests that are not over; on a server also those whose handlers still run.
  virtual std::size_t requests() const noexcept = 0;
  /// Requests seen or sent since the beginning.
  virtual std::uint64_t total_requests() const noexcept = 0;

  /// Graceful end. HTTP/2 server: GOAWAY with the highest identifier, a round trip later with the
  /// real one (RFC 9113 §6.8); HTTP/1.1 server: `connection: close` with the next response. Client:
  /// no more requests. When the last request is over the connection is closed.
  virtual void drain() = 0;
  virtual bool draining() const noexcept = 0;
  /// Ends the connection at once: GOAWAY with NO_ERROR on HTTP/2, then FIN. Open exchanges fail.
  virtual void close(std::string_view reason = {}) = 0;

  /// What it runs on, for addresses and figures.
  virtual const tcp::Stream& stream() const noexcept = 0;
};

}  // namespace tern::fallback
