#include "gateway/tcp_origin_connection.h"

#include <cerrno>
#include <string>
#include <utility>

#include "gateway/client_pool.h"
#include "gateway/host_addresses.h"
#include "gateway/proxy_stream.h"
#include "http/fallback/context.h"
#include "http/fallback/tunnel.h"

namespace tern {
namespace {

/// Where the session cache keeps what TCP gave: it is no good for QUIC.
std::string cache_key(const std::string& origin) { return "tcp:" + origin; }

}  // namespace

/// One address that is tried.
class TcpOriginConnection::Dial final : public Attempt, public tcp::StreamSink {
 public:
  Dial(TcpOriginConnection& owner, const udp::Address& to) : Attempt(to), owner_(owner) {}

  // ---- Attempt
  bool take() override {
    if (!ready_ || failure) return false;
    owner_.take(*this);
    return true;
  }
  void abandon(const Error& error) override {
    fail_with(error);
    if (stream != nullptr) stream->reset();
  }

  // ---- tcp::StreamSink
  void connected(tcp::Stream& connected_stream) override {
    connected_stream.pause();  // what the server says first is for the session
    if (owner_.pool_.options.protocols() == ClientProtocols::http2_only && secure != nullptr &&
        secure->handshake().alpn != "h2") {
      return fail_with(Error(Code::unsupported, "the server has no HTTP/2", Origin::remote));
    }
    ready_ = true;
    owner_.changed_.notify_all();
  }
  void receive(tcp::Stream&, MutableBytes) override {}
  void end_of_stream(tcp::Stream&) override {
    fail_with(Error(Code::closed, "the server ended the connection", Origin::remote));
  }
  void failed(tcp::Stream&, const Error& error) override { fail_with(error); }

  std::unique_ptr<tcp::Stream> stream;
  tls::SecureStream* secure = nullptr;  // it, if it is TLS

 private:
  void fail_with(Error error) {
    failure = std::move(error);
    owner_.changed_.notify_all();
  }

