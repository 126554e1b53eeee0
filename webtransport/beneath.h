#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "http/exchange.h"
#include "webtransport/session.h"

/// What a session knows of the connection beneath it, whatever HTTP is spoken there.

namespace tern::webtransport {

/// Fills `out` with the session's own keying material: TLS's exporter with what tells one session
/// of a connection from another in its context (draft-ietf-webtrans-http3-16, "Use of Keying
/// Material Exporters"; docs/webtransport.md for WebSocket). `ends`: the CONNECT, or the
/// WebSocket's exchange. Errors: invalid, unsupported, closed, as `Session::export_keying_material`
/// says.
Result<void> export_keying_material(const http::detail::Ends& ends, std::string_view label,
                                    ByteView context, MutableBytes out);

/// Round trip and bandwidth; untouched when the connection is gone.
void measure(const http::detail::Ends& ends, SessionStats& stats);

}  // namespace tern::webtransport
