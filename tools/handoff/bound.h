#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace tern::handoff {

class Transfer;

/// How long a handoff may hold up the migrating carrier (docs/handoff.md, "Bounds").
enum class Bound : std::uint8_t {
  none,
  round_trip,               ///< one of the new path: the old one is left while it works
  pto_and_two_round_trips,  ///< the old path dies; the radio of the new one may have to wake
};

/// For people: "1 RTT of the new path".
std::string_view text_of(Bound bound) noexcept;

/// A connection's move from one network to another. Times of the run.
struct Handoff {
  Duration when{};        ///< from then on the connection sends over the new path
  Duration old_until{};   ///< so long what is on its way over the old path may arrive
  Duration round_trip{};  ///< of the new path, empty: Access::first_round_trip
  Duration waking{};      ///< what the new path's radio still needs to wake
  Duration died{};        ///< when the old path did; 0: it did not
  Duration pto{};         ///< of the client's connection then
  Duration stall{};       ///< the longest gap between two pieces of a transfer that it caused

  Duration allowed(Bound bound) const noexcept;
};

/// Which gaps belong to which handoff: those that end after the move and began at the latest when
/// the last of what the old path carried may have come. One that was open already when the old path
/// died, or where it did not when the connection moved, for a packet lost before, counts from then.
/// Owned by the stage.
class Handoffs {
 public:
  void delivered(Duration now, const Transfer& transfer);
  void moved(const Handoff& handoff) { all_.push_back(handoff); }
  /// With their stalls, in the order of time.
  std::vector<Handoff> measured() const;

 private:
  /// A shorter one is no stall: packets come in bursts.
  static constexpr Duration kLeastGap = std::chrono::milliseconds(5);
  struct Gap {
    Duration begin;
    Duration end;
  };
  std::vector<Handoff> all_;
  std::vector<Gap> gaps_;
  std::map<std::uint64_t, Duration> last_;  // piece of each transfer
};

}  // namespace tern::handoff
