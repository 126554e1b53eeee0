#include "tools/handoff/scenario.h"

#include "tools/handoff/scenarios/scenarios.h"

namespace tern::handoff {
namespace {

constexpr Scenario kScenarios[] = {
    {"walk-out-of-wifi", "The Wi-Fi signal fades, then it is gone",
     "A phone downloads over Wi-Fi while its owner walks out of the house. For more than a second "
     "the signal gets weaker: less rate, longer delay, losses in bursts. Then there is silence, "
     "and half a second later the system takes the interface away. Cellular has been there all "
     "the time.",
     walk_out_of_wifi},
    {"sudden-cut", "Wi-Fi is cut off without warning",
     "In the middle of a download the Wi-Fi network falls silent: no weak signal before it, no "
     "message about it. The system notices after one and a half seconds. Whoever waits for that "
     "stands still so long; a transport that sees that nothing comes back any more need not.",
     sudden_cut},
    {"lift", "Two seconds of nothing, on the only network",
     "The doors of a lift close: two seconds without any packet, and no other network to go to. "
     "The connection has to wait and to be awake when the doors open.",
     lift},
    {"make-before-break", "Another network is taken before the first one goes",
     "The system sees that Wi-Fi gets weak and makes cellular the preferred network, a second "
     "before Wi-Fi is gone. A connection that may move is on the new path before the old one "
     "breaks; the others notice when it is too late.",
     make_before_break},
};

}  // namespace

std::span<const Scenario> scenarios() noexcept { return kScenarios; }

const Scenario* find_scenario(std::string_view name) noexcept {
  for (const Scenario& scenario : kScenarios) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace tern::handoff