  TcpOriginConnection& owner_;
  bool ready_ = false;
};

TcpOriginConnection::TcpOriginConnection(ClientPool& pool, http::Url url, std::uint64_t id,
                                         bool http1_only)
    : RacingConnection(pool, std::move(url), id),
      proxy_(pool.options.proxy().proxy_for(url_)),
      // A WebSocket wants a tunnel through the proxy (RFC 6455 §4.1), and so does HTTP/2.
      forwarded_(proxy_ && url_.scheme() == "http" && !http1_only &&
                 pool.options.protocols() != ClientProtocols::http2 &&
                 pool.options.protocols() != ClientProtocols::http2_only),
      http1_only_(http1_only) {}

TcpOriginConnection::~TcpOriginConnection() = default;

Task<Result<void>> TcpOriginConnection::establish() {
  Result<ServicePlace> place = co_await find();
  if (!place) co_return fail(std::move(place).error());
  tell_resolved(*place);
  std::vector<Target> targets = targets_for(place->addresses);
  Task<Result<void>> racing = race(std::move(targets), std::move(place->awaited));
  Result<void> raced = co_await racing;
  co_return raced;
}

Task<Result<ServicePlace>> TcpOriginConnection::find() {
  if (!proxy_) {
    Result<ServicePlace> place = co_await locate(pool_, url_, true);
    co_return place;
  }
  Result<std::vector<udp::Address>> addresses =
      co_await look_up(pool_, proxy_->host(), proxy_->port());
  if (!addresses) {
    Error error = std::move(addresses).error();
    error.detail = "proxy " + proxy_->name() + ": " + error.detail;
    co_return fail(std::move(error));
  }
  ServicePlace place;
  place.addresses = interleave(*addresses);
  co_return place;
}

std::vector<std::string> TcpOriginConnection::protocols() const {
  if (http1_only_ || pool_.options.protocols() == ClientProtocols::http1) return {"http/1.1"};
  if (pool_.options.protocols() == ClientProtocols::http2_only) return {"h2"};
  return {"h2", "http/1.1"};
}

void TcpOriginConnection::attempt(const Target& target, bool) {
  const udp::Address& remote = target.remote;
  auto made = std::make_unique<Dial>(*this, remote);
  Dial& entry = *made;
  attempts_.push_back(std::move(made));
  path_ = {udp::Address(), remote};
  tell(ClientEvent::Type::connecting);
  tcp::ConnectOptions connect;
  connect.remote = remote;
  connect.timeout = pool_.options.connect_timeout();
  const auto source = pool_.tcp_source_for(remote, target.network);
  if (!source) {
    entry.failure = source.error();
    return;
  }
  connect.local = source->address;
  connect.device = source->device;
  entry.local = source->address;
  auto stream = this->connect(connect, entry);
  const bool forbidden = !stream && stream.error().domain == Domain::os &&
                         stream.error().code == EPERM && !connect.device.empty();
  if (forbidden) {
    // Linux before 5.7 keeps SO_BINDTODEVICE for the privileged. The address alone does where the
    // machine routes by it.
    connect.device.clear();
    stream = this->connect(connect, entry);
  }
  if (stream) {
    entry.stream = std::move(*stream);
  } else {
    entry.failure = std::move(stream).error();
  }
}

Result<std::unique_ptr<tcp::Stream>> TcpOriginConnection::connect(const tcp::ConnectOptions& to,
                                                                  Dial& entry) {
  tcp::Network* network = &pool_.network.tcp();
  std::optional<fallback::TunnelNetwork> tunnels;
  if (proxy_) {
    std::shared_ptr<const tls::ClientContext> proxy_tls;
    if (proxy_->secure()) {
      TERN_TRY(proxy_tls, pool_.proxy_tls());
    }
    const ProxyRoute route(pool_.runtime, *network, *proxy_, std::move(proxy_tls));
    if (forwarded_) return route.connect(to, entry);
    tell(ClientEvent::Type::tunnelling, proxy_->name() + " for " + tunnel_authority(url_));
    network = &tunnels.emplace(route.tunnels_to(url_));
  }
  if (url_.scheme() == "http") return network->connect(to, entry);
  tls::SecureClientOptions tls;
  tls.server_name(url_.host()).alpn(protocols()).handshake_timeout(pool_.options.connect_timeout());
  // One address alone gets the ticket: two connections with it could be told to be one client's.
  if (attempts_.size() == 1) {
    for (const std::string& protocol : protocols()) {
      const auto remembered =
          pool_.sessions->take(cache_key(origin_), protocol, 0, pool_.runtime.unix_seconds());
      if (!remembered) continue;
      tls.session(remembered->ticket);
      break;
    }
  }
  const std::weak_ptr<OriginConnection> weak = weak_from_this();
  std::shared_ptr<SessionCache> cache = pool_.sessions;
  tls.session_received(
      [weak, cache, key = cache_key(origin_), host = url_.host()](tls::StreamSession given) {
        quic::Session session;
        session.server_name = host;
        session.alpn = given.alpn;
        session.expires = given.expires;
        session.ticket = std::move(given.ticket);
        cache->put(key, std::move(session));
        if (const auto self = weak.lock()) self->tell(ClientEvent::Type::session_received);
      });
  TERN_TRY(auto stream,
           tls::SecureStream::connect(pool_.runtime, *network, to, pool_.tls, tls, entry));
  entry.secure = stream.get();
  return stream;
}

Error TcpOriginConnection::silence(Error error, const udp::Address& remote) const {
  if (error.domain == Domain::os && error.code == ECONNREFUSED) {
    error.detail = "nobody listens on that TCP port";
  }
  error.detail = std::string("cannot connect to ") + (proxy_ ? "the proxy at " : "") +
                 remote.to_string() + ": " + error.detail;
  return error;
}

void TcpOriginConnection::take(Dial& winner) {
  fallback::Protocol protocol = fallback::Protocol::http1;
  if (winner.secure != nullptr) {
    const tls::StreamHandshake& facts = winner.secure->handshake();
    if (facts.alpn == "h2") protocol = fallback::Protocol::http2;
    handshake_.alpn = facts.alpn.empty() ? "http/1.1" : facts.alpn;
    handshake_.tls_version = facts.version;
    handshake_.cipher = facts.cipher;
    handshake_.group = facts.group;
    handshake_.server_name = facts.server_name;
    handshake_.resumed = facts.resumed;
    handshake_.peer_certificate_subject = facts.peer_certificate_subject;
  } else {
    // Nothing is negotiated: who asks for HTTP/2 alone knows that the server speaks it.
    const ClientProtocols protocols = pool_.options.protocols();
    const bool known = !http1_only_ && (protocols == ClientProtocols::http2 ||
                                        protocols == ClientProtocols::http2_only);
    if (known) protocol = fallback::Protocol::http2;
    handshake_.alpn = known ? "h2" : "http/1.1";
  }
  serial_ = protocol == fallback::Protocol::http1;
  path_ = {winner.stream->local(), winner.stream->remote()};
  connected_at_ = pool_.runtime.now();
  const std::weak_ptr<TcpOriginConnection> weak =
      std::static_pointer_cast<TcpOriginConnection>(shared_from_this());
  fallback::ClientHooks hooks;
  hooks.goaway = [weak] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->goaway_ = true;
    self->tell(ClientEvent::Type::goaway);
  };
  hooks.closed = [weak](const Error& reason) {
    if (const auto self = weak.lock()) self->ended(reason);
  };
  hooks.alt_svc = [weak](std::string_view value) {
    const auto self = weak.lock();
    if (self != nullptr) self->pool_.heard_alt_svc(*self, value);
  };
  if (forwarded_) {
    hooks.proxy.emplace();
    hooks.proxy->authority = url_.authority();
    hooks.proxy->authorization = proxy_->authorization();
  }
  tcp::Stream& stream = *winner.stream;
  session_ = &pool_.fallback.connect(std::move(winner.stream), protocol, std::move(hooks));
  stream.resume();
  tell(ClientEvent::Type::connected);
  give_up_attempts();
}

