#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "http/message.h"
#include "transport/udp/address.h"

namespace tern::http {

class Session;

/// Why an exchange is given up, mapped by each protocol to its own code (H3_REQUEST_CANCELLED,
/// HTTP/2 CANCEL, …).
enum class Abort : std::uint8_t {
  cancelled,  ///< not wanted any more
  rejected,   ///< refused before any processing: safe to retry
  internal,   ///< we failed
  malformed,  ///< the message broke the rules
  too_much,   ///< a limit of ours was reached
  no_error,   ///< the response is complete, the rest of the request is not needed
};

/// What a protocol session does for one exchange: the lower half of `Exchange` and
/// `ClientExchange`. Implemented by http3 and http/fallback; applications never see it. Lives as
/// long as the session's stream; both sides clear the other's pointer when they go. None of these
/// calls re-enters the exchange.
class Carrier {
 public:
  /// For what runs beside the exchange on its connection, or asks for its SETTINGS or keying
  /// material (WebTransport): the session; and the exchange's stream there, in HTTP/3 and HTTP/2.
  /// Null and -1 where there is no such thing.
  virtual Session* session() noexcept { return nullptr; }
  virtual std::int64_t stream_id() const noexcept { return -1; }

  /// "h3", "h2", "http/1.1" (ALPN names).
  virtual std::string_view protocol() const noexcept = 0;
  virtual udp::Path path() const noexcept = 0;
  /// The request came in 0-RTT and the handshake is not complete yet: it may be a replay.
  virtual bool early_data() const noexcept = 0;

  virtual void send_request(const RequestHead& head, bool end) = 0;
  /// Interim (1xx) or final; `end`: neither body nor trailers follow. Fields are valid, but may be
  /// connection-specific (`Fields::connection_specific`): HTTP/2 and HTTP/3 leave those out.
  virtual void send_response(Status status, Fields fields, bool end) = 0;
  /// The bytes are held, not copied, until the peer has acknowledged them. Empty with `end` ends
  /// the message.
  virtual void send_body(Bytes bytes, bool end) = 0;
  virtual void send_trailers(const Fields& trailers) = 0;
  /// Body bytes queued and not sent yet.
  virtual std::size_t unsent() const noexcept = 0;
  /// The application has taken `count` body bytes: flow control may open by as much.
  virtual void consumed(std::size_t count) = 0;
  /// Ends both directions (RESET_STREAM and STOP_SENDING).
  virtual void abort(Abort why) = 0;
  /// The request's rest is not wanted; the response goes on (STOP_SENDING).
  virtual void stop_reading(Abort why) = 0;
  virtual void set_priority(Priority priority) = 0;

  /// HTTP datagrams (RFC 9297). False: not negotiated, too large or queue full; it is dropped.
  virtual bool send_datagram(ByteView payload) = 0;
  /// Largest payload that fits now; 0 without support.
  virtual std::size_t max_datagram() const noexcept = 0;

  /// The exchange goes away: forget it. What is queued is still sent; a message that was not
  /// finished is reset. Body bytes that arrive later are for the carrier to credit.
  virtual void detach() noexcept = 0;

 protected:
  ~Carrier() = default;
};

}  // namespace tern::http
