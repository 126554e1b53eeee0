#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "transport/udp/address.h"

namespace tern {

class ClientPool;
class Runtime;
namespace udp {
class Network;
}

/// Addresses of a host tried at most.
inline constexpr std::size_t kMaxAddresses = 8;

/// The addresses of `host`, which may be an address itself, with `port`: what the options say about
/// it, else what the resolver does. Code::not_found when there are none.
Task<Result<std::vector<udp::Address>>> look_up(ClientPool& pool, std::string host,
                                                std::uint16_t port);
/// What the network's resolver says. Code::not_found when that is nothing.
Task<Result<std::vector<udp::Address>>> resolve(Runtime& runtime, udp::Network& network,
                                                std::string host, std::uint16_t port);
/// RFC 8305 §4: the families take turns, beginning with the first address's; `most` of them.
std::vector<udp::Address> interleave(const std::vector<udp::Address>& addresses,
                                     std::size_t most = kMaxAddresses);
/// "192.0.2.1:443, [2001:db8::1]:443"
std::string join(const std::vector<udp::Address>& addresses);

}  // namespace tern
