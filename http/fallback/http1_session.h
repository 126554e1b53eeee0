#pragma once

#include <memory>

#include "http/fallback/session_base.h"

namespace tern::fallback {

/// Internal to http/fallback: HTTP/1.1 (RFC 9112) on `stream`.
std::unique_ptr<SessionBase> make_http1_session(ContextCore& core,
                                                std::unique_ptr<tcp::Stream> stream, bool server,
                                                ClientHooks hooks);

}  // namespace tern::fallback
