#pragma once

#include "tools/handoff/stage.h"

/// The scenarios, each a page. What they are about is told in scenario.cc.

namespace tern::handoff {

// leaving_wifi.cc
void walk_out_of_wifi(Stage& stage);
void sudden_cut(Stage& stage);
void lift(Stage& stage);
void make_before_break(Stage& stage);

}  // namespace tern::handoff
