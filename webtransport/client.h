#pragma once

#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/task.h"
#include "http/exchange.h"
#include "http/websocket.h"
#include "webtransport/client_options.h"
#include "webtransport/session.h"

/// The client's half of the handshakes; `Client::webtransport` does all of it.

namespace tern::webtransport {

/// The `:protocol`s of an extended CONNECT for a session. A server of HTTP/3 that knows the drafts
/// from 15 on alone takes the second one only; where the first is unsupported, try that.
inline constexpr std::string_view kTokens[] = {"webtransport", "webtransport-h3"};
/// Fields and `:protocol` of an extended CONNECT over HTTP/3 or HTTP/2; authority and path are the
/// caller's.
void complete_request(http::RequestHead& request, const ClientOptions& options,
                      std::string_view token = kTokens[0]);
/// Sends such a request on `exchange`, waits for the answer, and makes the session of it. `owner`
/// is kept as long as the session. A refusal is an Error of Domain::http with its status;
/// unsupported: the server takes no sessions on this connection, and nothing was sent; rejected: it
/// has not looked at the request; invalid: it has chosen an application protocol that was not
/// offered, and is told so (WT_ALPN_ERROR).
Task<Result<std::unique_ptr<Session>>> open_session(std::unique_ptr<http::ClientExchange> exchange,
                                                    http::RequestHead request,
                                                    ClientOptions options,
                                                    std::shared_ptr<void> owner = nullptr);

/// Ends an HTTP/3 connection to a server of whom nothing but sessions was wanted and who has none,
/// with WT_REQUIREMENTS_NOT_MET, so that it can be found out why
/// (draft-ietf-webtrans-http3-16 §3.1).
void close_unfit(http::Session& connection);

/// What a WebSocket is asked for, so that a session can run over it.
http::WebSocketOptions websocket_request(const ClientOptions& options);
/// The session on a WebSocket that was opened so; owns it. Error unsupported: the server has taken
/// none of the subprotocols.
Result<std::unique_ptr<Session>> session_over(std::unique_ptr<http::WebSocket> socket,
                                              const ClientOptions& options = ClientOptions());

}  // namespace tern::webtransport
