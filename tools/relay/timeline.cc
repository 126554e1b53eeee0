#include "tools/relay/timeline.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tern::relay {

Timeline& Timeline::at(Duration time, Action action) {
  TERN_CHECK(steps_.size() < kMaxSteps && time >= Duration{0});
  const auto place =
      std::upper_bound(steps_.begin(), steps_.end(), time,
                       [](Duration wanted, const Step& step) { return wanted < step.time; });
  steps_.insert(place, {time, std::move(action)});
  return *this;
}

Timeline& Timeline::repeat_every(Duration period) {
  TERN_CHECK(period == Duration{0} || period >= kShortestPeriod);
  period_ = period;
  return *this;
}

bool Timeline::has(Action::Kind kind) const noexcept {
  return std::any_of(steps_.begin(), steps_.end(),
                     [&](const Step& step) { return step.action.kind == kind; });
}

Duration Timeline::next() const noexcept {
  return position_ == steps_.size() ? kNeverAgain : begin_ + steps_[position_].time;
}

const Action& Timeline::take() {
  TERN_CHECK(position_ < steps_.size());
  const Action& action = steps_[position_++].action;
  if (position_ == steps_.size() && period_ > Duration{0}) {
    position_ = 0;
    begin_ += period_;
  }
  return action;
}

}  // namespace tern::relay
