#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "transport/quic/cid.h"
#include "transport/udp/address.h"

namespace tern::quic {

/// Asks whether a QUIC server can be reached on a path, and how far it is, without a connection: a
/// long-header packet of a reserved version (RFC 9000 §15) is answered by Version Negotiation
/// (§6.1), statelessly. It tells an observer nothing of any connection: all in it is random
/// (docs/decisions/0012).
class PathProbes {
 public:
  /// Nothing shorter has to be answered (RFC 9000 §5.2.2).
  static constexpr std::size_t kSize = 1200;
  /// Under way; the oldest make room, and stay unanswered.
  static constexpr std::size_t kMaxProbes = 256;

  /// What an answer calls, in the drain phase's place: must not call the endpoint.
  using Answered = std::function<void(Timestamp now)>;

  /// The packet to send on `path`; `id` names the probe. Answers come to `own`, an ID of ours.
  std::vector<std::uint8_t> make(const udp::Path& path, const ConnectionId& own, Random& random,
                                 Answered answered, std::uint64_t& id);
  void forget(std::uint64_t id);
  /// A Version Negotiation packet; true if it answers a probe.
  bool receive(const udp::Path& path, ByteView packet, Timestamp now);
  std::size_t size() const noexcept { return probes_.size(); }

 private:
  struct Probe {
    udp::Path path;
    ConnectionId own;
    ConnectionId theirs;
    Answered answered;
  };
  std::map<std::uint64_t, Probe> probes_;  // oldest first
  std::uint64_t next_id_ = 1;
};

}  // namespace tern::quic
