#include <utility>

#include <fmt/format.h>

#include "gateway/proxy_stream.h"
#include "http/fallback/context.h"
#include "tools/tern/bench_transport.h"
#include "tools/tern/environment.h"
#include "transport/tls/client_context.h"
#include "transport/tls/secure_stream.h"
#include "webtransport/http2.h"

namespace tern::cli {
namespace {

fallback::SessionOptions session_options(bool sessions) {
  fallback::SessionOptions options;
  options.idle_timeout = std::chrono::hours(24 * 365);  // --idle decides itself when it is over
  if (sessions) webtransport::enable_http2(options);
  return options;
}

class BenchTcp final : public BenchTransport {
 public:
  static constexpr Duration kConnectTimeout = std::chrono::seconds(10);

  explicit BenchTcp(const Load& load)
      : BenchTransport(load),
        secure_(load.url.scheme() == "https"),
        protocol_(load.options.protocol == BenchProtocol::http2 ? fallback::Protocol::http2
                                                                : fallback::Protocol::http1),
        proxy_(load.proxies.proxy_for(load.url)),
        // As Client does it: a WebSocket wants a tunnel, and so does HTTP/2.
        forwarded_(proxy_ && !secure_ && protocol_ == fallback::Protocol::http1 &&
                   !load.options.websocket),
        sessions_(load.runtime, session_options(load.options.webtransport)) {}

  Result<void> prepare();
  Result<void> open(BenchConnection& connection, std::size_t number) override;
  void close_all() override { sessions_.close_all(); }
  bool can_resume() const noexcept override { return !ticket_.empty(); }

 private:
  class Attempt;

  const char* alpn() const noexcept {
    return protocol_ == fallback::Protocol::http2 ? "h2" : "http/1.1";
  }
  std::optional<Error> take(const tls::StreamHandshake& facts);

  const bool secure_;
  const fallback::Protocol protocol_;
  const std::optional<Proxy> proxy_;
  const bool forwarded_;  // the proxy is asked for the whole URL
  std::optional<ProxyRoute> route_;
  std::shared_ptr<const tls::ClientContext> tls_;
  std::vector<std::uint8_t> ticket_;
  std::vector<std::unique_ptr<Attempt>> attempts_;  // by a connection's number
  fallback::Context sessions_;
};

/// A connection until it stands.
class BenchTcp::Attempt final : public tcp::StreamSink {
 public:
  Attempt(BenchTcp& owner, BenchConnection& connection) : owner_(owner), connection_(connection) {}

  void connected(tcp::Stream&) override {
    if (secure_ != nullptr) {
      if (const auto problem = owner_.take(secure_->handshake())) {
        stream->reset();
        return owner_.ended(connection_, *problem);
      }
    }
    ++owner_.load_.report.handshakes;
    connection_.confirmed = true;
    fallback::ClientHooks hooks;
    hooks.closed = [&owner = owner_, &connection = connection_](const Error& reason) {
      owner.ended(connection, reason);
    };
    if (owner_.forwarded_) {
      hooks.proxy.emplace();
      hooks.proxy->authority = owner_.load_.url.authority();
      hooks.proxy->authorization = owner_.proxy_->authorization();
    }
    owner_.opened(connection_,
                  owner_.sessions_.connect(std::move(stream), owner_.protocol_, std::move(hooks)));
  }
  void receive(tcp::Stream&, MutableBytes) override {}
  void end_of_stream(tcp::Stream&) override {
    owner_.ended(connection_,
                 Error(Code::closed, "the server ended the connection at once", Origin::remote));
  }
  void failed(tcp::Stream&, const Error& error) override { owner_.ended(connection_, error); }

  void take(std::unique_ptr<tls::SecureStream> made) {
    secure_ = made.get();
    stream = std::move(made);
  }
  std::unique_ptr<tcp::Stream> stream;

 private:
  BenchTcp& owner_;
  BenchConnection& connection_;
  tls::SecureStream* secure_ = nullptr;  // the stream, if it is TLS
};

Result<void> BenchTcp::prepare() {
  const BenchOptions& options = load_.options;
  if (proxy_) {
    std::shared_ptr<const tls::ClientContext> to_proxy;
    if (proxy_->secure()) {
      TERN_TRY(to_proxy, make_proxy_tls(load_.proxies, key_log_from_environment()));
    }
    route_.emplace(load_.runtime, load_.network.tcp(), *proxy_, std::move(to_proxy));
  }
  if (!secure_) return {};
  tls::ClientContextOptions context;
  context.insecure(options.insecure).key_log(key_log_from_environment());
  if (!options.ca_file.empty()) context.ca_file(options.ca_file);
  TERN_TRY(tls_, tls::ClientContext::create(context));
  return {};
}

/// What a handshake has settled; an Error if that is not what was asked for.
std::optional<Error> BenchTcp::take(const tls::StreamHandshake& facts) {
  // A server without ALPN speaks HTTP/1.1.
  const bool agreed =
      facts.alpn == alpn() || (facts.alpn.empty() && protocol_ == fallback::Protocol::http1);
  if (!agreed) {
    return Error(Code::unsupported,
                 fmt::format("the server does not agree to {} (ALPN: {})", alpn(),
                             facts.alpn.empty() ? "none" : facts.alpn),
                 Origin::remote);
  }
  if (facts.resumed) ++load_.report.resumed;
  if (handshake_.empty()) {
    handshake_ = fmt::format("{}, {}, {}", facts.version, facts.cipher, facts.group);
  }
  return std::nullopt;
}

Result<void> BenchTcp::open(BenchConnection& connection, std::size_t number) {
  if (number >= attempts_.size()) attempts_.resize(number + 1);
  // The one before it has handed its stream over, or failed.
  attempts_[number] = std::make_unique<Attempt>(*this, connection);
  Attempt& attempt = *attempts_[number];
  tcp::ConnectOptions connect;
  connect.remote = load_.remote;
  connect.timeout = kConnectTimeout;
  if (forwarded_) {
    TERN_TRY(attempt.stream, route_->connect(connect, attempt));
    return {};
  }
  std::optional<fallback::TunnelNetwork> tunnels;
  tcp::Network& tcp = route_ ? tunnels.emplace(route_->tunnels_to(load_.url)) : load_.network.tcp();
  if (!secure_) {
    TERN_TRY(attempt.stream, tcp.connect(connect, attempt));
    return {};
  }
  tls::SecureClientOptions options;
  options.server_name(load_.url.host()).handshake_timeout(kConnectTimeout);
  options.alpn(std::vector<std::string>(1, alpn()));
  if (load_.options.resume) {
    if (!ticket_.empty()) options.session(ticket_);
    options.session_received([this](tls::StreamSession given) {
      ticket_ = std::move(given.ticket);
      load_.changed.notify_all();
    });
  }
  TERN_TRY(auto stream,
           tls::SecureStream::connect(load_.runtime, tcp, connect, tls_, options, attempt));
  attempt.take(std::move(stream));
  return {};
}

}  // namespace

Result<std::unique_ptr<BenchTransport>> BenchTransport::over_tcp(Load load) {
  auto made = std::make_unique<BenchTcp>(load);
  if (auto prepared = made->prepare(); !prepared) return fail(std::move(prepared).error());
  return made;
}

}  // namespace tern::cli
