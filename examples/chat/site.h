#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "examples/chat/room.h"
#include "http/router.h"
#include "transport/tls/certificate.h"
#include "webtransport/server_options.h"

namespace tern::chat {

/// Certificates of the server that serves the page; from any thread.
using Certificates = std::function<std::vector<tls::Certificate>()>;

/// The chat at /chat/: its page, and
///   /chat/room            WebTransport sessions (`visit`), over HTTP/3, HTTP/2 and WebSocket
///   GET /chat/settings    what the page has to know: {"certificates":["BASE64 SHA-256", …]}
/// `development`: the certificates are no public CA's and their hashes are told, so that a browser
/// whose user has accepted one for the page takes it for WebTransport, too; those of more than 14
/// days or without a P-256 key it would not take (W3C WebTransport, serverCertificateHashes).
/// Whoever is in a room where nothing happens for an hour is sent away, and the page comes back.
void add_chat(http::Router& router, std::shared_ptr<Room> room, Certificates development = {},
              webtransport::ServerOptions options =
                  webtransport::ServerOptions().idle_timeout(std::chrono::hours(1)));

}  // namespace tern::chat
