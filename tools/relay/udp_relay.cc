#include "tools/relay/udp_relay.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace tern::relay {

namespace {

/// Route i is this port plus i on the far host.
constexpr std::uint16_t kFirstFarPort = 1000;
constexpr Duration kSweepPeriod = std::chrono::seconds(1);

udp::Address any_address() noexcept { return udp::Address::v6(in6addr_any, 0); }

template <typename Each>
void each_datagram(const udp::Arrival& arrival, Each&& each) {
  ByteView bytes = arrival.bytes;
  while (!bytes.empty()) {
    const ByteView one = bytes.first(std::min(arrival.segment_size, bytes.size()));
    bytes = bytes.subspan(one.size());
    each(one);
  }
}

}  // namespace

// ---- parts --------------------------------------------------------------------------------------

/// The near host's socket for one real client, whatever routes it uses: a NAT gives it one port.
class UdpRelay::Client final : public udp::Sink {
 public:
  Client(UdpRelay& relay, const udp::Address& address) : relay_(relay), address_(address) {
    sent_to_.resize(relay.routes_.size());
  }

  Result<void> open() {
    udp::SocketOptions options;
    options.bind = any_address();
    TERN_TRY(socket_, relay_.world_.near().network().open(options, *this));
    return {};
  }
  void receive(udp::Socket&, const udp::Arrival& arrival) override {
    relay_.to_client(*this, arrival);
  }
  void send_failed(udp::Socket&, const udp::Path&, int) override {}

  udp::Socket& socket() noexcept { return *socket_; }
  const udp::Address& address() const noexcept { return address_; }
  /// Where the client sent to last, of that route: answers come from there.
  udp::Address& sent_to(std::size_t route) { return sent_to_[route]; }
  Timestamp used{};

 private:
  UdpRelay& relay_;
  const udp::Address address_;
  std::vector<udp::Address> sent_to_;
  std::unique_ptr<udp::Socket> socket_;
};

/// The real socket that stands for an address and port of the NAT's outside.
class UdpRelay::Binding final : public udp::Sink {
 public:
  Binding(UdpRelay& relay, const udp::Address& outside) noexcept
      : relay_(relay), outside_(outside) {}

  Result<void> open(const udp::Address& address) {
    udp::SocketOptions options;
    options.bind = address;
    options.unreachable = true;
    TERN_TRY(socket_, relay_.network_.open(options, *this));
    return {};
  }
  void receive(udp::Socket&, const udp::Arrival& arrival) override {
    relay_.from_server(*this, arrival);
  }
  void send_failed(udp::Socket&, const udp::Path&, int) override { ++relay_.counted_.send_failed; }
  void unreachable(udp::Socket&, const udp::Address& remote, int error, ByteView) override {
    // What the kernel tells comes from beyond: a client cannot see it, as through a real NAT.
    if (relay_.counted_.unreachable++ == 0) {
      relay_.world_.runtime().log().line(
          LogLevel::warning,
          Error::os(error, "the server at " + remote.to_string() + " does not listen").detail);
    }
  }

  udp::Socket& socket() noexcept { return *socket_; }
  const udp::Address& outside() const noexcept { return outside_; }
  Timestamp used{};

 private:
  UdpRelay& relay_;
  const udp::Address outside_;
  std::unique_ptr<udp::Socket> socket_;
};

/// A listening socket and the server behind it.
class UdpRelay::Route {
 public:
  Route(UdpRelay& relay, const RelayOptions::Route& addresses, std::size_t index) noexcept
      : relay_(relay),
        addresses_(addresses),
        index_(index),
        far_port_(static_cast<std::uint16_t>(kFirstFarPort + index)) {}

  Result<void> open() {
    udp::SocketOptions real;
    real.bind = addresses_.listen;
    TERN_TRY(listening_, relay_.network_.open(real, clients_));
    udp::SocketOptions simulated;
    simulated.bind = any_address();
    simulated.bind.set_port(far_port_);
    TERN_TRY(far_, relay_.world_.far().network().open(simulated, servers_));
    return {};
  }
  std::size_t index() const noexcept { return index_; }
  udp::Socket& listening() noexcept { return *listening_; }
  udp::Socket& far() noexcept { return *far_; }
  const udp::Address& server() const noexcept { return addresses_.to; }
  /// The server's address in the world, of the same family.
  udp::Address far_address() const noexcept {
    sim::Host& host = relay_.world_.far();
    return addresses_.to.is_v6() ? host.v6(far_port_) : host.v4(far_port_);
  }

