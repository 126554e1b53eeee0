#include "gateway/network_sources.h"

#include <algorithm>

namespace tern {

std::vector<NetworkSource> sources_for(const udp::Interfaces& interfaces, udp::Network& network,
                                       const udp::Address& remote) {
  std::vector<NetworkSource> sources;
  const Result<udp::Address> system = network.source_for(remote);
  if (!system) return sources;
  const udp::NetworkInterface* chosen = interfaces.owner(*system);
  if (chosen == nullptr || chosen->kind == udp::InterfaceKind::loopback) return sources;
  sources.push_back({*system, chosen->name});
  std::vector<const udp::NetworkInterface*> others;
  for (const udp::NetworkInterface& interface : interfaces.all) {
    const bool usable = interface.kind != udp::InterfaceKind::loopback && &interface != chosen;
    if (usable && interface.address_for(remote).specified()) others.push_back(&interface);
  }
  std::stable_sort(others.begin(), others.end(), [&](const auto* left, const auto* right) {
    return left->default_for(remote).value_or(0) < right->default_for(remote).value_or(0);
  });
  for (const udp::NetworkInterface* interface : others) {
    sources.push_back({interface->address_for(remote), interface->name});
  }
  return sources;
}

}  // namespace tern
