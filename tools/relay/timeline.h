#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "transport/sim/link_options.h"

namespace tern::relay {

enum class Direction : std::uint8_t { both, to_server, to_client };

/// One thing that happens to the network between client and server.
struct Action {
  enum class Kind : std::uint8_t {
    change,          ///< `change` sets the link's model anew
    cut,             ///< nothing gets through, what is under way is lost
    restore,         ///< ends a cut
    rebind,          ///< the NAT forgets its mappings: new outside ports
    rebind_address,  ///< the same, and a new outside address
  };

  Kind kind = Kind::change;
  Direction direction = Direction::both;           ///< of change, cut and restore
  std::function<void(sim::ChannelModel&)> change;  ///< may be called any number of times
  std::string text;                                ///< for the log: "cut", "loss 5%"
};

/// Actions at given times, once or again and again. A value. Times count from the moment the
/// relay's clock starts: with the first datagram or connection of a client.
class Timeline {
 public:
  static constexpr std::size_t kMaxSteps = 10'000;
  static constexpr Duration kShortestPeriod = std::chrono::milliseconds(1);
  static constexpr Duration kNeverAgain = Duration::max();

  /// Steps may be added in any order; those of one time happen in the order they were added. At
  /// most kMaxSteps.
  Timeline& at(Duration time, Action action);
  /// Begins again after each `period`, which is kShortestPeriod or more and no step's time lies
  /// beyond. 0, the default: once.
  Timeline& repeat_every(Duration period);
  /// Delays everything.
  Timeline& begin_at(Duration time) { return begin_ = time, *this; }

  bool empty() const noexcept { return steps_.empty(); }
  Duration period() const noexcept { return period_; }
  bool has(Action::Kind kind) const noexcept;

  /// When the next action is due; kNeverAgain when all have been.
  Duration next() const noexcept;
  /// The action that is due next, which then counts as done. Lives as long as the timeline.
  const Action& take();

 private:
  struct Step {
    Duration time;
    Action action;
  };

  std::vector<Step> steps_;  // by time
  Duration begin_{0};
  Duration period_{0};
  std::size_t position_ = 0;
};

}  // namespace tern::relay
