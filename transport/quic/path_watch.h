#pragma once

#include <chrono>
#include <functional>

#include "base/timer_heap.h"
#include "transport/quic/path_monitor.h"
#include "transport/udp/address.h"

namespace tern::quic {

/// What a connection that watches its path has for it. Internal to transport/quic.
class PathWatch {
 public:
  PathWatch(TimerHeap& timers, std::function<bool()> expects, bool is_alone,
            std::function<void(Timestamp)> due)
      : expecting(std::move(expects)), alone(is_alone), timer_(timers, std::move(due)) {}

  void look_again(Timestamp when) {
    soon_ = monitor.data_flow();
    timer_.arm(when);
  }
  /// Nothing is urgent for who is alone: what comes and goes until the timer is due need not be
  /// looked at one by one, unless the timer was set for a longer while.
  bool rests() const noexcept { return alone && timer_.armed() && (soon_ || !monitor.data_flow()); }

  /// The connection has moved away from `path`.
  void left(const udp::Path& path, Timestamp now) noexcept {
    left_path_ = path;
    left_at_ = now;
  }
  /// What was on its way there may come for as long as the queues were. ngtcp2 1.11 remembers the
  /// path for one PTO, and that is the new path's: after it what comes there would be lost.
  bool comes_late(const udp::Path& path, Timestamp now, Duration remembered) const noexcept {
    return path == left_path_ && now - left_at_ >= remembered && now - left_at_ < kOldPathDelivers;
  }

  PathMonitor monitor;
  const std::function<bool()> expecting;
  const bool alone;

 private:
  static constexpr Duration kOldPathDelivers = std::chrono::seconds(1);

  Timer timer_;
  bool soon_ = false;
  udp::Path left_path_;
  Timestamp left_at_{};
};

}  // namespace tern::quic
