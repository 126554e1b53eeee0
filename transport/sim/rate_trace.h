#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/time.h"

namespace tern::sim {

/// How a link's rate changes, as recorded on (or made up for) a cellular network: the times at
/// which one full packet may be sent. The format of Mahimahi's traces: a line an opportunity, its
/// time in whole milliseconds since the beginning, never falling; several lines of one time are
/// several packets in that millisecond. It begins again when its last time has come. An immutable
/// value, shared by links and threads.
class RateTrace {
 public:
  /// What one opportunity carries, IP headers included: one full packet, several small ones, or the
  /// beginning of one that the next opportunity goes on with. What nobody uses is lost.
  static constexpr std::size_t kOpportunityBytes = 1500;
  static constexpr std::size_t kMaxOpportunities = 4'000'000;
  static constexpr std::size_t kMaxMilliseconds = 86'400'000;

  /// Error invalid, "NAME:LINE: …", for what is no number, falls, or is beyond the limits, and for
  /// a trace without a time above 0.
  static Result<RateTrace> parse(std::string_view text, std::string_view name);
  /// Times in milliseconds, as in a file: TERN_CHECK holds them to the same rules.
  explicit RateTrace(std::vector<std::uint32_t> milliseconds);

  /// The file's content.
  std::string text() const;
  /// The time after which it begins again.
  Duration period() const noexcept { return std::chrono::milliseconds(times_.back()); }
  std::size_t opportunities() const noexcept { return times_.size(); }
  double mean_bits_per_second() const noexcept;

  /// The time of the n-th opportunity since the beginning, over all rounds.
  Duration at(std::uint64_t index) const noexcept;
  /// The first opportunity that is not before `since`.
  std::uint64_t first_from(Duration since) const noexcept;

 private:
  std::vector<std::uint32_t> times_;
};

/// A trace of the project's own, different for each seed: the logarithm of the rate wanders around
/// its mean (an Ornstein–Uhlenbeck process in steps of 20 ms), as fading and other users of the
/// cell have it, and every now and then nothing gets through for a while, as when the cell changes.
class CellularTrace {
 public:
  CellularTrace& length(Duration time) { return length_ = time, *this; }      ///< default 30 s
  CellularTrace& mean_mbps(double rate) { return mean_mbps_ = rate, *this; }  ///< default 8
  /// Standard deviation of the rate's natural logarithm. Default 0.5: mostly within a factor of
  /// 1.6 around the median.
  CellularTrace& spread(double deviation) { return spread_ = deviation, *this; }
  /// How fast it wanders: the time after which it has forgotten most of where it was. Default 1 s.
  CellularTrace& memory(Duration time) { return memory_ = time, *this; }
  /// Outages: one every `every` on average, each between half and one and a half times `length`.
  /// Default: none.
  CellularTrace& outages(Duration every, Duration length) {
    return outage_every_ = every, outage_length_ = length, *this;
  }

  RateTrace make(Random& random) const;

 private:
  Duration length_ = std::chrono::seconds(30);
  double mean_mbps_ = 8;
  double spread_ = 0.5;
  Duration memory_ = std::chrono::seconds(1);
  Duration outage_every_{0};
  Duration outage_length_{0};
};

}  // namespace tern::sim