void TcpOriginConnection::give_up_attempts() noexcept { attempts_.clear(); }

void TcpOriginConnection::ended(const Error& reason) {
  if (session_ == nullptr) return;
  last_info_ = session_->stream().info();
  session_ = nullptr;
  tell(ClientEvent::Type::closed, reason.to_string());
  changed_.notify_all();
  if (!establishing()) pool_.forget(*this);
}

void TcpOriginConnection::networks_changed() {
  changed_.notify_all();
  abandon_cut_off();
  const udp::Address& local = path_.local;
  if (session_ == nullptr || !pool_.follows() || local.is_wildcard() || !local.specified() ||
      local.is_loopback() || pool_.interfaces.owner(local) != nullptr) {
    return;
  }
  // TCP is bound to an address, and that is gone: nothing will come through any more.
  lost_ = true;
  tell(ClientEvent::Type::path_lost, "its address " + local.ip_string() + " is gone");
  session_->close();
}

ClientConnectionInfo TcpOriginConnection::info() const {
  ClientConnectionInfo info;
  info.id = id_;
  info.origin = origin_;
  info.path = path_;
  info.handshake = handshake_;
  const tcp::StreamInfo facts = session_ == nullptr ? last_info_ : session_->stream().info();
  info.stats.smoothed_rtt = facts.rtt;
  info.stats.min_rtt = facts.min_rtt;
  info.stats.rtt_variation = facts.rtt_variance;
  info.stats.congestion_window = facts.congestion_window;
  info.stats.bytes_in_flight = facts.in_flight;
  info.stats.bytes_sent = facts.bytes_sent;
  info.stats.bytes_received = facts.bytes_received;
  info.requests = requests_;
  info.open = session_ != nullptr;
  info.over_tcp = true;
  return info;
}

}  // namespace tern
