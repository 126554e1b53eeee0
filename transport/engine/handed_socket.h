#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/error.h"
#include "transport/tcp/network.h"
#include "transport/udp/network.h"

/// Sockets that two processes share while one takes over from the other (docs/decisions/0013). For
/// sockets and networks of this room alone, each on its network's thread.

namespace tern::engine {

/// The socket's own, to be given to another process.
int descriptor_of(const udp::Socket& socket);

/// Makes a socket of a bound UDP socket's descriptor, which is the network's from now on, also if
/// this fails. It receives nothing before `resume`. `group`: others are to share its address.
Result<std::unique_ptr<udp::Socket>> adopt(udp::Network& network, int descriptor, bool group,
                                           udp::Sink& sink);

/// The socket receives no more, what comes stays in the kernel's buffer for whoever else has the
/// socket, or for `resume`. What was received before is delivered in the next turn at the latest.
/// Sending goes on.
void pause(udp::Socket& socket);
void resume(udp::Socket& socket);

/// The same for a listener: its backlog lives as long as a process has the socket, and the clients
/// in it with it. `options` as for `listen`, of which those that are set before `bind` are the
/// socket's own.
int descriptor_of(const tcp::Listener& listener);
Result<std::unique_ptr<tcp::Listener>> adopt(tcp::Network& network, int descriptor,
                                             const tcp::ListenOptions& options,
                                             tcp::ListenSink& sink);
/// The listener accepts no more; who was accepted before comes in the next turn at the latest.
void pause(tcp::Listener& listener);
void resume(tcp::Listener& listener);

/// Steers the socket's whole group by the byte at `worker_offset` of the connection ID, modulo
/// `count` (see udp::ReusePort).
Result<void> steer(const udp::Socket& socket, std::uint8_t worker_offset, std::uint32_t count);

}  // namespace tern::engine
