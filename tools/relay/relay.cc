#include "tools/relay/relay.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "tools/relay/capture.h"
#include "tools/relay/outside_addresses.h"
#include "tools/relay/paced_world.h"
#include "tools/relay/tcp_relay.h"
#include "tools/relay/udp_relay.h"

namespace tern::relay {

namespace {

/// Of the near host's ports, which number the clients.
constexpr std::size_t kMostClients = 16'000;

}  // namespace

Relay::Relay() = default;

Relay::~Relay() = default;

Result<std::unique_ptr<Relay>> Relay::open(Runtime& runtime, udp::Network& network,
                                           const RelayOptions& options) {
  if (options.routes_.empty() || options.routes_.size() > RelayOptions::kMaxRoutes) {
    return fail(Error::invalid("a relay has 1 to " + std::to_string(RelayOptions::kMaxRoutes) +
                               " pairs of addresses to listen on and to send to"));
  }
  if (options.max_clients_ == 0 || options.max_clients_ > kMostClients) {
    return fail(Error::invalid("a relay has 1 to " + std::to_string(kMostClients) + " clients"));
  }
  if (!options.udp_ && !options.tcp_) {
    return fail(Error::invalid("a relay for neither UDP nor TCP has nothing to do"));
  }
  if (options.max_bindings_ == 0 || options.max_in_flight_ == 0) {
    return fail(Error::invalid("a relay without sockets or without packets is none"));
  }
  std::unique_ptr<Relay> relay(new Relay());
  relay->options_ = std::make_unique<RelayOptions>(options);
  relay->world_ = std::make_unique<PacedWorld>(runtime, *relay->options_);
  relay->outside_ = std::make_unique<OutsideAddresses>(network, options.seed_);
  if (auto served = relay->choose_outside(); !served) return fail(std::move(served).error());
  relay->captures_ = std::make_unique<Captures>();
  PacedWorld& world = *relay->world_;
  if (std::ostream* out = options.capture_clients_) {
    relay->captures_->clients = std::make_unique<Capture>(world, *out, "clients");
  }
  if (std::ostream* out = options.capture_servers_) {
    relay->captures_->servers = std::make_unique<Capture>(world, *out, "servers");
  }
  if (auto opened = relay->open_sockets(network); !opened) return fail(std::move(opened).error());
  return relay;
}

Result<void> Relay::choose_outside() {
  bool changes = false;
  for (const Timeline& timeline : options_->timelines_) {
    changes |= timeline.has(Action::Kind::rebind_address);
  }
  for (const udp::Address& address : options_->outside_) {
    if (auto given = outside_->give(address); !given) return given;
  }
  for (const RelayOptions::Route& route : options_->routes_) {
    if (auto served = outside_->serve(route.to); !served) return served;
    if (changes && !outside_->can_change(route.to.is_v6())) {
      return fail(Error::invalid(
          fmt::format("the address that {} sees cannot change: this machine has one towards it; "
                      "give two or more (--outside IP,IP)",
                      route.to.to_string())));
    }
  }
  return {};
}

Result<void> Relay::open_sockets(udp::Network& network) {
  // A port that the OS chose for UDP may be somebody's TCP port: then another one is tried.
  constexpr int kTries = 8;
  const bool any_port =
      std::any_of(options_->routes_.begin(), options_->routes_.end(),
                  [](const RelayOptions::Route& route) { return route.listen.port() == 0; });
  for (int tries = 1;; ++tries) {
    std::vector<udp::Address> addresses;
    for (const RelayOptions::Route& route : options_->routes_) addresses.push_back(route.listen);
    if (options_->udp_) {
      udp_ = std::make_unique<UdpRelay>(*world_, network, *outside_, *captures_, *options_);
      if (auto opened = udp_->open(); !opened) return opened;
      addresses = udp_->addresses();
    }
    if (!options_->tcp_) return {};
    tcp_ = std::make_unique<TcpRelay>(*world_, network.tcp(), *outside_, *captures_, *options_);
    auto opened = tcp_->open(addresses);
    if (opened || !options_->udp_ || !any_port || tries == kTries) return opened;
    tcp_.reset();
    udp_.reset();
  }
}

std::vector<udp::Address> Relay::addresses() const {
  return udp_ ? udp_->addresses() : tcp_->addresses();
}

void Relay::perform(const Action& action) { world_->perform(action); }

RelayStats Relay::stats() const {
  RelayStats stats;
  stats.to_server = world_->link().up().stats();
  stats.to_client = world_->link().down().stats();
  stats.rebindings = world_->nat().rebindings();
  stats.nat_dropped = world_->nat_dropped();
  if (udp_) udp_->add_to(stats);
  if (tcp_) tcp_->add_to(stats);
  return stats;
}

}  // namespace tern::relay
