#include "tools/handoff/tern_carrier.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/scope.h"
#include "gateway/broadcast.h"
#include "gateway/client.h"
#include "gateway/network_policy.h"
#include "gateway/rpc_channel.h"
#include "gateway/server.h"
#include "gateway/session_cache.h"
#include "tools/handoff/body.h"
#include "tools/handoff/phone.h"
#include "tools/handoff/rpc_transfer.h"
#include "tools/handoff/session_transfer.h"
#include "tools/handoff/stage.h"
#include "tools/handoff/transfer.h"
#include "transport/tls/development.h"
#include "webtransport/client_options.h"
#include "webtransport/session.h"

namespace tern::handoff {
namespace {

/// An application that waits for somebody tries something else then.
constexpr Duration kClientTimeout = 3s;
constexpr std::string_view kOrigin = "https://server";

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return std::move(*result);
}

/// One authority and one certificate for every world: their seeds are fixed, so is their size.
struct Identities {
  Identities() {
    std::array<std::uint8_t, 32> seed{1};
    tls::DevelopmentOptions options(sim::World::kUnixEpoch);
    options.key_type(tls::KeyType::ed25519).seed(seed).days(3650);
    authority = must(tls::make_authority(options));
    seed[0] = 2;
    options.seed(seed).days(365).serial(7).names({"server"});
    leaf = must(tls::make_leaf(authority, options));
  }
  tls::Identity authority;
  tls::Identity leaf;
};

const Identities& identities() {
  static const Identities made;
  return made;
}

class TernCarrier final : public Carrier {
 public:
  explicit TernCarrier(Phone& phone)
      : phone_(phone),
        sessions_(std::make_shared<SessionCache>()),
        session_changed_(phone.host().runtime()),
        scope_(phone.host().runtime().ready()) {
    renew();
  }
  ~TernCarrier() override { scope_.cancel(); }

  Task<void> connect() override;
  Task<Result<void>> attempt(Transfer& transfer) override;
  void network_changed() override;
  void path_dies(const Access& access) override;
  Task<void> close() override;
  std::uint64_t retransmitted() const override { return phone_.host().tcp_bytes_in_vain(); }

 private:
  /// The session that is open, or is opened now.
  Task<Result<std::shared_ptr<webtransport::Session>>> session();
  Task<Result<void>> receive(Transfer& transfer);
  Task<Result<void>> send(Transfer& transfer);
  /// Where the server stands with an upload.
  Task<Result<std::uint64_t>> server_has(Transfer& transfer);
  std::unique_ptr<rpc::Channel> new_channel();
  void renew();
  /// A new connection got no answer: the next one goes over another network, if there is one.
  void unreachable(const Client& tried);
  void saw(const ClientEvent& event);
  bool migrates() { return handoff::migrates(phone_.stage().carrier()); }
  bool has_sessions() { return phone_.stage().carrier() == CarrierKind::webtransport; }
  Client& client() noexcept { return *clients_.back(); }

