#pragma once

#include <cstddef>

namespace tern::http {

/// What all exchanges of one connection have queued and not sent (`Carrier::unsent`), for the
/// session that sends it. A peer that asks for much and takes nothing makes us keep that. So each
/// may queue Outgoing::kHighWater while all together have no more than kMost; beyond that a
/// thirty-second part, which is enough for whose turn it is. One thread's.
class QueuedBytes {
 public:
  static constexpr std::size_t kMost = 1024 * 1024;
  static constexpr std::size_t kPressure = 32;

  /// An exchange had `before` bytes queued, and has `after` now.
  void changed(std::size_t before, std::size_t after) noexcept { all_ = all_ - before + after; }
  /// What `queued` bytes of one exchange count as, for its writer's back-pressure.
  std::size_t felt(std::size_t queued) const noexcept {
    return all_ > kMost ? queued * kPressure : queued;
  }

 private:
  std::size_t all_ = 0;
};

}  // namespace tern::http
