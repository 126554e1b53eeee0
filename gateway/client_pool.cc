#include "gateway/client_pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "gateway/proxy_stream.h"
#include "gateway/within.h"
#include "webtransport/http2.h"
#include "webtransport/http3.h"

namespace tern {
namespace {

/// Nobody answered, or nobody was there: perhaps UDP does not get through.
bool is_silence(const Error& error) noexcept {
  return error.domain == Domain::os || error.is(Code::timed_out);
}

/// Whoever was answered knows best what is wrong; else TCP, for which a refusal is an answer.
Error why_neither(const OriginConnection* quic, const OriginConnection* tcp) {
  if (tcp == nullptr) return quic->failure();
  if (quic == nullptr || !is_silence(tcp->failure())) return tcp->failure();
  if (!is_silence(quic->failure())) return quic->failure();
  Error error = tcp->failure();
  const Error& udp = quic->failure();
  // An address of ours that cannot be had, for instance.
  const bool alike =
      udp.domain == Domain::os && error.domain == Domain::os && udp.code == error.code;
  if (alike && error.code != ECONNREFUSED) return error;
  const bool refused = error.domain == Domain::os && error.code == ECONNREFUSED;
  error.detail += udp.domain != Domain::os || udp.code != ECONNREFUSED
                      ? ", and nobody answers over UDP"
                  : refused ? ", nor on the UDP port"
                            : ", and nobody listens on the UDP port";
  return error;
}

Error other_family(const udp::Address& local) {
  return Error(Domain::os, EAFNOSUPPORT,
               "the local address " + local.ip_string() + " is of the other IP version");
}

http3::SessionOptions http3_options(http3::SessionOptions options, Runtime& runtime) {
  webtransport::enable_http3(options, runtime);
  return options;
}

fallback::SessionOptions http2_options(fallback::SessionOptions options) {
  webtransport::enable_http2(options);
  return options;
}

}  // namespace

ClientPool::ClientPool(Runtime& client_runtime, udp::Network& client_network,
                       ClientOptions client_options)
    : runtime(client_runtime),
      network(client_network),
      options(std::move(client_options)),
      sessions(options.sessions_ ? options.sessions_ : std::make_shared<SessionCache>()),
      http3(client_runtime, http3_options(options.http3_, client_runtime)),
      fallback(client_runtime, http2_options(options.fallback_)),
      services(client_runtime),
      retry_budget_(options.retry().budget()),
      requests_(client_runtime.counters().at("client.requests")),
      retries_(client_runtime.counters().at("client.retries")),
      retries_unpaid_(client_runtime.counters().at("client.retries_unpaid")),
      moves_(client_runtime.counters().at("client.moves")),
      socket_timer_(client_runtime.timers(), [this](Timestamp) { close_unused_sockets(); }),
      established_(client_runtime),
      scope_(client_runtime.ready()) {}

ClientPool::~ClientPool() {
  closed = true;
  watch_.reset();
  scope_.cancel();
  for (const auto& connection : all_) connection->stop_following();
  endpoint.reset();
}

Result<void> ClientPool::prepare() {
  if (closed) return fail(Error::closed("the client was closed"));
  if (endpoint != nullptr) return {};
  tls::ClientContextOptions context;
  context.insecure(options.insecure_)
      .chacha20_only(options.chacha20_only_)
      .key_log(options.key_log_);
  if (!options.ca_file_.empty()) context.ca_file(options.ca_file_);
  if (!options.ca_pem_.empty()) context.ca_pem(options.ca_pem_);
  if (options.certificate_) context.certificate(*options.certificate_);
  TERN_TRY(tls, tls::ClientContext::create(context));
  quic::EndpointOptions settings;
  settings.transport = options.transport_;
  settings.qlog = options.qlog_;
  TERN_TRY(endpoint, quic::BoundEndpoint::create(runtime, network, std::move(settings)));
  watch_networks();
  return {};
}

/// Where the system does not tell, connections stay where they are: no reason to fail.
void ClientPool::watch_networks() {
  if (options.network_policy_ == NetworkPolicy::never() || options.local_address_) return;
  auto watch = network.watch_interfaces([this] { networks_changed(); });
  auto found = network.interfaces();
  if (!watch || !found) {
    const Error& why = watch ? found.error() : watch.error();
    runtime.log().line(LogLevel::warning, "client does not follow the network: " + why.detail);
    return;
  }
  watch_ = std::move(*watch);
  interfaces = std::move(*found);
  was_online_ = online();
}

bool ClientPool::online() const noexcept {
  return std::any_of(interfaces.all.begin(), interfaces.all.end(), [](const auto& interface) {
    return interface.up && (interface.default_v4 || interface.default_v6);
  });
}

void ClientPool::networks_changed() {
  auto found = network.interfaces();
  if (!found || *found == interfaces) return;
  interfaces = std::move(*found);
  was_online_ = was_online_ || online();
  knowledge_.network_changed();
  services.forget();
  const std::vector<std::shared_ptr<OriginConnection>> connections = all_;
  for (const auto& connection : connections) connection->networks_changed();
}

Result<udp::Address> ClientPool::bind(const udp::Address& address, const std::string& device) {
  udp::SocketOptions socket;
  socket.bind = address;
  socket.unreachable = true;
  socket.device = device;
  auto bound = endpoint->bind(socket);
  const bool refused = !bound && bound.error().domain == Domain::os && bound.error().code == EPERM;
  if (!refused || device.empty()) return bound;
  // Linux before 5.7 keeps SO_BINDTODEVICE for the privileged. The address alone does where the
  // machine routes by it.
  socket.device.clear();
  return endpoint->bind(socket);
}

Result<udp::Address> ClientPool::bind_like(const udp::Address& address) {
  const udp::NetworkInterface* owner = follows() ? interfaces.owner(address) : nullptr;
  return bind(address, owner == nullptr ? std::string() : owner->name);
}

Result<udp::Address> ClientPool::local_for(const udp::Address& remote, std::size_t choice) {
  if (follows()) {
    const std::vector<NetworkSource> sources = sources_for(interfaces, network, remote);
    if (choice < sources.size()) return bind(sources[choice].address, sources[choice].device);
  }
  if (choice > 0) return fail(Error(Code::not_found, "no other network leads there"));
  std::optional<udp::Address>& local = remote.is_v4() ? local_v4 : local_v6;
  if (local) return *local;
  udp::Address wanted =
      remote.is_v4() ? udp::Address::v4(INADDR_ANY, 0) : udp::Address::v6(in6addr_any, 0);
  if (options.local_address_) {
    if (!may_send_to(remote)) {
      return fail(other_family(*options.local_address_));
    }
    wanted = *options.local_address_;
  }
  TERN_TRY(local, bind(wanted));
  return *local;
}

Result<NetworkSource> ClientPool::tcp_source_for(const udp::Address& remote, std::size_t choice) {
  if (choice > 0) {
    std::vector<NetworkSource> sources = sources_for(interfaces, network, remote);
    if (choice < sources.size()) return std::move(sources[choice]);
    return fail(Error(Code::not_found, "no other network leads there"));
  }
  if (!options.local_address_) return NetworkSource();
  if (!may_send_to(remote)) {
    return fail(other_family(*options.local_address_));
  }
  NetworkSource source;
  source.address = *options.local_address_;
  source.address.set_port(0);
  return source;
}

Result<std::shared_ptr<const tls::ClientContext>> ClientPool::proxy_tls() {
  if (proxy_tls_ == nullptr) {
    TERN_TRY(proxy_tls_, make_proxy_tls(options.proxy_, options.key_log_));
  }
  return proxy_tls_;
}

std::size_t ClientPool::networks_to(const udp::Address& remote) {
  return follows() ? sources_for(interfaces, network, remote).size() : 0;
}

void ClientPool::close_unused_sockets() {
  std::vector<udp::Address> unused;
  for (const auto& socket : endpoint->sockets()) {
    const udp::Address& local = socket->local();
    const auto uses = [&](const std::shared_ptr<OriginConnection>& connection) {
      return connection->establishing() || connection->uses(local);
    };
    if (local_v4 != local && local_v6 != local && std::none_of(all_.begin(), all_.end(), uses)) {
      unused.push_back(local);
    }
  }
  for (const udp::Address& local : unused) endpoint->unbind(local);
}

void ClientPool::close_unused_sockets_soon() { socket_timer_.arm(runtime.now() + kSocketLinger); }

// ---- the ladder ---------------------------------------------------------------------------------

Task<Result<std::shared_ptr<OriginConnection>>> ClientPool::acquire(http::Url url) {
  const std::string origin = url.origin();
  for (int tries = 0; tries < kMaxConnects; ++tries) {
    const Result<void> prepared = prepare();
    if (!prepared) co_return fail(prepared.error());
    if (options.protocols() == ClientProtocols::http3_only && !may_quic(url)) {
      co_return fail(
          Error::invalid("HTTP/3 alone is asked for, and there is none through a proxy"));
    }
    auto found = by_origin_.find(origin);
    if (found != by_origin_.end() && found->second.current != nullptr &&
        found->second.current->stranded()) {
      const std::shared_ptr<OriginConnection> stranded = found->second.current;
      co_await stranded->replaced();
      found = by_origin_.find(origin);
    }
    if (found != by_origin_.end() && found->second.current != nullptr &&
        found->second.current->usable()) {
      std::shared_ptr<OriginConnection> current = found->second.current;
      climb_if_offered(url);
      if (!current->serial()) co_return current;
      Result<std::shared_ptr<OriginConnection>> one = co_await free_serial(std::move(current));
      if (!one) co_return fail(std::move(one).error());
      if ((*one)->usable()) co_return one;
      continue;
    }
    std::shared_ptr<Race> race = races_[origin];
    if (race == nullptr) {
      if (found == by_origin_.end() && by_origin_.size() >= Client::kMaxOrigins) close_idle();
      race = std::make_shared<Race>(runtime);
      races_[origin] = race;
      scope_.spawn(run(race, url));  // may be over, and out of the map, when this returns
    }
    while (!race->over) co_await race->changed.wait();
    if (race->error) co_return fail(*race->error);
    // It may have ended, or been told to go away, between being ready and this coroutine's turn.
  }
  co_return fail(Error(Code::rejected, origin + " closes connections without a request",
                       tern::Origin::remote));
}

std::shared_ptr<OriginConnection> ClientPool::try_acquire(const http::Url& url,
                                                          const std::string& origin) {
  const auto found = by_origin_.find(origin);
  if (closed || found == by_origin_.end()) return nullptr;
  const std::shared_ptr<OriginConnection>& current = found->second.current;
  if (current == nullptr || current->serial() || current->stranded() || !current->usable() ||
      current->session() == nullptr) {
    return nullptr;
  }
  if (current->over_tcp()) climb_if_offered(url);
  return current;
}

/// What goes through a proxy goes over TCP.
bool ClientPool::may_quic(const http::Url& url) const {
  return url.scheme() == "https" &&
         (options.proxy_.quic_around() || !options.proxy_.proxy_for(url).has_value());
}

bool ClientPool::wants_tcp(const http::Url& url) const noexcept {
  return url.scheme() == "http" || options.protocols() != ClientProtocols::http3_only;
}

bool ClientPool::wants_quic(const http::Url& url) {
  if (!may_quic(url)) return false;
  if (options.protocols() == ClientProtocols::http3_only) return true;
  if (options.protocols() != ClientProtocols::automatic) return false;
  if (knowledge_.http1_required(url.origin(), runtime.now())) return false;
  return knowledge_.avoid_until(network_name(), url.origin()) <= runtime.now();
}

std::string ClientPool::network_name() const {
  std::string name;
  for (const udp::NetworkInterface& interface : interfaces.all) {
    if (!interface.up || (!interface.default_v4 && !interface.default_v6)) continue;
    name += interface.name;
    for (const udp::InterfaceAddress& address : interface.addresses) {
      name += '/' + address.address.ip_string();
    }
    name += ' ';
  }
  return name;
}

std::shared_ptr<OriginConnection> ClientPool::begin_quic(const http::Url& url) {
  auto connection = std::make_shared<QuicOriginConnection>(*this, url, next_id_++);
  const std::optional<http::AltService> offer = knowledge_.offer(url.origin(), runtime.now());
  if (offer) connection->go_via(offer->host, offer->port);
  Origin& origin = by_origin_[url.origin()];
  origin.climbing = connection;
  origin.silent = false;
  all_.push_back(connection);
  scope_.spawn(climb(connection));
  return connection;
}

std::shared_ptr<OriginConnection> ClientPool::begin_tcp(const http::Url& url, bool http1_only) {
  http1_only = http1_only || knowledge_.http1_required(url.origin(), runtime.now());
  auto connection = std::make_shared<TcpOriginConnection>(*this, url, next_id_++, http1_only);
  all_.push_back(connection);
  scope_.spawn(establish(connection));
  return connection;
}

/// HTTP/3 first; TCP joins when that has failed, or takes long. The first that stands is used, and
/// if that is TCP, HTTP/3 may still come later.
Task<void> ClientPool::run(std::shared_ptr<Race> race, http::Url url) {
  const std::string origin = url.origin();
  const auto failed = [](const std::shared_ptr<OriginConnection>& connection) {
    return connection != nullptr && !connection->establishing() && !connection->established();
  };
  std::shared_ptr<OriginConnection> quic;
  std::shared_ptr<OriginConnection> tcp;
  const bool may_tcp = wants_tcp(url);
  if (wants_quic(url)) quic = begin_quic(url);
  Timer timer(runtime.timers(), [this](Timestamp) { established_.notify_all(); });
  const Timestamp tcp_start = quic == nullptr ? runtime.now() : runtime.now() + options.tcp_delay();
  std::shared_ptr<OriginConnection> winner;
  while (winner == nullptr) {
    if (quic != nullptr && quic->established()) {
      winner = quic;
      break;
    }
    if (tcp != nullptr && tcp->established()) {
      winner = tcp;
      break;
    }
    const bool quic_over = quic == nullptr || failed(quic);
    if (may_tcp && tcp == nullptr && (quic_over || runtime.now() >= tcp_start) && !closed) {
      if (quic != nullptr) {
        quic->tell(ClientEvent::Type::falling_back,
                   quic_over ? quic->failure().to_string() : "no answer over UDP yet");
      }
      tcp = begin_tcp(url);
      continue;
    }
    if (quic_over && (tcp == nullptr || failed(tcp))) break;
    timer.arm(may_tcp && tcp == nullptr ? tcp_start : kNever);
    co_await established_.wait();
  }
  if (winner == nullptr) {
    race->error = why_neither(quic.get(), tcp.get());
  } else {
    settle(winner);
    if (winner == quic && tcp != nullptr && tcp->establishing()) tcp->close();
  }
  race->over = true;
  const auto place = races_.find(origin);
  if (place != races_.end() && place->second == race) races_.erase(place);
  race->changed.notify_all();
}

/// New requests go there; those that run elsewhere stay where they are.
void ClientPool::settle(const std::shared_ptr<OriginConnection>& connection) {
  Origin& origin = by_origin_[connection->origin()];
  if (origin.current == connection) return;
  std::vector<std::shared_ptr<OriginConnection>> before = std::move(origin.serial);
  origin.serial.clear();
  if (origin.current != nullptr) before.push_back(std::move(origin.current));
  origin.current = connection;
  for (const auto& old : before) {
    if (old->session() != nullptr) old->session()->drain();
  }
  if (connection->over_tcp() && origin.silent) note_silence(connection->origin());
}

Task<void> ClientPool::climb(std::shared_ptr<QuicOriginConnection> connection) {
  Task<void> establishing = establish(connection);
  co_await establishing;
  if (closed) co_return;
  const std::string name = connection->origin();
  const auto found = by_origin_.find(name);
  if (found == by_origin_.end() || found->second.climbing != connection) co_return;
  Origin& origin = found->second;
  origin.climbing = nullptr;
  const bool over_tcp =
      origin.current != nullptr && origin.current->usable() && origin.current->over_tcp();
  if (connection->usable()) {
    knowledge_.worked(network_name(), name);
    if (over_tcp) connection->tell(ClientEvent::Type::climbed);
    settle(connection);
  } else if (!connection->established() && is_silence(connection->failure())) {
    origin.silent = true;
    if (over_tcp) note_silence(name);
  }
}

/// TCP gets through where UDP does not.
void ClientPool::note_silence(const std::string& origin) {
  by_origin_[origin].silent = false;
  knowledge_.failed(network_name(), origin, runtime.now());
}

void ClientPool::heard_alt_svc(const OriginConnection& connection, std::string_view value) {
  if (connection.url().scheme() != "https") return;  // RFC 7838 §2.1: it must be authenticated
  knowledge_.heard(connection.origin(), value, runtime.now());
}

bool ClientPool::step_down_to_http1(OriginConnection& connection) {
  const bool may_fall = options.protocols() == ClientProtocols::automatic ||
                        options.protocols() == ClientProtocols::http2;
  if (!may_fall) return false;
  if (!knowledge_.http1_required(connection.origin(), runtime.now())) {
    connection.tell(ClientEvent::Type::falling_back, "the server wants HTTP/1.1");
  }
  knowledge_.require_http1(connection.origin(), runtime.now());
  const auto found = by_origin_.find(connection.origin());
  if (found == by_origin_.end()) return true;
  for (auto* place : {&found->second.current, &found->second.beside}) {
    if (place->get() != &connection) continue;
    place->reset();
    if (connection.session() != nullptr) connection.session()->drain();
  }
  return true;
}

void ClientPool::climb_if_offered(const http::Url& url) {
  const Origin& origin = by_origin_[url.origin()];
  const bool over_tcp = origin.current != nullptr && origin.current->over_tcp();
  if (origin.climbing != nullptr || !wants_tcp(url) || !over_tcp) return;
  const bool offered =
      knowledge_.offer(url.origin(), runtime.now()).has_value() || offers_http3(*this, url);
  if (offered && wants_quic(url)) begin_quic(url);
}

/// One that has no request, a new one while there are few, or the one with the shortest queue.
Task<Result<std::shared_ptr<OriginConnection>>> ClientPool::free_serial(
    std::shared_ptr<OriginConnection> first) {
  Origin& origin = by_origin_[first->origin()];
  std::shared_ptr<OriginConnection> best = first;
  for (const auto& other : origin.serial) {
    if (other->session() == nullptr || !other->usable()) continue;
    if (other->session()->requests() < best->session()->requests()) best = other;
  }
  if (best->session()->requests() == 0 || origin.serial.size() + 1 >= kMaxSerial) co_return best;
  std::shared_ptr<OriginConnection> another = begin_tcp(first->url());
  if (another->establishing()) origin.serial.push_back(another);  // else it has failed at once
  Result<void> ready = co_await another->ready();
  if (ready && another->usable()) co_return another;
  if (first->usable()) co_return first;
  if (!ready) co_return fail(std::move(ready).error());
  co_return another;
}

Task<void> ClientPool::establish(std::shared_ptr<OriginConnection> connection) {
  std::string what = "no answer from " + connection->origin() + " over ";
  what += connection->over_tcp() ? "TCP" : "UDP";
  Task<Result<void>> establishing = connection->establish();
  Result<void> outcome =
      co_await within(runtime, options.connect_timeout_, std::move(what), std::move(establishing));
  const bool failed = !outcome;
  connection->finish_establishing(std::move(outcome));
  // It may have ended in the turn in which it was established.
  if (failed || !connection->open()) forget(*connection);
  close_unused_sockets_soon();
  established_.notify_all();
}

void ClientPool::replace(QuicOriginConnection& connection, std::uint32_t avoided) {
  auto successor =
      std::make_shared<QuicOriginConnection>(*this, connection.url(), next_id_++, avoided);
  all_.push_back(successor);
  scope_.spawn(
      succeed(std::static_pointer_cast<QuicOriginConnection>(connection.shared_from_this()),
              std::move(successor)));
}

Task<void> ClientPool::succeed(std::shared_ptr<QuicOriginConnection> old,
                               std::shared_ptr<QuicOriginConnection> successor) {
  Task<void> establishing = establish(successor);
  co_await establishing;
  const bool there = successor->usable();
  if (there && old->stranded()) by_origin_[old->origin()].current = successor;
  old->succeeded_by(there ? successor.get() : nullptr);
  Origin& origin = by_origin_[successor->origin()];
  if (origin.current == nullptr && there) {
    origin.current = successor;  // the old one has ended by itself meanwhile
  } else if (origin.current != successor) {
    successor->close();  // not needed after all: the old one's path works again
  }
}

void ClientPool::earn_retry() noexcept {
  requests_.add();
  const RetryPolicy& policy = options.retry();
  retry_budget_ = std::min(policy.budget(), retry_budget_ + policy.budget_each());
}

bool ClientPool::spend_retry() noexcept {
  if (retry_budget_ < 1) {
    retries_unpaid_.add();
    return false;
  }
  retry_budget_ -= 1 + options.retry().budget_each();  // which it earns when it is sent
  retries_.add();
  return true;
}

void ClientPool::note_move() noexcept {
  retry_budget_ -= options.retry().budget_each();  // which it earns when it is sent
  moves_.add();
}

void ClientPool::tell(ClientEvent::Type type, std::string text) const {
  if (!options.watcher_) return;
  ClientEvent event;
  event.type = type;
  event.text = std::move(text);
  options.watcher_(event);
}

void ClientPool::close_idle() {
  for (auto entry = by_origin_.begin(); entry != by_origin_.end(); ++entry) {
    Origin& origin = entry->second;
    const auto idle = [](const std::shared_ptr<OriginConnection>& connection) {
      return connection == nullptr ||
             (connection->session() != nullptr && connection->session()->requests() == 0);
    };
    if (!origin.serial.empty() || origin.climbing != nullptr || !idle(origin.current) ||
        !idle(origin.beside)) {
      continue;
    }
    const std::shared_ptr<OriginConnection> current = std::move(origin.current);
    const std::shared_ptr<OriginConnection> beside = std::move(origin.beside);
    by_origin_.erase(entry);
    if (current != nullptr) current->close();
    if (beside != nullptr) beside->close();
    return;
  }
}

void ClientPool::forget(OriginConnection& connection) {
  connection.stop_following();  // it may outlive the pool
  if (closed) return;
  const auto found = by_origin_.find(connection.origin());
  if (found != by_origin_.end()) {
    Origin& origin = found->second;
    if (origin.current.get() == &connection) origin.current = nullptr;
    if (origin.beside.get() == &connection) origin.beside = nullptr;
    std::erase_if(origin.serial, [&](const auto& entry) { return entry.get() == &connection; });
    const bool nothing = origin.current == nullptr && origin.serial.empty() &&
                         origin.climbing == nullptr && origin.beside == nullptr && !origin.silent;
    if (nothing) by_origin_.erase(found);
  }
  const auto place = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& entry) { return entry.get() == &connection; });
  if (place == all_.end()) return;
  remembered.push_back((*place)->info());
  if (remembered.size() > kMaxRemembered) remembered.pop_front();
  all_.erase(place);
  close_unused_sockets_soon();
}

}  // namespace tern
