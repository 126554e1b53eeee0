#include "tools/handoff/bound.h"

#include <algorithm>

#include "tools/handoff/transfer.h"

namespace tern::handoff {

std::string_view text_of(Bound bound) noexcept {
  switch (bound) {
    case Bound::none: return "none";
    case Bound::round_trip: return "1 RTT of the new path";
    case Bound::pto_and_two_round_trips: return "1 PTO + 2 RTT of the new path";
  }
  return "";
}

Duration Handoff::allowed(Bound bound) const noexcept {
  switch (bound) {
    case Bound::none: return Duration::max();
    case Bound::round_trip: return round_trip;
    case Bound::pto_and_two_round_trips: return pto + waking + 2 * round_trip;
  }
  return Duration::max();
}

void Handoffs::delivered(Duration now, const Transfer& transfer) {
  const auto [last, first] = last_.try_emplace(transfer.id(), now);
  if (!first && now - last->second >= kLeastGap) gaps_.push_back({last->second, now});
  last->second = now;
}

std::vector<Handoff> Handoffs::measured() const {
  std::vector<Handoff> all = all_;
  for (Handoff& handoff : all) {
    for (const Gap& gap : gaps_) {
      if (gap.end <= handoff.when || gap.begin > handoff.old_until) continue;
      const Duration from = handoff.died != Duration() ? handoff.died : handoff.when;
      handoff.stall = std::max(handoff.stall, gap.end - std::max(gap.begin, from));
    }
  }
  return all;
}

}  // namespace tern::handoff
