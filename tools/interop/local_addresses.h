#pragma once

#include <vector>

#include "transport/udp/address.h"

namespace tern::interop {

/// This host's addresses of `remote`'s family from which `remote` can be reached, but for the one
/// that the system would choose; with port 0. Loopback addresses for loopback only.
std::vector<udp::Address> other_local_addresses(const udp::Address& remote);

}  // namespace tern::interop
