#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/handoff/run.h"

/// Pictures of one scenario and seed, as SVG. The outcomes have timelines; there is at least one.

namespace tern::handoff {

/// The style sheet that the pictures need, for light and dark.
std::string_view picture_style() noexcept;

/// The handoff itself: for each carrier what its applications get over time, where nothing came
/// for longest, and which network carries it. `whole`: a file of its own, with title and style.
std::string handoff_picture(const Scenario& scenario, const std::vector<const Outcome*>& outcomes,
                            bool whole);
/// Round-trip time and congestion window of the server's senders.
std::string sender_picture(const std::vector<const Outcome*>& outcomes);
/// What each radio does.
std::string radio_picture(const std::vector<const Outcome*>& outcomes);
/// Cumulative distribution of a duration over many seeds or streams, one curve for each list.
struct Distribution {
  CarrierKind carrier;
  std::vector<double> values;
};
std::string distribution_picture(std::string_view title, std::vector<Distribution> distributions);

}  // namespace tern::handoff
