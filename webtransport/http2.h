#pragma once

#include "http/fallback/options.h"

/// WebTransport's SETTINGS on HTTP/2 (draft-ietf-webtrans-http2-15 §4.3.1).

namespace tern::webtransport {

/// Adds to HTTP/2's options, of either side, that sessions are spoken, and what each of them allows
/// the peer at first (`initial_windows`). `Server` and `Client` have done so. Without
/// `extended_connect` there are no sessions.
void enable_http2(fallback::SessionOptions& options);

}  // namespace tern::webtransport
