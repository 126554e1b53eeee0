#include "webtransport/server.h"

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "http/escape.h"
#include "webtransport/capsule_carrier.h"
#include "webtransport/handshake.h"
#include "webtransport/http2.h"
#include "webtransport/http3_carrier.h"
#include "webtransport/http3_sessions.h"

namespace tern::webtransport {

namespace {

struct Place {
  SessionHandler handler;
  ServerOptions options;
};

void log_refusal(const http::Exchange& exchange, std::string_view why) {
  exchange.runtime().counters().at("webtransport.refused").add();
  LogSink& log = exchange.runtime().log();
  if (!log.enabled(LogLevel::info)) return;
  std::string line = "WebTransport ";
  line.append(http::escaped(exchange.request().path_only(), 256)).append(": ").append(why);
  log.line(LogLevel::info, line);
}

/// The application's part, and the end.
Task<void> run(Runtime& runtime, std::unique_ptr<SessionCarrier> carrier,
               std::shared_ptr<const Place> place) {
  runtime.counters().at("webtransport.opened").add();
  Session session(runtime, std::move(carrier));
  std::exception_ptr thrown;
  try {
    co_await place->handler(session);
  } catch (...) {
    thrown = std::current_exception();
  }
  session.close(0, thrown ? std::string_view("the server has failed") : std::string_view());
  co_await session.wait_until_ended();
  runtime.counters().at("webtransport.closed").add();
  if (thrown) std::rethrow_exception(thrown);
}

/// Why there can be no session on this connection, as `answer`'s refusal.
void look_at_carrier(const http::Exchange& exchange, const Http3Sessions* sessions,
                     Answer& answer) {
  http::Status status = http::Status::ok;
  if (exchange.protocol() == "h2") return;
  if (sessions == nullptr) {
    answer.refusal = "WebTransport is not spoken over this protocol here";
    status = http::Status::not_implemented;
  } else if (sessions->sessions() >= Http3Sessions::kMaxSessions) {
    answer.refusal = "too many sessions on one connection";
    status = http::Status::too_many_requests;
  } else {
    return;
  }
  answer.response = http::Response(status);
  answer.response.text(answer.refusal + "\n");
}

Task<void> serve_connect(http::Exchange& exchange, std::shared_ptr<const Place> place) {
  Answer answer = answer_session(exchange.request(), place->options);
  if (answer.refusal.empty() && place->options.authorize()) {
    const http::Status status = place->options.authorize()(exchange);
    if (status != http::Status::ok) {
      answer.refusal = http::reason(status);
      answer.response = http::Response(status);
      answer.response.text(answer.refusal + "\n");
    }
  }
  Http3Sessions* const sessions = Http3Sessions::of(exchange);
  if (answer.refusal.empty()) look_at_carrier(exchange, sessions, answer);
  if (!answer.refusal.empty()) {
    log_refusal(exchange, answer.refusal);
    if (sessions != nullptr) sessions->refuse(exchange.stream_id());
    co_await exchange.respond(std::move(answer.response));
    co_return;
  }
  const SessionOptions& options = place->options.session();
  if (sessions != nullptr) {
    const Result<void> started = co_await exchange.start(std::move(answer.response));
    // The connection may have gone meanwhile, and what is known of its sessions with it.
    Http3Sessions* const still = Http3Sessions::of(exchange);
    if (!started || still == nullptr) co_return;
    auto carrier =
        std::make_unique<Http3Carrier>(*still, exchange, options, std::move(answer.protocol));
    co_await run(exchange.runtime(), std::move(carrier), std::move(place));
    co_return;
  }
  const CapsuleWindows granted = granted_windows(options);
  CapsuleWindows allowed = http2_peer_windows(exchange);
  raise_windows(allowed, exchange.request().fields);
  answer.response.field("webtransport-init", init_field(granted));
  const Result<void> started = co_await exchange.start(std::move(answer.response));
  if (!started) co_return;
  auto carrier = std::make_unique<CapsuleCarrier>(exchange.runtime(), CapsuleSession::Role::server,
                                                  pipe_over(exchange), options, granted, allowed,
                                                  std::move(answer.protocol));
  co_await run(exchange.runtime(), std::move(carrier), std::move(place));
}

Task<void> serve_websocket(http::WebSocket& socket, std::shared_ptr<const Place> place) {
  std::optional<std::string> protocol = protocol_of(socket.subprotocol());
  if (!protocol) {
    co_await socket.close(http::websocket_code::kPolicy, "subprotocol webtransport is wanted here");
    co_return;
  }
  auto carrier = std::make_unique<CapsuleCarrier>(
      socket.runtime(), CapsuleSession::Role::server, pipe_over(socket), place->options.session(),
      initial_windows(), initial_windows(), std::move(*protocol));
  co_await run(socket.runtime(), std::move(carrier), std::move(place));
}

/// Capsules are binary and may be of any length; what they carry is compressed by those who want
/// it.
http::WebSocketOptions websocket_options(const ServerOptions& options) {
  http::WebSocketOptions socket;
  socket.origins(options.origins()).authorize(options.authorize()).max_message(0);
  socket.deflate(http::WebSocketDeflateOptions().enabled(false));
  for (const std::string& name : options.protocols()) socket.protocol(subprotocol_of(name));
  socket.protocol(std::string(kSubprotocol));
  return socket;
}

}  // namespace

void route(http::Router& router, std::string_view pattern, SessionHandler handler,
           ServerOptions options) {
  TERN_CHECK(handler);
  auto place = std::make_shared<Place>();
  place->handler = std::move(handler);
  place->options = std::move(options);
  const std::shared_ptr<const Place> shared = std::move(place);
  const auto connect = [shared](http::Exchange& exchange) {
    return serve_connect(exchange, shared);
  };
  router.connect("webtransport", pattern, connect);
  router.connect("webtransport-h3", pattern, connect);
  router.websocket(
      pattern, [shared](http::WebSocket& socket) { return serve_websocket(socket, shared); },
      websocket_options(shared->options));
}

}  // namespace tern::webtransport
