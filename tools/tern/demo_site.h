#pragma once

#include <cstdint>

#include "examples/chat/site.h"
#include "http/router.h"

namespace tern::cli {

/// Bytes that one GET /bytes/N may ask for.
inline constexpr std::uint64_t kMaxDemoBytes = std::uint64_t{10} << 30;

/// The site built into `tern serve`: the files of tools/tern/demo at "/", and
///   GET /hello      "hello over h3\n" (the protocol in use)
///   GET /bytes/N    N bytes, byte i is i mod 251
///   POST /echo      the request's body and content-type, as they come
///   GET /events     server-sent events: the time, once a second
///   /ws/echo        a WebSocket that sends every message back
///   /wt/echo        a WebTransport session that sends back what comes
///   /wt/bytes       one that answers a bidirectional stream, whose text is a number, with so many
///                   bytes
///   /chat/          a chat, on the first page as well; `development` as for `chat::add_chat`
http::Router demo_site(chat::Certificates development = {});

}  // namespace tern::cli
