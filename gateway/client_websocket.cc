#include <memory>
#include <string>
#include <utility>

#include "gateway/client.h"
#include "gateway/client_pool.h"
#include "gateway/origin_connection.h"
#include "gateway/within.h"
#include "http/cookie_jar.h"
#include "http/uri.h"
#include "http/websocket.h"
#include "http/websocket_handshake.h"
#include "http3/error_code.h"

/// A WebSocket's own ladder: HTTP/3 (RFC 9220), HTTP/2 (RFC 8441), HTTP/1.1 (RFC 6455).

namespace tern {
namespace {

using OpenedWebSocket = Result<std::unique_ptr<http::WebSocket>>;

/// The answer broke the rules of HTTP/3 or HTTP/2.
bool malformed(const Error& error) noexcept {
  constexpr std::uint64_t kHttp2ProtocolError = 1;
  return error.domain == Domain::application && error.origin == Origin::local &&
         (error.code == http3::code(http3::ErrorCode::message_error) ||
          error.code == kHttp2ProtocolError);
}

/// The server has no WebSocket in this version of HTTP; it may have one in another. 501 is what
/// RFC 9220 §3 has it say who knows extended CONNECT, but no WebSocket in it. Where the server
/// knows extended CONNECT and the application's library does not (quic-go under Gorilla's or
/// Coder's), that looks for a GET with `upgrade`, and answers 400, 405, or 426 with the fields that
/// say so, which HTTP/2 and HTTP/3 forbid.
bool not_in_this_version(const Error& error) noexcept {
  if (error.domain == Domain::http) {
    return error.code == 400 || error.code == 405 || error.code == 426 || error.code == 501;
  }
  return error.is(Code::unsupported) || malformed(error) || wants_http1(error);
}

/// "ws" and "wss" are names for what http and https are to a connection (RFC 6455 §3).
Result<http::Url> parse_websocket_url(const std::string& text, ClientProtocols protocols) {
  std::string url = text;
  if (url.starts_with("wss://")) {
    url.replace(0, 3, "https");
  } else if (url.starts_with("ws://")) {
    url.replace(0, 2, "http");
  }
  auto parsed = http::Url::parse(url);
  if (!parsed && parsed.error().is(Code::unsupported)) {
    return fail(Error::invalid(parsed.error().detail));
  }
  if (parsed && parsed->scheme() != "https" && protocols == ClientProtocols::http3_only) {
    return fail(Error::invalid("URL \"" + text + "\": HTTP/3 wants wss://"));
  }
  return parsed;
}

}  // namespace

Task<OpenedWebSocket> Client::websocket(ClientRequest request, http::WebSocketOptions options) {
  std::string what = "no WebSocket to " + request.url_ + " in time";
  Task<OpenedWebSocket> opening = open_websocket(std::move(request), std::move(options));
  OpenedWebSocket socket =
      co_await within(pool_->runtime, pool_->options.timeout_, std::move(what), std::move(opening));
  co_return socket;
}

/// The handshake on one connection.
Task<OpenedWebSocket> Client::websocket_on(std::shared_ptr<OriginConnection> connection,
                                           http::Url url, http::RequestHead head,
                                           http::WebSocketOptions options) {
  Result<std::unique_ptr<http::ClientExchange>> exchange = connection->session()->open();
  if (!exchange) co_return fail(std::move(exchange).error());
  connection->count_request();
  const Result<void> complete = http::complete_websocket_request(head, options);
  if (!complete) co_return fail(complete.error());
  const Result<void> sent = co_await (*exchange)->send(head, false);
  if (!sent && sent.error().is(Code::invalid)) co_return fail(sent.error());
  const Result<http::Response> answer = co_await (*exchange)->response();
  if (!answer) co_return fail(answer.error());
  if (const auto& jar = pool_->options.cookies_) {
    jar->store_all(url, answer->fields(), pool_->runtime.unix_seconds());
  }
  co_return http::accept_websocket(std::move(*exchange), *answer, std::move(options),
                                   std::move(connection));
}

Task<OpenedWebSocket> Client::open_websocket(ClientRequest request,
                                             http::WebSocketOptions options) {
  const ClientProtocols protocols = pool_->options.protocols();
  const Result<http::Url> url = parse_websocket_url(request.url_, protocols);
  if (!url) co_return fail(url.error());
  http::RequestHead head = head_of(request, *url);
  if (const auto& jar = pool_->options.cookies_) {
    jar->add_to(*url, head.fields, pool_->runtime.unix_seconds());
  }
  using Rung = ClientPool::WebSocketRung;
  Rung rung = Rung::any;
  for (std::size_t tries = 1;;) {
    pool_->earn_retry();
    Result<std::shared_ptr<OriginConnection>> connection =
        co_await pool_->acquire_for_websocket(*url, rung);
    if (!connection) co_return fail(std::move(connection).error());
    const std::shared_ptr<OriginConnection> chosen = std::move(*connection);
    const std::string version(chosen->session()->protocol());
    OpenedWebSocket socket = co_await websocket_on(chosen, *url, head, options);
    if (socket) co_return socket;
    // Nobody else's, and of no use any more.
    if (version == "http/1.1" && chosen->session() != nullptr) chosen->session()->drain();
    if (socket.error().is(Code::rejected)) {
      const bool again = co_await may_repeat_handshake(request, *chosen, tries++, socket.error());
      if (!again) co_return socket;
      continue;
    }
    if (!not_in_this_version(socket.error())) co_return socket;
    const std::optional<Rung> next = pool_->next_rung(chosen, version);
    if (!next) co_return socket;
    rung = *next;
  }
}

}  // namespace tern
