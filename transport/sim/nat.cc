#include "transport/sim/nat.h"

#include <algorithm>

#include "transport/sim/packet.h"
#include "transport/sim/world.h"

namespace tern::sim {

Nat::Nat(World& world, Interface& end, const NatOptions& options)
    : world_(world), end_(end), options_(options) {
  world_.topology_.number_outside(end_, outside_v4_, outside_v6_);
}

void Nat::rebind() {
  ports_.clear();
  mappings_.clear();
  ++rebindings_;
}

void Nat::rebind_address() {
  rebind();
  world_.topology_.number_outside(end_, outside_v4_, outside_v6_);
}

bool Nat::alive(const Mapping& mapping) const {
  const Duration limit = mapping.flow.tcp ? options_.tcp_timeout_ : options_.timeout_;
  return world_.now() - mapping.used <= limit;
}

std::size_t Nat::mappings() const {
  return static_cast<std::size_t>(std::count_if(
      mappings_.begin(), mappings_.end(), [&](const auto& entry) { return alive(entry.second); }));
}

std::uint16_t Nat::free_port(bool tcp) {
  for (;;) {
    const std::uint16_t port = next_port_;
    next_port_ = next_port_ == UINT16_MAX ? kFirstPort : static_cast<std::uint16_t>(port + 1);
    const auto found = mappings_.find(key(tcp, port));
    if (found == mappings_.end()) return port;
    if (!alive(found->second)) {
      ports_.erase(found->second.flow);
      mappings_.erase(found);
      return port;
    }
  }
}

bool Nat::outbound(Packet& packet) {
  Flow flow;
  flow.tcp = packet.is_tcp;
  flow.inside = packet.source;
  if (options_.symmetric_) flow.remote = packet.destination;
  std::uint16_t port = 0;
  if (const auto known = ports_.find(flow); known != ports_.end()) {
    port = known->second;
    if (!alive(mappings_.at(key(flow.tcp, port)))) {
      mappings_.erase(key(flow.tcp, port));
      ports_.erase(known);
      port = 0;
    }
  }
  if (port == 0) {
    if (ports_.size() >= kMaxMappings && mappings() >= kMaxMappings) return false;
    port = free_port(flow.tcp);
    ports_.emplace(flow, port);
    mappings_.emplace(key(flow.tcp, port), Mapping{flow, world_.now(), {}});
  }
  Mapping& mapping = mappings_.at(key(flow.tcp, port));
  mapping.used = world_.now();
  if (std::find(mapping.contacted.begin(), mapping.contacted.end(), packet.destination) ==
      mapping.contacted.end()) {
    mapping.contacted.push_back(packet.destination);
  }
  packet.source = packet.source.is_v6() ? outside_v6_ : outside_v4_;
  packet.source.set_port(port);
  return true;
}

bool Nat::inbound(Packet& packet) {
  const udp::Address& outside = packet.destination.is_v6() ? outside_v6_ : outside_v4_;
  if (!packet.destination.same_ip(outside)) return false;
  const auto found = mappings_.find(key(packet.is_tcp, packet.destination.port()));
  if (found == mappings_.end() || !alive(found->second)) return false;
  Mapping& mapping = found->second;
  if (mapping.flow.inside.is_v6() != packet.destination.is_v6()) return false;
  if (!options_.open_ && std::find(mapping.contacted.begin(), mapping.contacted.end(),
                                   packet.source) == mapping.contacted.end()) {
    return false;
  }
  if (options_.inbound_refresh_) mapping.used = world_.now();
  packet.destination = mapping.flow.inside;
  return true;
}

}  // namespace tern::sim
