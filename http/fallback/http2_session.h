#pragma once

#include <memory>

#include "http/fallback/session_base.h"

namespace tern::fallback {

/// Internal to http/fallback: HTTP/2 (RFC 9113) on `stream`.
std::unique_ptr<SessionBase> make_http2_session(ContextCore& core,
                                                std::unique_ptr<tcp::Stream> stream, bool server,
                                                ClientHooks hooks);

}  // namespace tern::fallback
