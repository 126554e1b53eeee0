#include "gateway/network_policy.h"

#include <vector>

#include <gtest/gtest.h>

namespace tern {
namespace {

using namespace std::chrono_literals;
using Kind = udp::InterfaceKind;
using Path = NetworkView::Path;
using Reach = NetworkCandidate::Reach;

NetworkCandidate network(std::uint32_t index, Kind kind, std::uint32_t metric,
                         Reach reach = Reach::unknown, Duration stable = {},
                         std::uint32_t failures = 0) {
  NetworkCandidate candidate;
  candidate.index = index;
  candidate.kind = kind;
  candidate.metric = metric;
  candidate.reach = reach;
  candidate.stable_for = stable;
  candidate.failures = failures;
  return candidate;
}

NetworkCandidate chosen_by_system(NetworkCandidate candidate) {
  candidate.system_choice = true;
  return candidate;
}

using Where = std::optional<std::size_t>;

struct PolicyCase {
  const char* what;
  Path path;
  Where in_use;
  std::vector<NetworkCandidate> candidates;
  Where use;
  Where spare;
  std::vector<std::size_t> ask = {};
};

void check(const NetworkPolicy& policy, const std::vector<PolicyCase>& table) {
  for (const PolicyCase& entry : table) {
    NetworkView view;
    view.path = entry.path;
    view.in_use = entry.in_use;
    view.candidates = entry.candidates;
    const NetworkChoice choice = policy.choose(view);
    EXPECT_EQ(choice.use, entry.use) << entry.what;
    EXPECT_EQ(choice.spare, entry.spare) << entry.what;
    EXPECT_EQ(choice.ask, entry.ask) << entry.what;
  }
}

const NetworkCandidate kWifi = network(2, Kind::wifi, 600, Reach::reachable);
const NetworkCandidate kCellular = network(3, Kind::cellular, 700);

TEST(NetworkPolicy, Standard) {
  const Where none;
  check(*NetworkPolicy::standard(),
        {
            {"nothing to choose from", Path::gone, none, {}, none, none},
            {"alone", Path::good, 0, {kWifi}, none, none},
            {"well off, with a spare", Path::good, 0, {kWifi, kCellular}, none, 1},
            {"silent: to the spare", Path::silent, 0, {kWifi, kCellular}, 1, 1},
            {"silent, and the spare is a captive portal: stay",
             Path::silent,
             0,
             {kWifi, network(3, Kind::cellular, 700, Reach::unreachable)},
             none,
             1},
            {"silent, and the other one has failed before and not answered since: stay",
             Path::silent,
             0,
             {kWifi, network(3, Kind::cellular, 700, Reach::unknown, {}, 1)},
             none,
             1},
            {"gone, and nothing but a captive portal: what else",
             Path::gone,
             none,
             {network(3, Kind::cellular, 700, Reach::unreachable)},
             0,
             0},
            {"what answers before what is preferred",
             Path::gone,
             none,
             {network(1, Kind::wired, 100), network(3, Kind::cellular, 700, Reach::reachable)},
             1,
             0,
             {1}},
            {"the preferred one is back, and has to prove itself",
             Path::good,
             1,
             {network(2, Kind::wifi, 600, Reach::reachable, 2s), kCellular},
             none,
             0},
            {"it has",
             Path::good,
             1,
             {network(2, Kind::wifi, 600, Reach::reachable, 3s), kCellular},
             0,
             0},
            {"it has failed twice before",
             Path::good,
             1,
             {network(2, Kind::wifi, 600, Reach::reachable, 3s, 2), kCellular},
             none,
             0},
            {"it has failed twice before, and is stable now",
             Path::good,
             1,
             {network(2, Kind::wifi, 600, Reach::reachable, 6s, 2), kCellular},
             0,
             0},
            {"patience ends at sixteen times",
             Path::good,
             1,
             {network(2, Kind::wifi, 600, Reach::reachable, 48s, 99), kCellular},
             0,
             0},
            {"the worse one is not gone to, however stable",
             Path::good,
             0,
             {kWifi, network(3, Kind::cellular, 700, Reach::reachable, 1h)},
             none,
             1},
            {"the metric before the kind",
             Path::good,
             0,
             {network(1, Kind::wifi, 100, Reach::reachable),
              network(2, Kind::wired, 200, Reach::reachable, 1h)},
             none,
             1},
            {"the kind among equals",
             Path::good,
             0,
             {network(1, Kind::wifi, 100, Reach::reachable),
              network(2, Kind::wired, 100, Reach::reachable, 1h)},
             1,
             1},
            {"a VPN is not left for what it runs over",
             Path::good,
             0,
             {chosen_by_system(network(9, Kind::other, 0, Reach::reachable)),
              network(2, Kind::wired, 0, Reach::reachable, 1h)},
             none,
             1},
            {"the spare is one that answers",
             Path::good,
             0,
             {network(1, Kind::wired, 100, Reach::reachable),
              network(2, Kind::wifi, 600, Reach::unreachable), kCellular},
             none,
             2},
            {"a preferred one that does not answer is asked, though there is a spare that does",
             Path::good,
             1,
             {network(1, Kind::wired, 100, Reach::unreachable), kWifi,
              network(3, Kind::cellular, 700, Reach::reachable)},
             none,
             2,
             {0}},
            {"so is every one of them",
             Path::good,
             2,
             {network(1, Kind::wired, 100, Reach::unreachable),
              network(2, Kind::wifi, 600, Reach::unreachable), kCellular,
              network(4, Kind::cellular, 800, Reach::reachable)},
             none,
             3,
             {0, 1}},
            {"silent, and no other answers: all are asked",
             Path::silent,
             1,
             {network(1, Kind::wired, 100, Reach::unreachable), kWifi,
              network(3, Kind::cellular, 700, Reach::unreachable)},
             none,
             0,
             {2}},
        });
}

TEST(NetworkPolicy, Cheapest) {
  const Where none;
  const auto answering = network(2, Kind::wifi, 600, Reach::reachable);
  const auto asked = network(2, Kind::wifi, 600);
  check(*NetworkPolicy::cheapest(),
        {
            {"no spare on cellular", Path::good, 0, {kWifi, kCellular}, none, none},
            {"to cellular if there is no other", Path::silent, 0, {kWifi, kCellular}, 1, none},
            {"Wi-Fi is asked", Path::good, 1, {asked, kCellular}, none, 0},
            {"away as soon as it answers", Path::good, 1, {answering, kCellular}, 0, 0},
            {"from Wi-Fi to another that is not cellular",
             Path::gone,
             none,
             {network(1, Kind::wired, 100, Reach::reachable), kCellular},
             0,
             0},
            {"a cable that leads nowhere does not hide Wi-Fi that works",
             Path::good,
             2,
             {network(1, Kind::wired, 100, Reach::unreachable), answering, kCellular},
             1,
             1,
             {0}},
        });
}

TEST(NetworkPolicy, Never) {
  const Where none;
  check(*NetworkPolicy::never(), {{"gone", Path::gone, none, {kCellular}, none, none}});
}

}  // namespace
}  // namespace tern
