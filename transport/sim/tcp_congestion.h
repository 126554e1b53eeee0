#pragma once

#include <cstdint>

#include "base/time.h"
#include "transport/sim/tcp_model.h"

namespace tern::sim {

/// How much may be in flight: slow start with HyStart's delay test (RFC 9406 has the idea; the
/// thresholds are Linux's), then CUBIC (RFC 9438) or NewReno (RFC 5681). Bytes. Knows nothing of
/// segments: the sender says what was delivered and when something was lost.
class TcpCongestion {
 public:
  static constexpr std::uint64_t kInitialSegments = 10;  // RFC 6928
  static constexpr std::uint64_t kNoThreshold = UINT64_MAX;

  TcpCongestion(TcpAlgorithm algorithm, std::uint64_t mss) noexcept
      : algorithm_(algorithm), mss_(static_cast<double>(mss)), window_(mss_ * kInitialSegments) {}

  std::uint64_t window() const noexcept { return static_cast<std::uint64_t>(window_); }
  std::uint64_t threshold() const noexcept { return threshold_; }
  bool in_slow_start() const noexcept { return window() < threshold_; }

  /// A round trip's first sample comes with `new_round`.
  void rtt_sample(Duration rtt, Duration min_rtt, bool new_round) noexcept;
  /// `bytes` were acknowledged while the window limited the sender, outside of recovery.
  void acknowledged(std::uint64_t bytes, Duration rtt, Timestamp now) noexcept;
  /// Something was lost: a lower threshold. The window follows as recovery goes on, see `set`.
  void congestion() noexcept { reduce(); }
  /// A retransmission timed out. `first`: not after another timeout of the same bytes.
  void timeout(bool first) noexcept;
  /// The congestion was none: the segment was late, not lost.
  void undo() noexcept;
  /// Nothing was in flight for that many RTOs: RFC 2861, as Linux does.
  void idle(std::uint64_t timeouts, Duration length) noexcept;
  void set(std::uint64_t bytes) noexcept;
  /// One segment instead of ten: SYN or SYN-ACK was lost more than once.
  void start_small() noexcept { window_ = mss_; }

 private:
  void reduce() noexcept;
  void cubic(double acknowledged, Duration rtt, Timestamp now) noexcept;

  TcpAlgorithm algorithm_;
  double mss_;
  double window_;
  std::uint64_t threshold_ = kNoThreshold;
  double window_before_ = 0;  // the last reduction, to undo it
  std::uint64_t threshold_before_ = kNoThreshold;

  // HyStart
  Duration round_min_ = Duration::max();
  unsigned round_samples_ = 0;

  // CUBIC; windows in segments, as in the RFC.
  double most_ = 0;      // W_max
  double estimate_ = 0;  // W_est
  double k_ = 0;
  double origin_ = 0;
  Timestamp epoch_ = kNever;
};

}  // namespace tern::sim
