#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/session.h"
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
class Session : public http::Session {
 public:
  /// What it runs on, for addresses and figures.
  virtual const tcp::Stream& stream() const noexcept = 0;
  Result<void> export_keying_material(std::string_view label, ByteView context,
                                      MutableBytes out) const override {
    return stream().export_keying_material(label, context, out);
  }
  /// HTTP/2: what the peer's SETTINGS say of an entry of `SessionOptions::extra_settings`; nothing
  /// if they do not name it, or have not come.
  virtual std::optional<std::uint32_t> peer_setting(std::uint16_t /*id*/) const noexcept {
    return std::nullopt;
  }
};

}  // namespace tern::fallback
