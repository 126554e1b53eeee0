#include "transport/sim/tcp_header.h"

namespace tern::sim {

namespace {

// Kinds of options (RFC 9293 §3.2, RFC 2018, RFC 7323).
constexpr std::uint8_t kNop = 1;
constexpr std::uint8_t kMss = 2;
constexpr std::uint8_t kWindowScale = 3;
constexpr std::uint8_t kSackPermitted = 4;
constexpr std::uint8_t kSack = 5;
constexpr std::uint8_t kTimestamps = 8;
constexpr std::size_t kFixed = 20;

void append16(std::vector<std::uint8_t>& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void append32(std::vector<std::uint8_t>& out, std::uint32_t value) {
  append16(out, value >> 16);
  append16(out, value);
}

}  // namespace

std::size_t TcpHeader::size() const noexcept {
  std::size_t options = 0;
  if (mss != 0) options += 4;
  if (window_scale >= 0) options += 3;
  if (sack_permitted) options += 2;
  // Linux aligns what follows a SYN with two no-ops each.
  if (timestamps) options += has(kSyn) ? 10 : 12;
  if (sack_blocks != 0) options += 4 + 8U * sack_blocks;
  return kFixed + (options + 3) / 4 * 4;
}

void TcpHeader::append_to(std::vector<std::uint8_t>& out, std::uint16_t source_port,
                          std::uint16_t destination_port) const {
  const std::size_t start = out.size();
  append16(out, source_port);
  append16(out, destination_port);
  append32(out, sequence);
  append32(out, acknowledgment);
  out.push_back(static_cast<std::uint8_t>(size() / 4 << 4));
  out.push_back(flags);
  append16(out, window);
  append32(out, 0);  // checksum, urgent pointer
  if (mss != 0) {
    out.insert(out.end(), {kMss, 4});
    append16(out, mss);
  }
  if (sack_permitted) out.insert(out.end(), {kSackPermitted, 2});
  if (timestamps) {
    if (!has(kSyn)) out.insert(out.end(), {kNop, kNop});
    out.insert(out.end(), {kTimestamps, 10});
    append32(out, timestamp);
    append32(out, timestamp_echo);
  }
  if (window_scale >= 0) {
    out.insert(out.end(), {kWindowScale, 3, static_cast<std::uint8_t>(window_scale)});
  }
  if (sack_blocks != 0) {
    out.insert(out.end(), {kNop, kNop, kSack, static_cast<std::uint8_t>(2 + 8 * sack_blocks)});
    for (std::size_t i = 0; i < sack_blocks; ++i) {
      append32(out, sack[i].begin);
      append32(out, sack[i].end);
    }
  }
  while (out.size() - start < size()) out.push_back(kNop);
}

}  // namespace tern::sim
