#pragma once

#include <string>
#include <vector>

#include "tools/handoff/run.h"

namespace tern::handoff {

/// What one page shows of a scenario.
struct PageSection {
  const Scenario* scenario = nullptr;
  struct Runs {
    CarrierKind carrier;
    const Outcome* shown;             ///< has a timeline
    const std::vector<Outcome>* all;  ///< every seed; one or more
  };
  std::vector<Runs> carriers;
};

/// An HTML page that needs nothing else: the story, the pictures and the figures of each scenario,
/// for light and dark, on screen and on paper. `command` is how to make it again.
std::string page(const std::vector<PageSection>& sections, const std::string& command);

}  // namespace tern::handoff
