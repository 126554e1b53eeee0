#include <vector>

#include <gtest/gtest.h>

#include "tools/handoff/bound.h"
#include "tools/handoff/run.h"
#include "tools/handoff/scenario.h"
#include "tools/handoff/transfer.h"

namespace tern::handoff {
namespace {

using namespace std::chrono_literals;

Handoff move_at(Duration when, Duration old_until) {
  Handoff handoff;
  handoff.when = when;
  handoff.old_until = old_until;
  return handoff;
}

TEST(HandoffBound, CountsTheGapsThatTheMoveCaused) {
  const Transfer transfer(1, Transfer::Kind::download, 1000);
  const Transfer other(2, Transfer::Kind::download, 1000);
  Handoffs handoffs;
  for (const Duration piece : {0ms, 400ms, 500ms, 520ms, 600ms, 900ms}) {
    handoffs.delivered(piece, transfer);
  }
  handoffs.delivered(490ms, other);
  handoffs.delivered(550ms, other);
  handoffs.moved(move_at(510ms, 530ms));
  const std::vector<Handoff> measured = handoffs.measured();
  ASSERT_EQ(measured.size(), 1u);
  // Not 400 ms, which was over before the move; not 300 ms, which began when all that the old path
  // carried had come: those are congestion's. 520 … 600 ms, of what the old path still brought.
  EXPECT_EQ(measured.front().stall, 80ms);
}

TEST(HandoffBound, AGapThatTheMoveLiesInCountsFromTheMove) {
  const Transfer transfer(1, Transfer::Kind::download, 1000);
  Handoffs handoffs;
  handoffs.delivered(100ms, transfer);
  handoffs.moved(move_at(200ms, 220ms));
  handoffs.delivered(350ms, transfer);
  handoffs.moved(move_at(2s, 3s));
  const std::vector<Handoff> measured = handoffs.measured();
  ASSERT_EQ(measured.size(), 2u);
  EXPECT_EQ(measured.front().stall, 150ms);
  EXPECT_EQ(measured.back().stall, 0ms);
}

TEST(HandoffBound, AGapThatWasOpenWhenThePathDiedCountsFromThen) {
  const Transfer transfer(1, Transfer::Kind::download, 1000);
  Handoffs handoffs;
  handoffs.delivered(100ms, transfer);
  Handoff handoff = move_at(250ms, 300ms);
  handoff.died = 160ms;
  handoffs.moved(handoff);
  handoffs.delivered(400ms, transfer);
  EXPECT_EQ(handoffs.measured().front().stall, 240ms);
}

TEST(HandoffBound, AllowsWhatWasPromised) {
  Handoff handoff;
  handoff.round_trip = 60ms;
  handoff.waking = 260ms;
  handoff.pto = 90ms;
  EXPECT_EQ(handoff.allowed(Bound::round_trip), 60ms);
  EXPECT_EQ(handoff.allowed(Bound::pto_and_two_round_trips), 470ms);
  EXPECT_EQ(handoff.allowed(Bound::none), Duration::max());
}

Outcome outcome(std::uint64_t seed, std::vector<Duration> stalls) {
  Outcome made;
  made.seed = seed;
  for (const Duration stall : stalls) {
    Handoff& handoff = made.handoffs.emplace_back();
    handoff.round_trip = 60ms;
    handoff.stall = stall;
  }
  return made;
}

TEST(HandoffBound, ReportsTheHandoffThatMissedItMost) {
  Scenario scenario{};
  scenario.bound = Bound::round_trip;
  const auto report =
      bound_report(scenario, {outcome(1, {50ms, 59ms}), outcome(2, {70ms, 10ms}), outcome(3, {})});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->seeds, 2u);
  EXPECT_EQ(report->held, 1u);
  EXPECT_DOUBLE_EQ(report->excess.worst, 0.01);
  EXPECT_EQ(report->excess.worst_seed, 2u);
  EXPECT_FALSE(report->holds());
  EXPECT_TRUE(bound_report(scenario, {outcome(1, {60ms})})->holds());
  EXPECT_FALSE(bound_report(scenario, {outcome(1, {})})) << "there was no handoff";
  scenario.bound = Bound::none;
  EXPECT_FALSE(bound_report(scenario, {outcome(1, {1ms})}));
}

TEST(HandoffBound, OneFailureInAHundredIsForgiven) {
  Scenario scenario{};
  scenario.bound = Bound::round_trip;
  std::vector<Outcome> outcomes;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    outcomes.push_back(outcome(seed, {seed == 7 ? 1s : 50ms}));
  }
  EXPECT_TRUE(bound_report(scenario, outcomes)->holds());
  outcomes.push_back(outcome(101, {61ms}));
  EXPECT_FALSE(bound_report(scenario, outcomes)->holds());
}

TEST(HandoffBound, ASuddenCutIsMeasured) {
  const Scenario* scenario = find_scenario("sudden-cut");
  const Outcome measured = run(*scenario, CarrierKind::quic, 1);
  ASSERT_EQ(measured.handoffs.size(), 1u);
  const Handoff& handoff = measured.handoffs.front();
  EXPECT_LE(handoff.stall, measured.figures.stall);
  EXPECT_GE(handoff.stall, handoff.pto) << "it takes that long to notice";
  EXPECT_GT(handoff.pto, 40ms);
  EXPECT_GT(handoff.round_trip, 40ms);
  EXPECT_LE(handoff.stall, handoff.allowed(scenario->bound));
}

}  // namespace
}  // namespace tern::handoff
