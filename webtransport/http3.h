#pragma once

#include "base/runtime.h"
#include "http3/options.h"
#include "http3/settings.h"

namespace tern::webtransport {

/// Adds to HTTP/3's options, of either side, what WebTransport needs: the settings of every draft
/// in use, and what takes its streams. `Server` and `Client` have done so. `runtime` outlives the
/// sessions that are made with the options.
void enable_http3(http3::SessionOptions& options, Runtime& runtime);
/// Whether the peer of an HTTP/3 connection takes sessions, in any draft's words.
bool http3_peer_takes_sessions(const http3::Settings& settings) noexcept;

}  // namespace tern::webtransport
