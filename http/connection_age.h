#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/random.h"
#include "base/time.h"

namespace tern::http {

/// How old a server lets its connections grow, so that clients spread over servers that have come
/// since (gRFC A9). By default as old as they like.
struct ConnectionAge {
  /// Then a connection drains (`Session::drain`), up to a tenth earlier or later: clients that came
  /// all at once do not come again all at once. Zero: never.
  Duration limit{};
  /// How long requests under way may take after that; then the connection is ended. None: as long
  /// as they need.
  std::optional<Duration> grace;
};

/// One connection's age: says when to do what about it. For a session's own timer.
class AgeClock {
 public:
  enum class Step : std::uint8_t {
    nothing,
    drain,
    close,  ///< the grace is over
  };

  /// The connection begins. Takes from `random` if there is a limit.
  void start(const ConnectionAge& allowed, Timestamp now, Random& random) noexcept {
    if (allowed.limit > Duration::zero()) {
      next_ = now + jittered(std::min(allowed.limit, kForever), random);
    }
  }
  /// When `pass` has something to say; kNever: not any more.
  Timestamp next() const noexcept { return next_; }
  Step pass(const ConnectionAge& allowed, Timestamp now) noexcept {
    if (next_ == kNever || now < next_) return Step::nothing;
    next_ = kNever;
    if (std::exchange(old_, true)) return Step::close;
    if (allowed.grace) next_ = now + std::min(*allowed.grace, kForever);
    return Step::drain;
  }

 private:
  /// 73 years, with which one can still reckon.
  static constexpr Duration kForever = Duration::max() / 4;

  static Duration jittered(Duration age, Random& random) noexcept {
    const Duration tenth = age / 10;
    const std::uint64_t width = 2 * static_cast<std::uint64_t>(tenth.count()) + 1;
    return age - tenth + Duration(static_cast<Duration::rep>(random.below(width)));
  }

  Timestamp next_ = kNever;
  bool old_ = false;
};

}  // namespace tern::http
