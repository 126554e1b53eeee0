#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

/// What a simulated TCP segment carries beside its bytes, addresses and ports.

namespace tern::sim {

/// A TCP header with the options that Linux sends (RFC 9293, RFC 7323, RFC 2018). Values; the
/// simulator passes them on parsed, and `append_to` writes them as they are on a wire.
struct TcpHeader {
  static constexpr std::uint8_t kFin = 0x01;
  static constexpr std::uint8_t kSyn = 0x02;
  static constexpr std::uint8_t kRst = 0x04;
  static constexpr std::uint8_t kPsh = 0x08;
  static constexpr std::uint8_t kAck = 0x10;
  static constexpr std::size_t kMaxSackBlocks = 3;  ///< beside timestamps

  struct Block {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };

  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;  ///< as on the wire: scaled

  std::uint16_t mss = 0;          ///< 0: no such option
  std::int8_t window_scale = -1;  ///< -1: no such option
  bool sack_permitted = false;
  bool timestamps = false;
  std::uint32_t timestamp = 0;
  std::uint32_t timestamp_echo = 0;
  std::uint8_t sack_blocks = 0;
  std::array<Block, kMaxSackBlocks> sack{};

  bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
  /// With options, padded to 4 bytes.
  std::size_t size() const noexcept;
  /// Sequence numbers that the segment takes: its bytes, SYN and FIN.
  std::uint32_t length(std::size_t bytes) const noexcept {
    return static_cast<std::uint32_t>(bytes) + (has(kSyn) ? 1 : 0) + (has(kFin) ? 1 : 0);
  }
  /// Network order; the checksum is left 0.
  void append_to(std::vector<std::uint8_t>& out, std::uint16_t source_port,
                 std::uint16_t destination_port) const;
};

}  // namespace tern::sim
