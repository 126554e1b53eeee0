#include "tools/relay/relay.h"

#include <string>

#include "tools/relay/paced_world.h"
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
  if (options.max_bindings_ == 0 || options.max_in_flight_ == 0) {
    return fail(Error::invalid("a relay without sockets or without packets is none"));
  }
  std::unique_ptr<Relay> relay(new Relay());
  relay->options_ = std::make_unique<RelayOptions>(options);
  relay->world_ = std::make_unique<PacedWorld>(runtime, *relay->options_);
  relay->udp_ = std::make_unique<UdpRelay>(*relay->world_, network, *relay->options_);
  if (auto opened = relay->udp_->open(); !opened) return fail(std::move(opened).error());
  return relay;
}

std::vector<udp::Address> Relay::addresses() const { return udp_->addresses(); }

void Relay::perform(const Action& action) { world_->perform(action); }

RelayStats Relay::stats() const {
  RelayStats stats;
  stats.to_server = world_->link().up().stats();
  stats.to_client = world_->link().down().stats();
  stats.rebindings = world_->nat().rebindings();
  stats.nat_dropped = world_->nat_dropped();
  udp_->add_to(stats);
  return stats;
}

}  // namespace tern::relay
