#pragma once

#include <functional>
#include <string_view>

#include "http/router.h"
#include "webtransport/server_options.h"
#include "webtransport/session.h"

namespace tern::webtransport {

/// Registers `handler` for sessions at `pattern`, whatever they come over: extended CONNECT on
/// HTTP/3 and HTTP/2 ("webtransport", "webtransport-h3") and WebSockets whose subprotocol says that
/// capsules follow. Runs from the handshake on; when it returns the session is closed with code 0.
///
///   webtransport::route(router, "/echo", echo);
void route(http::Router& router, std::string_view pattern, SessionHandler handler,
           ServerOptions options = ServerOptions());

/// The same for a handler that wants to know what was asked for: parameters of the pattern, fields.
/// The exchange is for looking at alone, and as valid as the session.
using SessionRequestHandler = std::function<Task<void>(Session&, const http::Exchange&)>;
void route(http::Router& router, std::string_view pattern, SessionRequestHandler handler,
           ServerOptions options = ServerOptions());

}  // namespace tern::webtransport
