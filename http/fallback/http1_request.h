#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/fallback/http1_parser.h"
#include "http/fallback/options.h"
#include "http/message.h"

namespace tern::fallback {

/// Internal to http/fallback: what an HTTP/1.1 request is on every protocol.
struct Http1Request {
  http::RequestHead head;
  /// A WebSocket handshake; `head` is an extended CONNECT then.
  std::string websocket_key;
  bool expects_continue = false;
};

/// The request that `in`, whose fields it takes, makes on a connection of that scheme; or why it is
/// refused: Host (RFC 9112 §3.2), the target's form, a handshake that breaks RFC 6455 §4.2.1.
std::optional<Http1Failure> read_request(Http1Head& in, std::string_view scheme, Http1Request& out);

/// A request's head as it is sent (client). `key`: of a WebSocket handshake. `proxy`: null unless
/// one is to forward it.
void write_request(const http::RequestHead& head, std::string_view key, bool body,
                   const ForwardProxy* proxy, std::string& out);

/// host [ ":" port ] (RFC 9110 §7.2), without user name.
bool valid_authority(std::string_view authority) noexcept;
/// A comma-separated list of tokens has this one (in lower case).
bool has_token(std::string_view list, std::string_view token) noexcept;

}  // namespace tern::fallback
