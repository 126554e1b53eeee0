#include "gateway/client_pool.h"

#include <algorithm>
#include <utility>

#include "gateway/within.h"

namespace tern {

ClientPool::ClientPool(Runtime& client_runtime, udp::Network& client_network,
                       ClientOptions client_options)
    : runtime(client_runtime),
      network(client_network),
      options(std::move(client_options)),
      sessions(options.sessions_ ? options.sessions_ : std::make_shared<SessionCache>()),
      http3(client_runtime, options.http3_),
      scope_(client_runtime.ready()) {}

ClientPool::~ClientPool() {
  closed = true;
  scope_.cancel();
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
  return {};
}

Result<udp::Address> ClientPool::bind(const udp::Address& address) {
  udp::SocketOptions socket;
  socket.bind = address;
  socket.unreachable = true;
  return endpoint->bind(socket);
}

Result<udp::Address> ClientPool::local_for(const udp::Address& remote) {
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

void ClientPool::close_unused_sockets() {
  std::vector<udp::Address> unused;
  for (const auto& socket : endpoint->sockets()) {
    const udp::Address& local = socket->local();
    const auto uses = [&](const std::shared_ptr<ClientConnection>& connection) {
      return connection->establishing() || connection->info().path.local.port() == local.port();
    };
    if (local_v4 != local && local_v6 != local && std::none_of(all_.begin(), all_.end(), uses)) {
      unused.push_back(local);
    }
  }
  for (const udp::Address& local : unused) endpoint->unbind(local);
}

Task<Result<std::shared_ptr<ClientConnection>>> ClientPool::acquire(http::Url url) {
  const std::string origin = url.origin();
  for (int tries = 0; tries < kMaxConnects; ++tries) {
    const Result<void> prepared = prepare();
    if (!prepared) co_return fail(prepared.error());
    std::shared_ptr<ClientConnection> connection;
    const auto found = by_origin_.find(origin);
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
  if (closed) return;
  const auto found = by_origin_.find(connection.origin());
  if (found != by_origin_.end() && found->second.get() == &connection) by_origin_.erase(found);
  const auto place = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& entry) { return entry.get() == &connection; });
  if (place == all_.end()) return;
  remembered.push_back((*place)->info());
  if (remembered.size() > kMaxRemembered) remembered.pop_front();
  all_.erase(place);
}

}  // namespace tern
