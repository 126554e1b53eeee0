#pragma once

#include <string>
#include <vector>

#include "transport/udp/interfaces.h"
#include "transport/udp/network.h"

namespace tern {

/// A network to begin a connection from.
struct NetworkSource {
  udp::Address address;  ///< port 0
  std::string device;
};

/// Those through which `remote` might be reached: the system's own choice first, then by metric.
/// Empty if the system's choice is loopback, or an interface that is not known: such a remote is on
/// this machine, or behind something that only the routing table understands.
std::vector<NetworkSource> sources_for(const udp::Interfaces& interfaces, udp::Network& network,
                                       const udp::Address& remote);

}  // namespace tern