 private:
  struct FromClients final : udp::Sink {
    explicit FromClients(Route& of) noexcept : route(of) {}
    void receive(udp::Socket&, const udp::Arrival& arrival) override {
      route.relay_.from_client(route, arrival);
    }
    void send_failed(udp::Socket&, const udp::Path&, int) override {
      ++route.relay_.counted_.send_failed;
    }
    Route& route;
  };
  struct ToServers final : udp::Sink {
    explicit ToServers(Route& of) noexcept : route(of) {}
    void receive(udp::Socket&, const udp::Arrival& arrival) override {
      route.relay_.to_server(route, arrival);
    }
    // The NAT has another address now: what was to the old one is lost as at the NAT itself.
    void send_failed(udp::Socket&, const udp::Path&, int) override {
      ++route.relay_.counted_.nat_dropped;
    }
    Route& route;
  };

  UdpRelay& relay_;
  const RelayOptions::Route addresses_;
  const std::size_t index_;
  const std::uint16_t far_port_;
  FromClients clients_{*this};
  ToServers servers_{*this};
  std::unique_ptr<udp::Socket> listening_;
  std::unique_ptr<udp::Socket> far_;
};

// ---- UdpRelay -----------------------------------------------------------------------------------

UdpRelay::UdpRelay(PacedWorld& world, udp::Network& network, OutsideAddresses& outside,
                   const Captures& captures, const RelayOptions& options)
    : world_(world),
      network_(network),
      options_(options),
      outside_(outside),
      client_capture_(captures.clients.get()),
      server_capture_(captures.servers.get()),
      into_near_(world.near().network()),
      into_far_(world.far().network()),
      out_(network),
      sweep_timer_(world.runtime().timers(), [this](Timestamp now) {
        sweep_due_ = true;
        sweep_timer_.arm(now + kSweepPeriod);
      }) {
  world_.add(*this);
}

UdpRelay::~UdpRelay() { world_.remove(*this); }

Result<void> UdpRelay::open() {
  for (const RelayOptions::Route& addresses : options_.routes_) {
    routes_.push_back(std::make_unique<Route>(*this, addresses, routes_.size()));
    if (auto opened = routes_.back()->open(); !opened) return opened;
  }
  sweep_timer_.arm(world_.runtime().now() + kSweepPeriod);
  return {};
}

std::vector<udp::Address> UdpRelay::addresses() const {
  std::vector<udp::Address> found;
  for (const auto& route : routes_) found.push_back(route->listening().local());
  return found;
}

void UdpRelay::add_to(RelayStats& stats) const {
  constexpr auto kTooBig = static_cast<std::size_t>(sim::Verdict::too_big);
  stats.to_client.packets_in += counted_.to_client.packets_in;
  stats.to_client.bytes_in += counted_.to_client.bytes_in;
  stats.to_client.dropped[kTooBig] += counted_.to_client.dropped[kTooBig];
  stats.clients_seen += counted_.clients_seen;
  stats.clients_open += clients_.size();
  stats.bindings_seen += counted_.bindings_seen;
  stats.bindings_open += bindings_.size();
  stats.nat_dropped += counted_.nat_dropped;
  stats.refused_clients += counted_.refused_clients;
  stats.overload += counted_.overload;
  stats.send_failed += counted_.send_failed;
  stats.unreachable += counted_.unreachable;
  stats.strangers += counted_.strangers;
}

// ---- a datagram's way ---------------------------------------------------------------------------

bool UdpRelay::overloaded() noexcept {
  return world_.link().up().in_flight() + world_.link().down().in_flight() >=
         options_.max_in_flight_;
}

void UdpRelay::from_client(Route& route, const udp::Arrival& arrival) {
  Client* client = find_client(arrival.path.remote);
  if (client != nullptr) client->sent_to(route.index()) = arrival.path.local;
  udp::Path path;
  path.remote = route.far_address();
  each_datagram(arrival, [&](ByteView datagram) {
    if (client_capture_ != nullptr) {
      client_capture_->write(arrival.path.remote, arrival.path.local, arrival.ecn, datagram);
    }
    if (client == nullptr) {
      ++counted_.refused_clients;
    } else if (overloaded() || !into_near_.add(client->socket(), path, arrival.ecn, datagram)) {
      ++counted_.overload;
    }
  });
}

void UdpRelay::to_server(Route& route, const udp::Arrival& arrival) {
  Binding* binding = find_binding(arrival.path.remote);
  if (binding == nullptr) return;
  udp::Path path;
  path.local = binding->socket().local();
  path.remote = route.server();
  each_datagram(arrival, [&](ByteView datagram) {
    if (server_capture_ != nullptr)
      server_capture_->write(path.local, path.remote, arrival.ecn, datagram);
    if (!out_.add(binding->socket(), path, arrival.ecn, datagram)) ++counted_.overload;
  });
}