  Phone& phone_;
  std::shared_ptr<SessionCache> sessions_;
  // The last one is in use. The others are closed, and stay until nobody can be waiting for them.
  std::deque<std::unique_ptr<Client>> clients_;
  std::shared_ptr<webtransport::Session> session_;
  bool opening_session_ = false;
  Broadcast session_changed_;
  std::unique_ptr<rpc::Channel> channel_;
  udp::Address in_use_;                 // of a carrier that does not migrate
  std::vector<const Access*> avoided_;  // until the networks change
  const Access* on_ = nullptr;          // where a carrier that migrates is
  Duration pto_{};                      // when that died; zero: it has not
  Duration died_{};
  Scope scope_;
};

udp::Address address_of(const Access& access) {
  const udp::Address v6 = access.address(true);
  return v6.specified() ? v6 : access.address(false);
}

Task<void> close_client(Client& client) { co_await client.close(); }

void TernCarrier::renew() {
  if (!clients_.empty()) scope_.spawn(close_client(client()));
  ClientOptions options;
  options.ca_pem(identities().authority.certificate).sessions(sessions_);
  const bool http2 = phone_.stage().carrier() == CarrierKind::http2;
  options.protocols(http2 ? ClientProtocols::http2 : ClientProtocols::http3_only);
  options.qlog(phone_.stage().qlog(false)).key_log(phone_.stage().client_key_log());
  options.connect_timeout(kClientTimeout);
  if (migrates()) options.watch([this](const ClientEvent& event) { saw(event); });
  const Access* best = phone_.best(avoided_);
  if (!migrates() && best != nullptr) {
    in_use_ = address_of(*best);
    options.local_address(in_use_).network_policy(NetworkPolicy::never());
  }
  clients_.push_back(std::make_unique<Client>(phone_.host().runtime(), phone_.host().network(),
                                              std::move(options)));
}

Task<Result<std::shared_ptr<webtransport::Session>>> TernCarrier::session() {
  while (opening_session_) co_await session_changed_.wait();
  if (session_ != nullptr && !session_->ended()) co_return session_;
  session_.reset();
  opening_session_ = true;
  ClientRequest request(std::string(kOrigin) + "/session");
  webtransport::ClientOptions options;
  options.carrier(webtransport::Carrier::http3);
  Result<std::unique_ptr<webtransport::Session>> opened =
      co_await client().webtransport(std::move(request), std::move(options));
  opening_session_ = false;
  session_changed_.notify_all();
  if (!opened) co_return fail(std::move(opened).error());
  session_ = std::move(*opened);
  co_return session_;
}

Task<void> TernCarrier::connect() {
  if (has_sessions()) {
    co_await session();
    co_return;
  }
  Task<Result<void>> connecting = client().connect(std::string(kOrigin));
  co_await connecting;  // an error shows again at the first request
}

void TernCarrier::unreachable(const Client& tried) {
  if (migrates() || &tried != &client()) return;  // or another request has seen to it
  if (const Access* access = phone_.find(in_use_); access != nullptr) avoided_.push_back(access);
  renew();
}

void TernCarrier::saw(const ClientEvent& event) {
  using Type = ClientEvent::Type;
  if (event.type != Type::connected && event.type != Type::path_changed) return;
  Access* now_on = phone_.find(event.path.local);
  const Access* before = std::exchange(on_, now_on);
  const Duration pto = std::exchange(pto_, Duration::zero());
  const Duration died = std::exchange(died_, Duration::zero());
  if (event.type == Type::connected || now_on == before || now_on == nullptr) return;
  Handoff handoff;
  handoff.when = phone_.stage().world().elapsed();
  handoff.old_until = handoff.when + (before == nullptr ? Duration::zero() : before->longest_way());
  // The server sends over a path that lives until it hears of the move.
  if (died == Duration::zero()) handoff.old_until += now_on->one_way();
  handoff.round_trip = now_on->first_round_trip();
  handoff.waking = now_on->radio().delay(phone_.stage().world().now(), true);
  handoff.died = died;
  handoff.pto = pto;
  phone_.stage().handoffs().moved(handoff);
}

/// RFC 9002 §6.2.1.
void TernCarrier::path_dies(const Access& access) {
  if (on_ != &access || pto_ != Duration::zero()) return;
  died_ = phone_.stage().world().elapsed();
  for (const ClientConnectionInfo& info : client().connections()) {
    if (!info.open) continue;
    const quic::ConnectionStats& stats = info.stats;
    pto_ = stats.smoothed_rtt + std::max<Duration>(4 * stats.rtt_variation, 1ms) + 25ms;
  }
}

void TernCarrier::network_changed() {
  if (migrates()) return;  // the client watches the networks itself
  avoided_.clear();
  const Access* best = phone_.best();
  if (best != nullptr && address_of(*best) != in_use_) renew();
}

Task<void> TernCarrier::close() {
  if (session_ != nullptr) {
    session_->close();
    co_await session_->wait_until_ended();
    session_.reset();
  }
  Task<void> closing = client().close();
  co_await closing;
}

std::unique_ptr<rpc::Channel> TernCarrier::new_channel() {
  return must(rpc_channel(phone_.host().runtime(), client(), {std::string(kOrigin)}));
}

Task<Result<void>> TernCarrier::attempt(Transfer& transfer) {
  if (has_sessions()) {
    Result<std::shared_ptr<webtransport::Session>> opened = co_await session();
    if (!opened) co_return fail(std::move(opened).error());
    const std::shared_ptr<webtransport::Session> held = *opened;
    Result<void> outcome = co_await attempt_over(*held, phone_, transfer);
    co_return outcome;
  }
  if (phone_.stage().carrier() == CarrierKind::rpc) {
    if (channel_ == nullptr) {
      channel_ = new_channel();
    }
    Task<Result<void>> calling = attempt_over(*channel_, phone_, transfer);
    co_return co_await calling;
  }
  if (transfer.kind() == Transfer::Kind::upload) {
    Task<Result<void>> sending = send(transfer);
    co_return co_await sending;
  }
  Task<Result<void>> receiving = receive(transfer);
  co_return co_await receiving;
}

Task<Result<void>> TernCarrier::receive(Transfer& transfer) {
  ClientRequest request(fmt::format("{}/down/{}/{}/{}", kOrigin, transfer.id(), transfer.attempts,
                                    transfer.delivered()));
  // As browsers do: what somebody waits for goes before bulk, and bulk shares (RFC 9218 §4).
  http::Priority priority;
  priority.urgency = transfer.kind() == Transfer::Kind::request ? 1 : 5;
  priority.incremental = transfer.kind() != Transfer::Kind::request;
  request.priority(priority);
  Client& tried = client();
  Result<ClientStream> stream = co_await tried.open(std::move(request));
  if (!stream) {
    unreachable(tried);
    co_return fail(std::move(stream).error());
  }
  http::ClientExchange& exchange = stream->exchange();
  Result<http::Response> head = co_await exchange.response();
  if (!head) co_return fail(std::move(head).error());
  if (head->status() != http::Status::ok) co_return fail(Error::closed("the server refused"));
  for (;;) {
    Result<Bytes> piece = co_await exchange.read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) break;
    if (!phone_.stage().deliver(transfer, *piece)) {
      phone_.stage().violate(
          fmt::format("download {}: wrong bytes at {}", transfer.id(), transfer.delivered()));
      co_return Result<void>();
    }
  }
  if (!transfer.complete()) co_return fail(Error::closed("the response ended early"));
  co_return Result<void>();
}

