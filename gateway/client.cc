#include "gateway/client.h"

#include <algorithm>
#include <utility>

#include "gateway/client_pool.h"
#include "gateway/origin_connection.h"
#include "gateway/within.h"
#include "http/uri.h"
#include "webtransport/client.h"

namespace tern {
namespace {

/// Tries at a request that servers have refused before processing it.
constexpr std::size_t kMaxTries = Client::kMaxSends;

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// The connection went away, for whatever reason.
bool connection_broke(const Error& error) noexcept {
  return error.is(Code::closed) || error.is(Code::stateless_reset) || error.is(Code::timed_out) ||
         error.domain == Domain::quic || error.domain == Domain::os ||
         (error.domain == Domain::application && error.origin == Origin::remote);
}

Result<http::Url> parse_url(std::string_view text, ClientProtocols protocols) {
  auto url = http::Url::parse(text);
  if (url && url->scheme() != "https" && protocols == ClientProtocols::http3_only) {
    return fail(Error::invalid("URL \"" + std::string(text) + "\": HTTP/3 wants https://"));
  }
  if (!url && url.error().is(Code::unsupported)) return fail(Error::invalid(url.error().detail));
  return url;
}

}  // namespace

ClientTimings ClientStream::timings() const noexcept {
  ClientTimings timings;
  const auto since = [&](std::optional<Timestamp> moment, Duration& out) {
    if (moment && *moment >= begun_) out = *moment - begun_;
  };
  since(connection_->resolved_at(), timings.resolved);
  since(connection_->connected_at(), timings.connected);
  return timings;
}

std::uint64_t ClientStream::connection() const noexcept { return connection_->id(); }

bool ClientStream::path_lost() const noexcept {
  return connection_->lost() || (reused_ && !connection_->open());
}

Client::Client(Runtime& runtime, udp::Network& network, ClientOptions options)
    : pool_(std::make_unique<ClientPool>(runtime, network, std::move(options))) {}

Client::~Client() = default;

Task<Result<void>> Client::connect(std::string url) {
  const Result<http::Url> target = parse_url(url, pool_->options.protocols());
  if (!target) co_return fail(target.error());
  Result<std::shared_ptr<OriginConnection>> connection = co_await pool_->acquire(*target);
  if (!connection) co_return fail(std::move(connection).error());
  co_return Result<void>();
}

Task<Result<ClientStream>> Client::open(ClientRequest request) {
  const Timestamp begun = pool_->runtime.now();
  const Result<http::Url> url = parse_url(request.url_, pool_->options.protocols());
  if (!url) co_return fail(url.error());
  http::RequestHead head;
  head.method = request.method_;
  head.protocol = request.protocol_;
  head.scheme = url->scheme();
  head.authority = url->authority();
  head.path = url->target();
  bool has_length = false;
  for (const http::Field& field : request.fields_) {
    if (field.name == "host") {
      head.authority = field.value;
      continue;
    }
    has_length = has_length || field.name == "content-length";
    head.fields.add(field.name, field.value);
  }
  const bool has_body = !request.body_.empty();
  if (!has_length && !request.streaming_ &&
      (has_body || request.method_ == "POST" || request.method_ == "PUT")) {
    head.fields.add("content-length", std::to_string(request.body_.size()));
  }
  if (request.priority_) {
    const std::string priority = request.priority_->to_string();
    if (!priority.empty()) head.fields.add("priority", priority);
  }

  for (std::size_t tries = 1;; ++tries) {
    Result<std::shared_ptr<OriginConnection>> connection = co_await pool_->acquire(*url);
    if (!connection) co_return fail(std::move(connection).error());
    OriginConnection& chosen = **connection;
    Result<std::unique_ptr<http::ClientExchange>> exchange = chosen.session()->open();
    if (!exchange) {
      if (exchange.error().is(Code::rejected) && tries < kMaxTries) continue;
      co_return fail(std::move(exchange).error());
    }
    ClientStream stream;
    stream.connection_ = std::move(*connection);
    stream.exchange_ = std::move(*exchange);
    stream.url_ = url->to_string();
    stream.begun_ = begun;
    stream.early_data_ = !chosen.connected_at() && http::is_safe(head.method);
    stream.reused_ = chosen.over_tcp() && chosen.requests() > 0;
    chosen.count_request();
    const bool head_ends = !has_body && !request.streaming_;
    Result<void> sent = co_await stream.exchange_->send(head, head_ends);
    if (sent && has_body) {
      if (request.streaming_) {
        sent = co_await stream.exchange_->write(request.body_);
      } else {
        // All of it is in memory: the response may be read while it goes. A server that answers as
        // it reads would wait for that.
        http::ClientExchange::Write queued = stream.exchange_->finish(request.body_);
        if (queued.await_ready()) sent = queued.await_resume();
      }
    }
    if (!sent && sent.error().is(Code::invalid)) co_return fail(std::move(sent).error());
    // Any other failure to send is told by the response, which may have come all the same.
    co_return stream;
  }
}

Task<Result<std::unique_ptr<webtransport::Session>>> Client::webtransport(
    ClientRequest request, webtransport::ClientOptions options) {
  std::string what = "no WebTransport session with " + request.url_ + " in time";
  Task<Result<std::unique_ptr<webtransport::Session>>> opening =
      open_webtransport(std::move(request), std::move(options));
  Result<std::unique_ptr<webtransport::Session>> session =
      co_await within(pool_->runtime, pool_->options.timeout_, std::move(what), std::move(opening));
  co_return session;
}

Task<Result<std::unique_ptr<webtransport::Session>>> Client::open_webtransport(
    ClientRequest request, webtransport::ClientOptions options) {
  http::RequestHead head;
  head.fields = std::move(request.fields_);
  webtransport::complete_request(head, options);
  request.protocol(std::move(head.protocol)).streaming();
  request.fields_ = std::move(head.fields);
  request.body_ = Bytes();
  Result<ClientStream> stream = co_await open(std::move(request));
  if (!stream) co_return fail(std::move(stream).error());
  Result<std::unique_ptr<webtransport::Session>> session = co_await webtransport::await_session(
      std::move(stream->exchange_), std::move(options), std::move(stream->connection_));
  co_return session;
}

Task<Result<ClientResponse>> Client::get(std::string url) {
  ClientRequest request(std::move(url));
  Result<ClientResponse> response = co_await send(std::move(request));
  co_return response;
}

Task<Result<ClientResponse>> Client::send(ClientRequest request) {
  std::string what = "no complete response from " + request.url_ + " in time";
  Task<Result<ClientResponse>> following = follow(std::move(request));
  Result<ClientResponse> response = co_await within(pool_->runtime, pool_->options.timeout_,
                                                    std::move(what), std::move(following));
  co_return response;
}

Task<Result<ClientResponse>> Client::follow(ClientRequest request) {
  const Timestamp begun = pool_->runtime.now();
  std::size_t redirects = 0;
  while (true) {
    Result<ClientResponse> response = co_await exchange_once(request);
    if (!response) co_return fail(std::move(response).error());
    response->redirects_ = redirects;
    response->timings_.total = pool_->runtime.now() - begun;
    const std::size_t limit = pool_->options.redirects_;
    if (limit == 0) co_return response;
    const Result<bool> followed = request.redirect(response->head_);
    if (!followed) co_return fail(followed.error());
    if (!*followed) co_return response;
    if (++redirects > limit) {
      co_return fail(Error::limit("more than " + std::to_string(limit) +
                                  " redirects, the last to " + request.url_));
    }
  }
}

Result<bool> ClientRequest::redirect(const http::Response& head) {
  const auto location = head.fields().find("location");
  const int status = http::code(head.status());
  if (!location || !is_redirect(status)) return false;
  TERN_TRY(const http::Url from, http::Url::parse(url_));
  TERN_TRY(const http::Url target, from.resolve(*location));
  // RFC 9110 §15.4: 303 turns everything into GET, 301 and 302 in practice POST.
  if ((status == 303 && method_ != "HEAD") ||
      ((status == 301 || status == 302) && method_ == "POST")) {
    method_ = "GET";
    body_ = Bytes();
    streaming_ = false;
    for (const char* name : {"content-type", "content-length", "content-encoding"}) {
      fields_.remove(name);
    }
  }
  if (target.origin() != from.origin()) {
    for (const char* name : {"authorization", "cookie", "host"}) fields_.remove(name);
  }
  if (from.scheme() == "https" && target.scheme() != "https") {
    return fail(Error::invalid("redirect to " + target.to_string() + ": that is not encrypted"));
  }
  url_ = target.to_string();
  return true;
}

Task<Result<ClientResponse>> Client::exchange_once(ClientRequest& request) {
  bool repeated = false;
  for (std::size_t tries = 1;; ++tries) {
    ClientRequest copy = request;
    Result<ClientStream> stream = co_await open(std::move(copy));
    if (!stream) co_return fail(std::move(stream).error());
    Result<ClientResponse> response = co_await collect(*stream);
    if (response) {
      response->attempts_ = tries;
      co_return response;
    }
    const Error& error = response.error();
    const bool refused = error.is(Code::rejected) && tries < kMaxTries;
    const bool broken =
        !repeated && http::is_idempotent(request.method_) &&
        (stream->path_lost() || (pool_->options.retry_on_close_ && connection_broke(error)));
    if (!refused && !broken) co_return response;
    repeated = repeated || broken;
    stream->connection_->tell(ClientEvent::Type::retried,
                              request.method_ + " " + request.url_ + ": " + error.to_string());
  }
}

Task<Result<ClientResponse>> Client::collect(ClientStream& stream) {
  http::ClientExchange& exchange = stream.exchange();
  ClientResponse response;
  Result<http::Response> head = co_await exchange.response();
  if (!head) co_return fail(std::move(head).error());
  response.head_ = std::move(*head);
  response.url_ = stream.url();
  response.protocol_ = std::string(exchange.protocol());
  response.early_data_ = stream.early_data();
  const Duration first_byte = pool_->runtime.now() - stream.begun_;
  Result<std::string> body = co_await exchange.read_all(pool_->options.max_body_);
  if (!body) co_return fail(std::move(body).error());
  response.body_ = std::move(*body);
  response.trailers_ = exchange.trailers();
  response.timings_ = stream.timings();
  response.timings_.first_byte = first_byte;
  co_return response;
}

Result<void> Client::migrate(const udp::Address& local, bool now) {
  if (pool_->endpoint == nullptr) return fail(Error::invalid("no connection to migrate"));
  bool any = false;
  std::optional<Error> failure;
  for (const bool v4 : {true, false}) {
    std::vector<OriginConnection*> moving;
    for (const auto& connection : pool_->connections()) {
      if (connection->open() && connection->info().path.remote.is_v4() == v4) {
        moving.push_back(connection.get());
      }
    }
    if (moving.empty() || (local.specified() && local.is_v4() != v4)) continue;
    std::optional<udp::Address>& shared = v4 ? pool_->local_v4 : pool_->local_v6;
    for (OriginConnection* connection : moving) {
      udp::Address wanted = local.specified() ? local : connection->info().path.local;
      wanted.set_port(0);
      TERN_TRY(const udp::Address bound, pool_->bind_like(wanted));
      if (shared) shared = bound;
      const Result<void> moved = connection->migrate(bound, now);
      if (moved) {
        any = true;
      } else {
        failure = moved.error();
      }
    }
  }
  pool_->close_unused_sockets_soon();
  if (failure) return fail(std::move(*failure));
  if (!any) return fail(Error::invalid("no connection to migrate"));
  return {};
}

Result<void> Client::update_keys() {
  for (const auto& connection : pool_->connections()) {
    if (!connection->open()) continue;
    const Result<void> updated = connection->update_keys();
    if (!updated) return updated;
  }
  return {};
}

std::vector<ClientConnectionInfo> Client::connections() const {
  std::vector<ClientConnectionInfo> all(pool_->remembered.begin(), pool_->remembered.end());
  for (const auto& connection : pool_->connections()) all.push_back(connection->info());
  return all;
}

SessionCache& Client::sessions() noexcept { return *pool_->sessions; }

Task<void> Client::close() {
  pool_->closed = true;
  const std::vector<std::shared_ptr<OriginConnection>> connections = pool_->connections();
  for (const auto& connection : connections) connection->close();
  if (connections.empty()) co_return;
  // The close packets leave at the end of this turn; one more makes sure of it.
  co_await pool_->runtime.sleep(std::chrono::milliseconds(1));
}

}  // namespace tern