void UdpRelay::from_server(Binding& binding, const udp::Arrival& arrival) {
  Route* route = route_to(arrival.path.remote);
  binding.used = world_.runtime().now();
  udp::Path path;
  path.remote = binding.outside();
  if (route != nullptr) path.local = route->far_address();
  each_datagram(arrival, [&](ByteView datagram) {
    if (server_capture_ != nullptr) {
      server_capture_->write(arrival.path.remote, arrival.path.local, arrival.ecn, datagram);
    }
    const std::size_t size = datagram.size() + (arrival.path.remote.is_v6() ? 48 : 28);
    if (route == nullptr) {
      ++counted_.strangers;
    } else if (size > world_.server_mtu()) {
      ++counted_.to_client.packets_in;
      counted_.to_client.bytes_in += size;
      ++counted_.to_client.dropped[static_cast<std::size_t>(sim::Verdict::too_big)];
    } else if (overloaded() || !into_far_.add(route->far(), path, arrival.ecn, datagram)) {
      ++counted_.overload;
    }
  });
}

void UdpRelay::to_client(Client& client, const udp::Arrival& arrival) {
  client.used = world_.runtime().now();
  // Only routes that the client has sent to can get through to it: the NAT sees to that, unless it
  // is open, and then the route's own address will do.
  Route& route = *routes_.at(arrival.path.remote.port() - kFirstFarPort);
  udp::Path path;
  path.local = client.sent_to(route.index());
  if (!path.local.specified()) path.local = route.listening().local();
  path.remote = client.address();
  each_datagram(arrival, [&](ByteView datagram) {
    if (client_capture_ != nullptr)
      client_capture_->write(path.local, path.remote, arrival.ecn, datagram);
    if (!out_.add(route.listening(), path, arrival.ecn, datagram)) ++counted_.overload;
  });
}

void UdpRelay::enter() {
  into_near_.flush();
  into_far_.flush();
}

void UdpRelay::leave() {
  out_.flush();
  if (std::exchange(sweep_due_, false)) sweep();
}

// ---- who is who ---------------------------------------------------------------------------------

UdpRelay::Client* UdpRelay::find_client(const udp::Address& address) {
  world_.start_clock();
  const Timestamp now = world_.runtime().now();
  if (const auto known = clients_.find(address); known != clients_.end()) {
    known->second->used = now;
    return known->second.get();
  }
  if (clients_.size() >= options_.max_clients_) return nullptr;
  auto client = std::make_unique<Client>(*this, address);
  if (!client->open()) return nullptr;
  client->used = now;
  ++counted_.clients_seen;
  return clients_.emplace(address, std::move(client)).first->second.get();
}

UdpRelay::Binding* UdpRelay::find_binding(const udp::Address& outside) {
  const Timestamp now = world_.runtime().now();
  if (const auto known = bindings_.find(outside); known != bindings_.end()) {
    known->second->used = now;
    return known->second.get();
  }
  LogSink& log = world_.runtime().log();
  if (bindings_.size() >= options_.max_bindings_) {
    const auto oldest = std::min_element(
        bindings_.begin(), bindings_.end(),
        [](const auto& a, const auto& b) { return a.second->used < b.second->used; });
    out_.flush();  // it may have something for the socket
    bindings_.erase(oldest);
  }
  auto binding = std::make_unique<Binding>(*this, outside);
  if (auto opened = binding->open(outside_.real(outside)); !opened) {
    ++counted_.send_failed;
    log.line(LogLevel::warning, "no socket towards the server: " + opened.error().detail);
    return nullptr;
  }
  binding->used = now;
  ++counted_.bindings_seen;
  if (log.enabled(LogLevel::info)) {
    log.line(LogLevel::info, "servers see a client at " + binding->socket().local().to_string());
  }
  return bindings_.emplace(outside, std::move(binding)).first->second.get();
}

UdpRelay::Route* UdpRelay::route_to(const udp::Address& server) noexcept {
  for (const auto& route : routes_) {
    if (route->server() == server) return route.get();
  }
  return nullptr;
}

/// After everything has been flushed: no batch refers to a socket.
void UdpRelay::sweep() {
  const Timestamp now = world_.runtime().now();
  const auto idle = [&](const auto& entry) {
    return now - entry.second->used > options_.idle_timeout_;
  };
  std::erase_if(clients_, idle);
  std::erase_if(bindings_, idle);
}

}  // namespace tern::relay
