#include "webtransport/client.h"

#include <optional>
#include <string>
#include <utility>

#include "webtransport/capsule_carrier.h"
#include "webtransport/handshake.h"
#include "webtransport/http2.h"
#include "webtransport/http3_carrier.h"
#include "webtransport/http3_sessions.h"

namespace tern::webtransport {

namespace {

/// The exchange, and what it runs on: owner first, as it outlives the exchange.
struct Held {
  std::shared_ptr<void> owner;
  std::unique_ptr<http::ClientExchange> exchange;
};

/// draft-ietf-webtrans-http3-16 §3.4: WT_ALPN_ERROR. (That of HTTP/2 has no number yet: the stream
/// is cancelled.)
void close_for_protocol(http::ClientExchange& exchange) {
  Http3Sessions* const sessions = Http3Sessions::of(exchange);
  if (sessions == nullptr) return;
  quic::Connection& connection = sessions->http3().connection();
  connection.reset(exchange.stream_id(), http3_code::kAlpn);
  connection.stop_sending(exchange.stream_id(), http3_code::kAlpn);
}

}  // namespace

void complete_request(http::RequestHead& request, const ClientOptions& options,
                      std::string_view token) {
  request.method = "CONNECT";
  request.protocol = token;
  request.fields.set("sec-webtransport-http3-draft02", "1");
  request.fields.set("webtransport-init", init_field(granted_windows(options.session())));
  const std::string list = available_protocols(options.protocols());
  if (!list.empty()) request.fields.set("wt-available-protocols", list);
}

Task<Result<std::unique_ptr<Session>>> open_session(std::unique_ptr<http::ClientExchange> exchange,
                                                    http::RequestHead request,
                                                    ClientOptions options,
                                                    std::shared_ptr<void> owner) {
  const Result<void> sent = co_await exchange->send(request, false);
  if (!sent && sent.error().is(Code::invalid)) co_return fail(sent.error());
  // Any other failure to send is told by the response, which may have come all the same.
  const Result<http::Response> head = co_await exchange->response();
  if (!head) co_return fail(head.error());
  const int status = http::code(head->status());
  if (status < 200 || status > 299) {
    co_return fail(Error(Domain::http, static_cast<std::uint64_t>(status),
                         "the server refuses the session: " + std::to_string(status) + " " +
                             std::string(http::reason(head->status())),
                         Origin::remote));
  }
  Result<std::string> protocol = chosen_protocol(*head, options.protocols());
  if (!protocol) {
    close_for_protocol(*exchange);
    co_return fail(protocol.error());
  }
  Runtime& runtime = exchange->runtime();
  http::ClientExchange& ends = *exchange;
  auto held = std::make_shared<Held>();
  held->owner = std::move(owner);
  held->exchange = std::move(exchange);
  std::unique_ptr<SessionCarrier> carrier;
  if (ends.protocol() == "h2") {
    CapsuleWindows allowed = http2_peer_windows(ends);
    raise_windows(allowed, head->fields());
    carrier = std::make_unique<CapsuleCarrier>(runtime, CapsuleSession::Role::client,
                                               pipe_over(ends), options.session(),
                                               known_windows(options.session(), head->fields()),
                                               allowed, std::move(*protocol), std::move(held));
  } else if (Http3Sessions* const sessions = Http3Sessions::of(ends)) {
    carrier = std::make_unique<Http3Carrier>(*sessions, ends, options.session(),
                                             std::move(*protocol), std::move(held));
  } else {
    co_return fail(Error::closed("the connection has ended"));
  }
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
      initial_windows(), initial_windows(), std::move(*protocol));
  return std::make_unique<Session>(runtime, std::move(carrier));
}

}  // namespace tern::webtransport
