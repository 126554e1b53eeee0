#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/handoff/run.h"

namespace tern::handoff {
namespace {

std::string name_of(const testing::TestParamInfo<Scenario>& info) {
  std::string text(info.param.name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

class Scenarios : public testing::TestWithParam<Scenario> {};

/// A crowd is slow: once, with the carriers it is about.
bool is_crowd(const Scenario& scenario) { return scenario.share != 1; }

constexpr std::uint64_t kSeeds = 3;

/// The run of a seed, which more than one of these tests looks at.
const Outcome& outcome_of(const Scenario& scenario, CarrierKind carrier, std::uint64_t seed) {
  static std::map<std::tuple<std::string_view, CarrierKind, std::uint64_t>, Outcome> outcomes;
  const auto [place, fresh] = outcomes.try_emplace({scenario.name, carrier, seed});
  if (fresh) place->second = run(scenario, carrier, seed);
  return place->second;
}

TEST_P(Scenarios, PassTheirChecks) {
  for (const CarrierType& carrier : carriers()) {
    if (is_crowd(GetParam()) && (!migrates(carrier.kind) || carrier.kind == CarrierKind::rpc))
      continue;
    for (std::uint64_t seed = 1; seed <= (is_crowd(GetParam()) ? 1 : kSeeds); ++seed) {
      const Outcome& outcome = outcome_of(GetParam(), carrier.kind, seed);
      EXPECT_THAT(outcome.violations, testing::IsEmpty()) << replay_line(GetParam(), outcome);
    }
  }
}

TEST_P(Scenarios, SameSeedSameTrace) {
  for (const CarrierType& carrier : carriers()) {
    if (is_crowd(GetParam())) continue;
    const Outcome& first = outcome_of(GetParam(), carrier.kind, 1);
    const Outcome again = run(GetParam(), carrier.kind, 1);
    EXPECT_EQ(first.trace_hash, again.trace_hash) << replay_line(GetParam(), first);
    const Outcome& other = outcome_of(GetParam(), carrier.kind, 2);
    EXPECT_NE(first.trace_hash, other.trace_hash) << replay_line(GetParam(), other);
  }
}

/// A hundred conversations and the scenario's own transfers, all of them calls: none fails, and
/// every message that was sent came back. (The run's checks count them.) What no connection
/// survives, no call does; those are made again.
TEST_P(Scenarios, CallsSurvive) {
  if (is_crowd(GetParam())) return;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome& outcome = outcome_of(GetParam(), CarrierKind::rpc, seed);
    EXPECT_THAT(outcome.violations, testing::IsEmpty()) << replay_line(GetParam(), outcome);
    EXPECT_GE(outcome.figures.requests, 100u);
    EXPECT_EQ(outcome.figures.given_up, 0u);
    if (GetParam().unbroken) {
      EXPECT_EQ(outcome.figures.failed, 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Scenarios, testing::ValuesIn(scenarios().begin(), scenarios().end()),
                         name_of);

TEST(SeedsThatFailedOnce, Pass) {
  struct Case {
    std::string_view scenario;
    CarrierKind carrier;
    std::uint64_t seed;
  };
  constexpr Case kCases[] = {
      // The TLS handshake had no time limit.
      {"nat-rebinding-upload", CarrierKind::tcp_reconnect, 4},
      // Nor had the answer to a request, and the NAT had forgotten whom it was for.
      {"nat-rebinding-upload", CarrierKind::tcp_reconnect, 166},
      {"nat-rebinding-upload", CarrierKind::tcp_reconnect, 586},
      // The server stood still for good, waiting to be heard.
      {"address-change-with-loss", CarrierKind::quic, 22},
      // The client did, its window full of lost PATH_RESPONSEs.
      {"address-change-with-loss", CarrierKind::quic, 211},
  };
  for (const Case& one : kCases) {
    const Scenario& scenario = *find_scenario(one.scenario);
    const Outcome outcome = run(scenario, one.carrier, one.seed);
    EXPECT_THAT(outcome.violations, testing::IsEmpty()) << replay_line(scenario, outcome);
  }
}

}  // namespace
}  // namespace tern::handoff
