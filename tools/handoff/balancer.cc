#include "tools/handoff/balancer.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace tern::handoff {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 443;

quic::ConnectionId id_of(std::size_t machine) {
  const auto octet = static_cast<std::uint8_t>(machine + 1);
  return quic::ConnectionId(ByteView(&octet, 1));
}

}  // namespace

Balancer::Balancer(sim::World& world, sim::Host& front, std::size_t machines) : front_(front) {
  for (std::size_t i = 0; i < machines; ++i) {
    sim::Host& machine = world.host("machine" + std::to_string(i + 1));
    world.link(front, machine, sim::LinkOptions().delay(100us).mbps(1000));
    machines_.push_back(&machine);
  }
}

quic::CidConfig Balancer::cids(std::size_t machine) {
  quic::CidConfig config;
  const quic::ConnectionId id = id_of(machine);
  config.machine_id({id.data(), id.size()});
  quic::CidCodec::Key key{};
  key.fill(0x2b);
  return config.key(key);
}

void Balancer::start() {
  std::vector<quic::ConnectionId> ids;
  std::vector<udp::Address> addresses;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    ids.push_back(id_of(i));
    addresses.push_back(machines_[i]->v6(kPort));
  }
  auto balancer = quic::LoadBalancer::create(cids(0), std::move(ids));
  if (!balancer) throw std::runtime_error(balancer.error().to_string());
  auto relay = quic::BalancedRelay::create(front_.runtime(), front_.network(), std::move(*balancer),
                                           *udp::Address::parse("[::]:443"), std::move(addresses));
  if (!relay) throw std::runtime_error(relay.error().to_string());
  relay_ = std::move(*relay);
}

void Balancer::forget_clients() {
  if (relay_ == nullptr) return;
  // After this turn, and so that there is one.
  front_.runtime().submit([relay = relay_.get()] { relay->forget_clients(); });
}

}  // namespace tern::handoff
