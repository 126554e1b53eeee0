#include "webtransport/server.h"

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "http/escape.h"
#include "webtransport/capsule_carrier.h"
#include "webtransport/handshake.h"
#include "webtransport/http2.h"
#include "webtransport/http3_carrier.h"
#include "webtransport/http3_sessions.h"
#include "webtransport/session_tally.h"
#include "webtransport/session_watch.h"

namespace tern::webtransport {

namespace {

struct Place {
  SessionRequestHandler handler;
  ServerOptions options;
  std::shared_ptr<SessionTally> tally;
};

std::string_view origin_of(const http::RequestHead& request) {
  return request.fields.find("origin").value_or(std::string_view());
}

/// Something that this connection and no other has now: a client may change its address in the
/// middle of one over QUIC, but not over TCP.
std::string connection_of(const http::Exchange& exchange) {
  if (const void* const session = exchange.session()) return fmt::format("{}", session);
  return exchange.path().remote.to_string();
}

SessionTally::Lease take(const Place& place, const http::Exchange& exchange) {
  return place.tally->take(connection_of(exchange), origin_of(exchange.request()));
}

std::string_view too_many(const Place& place, const http::Exchange& exchange) {
  return place.tally->refusal(connection_of(exchange), origin_of(exchange.request()));
}

void log_refusal(const http::Exchange& exchange, std::string_view why) {
  exchange.runtime().counters().at("webtransport.refused").add();
  LogSink& log = exchange.runtime().log();
  if (!log.enabled(LogLevel::info)) return;
  std::string line = "WebTransport ";
  line.append(http::escaped(exchange.request().path_only(), 256)).append(": ").append(why);
  log.line(LogLevel::info, line);
}

/// Who tells a listener that the server goes away: an exchange or a WebSocket, until this goes.
template <typename Source>
class Listening {
 public:
  Listening(Source& source, http::detail::DrainListener& listener) : source_(source) {
    source_.set_drain_listener(&listener);
    if (source_.draining()) listener.on_drain();
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { source_.set_drain_listener(nullptr); }

 private:
  Source& source_;
};

void set_refusal(Answer& answer, http::Status status, std::string why) {
  answer.response = http::Response(status);
  answer.response.text(why + "\n");
  answer.refusal = std::move(why);
}

/// What beside the request itself there is to refuse it for.
void look_around(const http::Exchange& exchange, const Http3Sessions* sessions, const Place& place,
                 Answer& answer) {
  if (exchange.draining()) {
    return set_refusal(answer, http::Status::service_unavailable, "the server is going away");
  }
  if (place.options.authorize()) {
    const http::Status status = place.options.authorize()(exchange);
    if (status != http::Status::ok) {
      return set_refusal(answer, status, std::string(http::reason(status)));
    }
  }
  if (exchange.protocol() != "h2" && sessions == nullptr) {
    return set_refusal(answer, http::Status::not_implemented,
                       "WebTransport is not spoken over this protocol here");
  }
  std::string_view why = too_many(place, exchange);
  if (sessions != nullptr && sessions->sessions() >= Http3Sessions::kMaxSessions) {
    why = "too many sessions on one connection";
  }
  if (!why.empty()) set_refusal(answer, http::Status::too_many_requests, std::string(why));
}

/// Why a client's SETTINGS and transport parameters do not allow the session, if they do not: the
/// stream is reset then (draft-ietf-webtrans-http3-16 §3.1, §5.1).
std::optional<http::Abort> hindrance(const Http3Sessions& sessions) {
  if (!sessions.peer_takes_datagrams()) return http::Abort::malformed;
  if (sessions.sessions() > 0 && !sessions.may_share()) return http::Abort::rejected;
  return std::nullopt;
}

/// A client's SETTINGS may come behind its CONNECT; before them nothing is known of what it can
/// (§3.1). Null: they do not come, the connection is gone, or there is no session with such ones.
Task<Http3Sessions*> settled(http::Exchange& exchange) {
  if (Http3Sessions* const sessions = Http3Sessions::of(exchange)) {
    co_await sessions->settled();
  }
  Http3Sessions* const sessions = Http3Sessions::of(exchange);
  if (sessions == nullptr || !sessions->http3().peer_settings()) co_return nullptr;
  if (const std::optional<http::Abort> why = hindrance(*sessions)) {
    log_refusal(exchange, *why == http::Abort::malformed
                              ? "the client takes no datagrams"
                              : "a second session on one connection without flow control");
    sessions->refuse(exchange.stream_id());
    exchange.abort(*why);
    co_return nullptr;
  }
  co_return sessions;
}

/// The handshake; null: there is no session. Apart from `serve`, whose frame lives as long as the
/// session.
Task<std::unique_ptr<SessionCarrier>> accept_session(http::Exchange& exchange, const Place& place,
                                                     SessionTally::Lease& lease) {
  Http3Sessions* sessions = Http3Sessions::of(exchange);
  if (sessions != nullptr) {
    sessions = co_await settled(exchange);
    if (sessions == nullptr) co_return nullptr;
  } else if (exchange.protocol() == "h2" && !http2_keys_are_unique(exchange)) {
    log_refusal(exchange, "TLS 1.2 without the extended master secret");
    exchange.abort(http::Abort::malformed);
    co_return nullptr;
  }
  CapsuleWindows allowed = http2_peer_windows(exchange);
  Answer answer = answer_session(exchange.request(), place.options);
  if (answer.refusal.empty()) look_around(exchange, sessions, place, answer);
  if (answer.refusal.empty() && sessions == nullptr &&
      !raise_windows(allowed, exchange.request().fields)) {
    set_refusal(answer, http::Status::bad_request, "a malformed webtransport-init field");
  }
  if (!answer.refusal.empty()) {
    log_refusal(exchange, answer.refusal);
    if (sessions != nullptr) sessions->refuse(exchange.stream_id());
    co_await exchange.respond(std::move(answer.response));
    co_return nullptr;
  }
  const SessionOptions& options = place.options.session();
  lease = take(place, exchange);
  if (sessions != nullptr) {
    const Result<void> started = co_await exchange.start(std::move(answer.response));
    // The connection may have gone meanwhile, and what is known of its sessions with it.
    Http3Sessions* const still = Http3Sessions::of(exchange);
    if (!started || still == nullptr) co_return nullptr;
    co_return std::make_unique<Http3Carrier>(*still, exchange, options, std::move(answer.protocol));
  }
  const CapsuleWindows granted = known_windows(options, exchange.request().fields);
  answer.response.field("webtransport-init", init_field(granted_windows(options)));
  const Result<void> started = co_await exchange.start(std::move(answer.response));
  if (!started) co_return nullptr;
  co_return std::make_unique<CapsuleCarrier>(exchange.runtime(), CapsuleSession::Role::server,
                                             pipe_over(exchange), options, granted, allowed,
                                             std::move(answer.protocol));
}

/// The same of a WebSocket, whose own handshake is done.
Task<std::unique_ptr<SessionCarrier>> accept_session(http::WebSocket& socket, const Place& place,
                                                     SessionTally::Lease& lease) {
  std::optional<std::string> protocol = protocol_of(socket.subprotocol());
  if (!protocol) {
    co_await socket.close(http::websocket_code::kPolicy, "subprotocol webtransport is wanted here");
    co_return nullptr;
  }
  lease = take(place, *socket.exchange());
  co_return std::make_unique<CapsuleCarrier>(
      socket.runtime(), CapsuleSession::Role::server, pipe_over(socket), place.options.session(),
      initial_windows(), initial_windows(), std::move(*protocol));
}

const http::Exchange& request_of(const http::Exchange& exchange) { return exchange; }
const http::Exchange& request_of(const http::WebSocket& socket) { return *socket.exchange(); }

/// The session whole. `source` is what the carrier runs over.
template <typename Source>
Task<void> serve(Source& source, std::shared_ptr<const Place> place) {
  SessionTally::Lease lease;
  std::unique_ptr<SessionCarrier> carrier = co_await accept_session(source, *place, lease);
  if (carrier == nullptr) co_return;
  source.runtime().counters().at("webtransport.opened").add();
  Session session(source.runtime(), std::move(carrier));
  SessionWatch watch(session, place->options);
  const Listening<Source> listening(source, watch);
  std::exception_ptr thrown;
  try {
    co_await place->handler(session, request_of(source));
  } catch (...) {
    thrown = std::current_exception();
  }
  session.close(0, thrown ? std::string_view("the server has failed") : std::string_view());
  co_await session.wait_until_ended();
  source.runtime().counters().at("webtransport.closed").add();
  if (thrown) std::rethrow_exception(thrown);
}

/// Capsules are binary and may be of any length; what they carry is compressed by those who want
/// it.
http::WebSocketOptions websocket_options(const std::shared_ptr<const Place>& place) {
  const ServerOptions& options = place->options;
  http::WebSocketOptions socket;
  socket.origins(options.origins()).max_message(0);
  socket.authorize([place](const http::Exchange& exchange) {
    if (const auto& check = place->options.authorize()) {
      if (const http::Status status = check(exchange); status != http::Status::ok) return status;
    }
    return too_many(*place, exchange).empty() ? http::Status::ok : http::Status::too_many_requests;
  });
  socket.deflate(http::WebSocketDeflateOptions().enabled(false));
  for (const std::string& name : options.protocols()) socket.protocol(subprotocol_of(name));
  socket.protocol(std::string(kSubprotocol));
  return socket;
}

}  // namespace

void route(http::Router& router, std::string_view pattern, SessionHandler handler,
           ServerOptions options) {
  TERN_CHECK(handler);
  route(
      router, pattern,
      [handler = std::move(handler)](Session& session, const http::Exchange&) {
        return handler(session);
      },
      std::move(options));
}

void route(http::Router& router, std::string_view pattern, SessionRequestHandler handler,
           ServerOptions options) {
  TERN_CHECK(handler);
  auto place = std::make_shared<Place>();
  place->handler = std::move(handler);
  place->options = std::move(options);
  place->tally = std::make_shared<SessionTally>(place->options.max_sessions_per_connection(),
                                                place->options.max_sessions_per_origin());
  const std::shared_ptr<const Place> shared = std::move(place);
  const auto connect = [shared](http::Exchange& exchange) { return serve(exchange, shared); };
  router.connect("webtransport", pattern, connect);
  router.connect("webtransport-h3", pattern, connect);
  router.websocket(
      pattern, [shared](http::WebSocket& socket) { return serve(socket, shared); },
      websocket_options(shared));
}

}  // namespace tern::webtransport
