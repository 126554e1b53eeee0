#include "gateway/client.h"

#include <algorithm>
#include <utility>

#include "gateway/client_pool.h"
#include "gateway/origin_connection.h"
#include "gateway/within.h"
#include "http/cookie_jar.h"
#include "http/uri.h"

namespace tern {
namespace {

/// Connections that are asked to take a request before it is given up.
constexpr std::size_t kMaxOpens = Client::kMaxSends;
/// How much of a coded body is decoded at once: of a bomb, its ratio times that comes out.
constexpr std::size_t kCodedPiece = 1024;
/// What is decoded is handed on when there is that much.
constexpr std::size_t kDecodedEnough = 64 * 1024;

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
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

Task<Result<http::Response>> ClientStream::response() {
  Result<http::Response> head = co_await exchange_->response();
  if (!head) co_return head;
  connection_->count_answer();
  if (jar_ != nullptr) {
    const Result<http::Url> from = http::Url::parse(url_);
    if (from) jar_->store_all(*from, head->fields(), exchange_->runtime().unix_seconds());
  }
  const auto coding = head->fields().joined("content-encoding");
  if (!decode_ || !coding || head->status() == http::Status::partial_content) co_return head;
  Result<http::ContentDecoder> made = http::ContentDecoder::make(*coding);
  if (!made) {
    exchange_->abort();
    co_return fail(std::move(made).error());
  }
  decoder_.emplace(std::move(*made));
  co_return head;
}

Task<Result<Bytes>> ClientStream::read() {
  if (!decoder_) {
    Result<Bytes> piece = co_await exchange_->read();
    co_return piece;
  }
  std::size_t enough = 0;  // of what was decoded in a row
  const http::ContentDecoder::Sink keep = [&](ByteView bytes) -> Result<void> {
    decoded_.push(Bytes::copy(bytes));
    enough += bytes.size();
    return {};
  };
  while (decoded_.empty() && !all_came_) {
    if (coded_.empty()) {
      Result<Bytes> piece = co_await exchange_->read();
      if (!piece) co_return piece;
      coded_ = std::move(*piece);
      all_came_ = coded_.empty();
      some_came_ = some_came_ || !coded_.empty();
    }
    // 204, 304 and their like have no body whatever their fields say.
    Result<void> decoded = all_came_ && some_came_ ? decoder_->finish() : Result<void>();
    while (decoded && !coded_.empty() && enough < kDecodedEnough) {
      const Bytes part = coded_.slice(0, std::min(coded_.size(), kCodedPiece));
      coded_.remove_prefix(part.size());
      decoded = decoder_->decode(part, keep);
    }
    if (!decoded) {
      exchange_->abort();
      co_return fail(std::move(decoded).error());
    }
  }
  if (decoded_.empty()) co_return Bytes();
  co_return decoded_.pop();
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

http::RequestHead Client::head_of(const ClientRequest& request, const http::Url& url) {
  http::RequestHead head;
  head.scheme = url.scheme();
  head.authority = url.authority();
  head.path = url.target();
  for (const http::Field& field : request.fields_) {
    if (field.name == "host") {
      head.authority = field.value;
    } else {
      head.fields.add(field.name, field.value);
    }
  }
  return head;
}

Task<Result<ClientStream>> Client::open(ClientRequest request) {
  const Timestamp begun = pool_->runtime.now();
  const Result<http::Url> url = parse_url(request.url_, pool_->options.protocols());
  if (!url) co_return fail(url.error());
  http::RequestHead head = head_of(request, *url);
  head.method = request.method_;
  head.protocol = request.protocol_;
  const bool has_body = !request.body_.empty();
  if (!head.fields.contains("content-length") && !request.streaming_ &&
      (has_body || request.method_ == "POST" || request.method_ == "PUT")) {
    head.fields.add("content-length", std::to_string(request.body_.size()));
  }
  const bool decode = pool_->options.decode_ && request.protocol_.empty() &&
                      !head.fields.contains("accept-encoding") && !head.fields.contains("range");
  if (decode) head.fields.add("accept-encoding", http::ContentDecoder::kAcceptEncoding);
  if (const auto& jar = pool_->options.cookies_) {
    jar->add_to(*url, head.fields, pool_->runtime.unix_seconds());
  }
  if (request.priority_) {
    const std::string priority = request.priority_->to_string();
    if (!priority.empty()) head.fields.add("priority", priority);
  }

  pool_->earn_retry();
  for (std::size_t tries = 1;; ++tries) {
    Result<std::shared_ptr<OriginConnection>> connection = co_await pool_->acquire(*url);
    if (!connection) co_return fail(std::move(connection).error());
    OriginConnection& chosen = **connection;
    Result<std::unique_ptr<http::ClientExchange>> exchange = chosen.session()->open();
    if (!exchange) {
      if (exchange.error().is(Code::rejected) && tries < kMaxOpens) continue;
      co_return fail(std::move(exchange).error());
    }
    ClientStream stream;
    stream.connection_ = std::move(*connection);
    stream.exchange_ = std::move(*exchange);
    stream.url_ = url->to_string();
    stream.begun_ = begun;
    stream.decode_ = decode && request.method_ != "HEAD";
    stream.jar_ = pool_->options.cookies_;
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

std::optional<Result<BareStream>> Client::try_open(const http::Url& url, const std::string& origin,
                                                   const http::RequestHead& head) {
  if (pool_->options.decode_ || pool_->options.cookies_) return std::nullopt;
  std::shared_ptr<OriginConnection> connection = pool_->try_acquire(url, origin);
  if (connection == nullptr) return std::nullopt;
  Result<std::unique_ptr<http::ClientExchange>> exchange = connection->session()->open();
  if (!exchange && exchange.error().is(Code::rejected)) return std::nullopt;
  pool_->earn_retry();
  if (!exchange) return fail(std::move(exchange).error());
  connection->count_request();
  http::ClientExchange::Write sent = (*exchange)->send(head, false);
  // A failure that is not the caller's is told by the response.
  if (sent.await_ready()) {
    Result<void> result = sent.await_resume();
    if (!result && result.error().is(Code::invalid)) return fail(std::move(result).error());
  }
  return BareStream{std::move(connection), std::move(*exchange)};
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
  for (std::size_t tries = 1;; ++tries) {
    ClientRequest copy = request;
    std::optional<Duration> wait;
    Result<ClientStream> stream = co_await open(std::move(copy));
    if (!stream) {
      wait = may_repeat(request, tries, stream.error(), nullptr);
      if (!wait) co_return fail(std::move(stream).error());
    } else {
      Result<ClientResponse> response = co_await collect(*stream);
      if (response) {
        wait = may_repeat(request, tries, response->head_, *stream);
        response->attempts_ = tries;
      } else {
        wait = may_repeat(request, tries, response.error(), &*stream);
      }
      if (!wait) co_return response;
    }
    if (*wait > Duration::zero()) co_await pool_->runtime.sleep(*wait);
  }
}

Task<Result<ClientResponse>> Client::collect(ClientStream& stream) {
  http::ClientExchange& exchange = stream.exchange();
  ClientResponse response;
  Result<http::Response> head = co_await stream.response();
  if (!head) co_return fail(std::move(head).error());
  response.head_ = std::move(*head);
  response.url_ = stream.url();
  response.protocol_ = std::string(exchange.protocol());
  response.early_data_ = stream.early_data();
  const Duration first_byte = pool_->runtime.now() - stream.begun_;
  const std::size_t limit = pool_->options.max_body_;
  for (;;) {
    Result<Bytes> piece = co_await stream.read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) break;
    if (piece->size() > limit - response.body_.size()) {
      exchange.abort();
      co_return fail(Error::limit("the body is longer than " + std::to_string(limit) + " bytes"));
    }
    response.body_ += piece->text();
  }
  response.trailers_ = exchange.trailers();
  response.timings_ = stream.timings();
  response.timings_.first_byte = first_byte;
  co_return response;
}

Result<void> Client::migrate(const udp::Address& local, bool now) {
  if (pool_->endpoint == nullptr) return fail(Error::invalid("no connection over QUIC"));
  bool any = false;
  std::optional<Error> failure;
  for (const bool v4 : {true, false}) {
    std::vector<OriginConnection*> moving;
    for (const auto& connection : pool_->connections()) {
      if (connection->established() && connection->open() && !connection->over_tcp() &&
          connection->info().path.remote.is_v4() == v4) {
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
  if (!any) return fail(Error::invalid("no connection over QUIC"));
  return {};
}

Result<void> Client::update_keys() {
  bool any = false;
  for (const auto& connection : pool_->connections()) {
    if (!connection->open() || connection->over_tcp()) continue;
    const Result<void> updated = connection->update_keys();
    if (!updated) return updated;
    any = true;
  }
  if (!any) return fail(Error::invalid("no connection over QUIC"));
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
