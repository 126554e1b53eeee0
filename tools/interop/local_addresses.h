#pragma once

#include <vector>

#include "transport/udp/address.h"
#include "transport/udp/network.h"

namespace tern::interop {

/// This host's addresses from which `remote` can be reached, as far as its interfaces show, but for
/// the one that the system would choose; port 0. Loopback addresses for loopback only.
std::vector<udp::Address> other_local_addresses(udp::Network& network, const udp::Address& remote);

}  // namespace tern::interop
