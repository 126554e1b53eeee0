#include "transport/quic/path_probe.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tern::quic {

namespace {

constexpr std::size_t kVersionAt = 1;
constexpr std::size_t kCidAt = 5;
constexpr std::size_t kRandomCidLength = 16;

/// One of the versions 0x?a?a?a?a that no server speaks (RFC 9000 §15).
std::uint8_t reserved(std::uint8_t byte) noexcept {
  return static_cast<std::uint8_t>((byte & 0xf0) | 0x0a);
}

/// A length byte and the connection ID behind it, cut off. False: there is none.
bool take_cid(ByteView& bytes, ByteView& cid) noexcept {
  if (bytes.empty() || bytes.size() - 1 < bytes[0]) return false;
  cid = bytes.subspan(1, bytes[0]);
  bytes = bytes.subspan(1 + cid.size());
  return true;
}

}  // namespace

std::vector<std::uint8_t> PathProbes::make(const udp::Path& path, const ConnectionId& own,
                                           Random& random, Answered answered, std::uint64_t& id) {
  std::vector<std::uint8_t> packet(kSize);
  random.fill(packet);
  packet[0] |= 0xc0;  // long header, fixed bit
  for (std::size_t i = kVersionAt; i < kCidAt; ++i) packet[i] = reserved(packet[i]);
  packet[kCidAt] = kRandomCidLength;
  const ByteView theirs = ByteView(packet).subspan(kCidAt + 1, kRandomCidLength);
  const std::size_t own_at = kCidAt + 1 + kRandomCidLength;
  packet[own_at] = static_cast<std::uint8_t>(own.size());
  std::memcpy(packet.data() + own_at + 1, own.data(), own.size());
  if (probes_.size() >= kMaxProbes) probes_.erase(probes_.begin());
  id = next_id_++;
  probes_.emplace(id, Probe{path, own, ConnectionId(theirs), std::move(answered)});
  return packet;
}

void PathProbes::forget(std::uint64_t id) { probes_.erase(id); }

bool PathProbes::receive(const udp::Path& path, ByteView packet, Timestamp now) {
  if (probes_.empty() || packet.size() < kCidAt || (packet[0] & 0x80) == 0) return false;
  const ByteView version = packet.subspan(kVersionAt, kCidAt - kVersionAt);
  if (std::any_of(version.begin(), version.end(), [](std::uint8_t byte) { return byte != 0; })) {
    return false;
  }
  ByteView rest = packet.subspan(kCidAt);
  ByteView destination;
  ByteView source;
  if (!take_cid(rest, destination) || !take_cid(rest, source)) return false;
  const auto found = std::find_if(probes_.begin(), probes_.end(), [&](const auto& entry) {
    const Probe& probe = entry.second;
    return probe.path == path &&
           std::equal(destination.begin(), destination.end(), probe.own.data(),
                      probe.own.data() + probe.own.size()) &&
           std::equal(source.begin(), source.end(), probe.theirs.data(),
                      probe.theirs.data() + probe.theirs.size());
  });
  if (found == probes_.end()) return false;
  const Answered answered = std::move(found->second.answered);
  probes_.erase(found);
  answered(now);
  return true;
}

}  // namespace tern::quic
