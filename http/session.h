#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "http/exchange.h"

namespace tern::http {

/// Requests on one connection, whatever the protocol: in on a server, out on a client. http3 and
/// http/fallback implement it, and say who owns a session and for how long. Belongs to one
/// runtime's thread.
class Session {
 public:
  virtual ~Session() = default;

  /// Its ALPN name: "h3", "h2" or "http/1.1".
  virtual std::string_view protocol() const noexcept = 0;

  /// Client: a new request. Nothing is sent before `ClientExchange::send`; then it goes out as soon
  /// as the peer's limits allow (HTTP/1.1: when the one before it has its response). Error
  /// rejected: this connection takes no more requests (closed, draining, GOAWAY); limit: too many
  /// wait already.
  virtual Result<std::unique_ptr<ClientExchange>> open() = 0;
  /// Client: `open` makes sense.
  virtual bool accepts_requests() const noexcept = 0;

  /// Keying material of the TLS connection beneath, the same at both ends (RFC 8446 §7.5). Errors:
  /// unsupported without TLS; invalid and closed as `quic::Connection` and `tcp::Stream` say.
  virtual Result<void> export_keying_material(std::string_view /*label*/, ByteView /*context*/,
                                              MutableBytes /*out*/) const {
    return fail(Error(Code::unsupported, "there is no keying material without TLS"));
  }

  /// Requests that are not over; on a server also those whose handlers still run.
  virtual std::size_t requests() const noexcept = 0;
  /// Requests seen or sent since the beginning.
  virtual std::uint64_t total_requests() const noexcept = 0;

  /// Graceful end. The server tells its client which requests it still takes (two GOAWAYs a round
  /// trip apart: RFC 9114 §5.2, RFC 9113 §6.8; HTTP/1.1: `connection: close` with the next
  /// response); a client sends no more. When the last request is over the connection is closed.
  virtual void drain() = 0;
  virtual bool draining() const noexcept = 0;
  /// Ends the connection at once, without fault (H3_NO_ERROR, NO_ERROR). Open exchanges fail.
  virtual void close() = 0;
};

}  // namespace tern::http
