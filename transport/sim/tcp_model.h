#pragma once

#include <cstddef>
#include <cstdint>

namespace tern::sim {

enum class TcpAlgorithm : std::uint8_t {
  cubic,  ///< RFC 9438, with HyStart's delay test in slow start: Linux's default
  reno,   ///< RFC 5681's congestion avoidance
};

/// A host's TCP, as its sysctls would set it. Counts for connections made from then on.
struct TcpModel {
  TcpAlgorithm algorithm = TcpAlgorithm::cubic;
  std::size_t send_buffer = 4 * 1024 * 1024;     ///< bytes unacknowledged or unsent (tcp_wmem)
  std::size_t receive_buffer = 6 * 1024 * 1024;  ///< what a window may grow to (tcp_rmem)
};

}  // namespace tern::sim
