#include "tools/interop/local_addresses.h"

#include "transport/udp/interfaces.h"

namespace tern::interop {

std::vector<udp::Address> other_local_addresses(udp::Network& network, const udp::Address& remote) {
  std::vector<udp::Address> others;
  const auto chosen = network.source_for(remote);
  const auto interfaces = network.interfaces();
  if (!chosen || !interfaces) return others;
  // All of 127.0.0.0/8 is this host, and only 127.0.0.1 is listed.
  if (remote.is_v4() && remote.is_loopback()) others.push_back(udp::Address::v4(0x7f000002, 0));
  for (const udp::NetworkInterface& each : interfaces->all) {
    if (!each.up || (!each.has(*chosen) && !each.address_for(remote).specified())) continue;
    for (const udp::InterfaceAddress& entry : each.addresses) {
      const udp::Address& address = entry.address;
      if (address.is_v6() == remote.is_v6() && address.is_loopback() == remote.is_loopback() &&
          !address.same_ip(*chosen)) {
        others.push_back(address);
      }
    }
  }
  return others;
}

}  // namespace tern::interop
