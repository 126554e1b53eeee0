#pragma once

#include "base/check.h"
#include "tools/tern/relay_settings.h"

namespace tern::cli {

/// What a link can work with, whoever wrote it down.
inline void check_model(const sim::ChannelModel& model) {
  constexpr auto is_chance = [](double value) { return value >= 0 && value <= 1; };
  TERN_CHECK(model.delay >= Duration{0} && model.jitter >= Duration{0});
  TERN_CHECK(model.reorder_delay >= Duration{0});
  TERN_CHECK(model.hole_length >= Duration{0} && model.hole_period >= model.hole_length);
  TERN_CHECK(model.bits_per_second >= 0);
  for (const double chance : {model.loss, model.burst_enter, model.burst_leave, model.burst_loss,
                              model.reorder, model.duplicate, model.corrupt, model.ecn_mark}) {
    TERN_CHECK(is_chance(chance));
  }
  TERN_CHECK(model.mtu >= 576 && model.mtu <= 65'575);
  TERN_CHECK(model.drops.size() <= 100'000 && !model.drops.contains(0));
}

/// Both directions, and the first of what happens to them.
inline void check_plan(RelayPlan& plan) {
  check_model(plan.to_server);
  check_model(plan.to_client);
  for (relay::Timeline& timeline : plan.timelines) {
    TERN_CHECK(!timeline.empty());
    Duration last{0};
    for (int i = 0; i < 100 && timeline.next() != relay::Timeline::kNeverAgain; ++i) {
      TERN_CHECK(timeline.next() >= last);
      last = timeline.next();
      const relay::Action& action = timeline.take();
      if (action.change) plan.apply(action.direction, action.change);
    }
  }
  check_model(plan.to_server);
  check_model(plan.to_client);
}

}  // namespace tern::cli
