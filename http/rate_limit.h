#pragma once

#include <cstdint>

#include "base/time.h"

namespace tern::http {

/// A token bucket: `burst` events at once, refilled over `window`. Counts what peers may do a few
/// times but not all the time.
class RateLimit {
 public:
  RateLimit(std::uint32_t burst, Duration window) noexcept
      : cost_(burst == 0 ? window : window / burst), window_(window) {}

  /// One more event; false when it is one too many.
  bool allow(Timestamp now) noexcept {
    // `used_until_` is when the bucket will be full again.
    if (used_until_ < now) used_until_ = now;
    if (used_until_ + cost_ > now + window_) return false;
    used_until_ += cost_;
    return true;
  }

 private:
  Duration cost_;
  Duration window_;
  Timestamp used_until_{};
};

}  // namespace tern::http
