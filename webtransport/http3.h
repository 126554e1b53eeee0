#pragma once

#include "base/runtime.h"
#include "http3/options.h"
#include "http3/settings.h"

namespace tern::webtransport {

/// Adds to HTTP/3's options, of either side, what WebTransport needs: the settings of every draft
/// in use, and what takes its streams. `Server` and `Client` have done so. `runtime` outlives the
/// sessions that are made with the options.
void enable_http3(http3::SessionOptions& options, Runtime& runtime);

}  // namespace tern::webtransport
