#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "transport/quic/frames.h"
#include "transport/quic/non_productive.h"
#include "transport/quic/old_path_first.h"
#include "transport/quic/path_credit.h"

namespace tern {
class Random;
}

namespace tern::quic {

/// What a connection looks for in the packets it opens and seals, and changes in them: the frames
/// that ngtcp2 1.11 does not tell of. The CryptoBridge's; its keys point here. Internal to
/// transport/quic.
class PacketWatch {
 public:
  /// Server, before the handshake: probes of paths are answered with a challenge as well
  /// (return_challenge.h). `random` outlives the connection.
  void challenge_probes(Random& random) noexcept { challenges_ = &random; }

  /// Server, before the handshake: `credit` sees what is in the client's 0-RTT and 1-RTT packets.
  /// It outlives the connection.
  void watch_answers(PathCredit& credit) noexcept { answers_ = &credit; }

  /// The packets that are opened next are said to have come on another path than they have. What
  /// they ask of their own path is not answered: a PATH_RESPONSE goes out where the PATH_CHALLENGE
  /// came in, or not at all (RFC 9000 §8.2.2).
  void from_elsewhere(bool on) noexcept { from_elsewhere_ = on; }

  /// Whether a packet with a PATH_RESPONSE has been made since this was asked last.
  bool take_path_response() noexcept { return std::exchange(sealed_path_response_, false); }
  /// The same of packets that begin with a PATH_CHALLENGE or a PATH_RESPONSE.
  bool take_probe() noexcept { return std::exchange(sealed_probe_, false); }

  /// Null until something has been sent or received on a second path.
  OldPathFirst* old_path_first() noexcept { return old_path_first_.get(); }
  const OldPathFirst* old_path_first() const noexcept { return old_path_first_.get(); }
  OldPathFirst& make_old_path_first() {
    if (old_path_first_ == nullptr) old_path_first_ = std::make_unique<OldPathFirst>();
    return *old_path_first_;
  }

  /// Of the peer's 0-RTT and 1-RTT packets.
  NonProductivePackets& non_productive() noexcept { return non_productive_; }

  /// Key updates behind the newest keys that have opened a packet of the peer's.
  std::uint64_t rx_generation() const noexcept { return rx_generation_; }

  /// Numbers below the peer's newest whose packets have not come: lost, or on their way. Those that
  /// it has left out are among them (RFC 9000 §21.4), and a packet that came twice hides one.
  std::uint64_t missing() const noexcept { return next_ > opened_ ? next_ - opened_ : 0; }

  // ---- from packet protection

  /// A 1-RTT packet, before it is sealed.
  void sealing(std::uint64_t number, MutableBytes payload) noexcept {
    const bool probe =
        !payload.empty() && (payload[0] == kPathChallenge || payload[0] == kPathResponse);
    if (probe) seal_probe(payload);
    if (old_path_first_ != nullptr) old_path_first_->sealing(number, probe);
  }
  /// A 0-RTT or 1-RTT packet of the peer's, by keys of so many updates.
  void opened(std::uint64_t number, MutableBytes payload, std::uint64_t generation) noexcept {
    ++opened_;
    next_ = std::max(next_, number + 1);
    non_productive_.opened(number, payload);
    if (answers_ != nullptr) answers_->opened(payload);
    if (old_path_first_ != nullptr) old_path_first_->opened(payload);
    if (from_elsewhere_) drop_path_challenges(payload);
    rx_generation_ = std::max(rx_generation_, generation);
  }

 private:
  void seal_probe(MutableBytes payload) noexcept;

  bool sealed_path_response_ = false;
  bool sealed_probe_ = false;
  bool from_elsewhere_ = false;
  std::uint64_t rx_generation_ = 0;
  std::uint64_t opened_ = 0;
  std::uint64_t next_ = 0;
  NonProductivePackets non_productive_;
  std::unique_ptr<OldPathFirst> old_path_first_;
  Random* challenges_ = nullptr;
  PathCredit* answers_ = nullptr;
};

}  // namespace tern::quic
