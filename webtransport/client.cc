#include "webtransport/client.h"

#include <optional>
#include <string>
#include <utility>

#include "webtransport/capsule_carrier.h"
#include "webtransport/handshake.h"
#include "webtransport/http3.h"
#include "webtransport/http3_carrier.h"

namespace tern::webtransport {

namespace {

/// The exchange, and what it runs on: owner first, as it outlives the exchange.
struct Held {
  std::shared_ptr<void> owner;
  std::unique_ptr<http::ClientExchange> exchange;
};

}  // namespace

void complete_request(http::RequestHead& request, const ClientOptions& options) {
  request.method = "CONNECT";
  request.protocol = "webtransport";
  request.fields.set("sec-webtransport-http3-draft02", "1");
  const std::string list = available_protocols(options.protocols());
  if (!list.empty()) request.fields.set("wt-available-protocols", list);
}

Task<Result<std::unique_ptr<Session>>> await_session(std::unique_ptr<http::ClientExchange> exchange,
                                                     ClientOptions options,
                                                     std::shared_ptr<void> owner) {
  const Result<http::Response> head = co_await exchange->response();
  if (!head) co_return fail(head.error());
  const int status = http::code(head->status());
  if (status < 200 || status > 299) {
    co_return fail(Error(Domain::http, static_cast<std::uint64_t>(status),
                         "the server refuses the session: " + std::to_string(status) + " " +
                             std::string(http::reason(head->status())),
                         Origin::remote));
  }
  Http3Sessions* const sessions = Http3Sessions::of(*exchange);
  const bool taken = sessions != nullptr && sessions->http3().peer_settings() &&
                     http3_peer_takes_sessions(*sessions->http3().peer_settings());
  if (!taken) {
    co_return fail(
        Error(Code::unsupported, "the server does not speak WebTransport", Origin::remote));
  }
  Result<std::string> protocol = chosen_protocol(*head, options.protocols());
  if (!protocol) co_return fail(protocol.error());
  Runtime& runtime = exchange->runtime();
  http::ClientExchange& ends = *exchange;
  auto held = std::make_shared<Held>();
  held->owner = std::move(owner);
  held->exchange = std::move(exchange);
  auto carrier = std::make_unique<Http3Carrier>(*sessions, ends, options.session(),
                                                std::move(*protocol), std::move(held));
  co_return std::make_unique<Session>(runtime, std::move(carrier));
}

http::WebSocketOptions websocket_request(const ClientOptions& options) {
  http::WebSocketOptions request;
  for (const std::string& name : options.protocols()) request.protocol(subprotocol_of(name));
  request.protocol(std::string(kSubprotocol)).max_message(0);
  request.deflate(http::WebSocketDeflateOptions().enabled(false));
  return request;
}

Result<std::unique_ptr<Session>> session_over(std::unique_ptr<http::WebSocket> socket,
                                              const ClientOptions& options) {
  std::optional<std::string> protocol = protocol_of(socket->subprotocol());
  if (!protocol) {
    return fail(Error(Code::unsupported,
                      "the server speaks WebSocket here, but no WebTransport over it",
                      Origin::remote));
  }
  Runtime& runtime = socket->runtime();
  auto carrier = std::make_unique<CapsuleCarrier>(
      runtime, CapsuleSession::Role::client, pipe_over(std::move(socket)), options.session(),
      websocket_windows(), websocket_windows(), std::move(*protocol));
  return std::make_unique<Session>(runtime, std::move(carrier));
}

}  // namespace tern::webtransport
