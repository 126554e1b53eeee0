#pragma once

#include "base/random.h"
#include "base/time.h"

namespace tern {

/// The seam: the world as a runtime sees it. Two families implement it: `transport/engine` (real
/// time, io_uring or epoll) and `transport/sim` (virtual time, one seed). `udp::Network` adds
/// datagrams to it. Everything above runs unchanged in both worlds.
///
/// One driver serves one runtime, on one thread; only `wake` may be called from elsewhere.
class Driver {
 public:
  virtual ~Driver() = default;

  /// Monotonic now. The runtime reads it once a turn.
  virtual Timestamp now() = 0;
  /// Wall clock, seconds since 1970 UTC.
  virtual UnixSeconds unix_seconds() = 0;
  /// A key for the runtime's random numbers; asked once.
  virtual Random::Key random_key() = 0;

  /// Starts what was submitted and returns when something has arrived or completed, `wake` was
  /// called, or `deadline` has come; at once when `deadline` is in the past. May return early.
  /// Returns how long there was nothing to do: zero when something was there already, and always
  /// where work takes no time, in the simulator.
  virtual Duration wait(Timestamp deadline) = 0;
  /// Delivers what has arrived to its sinks, at most a bounded number of datagrams a call. Called
  /// right after `wait`, with the turn's `now`. Sinks must not keep the buffers.
  virtual void reap(Timestamp now) = 0;
  /// Ends a `wait` early, from any thread; async-signal-safe.
  virtual void wake() noexcept = 0;
};

}  // namespace tern
