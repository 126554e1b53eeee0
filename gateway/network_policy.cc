#include "gateway/network_policy.h"

#include <algorithm>
#include <tuple>

namespace tern {
namespace {

using Reach = NetworkCandidate::Reach;
using Path = NetworkView::Path;

constexpr std::uint32_t kMaxDoublings = 4;

int kind_rank(udp::InterfaceKind kind) noexcept {
  switch (kind) {
    case udp::InterfaceKind::wired: return 0;
    case udp::InterfaceKind::wifi: return 1;
    case udp::InterfaceKind::cellular: return 3;
    default: return 2;
  }
}

bool is_cellular(const NetworkCandidate& candidate) noexcept {
  return candidate.kind == udp::InterfaceKind::cellular;
}

bool answers(const NetworkCandidate& candidate) noexcept {
  return candidate.reach != Reach::unreachable;
}

/// Less is better.
auto preference(const NetworkCandidate& candidate) noexcept {
  return std::tuple(!candidate.system_choice, candidate.metric, kind_rank(candidate.kind),
                    candidate.index);
}

auto price(const NetworkCandidate& candidate) noexcept {
  return std::tuple_cat(std::tuple(is_cellular(candidate)), preference(candidate));
}

/// The best by `rank` of those that `wanted` accepts, other than the one in use.
template <typename Rank, typename Wanted>
std::optional<std::size_t> best(const NetworkView& view, Rank rank, Wanted wanted) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    if (i == view.in_use || !wanted(view.candidates[i])) continue;
    if (!found || rank(view.candidates[i]) < rank(view.candidates[*found])) found = i;
  }
  return found;
}

/// Those that `wanted` accepts, other than the one in use and the spare.
template <typename Wanted>
std::vector<std::size_t> others(const NetworkView& view, std::optional<std::size_t> spare,
                                Wanted wanted) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    if (i != view.in_use && i != spare && wanted(view.candidates[i])) found.push_back(i);
  }
  return found;
}

/// Where to go when there is no staying: what answers, else what has not been asked. A path that is
/// silent may speak again, so it is not left for one that is known to be worse, nor for one that
/// has failed and not answered since.
template <typename Rank>
std::optional<std::size_t> refuge(const NetworkView& view, Rank rank) {
  for (const Reach reach : {Reach::reachable, Reach::unknown, Reach::unreachable}) {
    if (reach == Reach::unreachable && view.path == Path::silent) break;
    const auto found = best(view, rank, [&](const NetworkCandidate& candidate) {
      const bool dubious = candidate.reach == Reach::unknown && candidate.failures > 0;
      return candidate.reach == reach && !(dubious && view.path == Path::silent);
    });
    if (found) return found;
  }
  return std::nullopt;
}

bool settled(const NetworkCandidate& candidate) noexcept {
  const std::uint32_t doublings =
      candidate.failures == 0 ? 0 : std::min(candidate.failures - 1, kMaxDoublings);
  return candidate.reach == Reach::reachable &&
         candidate.stable_for >= NetworkPolicy::kSettle * (1 << doublings);
}

class Standard final : public NetworkPolicy {
  NetworkChoice choose(const NetworkView& view) const override {
    NetworkChoice choice;
    const auto anything = [](const NetworkCandidate&) { return true; };
    if (view.path != Path::good || !view.in_use) {
      choice.use = refuge(view, preference);
      choice.spare = best(view, preference, anything);
      choice.ask = others(view, choice.spare, anything);
      return choice;
    }
    const auto& current = view.candidates[*view.in_use];
    choice.use = best(view, preference, [&](const NetworkCandidate& candidate) {
      return settled(candidate) && preference(candidate) < preference(current);
    });
    choice.spare = best(view, preference, answers);
    if (!choice.spare) choice.spare = best(view, preference, anything);
    // One that does not answer is asked now and then all the same: it may be the way back.
    choice.ask = others(view, choice.spare, [&](const NetworkCandidate& candidate) {
      return preference(candidate) < preference(current);
    });
    return choice;
  }
};

class Cheapest final : public NetworkPolicy {
  NetworkChoice choose(const NetworkView& view) const override {
    NetworkChoice choice;
    const auto cheap = [](const NetworkCandidate& candidate) { return !is_cellular(candidate); };
    choice.spare = best(view, price, [&](const NetworkCandidate& candidate) {
      return cheap(candidate) && answers(candidate);
    });
    if (!choice.spare) choice.spare = best(view, price, cheap);
    choice.ask = others(view, choice.spare, [&](const NetworkCandidate& candidate) {
      const bool stays = view.in_use && view.path == Path::good;
      return cheap(candidate) &&
             (!stays || price(candidate) < price(view.candidates[*view.in_use]));
    });
    if (view.path != Path::good || !view.in_use) {
      choice.use = refuge(view, price);
    } else if (is_cellular(view.candidates[*view.in_use])) {
      choice.use = best(view, price, [&](const NetworkCandidate& candidate) {
        return cheap(candidate) && candidate.reach == Reach::reachable;
      });
    }
    return choice;
  }
};

class Never final : public NetworkPolicy {
  NetworkChoice choose(const NetworkView&) const override { return {}; }
};

}  // namespace

std::shared_ptr<const NetworkPolicy> NetworkPolicy::standard() {
  static const auto policy = std::make_shared<const Standard>();
  return policy;
}

std::shared_ptr<const NetworkPolicy> NetworkPolicy::cheapest() {
  static const auto policy = std::make_shared<const Cheapest>();
  return policy;
}

std::shared_ptr<const NetworkPolicy> NetworkPolicy::never() {
  static const auto policy = std::make_shared<const Never>();
  return policy;
}

}  // namespace tern
