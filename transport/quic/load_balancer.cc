#include "transport/quic/load_balancer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tern::quic {

namespace {

// RFC 8999 §5: what every QUIC version has in the same place.
constexpr std::uint8_t kLongHeader = 0x80;
constexpr std::size_t kLongCidLength = 5;
constexpr std::size_t kLongCid = 6;
constexpr std::size_t kShortCid = 1;

/// splitmix64's finaliser: FNV alone leaves neighbours alike.
std::uint64_t mix(std::uint64_t value) noexcept {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace

Result<LoadBalancer> LoadBalancer::create(CidConfig cids, std::vector<ConnectionId> machines) {
  if (machines.empty() || machines.size() > kMaxMachines) {
    return fail(Error::invalid("a load balancer has 1 to 256 machines"));
  }
  for (auto machine = machines.begin(); machine != machines.end(); ++machine) {
    if (machine->empty() || machine->size() != machines.front().size()) {
      return fail(Error::invalid("machine ids have at least a byte, and one length"));
    }
    if (std::find(machines.begin(), machine, *machine) != machine) {
      return fail(Error::invalid("two machines have the id " + machine->to_string()));
    }
  }
  cids.machine_id(machines.front());
  TERN_TRY(CidGenerator generator, CidGenerator::create(cids));
  return LoadBalancer(std::move(generator), std::move(machines));
}

LoadBalancer::Route LoadBalancer::route(ByteView datagram,
                                        const udp::Address& client) const noexcept {
  ByteView cid;
  const bool is_long = !datagram.empty() && (datagram[0] & kLongHeader) != 0;
  if (is_long && datagram.size() > kLongCid) {
    const std::size_t length = datagram[kLongCidLength];
    if (datagram.size() >= kLongCid + length) cid = datagram.subspan(kLongCid, length);
  } else if (!is_long && datagram.size() >= kShortCid + cids_.cid_length()) {
    cid = datagram.subspan(kShortCid, cids_.cid_length());
  }
  if (cid.size() == cids_.cid_length()) {
    if (const auto decoded = cids_.decode(cid)) {
      const auto found = std::find(machines_.begin(), machines_.end(), decoded->machine_id);
      if (found != machines_.end()) {
        return {static_cast<std::size_t>(found - machines_.begin()), true};
      }
    }
  }
  if (is_long && !cid.empty()) return {hashed(cid), false};
  std::array<std::uint8_t, 18> address{};
  const ByteView ip = client.ip();
  std::memcpy(address.data(), ip.data(), ip.size());
  address[16] = static_cast<std::uint8_t>(client.port() >> 8);
  address[17] = static_cast<std::uint8_t>(client.port() & 0xff);
  return {hashed(address), false};
}

/// Rendezvous hashing: a machine that is added or taken away moves its own share only.
std::size_t LoadBalancer::hashed(ByteView bytes) const noexcept {
  std::uint64_t key = 0xcbf29ce484222325;
  for (const std::uint8_t byte : bytes) key = (key ^ byte) * 0x100000001b3;
  std::size_t best = 0;
  std::uint64_t highest = 0;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    const std::uint64_t score = mix(key ^ mix(std::hash<ConnectionId>()(machines_[i])));
    if (score >= highest) {
      highest = score;
      best = i;
    }
  }
  return best;
}

}  // namespace tern::quic
