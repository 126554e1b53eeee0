#pragma once

#include <memory>

#include "tools/handoff/carrier.h"

namespace tern::handoff {

/// What HTTP/2 over TLS 1.3 over TCP does on the same links: one byte stream for everything, and a
/// new connection when the network changes. TCP is the simulator's; the rest is modelled by sizes
/// and round trips (tcp_wire.h).
std::unique_ptr<CarrierServer> make_tcp_server(Stage& stage);

/// A phone's end. Connects in one round trip for TCP and one for TLS, resumed or not. When the
/// system says that the best network is another one, it connects there and gives the old connection
/// up; when nobody answers for three seconds, it tries the next network.
std::unique_ptr<Carrier> make_tcp_carrier(Phone& phone);

}  // namespace tern::handoff
