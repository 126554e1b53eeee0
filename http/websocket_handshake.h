#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/message.h"
#include "http/websocket_deflate.h"
#include "http/websocket_options.h"

/// The WebSocket handshake as it is on every protocol: an extended CONNECT (RFC 8441, RFC 9220).
/// What HTTP/1.1 has beside it, the key and its answer, is its session's (docs/decisions/0015).

namespace tern::http {

/// What both sides know when the handshake is through.
struct WebSocketTerms {
  std::string protocol;  ///< the subprotocol; empty without one
  std::optional<WebSocketDeflateAgreement> deflate;
};

/// A server's answer to a handshake.
struct WebSocketAnswer {
  /// 200 with the fields of an accepted handshake, or the refusal: 400 for what is malformed, 403
  /// for an origin, 405 for a request that is no handshake, 426 for another version.
  Response response;
  WebSocketTerms terms;
  /// Why it was refused, for the log; empty if it was not.
  std::string refusal;
};
WebSocketAnswer answer_websocket(const RequestHead& request, const WebSocketOptions& options);

/// A client's handshake, completed with the fields that options ask for. Error invalid for a
/// subprotocol that is no token or there twice.
Result<void> complete_websocket_request(RequestHead& request, const WebSocketOptions& options);
/// What the server's answer says. A refusal is an Error of Domain::http with its status; Error
/// invalid when it agrees to what was not offered.
Result<WebSocketTerms> confirm_websocket(const Response& response, const WebSocketOptions& options);

/// The token a request carries: of `authorization: Bearer <token>`, or of a subprotocol
/// "bearer.<token>", which is what a browser's WebSocket can send:
///
///   new WebSocket(url, ["chat.v1", "bearer." + token])
///
/// The server answers with another subprotocol, never with that one. Tokens in the query are not
/// looked at: URLs end up in logs and histories. A view into the request; empty without a token.
std::string_view bearer_token(const RequestHead& request) noexcept;

}  // namespace tern::http
