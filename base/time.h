#pragma once

#include <chrono>
#include <cstdint>

/// Time comes from the runtime's driver, never from the OS directly: `Clock` has no now().

namespace tern {

using Duration = std::chrono::nanoseconds;

struct Clock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
};

/// Monotonic; the epoch is the driver's affair. Constant within one turn of a runtime.
using Timestamp = std::chrono::time_point<Clock>;

inline constexpr Timestamp kNever = Timestamp::max();

/// Seconds since 1970 UTC, for certificates, tickets, Date and Last-Modified.
using UnixSeconds = std::int64_t;

}  // namespace tern
