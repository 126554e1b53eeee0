#include "gateway/rpc_webtransport.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/scope.h"
#include "gateway/rpc_stream.h"
#include "http/uri.h"
#include "webtransport/server.h"

namespace tern {

namespace {

using webtransport::Session;
using webtransport::Stream;

// ---- server -------------------------------------------------------------------------------------

/// Where a call on a stream is heard by HTTP's names.
struct Place {
  std::string scheme;
  std::string authority;
};

/// The calls of one session.
class SessionCalls {
 public:
  SessionCalls(Session& session, const http::Handler& handler, Place place)
      : session_(session),
        handler_(handler),
        place_(std::move(place)),
        ended_(session.runtime()),
        drained_(session.runtime()),
        scope_(session.runtime().ready()) {}

  /// Until the session has ended and its calls have.
  Task<void> run() {
    scope_.spawn(follow_drain());
    for (;;) {
      std::unique_ptr<Stream> stream = co_await session_.accept_bidirectional();
      if (stream == nullptr) break;
      ++running_;
      scope_.spawn(serve(std::move(stream)));
    }
    while (running_ > 0) co_await ended_.wait();
  }

 private:
  /// One call.
  Task<void> serve(std::unique_ptr<Stream> stream) {
    co_await answer(std::move(stream));
    --running_;
    ended_.notify();
    drained_.notify();
  }

  Task<void> answer(std::unique_ptr<Stream> stream) {
    RpcStream carrier(session_, std::move(stream));
    rpc::Result<rpc::CallHead> head = co_await carrier.read_head();
    if (!head) co_return carrier.refuse(head.error());
    std::optional<http::RequestHead> request = request_of(std::move(*head));
    if (!request) {
      co_return carrier.refuse(
          rpc::Status(rpc::Code::unimplemented,
                      "a call's content type is application/grpc-web, +proto or +json"));
    }
    auto exchange =
        std::make_unique<http::Exchange>(session_.runtime(), carrier, std::move(*request));
    const Listed listed(exchanges_, *exchange);
    carrier.serve(*exchange);
    co_await http::serve(&handler_, std::move(exchange), nullptr);
  }

  std::optional<http::RequestHead> request_of(rpc::CallHead head) const {
    constexpr std::string_view kWeb = "application/grpc-web";
    http::RequestHead request;
    request.method = "POST";
    request.scheme = place_.scheme;
    request.authority = place_.authority;
    request.path = std::move(head.path);
    request.fields = std::move(head.fields);
    const auto type = request.fields.find("content-type");
    if (!type) {
      request.fields.add_lower("content-type", kWeb);
    } else if (!type->starts_with(kWeb) || type->substr(kWeb.size()).starts_with("-text")) {
      return std::nullopt;
    }
    return request;
  }

  /// The exchanges under way, which are told that the server drains.
  class Listed {
   public:
    Listed(std::vector<http::Exchange*>& all, http::Exchange& exchange)
        : all_(all), exchange_(&exchange) {
      all_.push_back(exchange_);
    }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;
    ~Listed() { std::erase(all_, exchange_); }

   private:
    std::vector<http::Exchange*>& all_;
    http::Exchange* exchange_;
  };

  Task<void> follow_drain() {
    co_await session_.wait_until_draining();
    if (session_.ended()) co_return;
    for (http::Exchange* const exchange : exchanges_) exchange->drain();
    while (running_ > 0) co_await drained_.wait();
    session_.close(0, "the server is going away");
  }

  Session& session_;
  const http::Handler& handler_;
  Place place_;
  std::vector<http::Exchange*> exchanges_;
  std::size_t running_ = 0;
  Signal ended_;
  Signal drained_;
  Scope scope_;  // last: what runs in it uses all of the above
};

Task<void> serve_session(Session& session, std::shared_ptr<const http::Handler> handler,
                         Place place) {
  SessionCalls calls(session, *handler, std::move(place));
  co_await calls.run();
}

// ---- client -------------------------------------------------------------------------------------

class CallStream final : public rpc::WireStream {
 public:
  CallStream(std::shared_ptr<Session> session, std::unique_ptr<Stream> stream)
      : session_(std::move(session)),
        carrier_(*session_, std::move(stream)),
        exchange_(session_->runtime(), carrier_) {
    carrier_.serve(exchange_);
  }
  http::ClientExchange& exchange() noexcept override { return exchange_; }

