#include "gateway/client_pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "gateway/network_sources.h"
#include "gateway/within.h"

namespace tern {

ClientPool::ClientPool(Runtime& client_runtime, udp::Network& client_network,
                       ClientOptions client_options)
    : runtime(client_runtime),
      network(client_network),
      options(std::move(client_options)),
      sessions(options.sessions_ ? options.sessions_ : std::make_shared<SessionCache>()),
      http3(client_runtime, options.http3_),
      socket_timer_(client_runtime.timers(), [this](Timestamp) { close_unused_sockets(); }),
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
  const std::vector<std::shared_ptr<ClientConnection>> connections = all_;
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
    if (options.local_address_->is_v4() != remote.is_v4()) {
      return fail(Error::invalid("local address " + options.local_address_->ip_string() +
                                 " cannot reach " + remote.to_string()));
    }
    wanted = *options.local_address_;
  }
  TERN_TRY(local, bind(wanted));
  return *local;
}

std::size_t ClientPool::networks_to(const udp::Address& remote) {
  return follows() ? sources_for(interfaces, network, remote).size() : 0;
}

void ClientPool::close_unused_sockets() {
  std::vector<udp::Address> unused;
  for (const auto& socket : endpoint->sockets()) {
    const udp::Address& local = socket->local();
    const auto uses = [&](const std::shared_ptr<ClientConnection>& connection) {
      return connection->establishing() || connection->uses(local);
    };
    if (local_v4 != local && local_v6 != local && std::none_of(all_.begin(), all_.end(), uses)) {
      unused.push_back(local);
    }
  }
  for (const udp::Address& local : unused) endpoint->unbind(local);
}

void ClientPool::close_unused_sockets_soon() { socket_timer_.arm(runtime.now() + kSocketLinger); }

Task<Result<std::shared_ptr<ClientConnection>>> ClientPool::acquire(http::Url url) {
  const std::string origin = url.origin();
  for (int tries = 0; tries < kMaxConnects; ++tries) {
    const Result<void> prepared = prepare();
    if (!prepared) co_return fail(prepared.error());
    std::shared_ptr<ClientConnection> connection;
    auto found = by_origin_.find(origin);
    if (found != by_origin_.end() && found->second->stranded()) {
      const std::shared_ptr<ClientConnection> stranded = found->second;
      co_await stranded->replaced();
      found = by_origin_.find(origin);
    }
    if (found != by_origin_.end() && found->second->usable()) {
      connection = found->second;
    } else {
      if (found == by_origin_.end() && by_origin_.size() >= Client::kMaxOrigins) close_idle();
      connection = std::make_shared<ClientConnection>(*this, url, next_id_++);
      by_origin_[origin] = connection;
      all_.push_back(connection);
      scope_.spawn(establish(connection));
    }
    Result<void> ready = co_await connection->ready();
    if (!ready) co_return fail(std::move(ready).error());
    // It may have ended, or been told to go away, between being ready and this coroutine's turn.
    if (connection->usable()) co_return connection;
  }
  co_return fail(
      Error(Code::rejected, origin + " closes connections without a request", Origin::remote));
}

Task<void> ClientPool::establish(std::shared_ptr<ClientConnection> connection) {
  std::string what = "no answer from " + connection->origin() + " over UDP";
  Task<Result<void>> establishing = connection->establish();
  Result<void> outcome =
      co_await within(runtime, options.connect_timeout_, std::move(what), std::move(establishing));
  const bool failed = !outcome;
  connection->finish_establishing(std::move(outcome));
  // It may have ended in the turn in which it was established.
  if (failed || !connection->open()) forget(*connection);
  close_unused_sockets_soon();
}

void ClientPool::replace(ClientConnection& connection, std::uint32_t avoided) {
  auto successor = std::make_shared<ClientConnection>(*this, connection.url(), next_id_++, avoided);
  all_.push_back(successor);
  scope_.spawn(succeed(connection.shared_from_this(), std::move(successor)));
}

Task<void> ClientPool::succeed(std::shared_ptr<ClientConnection> old,
                               std::shared_ptr<ClientConnection> successor) {
  Task<void> establishing = establish(successor);
  co_await establishing;
  const bool there = successor->usable();
  if (there && old->stranded()) by_origin_[old->origin()] = successor;
  old->succeeded_by(there ? successor.get() : nullptr);
  const auto found = by_origin_.find(successor->origin());
  if (found == by_origin_.end() && there) {
    // The old one has ended by itself meanwhile.
    by_origin_[successor->origin()] = successor;
  } else if (found != by_origin_.end() && found->second != successor) {
    successor->close();  // not needed after all: the old one's path works again
  }
}

void ClientPool::close_idle() {
  for (const auto& [origin, connection] : by_origin_) {
    if (connection->session() != nullptr && connection->session()->requests() == 0) {
      connection->close();
      by_origin_.erase(origin);
      return;
    }
  }
}

void ClientPool::forget(ClientConnection& connection) {
  connection.stop_following();  // it may outlive the pool
  if (closed) return;
  const auto found = by_origin_.find(connection.origin());
  if (found != by_origin_.end() && found->second.get() == &connection) by_origin_.erase(found);
  const auto place = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& entry) { return entry.get() == &connection; });
  if (place == all_.end()) return;
  remembered.push_back((*place)->info());
  if (remembered.size() > kMaxRemembered) remembered.pop_front();
  all_.erase(place);
  close_unused_sockets_soon();
}

}  // namespace tern
