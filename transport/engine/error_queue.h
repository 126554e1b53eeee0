#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "transport/udp/address.h"

/// The error queue of a socket with IP_RECVERR or IPV6_RECVERR (ip(7)): what ICMP said.

namespace tern::engine {

/// The beginning of a datagram's payload, as an ICMP message quoted it: enough for the connection
/// IDs of a QUIC long header (RFC 9000 §17.2).
struct QuotedDatagram {
  static constexpr std::size_t kMaxSize = 64;

  ByteView bytes() const noexcept { return {data.data(), size}; }

  std::array<std::uint8_t, kMaxSize> data;
  std::size_t size = 0;
};

struct QueuedError {
  udp::Address remote;  ///< whom the datagram was for
  int error = 0;        ///< is_unreachable(error); 0: something else, of no interest
  QuotedDatagram quoted;
};

/// Whether the errno value says that there is nobody, or no way: what ICMP "destination
/// unreachable" turns into. Not EMSGSIZE ("fragmentation needed"): QUIC finds path MTUs itself.
bool is_unreachable(int error) noexcept;

/// Takes the oldest entry of the queue; false if there is none.
bool next_error(int fd, QueuedError& error) noexcept;

}  // namespace tern::engine
