#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "http/websocket.h"
#include "webtransport/session.h"
#include "webtransport/session_options.h"

namespace tern::webtransport {

/// What a client asks a WebSocket for, so that a session can run over it: the subprotocols, of
/// which those for application `protocols` come first.
http::WebSocketOptions websocket_request(const std::vector<std::string>& protocols);
/// The session on a WebSocket that was opened so; owns it. Error unsupported: the server has taken
/// none of the subprotocols.
Result<std::unique_ptr<Session>> session_over(std::unique_ptr<http::WebSocket> socket,
                                              const SessionOptions& options = SessionOptions());

}  // namespace tern::webtransport