Task<Result<std::uint64_t>> TernCarrier::server_has(Transfer& transfer) {
  ClientRequest request(fmt::format("{}/have/{}/{}", kOrigin, transfer.id(), transfer.attempts));
  Client& tried = client();
  Result<ClientResponse> response = co_await tried.send(std::move(request));
  if (!response) unreachable(tried);
  if (!response) co_return fail(std::move(response).error());
  const std::string& text = response->body();
  std::uint64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  co_return count;
}

Task<Result<void>> TernCarrier::send(Transfer& transfer) {
  std::uint64_t offset = 0;
  if (transfer.attempts > 1) {
    Result<std::uint64_t> there = co_await server_has(transfer);
    if (!there) co_return fail(std::move(there).error());
    offset = *there;
  }
  ClientRequest request(
      fmt::format("{}/up/{}/{}/{}", kOrigin, transfer.id(), transfer.attempts, offset));
  request.method("PUT").streaming();
  Client& tried = client();
  Result<ClientStream> stream = co_await tried.open(std::move(request));
  if (!stream) {
    unreachable(tried);
    co_return fail(std::move(stream).error());
  }
  http::ClientExchange& exchange = stream->exchange();
  Result<void> sent;
  while (sent && offset < transfer.size()) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, transfer.size() - offset));
    Bytes piece = body_bytes(transfer.id(), offset, length);
    sent = co_await exchange.write(std::move(piece));
    offset += length;
  }
  if (sent) sent = co_await exchange.finish();
  Result<http::Response> head = co_await exchange.response();
  if (!head) co_return fail(std::move(head).error());
  if (head->status() != http::Status::ok || !transfer.complete()) {
    co_return fail(Error::closed("the server refused the upload"));
  }
  co_return Result<void>();
}

class TernServer final : public CarrierServer {
 public:
  explicit TernServer(Stage& stage);
  std::uint64_t retransmitted() const override { return host_.tcp_bytes_in_vain(); }
  std::unique_ptr<Carrier> carrier_for(Phone& phone) override {
    return std::make_unique<TernCarrier>(phone);
  }
  void stop() override {
    for (const auto& server : servers_) server->stop();
  }
  bool stopped() const override {
    return std::all_of(servers_.begin(), servers_.end(),
                       [](const auto& server) { return server->stopped(); });
  }
  std::uint64_t handshakes() const override {
    return counter("quic.handshakes_completed") + counter("server.tls.handshakes");
  }
  std::uint64_t connections_open() const override {
    return counter("quic.connections_open") + counter("server.tcp.open");
  }
  std::uint64_t sessions() const override { return counter("webtransport.opened"); }

 private:
  std::uint64_t counter(std::string_view name) const {
    std::uint64_t sum = 0;
    for (const auto& server : servers_) {
      for (const auto& [key, value] : server->counters()) {
        if (key == name) sum += value;
      }
    }
    return sum;
  }
  void start(Stage& stage, sim::Host& host, ServerOptions options);

  const sim::Host& host_;
  std::vector<std::unique_ptr<Server>> servers_;  // one a machine
};

TernServer::TernServer(Stage& stage) : host_(stage.server()) {
  Balancer* balancer = stage.balancer();
  if (balancer == nullptr || stage.carrier() == CarrierKind::http2) {
    start(stage, stage.server(), stage.server_options());
    return;
  }
  for (std::size_t i = 0; i < balancer->machines().size(); ++i) {
    ServerOptions options = stage.server_options();
    options.cids(Balancer::cids(i));
    start(stage, *balancer->machines()[i], std::move(options));
  }
  balancer->start();
}

void TernServer::start(Stage& stage, sim::Host& host, ServerOptions options) {
  const tls::Identity& leaf = identities().leaf;
  options.certificate(must(tls::Certificate::parse(leaf.certificate, leaf.key)));
  options.listen("[::]:443").workers(host.workers()).log(host.log());
  options.qlog(stage.qlog(true)).key_log(stage.key_log());
  Server& server = *servers_.emplace_back(std::make_unique<Server>(std::move(options)));
  for (std::size_t i = 0; i < host.workers(); ++i) {
    const auto started =
        server.start(host.runtime(i), host.network(i), stage.service().router(), i);
    if (!started) throw std::runtime_error(started.error().to_string());
  }
}

}  // namespace

std::unique_ptr<CarrierServer> make_tern_server(Stage& stage) {
  return std::make_unique<TernServer>(stage);
}

}  // namespace tern::handoff
