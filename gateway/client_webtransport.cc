#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/client.h"
#include "gateway/client_pool.h"
#include "gateway/origin_connection.h"
#include "gateway/within.h"
#include "http/uri.h"
#include "webtransport/client.h"

/// A session's ladder: HTTP/3, HTTP/2, WebSocket (docs/webtransport.md).

namespace tern {
namespace {

using webtransport::Carrier;
using OpenedSession = Result<std::unique_ptr<webtransport::Session>>;

/// The server has no sessions in this version of HTTP; it may have them in another.
bool not_offered(const Error& error) noexcept {
  return error.is(Code::unsupported) || (error.domain == Domain::http && error.code == 501);
}

/// Nothing was ever asked for on it.
bool unused(const http::Session* session) noexcept {
  return session != nullptr && session->total_requests() == 0 && session->requests() == 0;
}

std::string https_url(std::string url) {
  if (url.starts_with("wt://")) url.replace(0, 2, "https");
  return url;
}

}  // namespace

Task<OpenedSession> Client::webtransport(ClientRequest request,
                                         webtransport::ClientOptions options) {
  std::string what = "no WebTransport session with " + request.url_ + " in time";
  Task<OpenedSession> opening = open_webtransport(std::move(request), std::move(options));
  OpenedSession session =
      co_await within(pool_->runtime, pool_->options.timeout_, std::move(what), std::move(opening));
  co_return session;
}

Task<OpenedSession> Client::webtransport_on(std::shared_ptr<OriginConnection> connection,
                                            http::RequestHead head,
                                            webtransport::ClientOptions options) {
  OpenedSession session = fail(Error(Code::unsupported, "the server does not speak WebTransport"));
  for (const std::string_view token : webtransport::kTokens) {
    if (connection->session() == nullptr) {
      co_return fail(Error(Code::rejected, "the connection has ended", Origin::remote));
    }
    Result<std::unique_ptr<http::ClientExchange>> exchange = connection->session()->open();
    if (!exchange) co_return fail(std::move(exchange).error());
    connection->count_request();
    http::RequestHead request = head;
    webtransport::complete_request(request, options, token);
    session = co_await webtransport::open_session(std::move(*exchange), std::move(request), options,
                                                  connection);
    if (session || !session.error().is(Code::unsupported)) break;
  }
  co_return session;
}

Task<OpenedSession> Client::webtransport_over_websocket(ClientRequest request,
                                                        webtransport::ClientOptions options) {
  http::WebSocketOptions asked = webtransport::websocket_request(options);
  Result<std::unique_ptr<http::WebSocket>> socket =
      co_await open_websocket(std::move(request), std::move(asked));
  if (!socket) co_return fail(std::move(socket).error());
  co_return webtransport::session_over(std::move(*socket), options);
}

Task<OpenedSession> Client::open_webtransport(ClientRequest request,
                                              webtransport::ClientOptions options) {
  request.url_ = https_url(std::move(request.url_));
  const Result<http::Url> url = http::Url::parse(request.url_);
  if (!url && url.error().is(Code::unsupported)) co_return fail(Error::invalid(url.error().detail));
  if (!url) co_return fail(url.error());
  const bool secure = url->scheme() == "https";
  using Rung = ClientPool::SessionRung;
  Rung rung = Rung::any;
  switch (options.carrier()) {
    case Carrier::automatic: rung = secure ? Rung::any : Rung::websocket; break;
    case Carrier::http3: rung = Rung::http3; break;
    case Carrier::http2: rung = Rung::http2; break;
    case Carrier::websocket: rung = Rung::websocket; break;
  }
  if (!secure && rung != Rung::websocket) {
    co_return fail(Error::invalid("URL \"" + request.url_ +
                                  "\": sessions over HTTP/3 and HTTP/2 want https://"));
  }
  const http::RequestHead head = head_of(request, *url);
  for (std::size_t tries = 1; rung != Rung::websocket;) {
    pool_->earn_retry();
    Result<std::shared_ptr<OriginConnection>> connection =
        co_await pool_->acquire_for_session(*url, rung);
    if (!connection) co_return fail(std::move(connection).error());
    const std::shared_ptr<OriginConnection> chosen = std::move(*connection);
    if (!chosen->serial()) {
      OpenedSession session = co_await webtransport_on(chosen, head, options);
      if (session) co_return session;
      if (session.error().is(Code::rejected)) {
        const bool again =
            co_await may_repeat_handshake(request, *chosen, tries++, session.error());
        if (!again) co_return session;
        continue;
      }
      if (!not_offered(session.error())) co_return session;
      if (options.carrier() == Carrier::http3 && unused(chosen->session())) {
        webtransport::close_unfit(*chosen->session());
      }
      if (options.carrier() != Carrier::automatic) co_return session;
    } else if (options.carrier() != Carrier::automatic) {
      co_return fail(Error(Code::unsupported, "the server does not speak HTTP/2", Origin::remote));
    }
    rung = pool_->next_rung(chosen);
  }
  OpenedSession session =
      co_await webtransport_over_websocket(std::move(request), std::move(options));
  co_return session;
}

}  // namespace tern
