#include "gateway/quic_origin_connection.h"

#include <algorithm>
#include <utility>

#include "gateway/client_pool.h"
#include "gateway/host_addresses.h"
#include "gateway/network_sources.h"
#include "gateway/within.h"
#include "http3/error_code.h"

namespace tern {

/// The session, with the owner looking over its shoulder.
class QuicOriginConnection::Application final : public quic::Application {
 public:
  Application(std::shared_ptr<QuicOriginConnection> owner, std::unique_ptr<http3::Session> session)
      : owner_(std::move(owner)), session_(std::move(session)) {}

  void handle(const quic::Event& event) override {
    owner_->seen(event);
    session_->handle(event);
  }

 private:
  std::shared_ptr<QuicOriginConnection> owner_;
  std::unique_ptr<http3::Session> session_;
};

/// One address that is tried.
class QuicOriginConnection::Handshake final : public Attempt {
 public:
  using Attempt::Attempt;
  void abandon(const Error& error) override {
    if (connection != nullptr) connection->abandon(error);
  }
  void failed(const Error& error) {
    failure = error;
    connection = nullptr;
  }

  quic::Connection* connection = nullptr;
};

QuicOriginConnection::QuicOriginConnection(ClientPool& pool, http::Url url, std::uint64_t id,
                                           std::optional<std::uint32_t> avoided)
    : RacingConnection(pool, std::move(url), id),
      avoided_(avoided),
      host_(url_.host()),
      port_(url_.port()) {}

void QuicOriginConnection::go_via(std::string host, std::uint16_t port) {
  via_ = true;
  if (!host.empty()) host_ = std::move(host);
  port_ = port;
}

QuicOriginConnection::~QuicOriginConnection() = default;

Task<Result<void>> QuicOriginConnection::establish() {
  for (;;) {
    Result<void> tried = co_await try_to_establish();
    if (tried || given_up_) co_return tried;
    const bool waits = pool_.lost_its_networks();  // one may come back
    if (!waits && !idled_out()) co_return tried;
    attempts_.clear();
    winner_ = nullptr;
    if (waits) co_await changed_.wait();
  }
}

/// Nobody has answered, and connect_timeout, which ends this, is longer than the idle timeout.
bool QuicOriginConnection::idled_out() const {
  return pool_.options.connect_timeout_ > Duration::zero() && !attempts_.empty() &&
         std::all_of(attempts_.begin(), attempts_.end(), [](const auto& entry) {
           return entry->failure && entry->failure->is(Code::timed_out);
         });
}

Task<Result<void>> QuicOriginConnection::try_to_establish() {
  Result<ServicePlace> place = co_await find();
  if (!place) co_return fail(std::move(place).error());
  tell_resolved(*place);
  std::vector<udp::Address> order = std::move(place->addresses);
  const auto known = std::find(order.begin(), order.end(), pool_.sessions->remote(origin_));
  if (known != order.end()) std::rotate(order.begin(), known, known + 1);
  std::vector<Target> targets = avoided_ ? other_targets_for(order) : targets_for(order);
  if (targets.empty()) {
    co_return fail(Error(Code::not_found, "no other network leads to " + join(order)));
  }
  if (avoided_) place->awaited.clear();
  Task<Result<void>> racing = race(std::move(targets), std::move(place->awaited));
  Result<void> raced = co_await racing;
  co_return raced;
}

Task<Result<ServicePlace>> QuicOriginConnection::find() {
  // What Alt-Svc has said is about this origin, and later.
  if (!via_) {
    Result<ServicePlace> place = co_await locate(pool_, url_, false);
    co_return place;
  }
  Result<std::vector<udp::Address>> addresses = co_await look_up(pool_, host_, port_);
  if (!addresses) co_return fail(std::move(addresses).error());
  ServicePlace place;
  place.addresses = interleave(*addresses);
  co_return place;
}

void QuicOriginConnection::attempt(const Target& target, bool more) {
  const udp::Address& remote = target.remote;
  const bool first = attempts_.empty();
  auto made_entry = std::make_unique<Handshake>(remote);
  Handshake& entry = *made_entry;
  attempts_.push_back(std::move(made_entry));
  auto local = pool_.local_for(remote, target.network);
  if (!local) {
    entry.failure = std::move(local).error();
    return;
  }
  entry.local = *local;
  const ClientOptions& options = pool_.options;
  quic::ConnectOptions connect;
  connect.context = pool_.tls;
  connect.local = *local;
  connect.remote = remote;
  connect.server_name = url_.host();
  quic::TransportOptions transport = options.transport_;
  if (options.only_version_ != 0) {
    transport.versions.assign(1, options.only_version_);
    transport.first_version = options.only_version_;
  }
  // One address alone gets the ticket: two connections with it could be told to be one client's. A
  // connection with early data is ready before anybody has answered, so it goes where the ticket
  // came from, or to the only address there is: elsewhere it might talk to nobody.
  if (first) {
    const bool answers = !more || remote == pool_.sessions->remote(origin_);
    remembered_ =
        pool_.sessions->take(origin_, "h3", options.only_version_, pool_.runtime.unix_seconds());
    if (remembered_) {
      transport.first_version = remembered_->quic_version;
      connect.session = *remembered_;
      connect.early_data = options.early_data_ && remembered_->early_data && answers;
      early_data_ = connect.early_data;
    }
  }
  if (options.connect_timeout_ > Duration::zero()) {
    transport.handshake_timeout = options.connect_timeout_;
  }
  connect.transport = std::move(transport);

  const std::weak_ptr<QuicOriginConnection> weak =
      std::static_pointer_cast<QuicOriginConnection>(shared_from_this());
  auto made = pool_.endpoint->connect(
      connect,
      [weak, &entry](quic::Connection& connection) -> std::unique_ptr<quic::Application> {
        const auto self = weak.lock();
        return self == nullptr ? nullptr : self->won(entry, connection);
      },
      [weak, &entry](const Error& error) {
        const auto self = weak.lock();
        if (self == nullptr) return;
        entry.failed(error);
        self->changed_.notify_all();
      });
  if (!made) {
    entry.failure = std::move(made).error();
    return;
  }
  entry.connection = *made;
  last_path_.local = *local;
  last_path_.remote = remote;
  tell(ClientEvent::Type::connecting);
}

/// A successor is there for the other networks.
std::vector<RacingConnection::Target> QuicOriginConnection::other_targets_for(
    const std::vector<udp::Address>& addresses) const {
  std::vector<Target> targets;
  for (const udp::Address& address : addresses) {
    const auto sources = sources_for(pool_.interfaces, pool_.network, address);
    for (std::size_t i = 0; i < std::min(kMaxNetworks, sources.size()); ++i) {
      const udp::NetworkInterface* way = pool_.interfaces.owner(sources[i].address);
      if (way == nullptr || way->index == *avoided_) continue;
      targets.push_back({address, i, pool_.options.address_delay_});
    }
  }
  return targets;
}

void QuicOriginConnection::give_up_attempts() noexcept {
  for (const auto& entry : attempts_) {
    auto& handshake = static_cast<Handshake&>(*entry);
    if (&handshake == winner_ || handshake.connection == nullptr) continue;
    std::exchange(handshake.connection, nullptr)->close_transport(0, "another address was faster");
  }
}

std::unique_ptr<quic::Application> QuicOriginConnection::won(Handshake& handshake,
                                                             quic::Connection& connection) {
  if (session_ != nullptr || given_up_ || (outcome_ && !*outcome_)) return nullptr;
  connection_ = &connection;
  winner_ = &handshake;
  const bool first = attempts_.front().get() == winner_;
  if (!first) early_data_ = false;
  http3::ClientHooks hooks;
  if (first && remembered_) hooks.remembered = remembered_->application;
  hooks.session = [this](quic::Session session) {
    pool_.sessions->put(origin_, std::move(session), connection_->path().remote);
    tell(ClientEvent::Type::session_received);
  };
  hooks.goaway = [this] {
    goaway_ = true;
    tell(ClientEvent::Type::goaway);
  };
  hooks.closed = [this](const Error& reason) { ended(reason); };
  auto session = pool_.http3.connect(connection, std::move(hooks));
  session_ = session.get();
  give_up_attempts();
  follow_network();
  changed_.notify_all();
  return std::make_unique<Application>(
      std::static_pointer_cast<QuicOriginConnection>(shared_from_this()), std::move(session));
}

void QuicOriginConnection::seen(const quic::Event& event) {
  using Type = quic::Event::Type;
  switch (event.type) {
    case Type::handshake_completed:
      connected_at_ = pool_.runtime.now();
      tell(ClientEvent::Type::connected);
      break;
    case Type::early_data_rejected: tell(ClientEvent::Type::early_data_rejected); break;
    case Type::path_changed: tell(ClientEvent::Type::path_changed); break;
    case Type::key_updated: tell(ClientEvent::Type::keys_updated); break;
    case Type::closed:
      last_path_ = event.connection->path();
      last_handshake_ = event.connection->handshake();
      last_stats_ = event.connection->stats();
      break;
    default: break;
  }
  if (follower_ == nullptr || event.type == Type::closed) return;
  follower_->handle(event);
  if (event.type == Type::path_heard) changed_.notify_all();
}

void QuicOriginConnection::follow_network() {
  const auto expecting = [this] { return session_ != nullptr && session_->requests() > 0; };
  connection_->watch_path(expecting, true);
  const udp::Address local = connection_->path().local;
  if (!pool_.follows() || local.is_wildcard()) return;
  PathFollower::Hooks hooks;
  hooks.tell = [this](ClientEvent::Type type, std::string text) { tell(type, std::move(text)); };
  hooks.expecting = expecting;
  hooks.lost = [this](std::string why) {
    lost_ = true;
    connection_->abandon(Error(Code::closed, std::move(why)));
  };
  hooks.replace = [this](std::uint32_t avoided, std::string why) {
    tell(ClientEvent::Type::reconnecting, std::move(why));
    pool_.replace(*this, avoided);
  };
  follower_ = std::make_unique<PathFollower>(pool_, *connection_, std::move(hooks));
}

void QuicOriginConnection::succeeded_by(const OriginConnection* successor) {
  if (follower_ != nullptr && stranded() && successor != nullptr) {
    lost_ = true;
    connection_->abandon(Error(Code::closed, "its network is gone; connection " +
                                                 std::to_string(successor->id()) +
                                                 " has taken its place"));
  } else if (follower_ != nullptr) {
    follower_->not_replaced();
  }
  changed_.notify_all();
}

void QuicOriginConnection::networks_changed() {
  if (follower_ != nullptr) {
    std::string names;
    for (const udp::NetworkInterface& interface : pool_.interfaces.all) {
      if (interface.up && interface.address_for(last_path_.remote).specified()) {
        names += (names.empty() ? "" : ", ") + interface.name;
      }
    }
    tell(ClientEvent::Type::network_changed, names.empty() ? "none is left" : std::move(names));
    follower_->networks_changed();
    return;
  }
  changed_.notify_all();
  abandon_cut_off();
}

bool QuicOriginConnection::uses(const udp::Address& local) const noexcept {
  if (connection_ != nullptr && connection_->path().local == local) return true;
  return follower_ != nullptr && follower_->uses(local);
}

Result<void> QuicOriginConnection::update_keys() {
  return connection_ == nullptr ? Result<void>() : connection_->update_keys();
}

Result<void> QuicOriginConnection::migrate(const udp::Address& local, bool now) {
  if (connection_ == nullptr) return fail(Error::closed("the connection is closed"));
  const Result<void> begun = connection_->migrate(local, now);
  if (begun && follower_ != nullptr) follower_->pin(local);
  return begun;
}

namespace {

/// For people: HTTP/3's codes by their names.
std::string described(const Error& reason) {
  if (reason.domain != Domain::application) return reason.to_string();
  const std::string_view name = http3::name(static_cast<http3::ErrorCode>(reason.code));
  if (name.empty()) return reason.to_string();
  std::string text(name);
  text += reason.origin == Origin::remote ? " (remote)" : " (local)";
  if (!reason.detail.empty() && reason.detail != name) text += ": " + reason.detail;
  return text;
}

}  // namespace

void QuicOriginConnection::ended(const Error& reason) {
  if (!connected_at_) pool_.sessions->forget_remote(origin_);
  const bool silently = reason.is(Code::timed_out) || reason.is(Code::stateless_reset);
  if (follower_ != nullptr && silently && follower_->troubled()) lost_ = true;
  follower_.reset();
  session_ = nullptr;
  connection_ = nullptr;
  // With early data it may have won without an answer, and the race still be on.
  winner_->failed(reason);
  tell(ClientEvent::Type::closed, described(reason));
  changed_.notify_all();
  if (!establishing()) pool_.forget(*this);
}

ClientConnectionInfo QuicOriginConnection::info() const {
  ClientConnectionInfo info;
  info.id = id_;
  info.origin = origin_;
  info.path = connection_ == nullptr ? last_path_ : connection_->path();
  info.handshake = connection_ == nullptr ? last_handshake_ : connection_->handshake();
  info.stats = connection_ == nullptr ? last_stats_ : connection_->stats();
  info.requests = requests_;
  info.early_data = early_data_;
  info.open = connection_ != nullptr;
  return info;
}

}  // namespace tern
