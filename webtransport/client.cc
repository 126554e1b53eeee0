#include "webtransport/client.h"

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "webtransport/capsule_carrier.h"
#include "webtransport/handshake.h"
#include "webtransport/http2.h"
#include "webtransport/http3_carrier.h"
#include "webtransport/http3_sessions.h"

namespace tern::webtransport {

namespace {

/// The exchange, and what it runs on: owner first, as it outlives the exchange. Tells the session,
/// whose it is, when the server has said GOAWAY (draft-ietf-webtrans-http3-16 §4.7).
struct Held final : http::detail::DrainListener {
  ~Held() { exchange->set_drain_listener(nullptr); }
  void on_drain() noexcept override { session->on_drain(); }

  std::shared_ptr<void> owner;
  std::unique_ptr<http::ClientExchange> exchange;
  Session* session = nullptr;
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

/// What a server's SETTINGS, transport parameters (draft-ietf-webtrans-http3-16 §3.1, §5.1) or TLS
/// hinder. Nothing: no more than the request itself will find out.
Task<std::optional<Error>> hindrance(http::ClientExchange& exchange) {
  if (exchange.protocol() == "h2" && !http2_keys_are_unique(exchange)) {
    co_return Error(Code::unsupported,
                    "TLS 1.2 without the extended master secret: no WebTransport over HTTP/2",
                    Origin::remote);
  }
  if (Http3Sessions* const sessions = Http3Sessions::of(exchange)) co_await sessions->settled();
  // The connection may have gone meanwhile.
  Http3Sessions* const sessions = Http3Sessions::of(exchange);
  if (sessions == nullptr || !sessions->http3().peer_settings()) co_return std::nullopt;
  if (!sessions->peer_takes_datagrams()) {
    co_return Error(Code::unsupported, "the server takes no datagrams: no WebTransport over HTTP/3",
                    Origin::remote);
  }
  if (sessions->sessions() > 0 && !sessions->may_share()) {
    co_return Error(Code::unsupported,
                    "without flow control of sessions there is one of them on a connection",
                    Origin::remote);
  }
  co_return std::nullopt;
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
  std::optional<Error> hindered = co_await hindrance(*exchange);
  if (hindered) co_return fail(*std::move(hindered));
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
  Held& listener = *held;
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
  auto session = std::make_unique<Session>(runtime, std::move(carrier));
  listener.session = session.get();
  ends.set_drain_listener(&listener);
  if (ends.draining()) listener.on_drain();
  co_return session;
}

void close_unfit(http::Session& connection) {
  TERN_CHECK(connection.protocol() == "h3");
  static_cast<http3::Session&>(connection)
      .close(http3::ErrorCode::wt_requirements_not_met, "no WebTransport here");
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