 private:
  std::shared_ptr<Session> session_;
  RpcStream carrier_;
  http::ClientExchange exchange_;
};

/// A server that is called over a session.
class SessionWire final : public rpc::Wire {
 public:
  SessionWire(Runtime& runtime, Client& client, const http::Url& url,
              webtransport::ClientOptions options)
      : runtime_(runtime),
        client_(client),
        url_(url.to_string()),
        scheme_(url.scheme()),
        authority_(url.authority()),
        options_(std::move(options)),
        scope_(runtime.ready()) {}

  Runtime& runtime() noexcept override { return runtime_; }
  std::string_view scheme() const noexcept override { return scheme_; }
  std::string_view authority() const noexcept override { return authority_; }

  Task<Result<std::unique_ptr<rpc::WireStream>>> open(http::RequestHead head) override {
    for (bool again = true;; again = false) {
      Result<std::shared_ptr<Session>> session = co_await acquire();
      if (!session) co_return fail(std::move(session).error());
      Result<std::unique_ptr<Stream>> stream = co_await (*session)->open_bidirectional();
      if (!stream && again && (*session)->ended()) continue;
      if (!stream) co_return fail(std::move(stream).error());
      auto call = std::make_unique<CallStream>(std::move(*session), std::move(*stream));
      (void)call->exchange().send(head, false);
      co_return std::unique_ptr<rpc::WireStream>(std::move(call));
    }
  }

 private:
  /// A call that waits until the session is there, or cannot be.
  class Waiting {
   public:
    explicit Waiting(SessionWire& wire) : signal(wire.runtime_), all_(wire.waiting_) {
      all_.push_back(this);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { std::erase(all_, this); }
    Signal signal;
    std::optional<Error> error;

   private:
    std::vector<Waiting*>& all_;
  };

  bool ready() const noexcept {
    return session_ != nullptr && !session_->ended() && !session_->draining();
  }

  Task<Result<std::shared_ptr<Session>>> acquire() {
    while (!ready()) {
      if (!std::exchange(connecting_, true)) scope_.spawn(connect());
      Waiting waiting(*this);
      co_await waiting.signal.wait();
      if (waiting.error) co_return fail(*std::move(waiting.error));
    }
    co_return session_;
  }

  /// One for all calls that wait; the next one tries again.
  Task<void> connect() {
    ClientRequest request(url_);
    Result<std::unique_ptr<Session>> session =
        co_await client_.webtransport(std::move(request), options_);
    connecting_ = false;
    if (session) session_ = std::move(*session);
    for (Waiting* const waiting : waiting_) {
      if (!session) waiting->error = session.error();
      waiting->signal.notify();
    }
  }

  Runtime& runtime_;
  Client& client_;
  std::string url_;
  std::string scheme_;
  std::string authority_;
  webtransport::ClientOptions options_;
  std::shared_ptr<Session> session_;
  std::vector<Waiting*> waiting_;
  bool connecting_ = false;
  Scope scope_;  // last: what runs in it uses all of the above
};

}  // namespace

void route_rpc(http::Router& router, std::string_view pattern, http::Handler calls,
               webtransport::ServerOptions options) {
  TERN_CHECK(calls);
  const auto handler = std::make_shared<const http::Handler>(std::move(calls));
  const webtransport::SessionRequestHandler serve = [handler](Session& session,
                                                              const http::Exchange& exchange) {
    return serve_session(session, handler,
                         Place{exchange.request().scheme, exchange.request().authority});
  };
  webtransport::route(router, pattern, serve, std::move(options));
}

Result<std::unique_ptr<rpc::Channel>> rpc_webtransport_channel(
    Runtime& runtime, Client& client, const std::vector<std::string>& urls,
    rpc::ChannelOptions options, webtransport::ClientOptions session) {
  if (urls.empty()) return fail(Error::invalid("a channel without a URL"));
  std::vector<std::unique_ptr<rpc::Wire>> wires;
  for (const std::string& url : urls) {
    const Result<http::Url> parsed = http::Url::parse(url);
    if (!parsed) return fail(parsed.error());
    wires.push_back(rpc_webtransport_wire(runtime, client, *parsed, session));
  }
  options.dialect = &rpc::grpc_web_client_dialect();
  return std::make_unique<rpc::Channel>(std::move(wires), std::move(options));
}

std::unique_ptr<rpc::Wire> rpc_webtransport_wire(Runtime& runtime, Client& client,
                                                 const http::Url& url,
                                                 webtransport::ClientOptions session) {
  return std::make_unique<SessionWire>(runtime, client, url, std::move(session));
}

}  // namespace tern
