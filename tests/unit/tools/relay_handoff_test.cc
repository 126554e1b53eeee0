#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/tern/relay_settings.h"

namespace tern::cli {
namespace {

using namespace std::chrono_literals;
using relay::Action;
using relay::Direction;
using sim::ChannelModel;
using testing::HasSubstr;
using testing::SizeIs;

struct Step {
  Duration time;
  Action action;
};

struct Story {
  ChannelModel first_up, first_down;  // before anything happens
  std::vector<Step> steps;
  RelayPlan plan;  // as everything has made it

  std::vector<Duration> times_of(Action::Kind kind) const {
    std::vector<Duration> times;
    for (const Step& step : steps) {
      if (step.action.kind == kind) times.push_back(step.time);
    }
    return times;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const Step& step : steps) all.push_back(step.action.text);
    return all;
  }
};

Story story(std::string_view name, std::uint64_t seed = 1, double loss = 0) {
  Story story;
  read_scenario(name, seed, story.plan);
  story.plan.apply(Direction::both, [loss](ChannelModel& model) {
    if (loss > 0) model.loss = loss;
  });
  story.first_up = story.plan.to_server;
  story.first_down = story.plan.to_client;
  for (relay::Timeline& timeline : story.plan.timelines) {
    while (timeline.next() != relay::Timeline::kNeverAgain) {
      const Duration time = timeline.next();
      const Action& action = timeline.take();
      story.steps.push_back({time, action});
      if (action.change) story.plan.apply(action.direction, action.change);
    }
  }
  return story;
}

TEST(RelayHandoff, WalkOutOfWifiFadesFallsSilentAndGoesOnElsewhere) {
  const Story walk = story("walk-out-of-wifi");
  EXPECT_GE(walk.first_down.bits_per_second, 25e6);
  EXPECT_LE(walk.first_down.delay, 12ms);
  ASSERT_FALSE(walk.steps.empty());
  EXPECT_GE(walk.steps[0].time, 480ms);
  EXPECT_LE(walk.steps[0].time, 725ms);
  EXPECT_EQ(walk.steps[0].action.kind, Action::Kind::change);
  // Cut and restored one direction after the other, at the same times.
  EXPECT_EQ(walk.times_of(Action::Kind::cut), (std::vector<Duration>{2s, 2s}));
  EXPECT_EQ(walk.times_of(Action::Kind::rebind_address), (std::vector<Duration>{2500ms}));
  EXPECT_EQ(walk.times_of(Action::Kind::restore), (std::vector<Duration>{2500ms, 2500ms}));
  EXPECT_EQ(walk.times_of(Action::Kind::rebind).size(), 0u);
  EXPECT_GE(walk.plan.to_client.bits_per_second, 10e6);
  EXPECT_LE(walk.plan.to_client.bits_per_second, 14e6);
  EXPECT_GE(walk.plan.to_client.delay, 24ms);
  EXPECT_EQ(walk.plan.to_client.burst_enter, 0);  // the fading stays where it was
}

TEST(RelayHandoff, LiftIsTwoSecondsOfSilence) {
  const Story lift = story("lift");
  const auto cuts = lift.times_of(Action::Kind::cut);
  const auto restores = lift.times_of(Action::Kind::restore);
  ASSERT_THAT(cuts, SizeIs(2));
  ASSERT_THAT(restores, SizeIs(2));
  EXPECT_EQ(restores[0] - cuts[0], 2s);
  EXPECT_THAT(lift.steps, SizeIs(4));
}

TEST(RelayHandoff, NatRebindingsAreRebindings) {
  const Story story = cli::story("nat-rebinding-upload");
  EXPECT_THAT(story.times_of(Action::Kind::rebind), SizeIs(5));
  EXPECT_THAT(story.steps, SizeIs(5));
  EXPECT_THAT(cli::story("address-change-with-loss").times_of(Action::Kind::rebind), SizeIs(1));
}

TEST(RelayHandoff, MakeBeforeBreakHasNoSilence) {
  const Story story = cli::story("make-before-break");
  EXPECT_THAT(story.times_of(Action::Kind::rebind_address), SizeIs(1));
  EXPECT_THAT(story.times_of(Action::Kind::cut), SizeIs(0));
}

TEST(RelayHandoff, TrainsGoFromCellToCell) {
  const Story train = story("train");
  EXPECT_GE(train.times_of(Action::Kind::rebind_address).size(), 10u);
  ASSERT_NE(train.first_down.rate_trace, nullptr);
  const auto next_cell = std::find_if(train.steps.begin(), train.steps.end(), [](const Step& step) {
    return step.action.change && step.action.direction == Direction::to_client;
  });
  ASSERT_NE(next_cell, train.steps.end());
  ChannelModel model = train.first_down;
  next_cell->action.change(model);
  ASSERT_NE(model.rate_trace, nullptr);
  EXPECT_NE(model.rate_trace, train.first_down.rate_trace);
}

TEST(RelayHandoff, WhatTheNextNetworkIsLike) {
  EXPECT_TRUE(story("captive-portal").plan.to_server.udp_blocked);
  EXPECT_EQ(story("mtu-drop").plan.to_client.mtu, 1280u);
  EXPECT_EQ(story("satellite").plan.to_client.delay, 300ms);
  EXPECT_DOUBLE_EQ(story("asymmetric-loss").plan.to_server.loss, 0.15);
  EXPECT_DOUBLE_EQ(story("asymmetric-loss").plan.to_client.loss, 0);
  EXPECT_DOUBLE_EQ(story("loss-isolation").first_up.loss, 0.02);
}

TEST(RelayHandoff, ASeedIsThatOfTheHandoffTool) {
  EXPECT_EQ(story("walk-out-of-wifi", 7).texts(), story("walk-out-of-wifi", 7).texts());
  EXPECT_NE(story("walk-out-of-wifi", 7).first_up.bits_per_second,
            story("walk-out-of-wifi", 8).first_up.bits_per_second);
}

TEST(RelayHandoff, AFlagOutlivesWhatDoesNotConcernIt) {
  EXPECT_DOUBLE_EQ(story("walk-out-of-wifi", 1, 0.03).plan.to_client.loss, 0.03);
}

TEST(RelayHandoff, EveryScenarioIsPlayedOrSaysWhyNot) {
  std::vector<std::string> refused;
  for (const handoff::Scenario& scenario : handoff::scenarios()) {
    RelayPlan plan;
    try {
      read_scenario(scenario.name, 3, plan);
      EXPECT_GT(plan.to_client.delay, 0ms) << scenario.name;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr("`tern handoff " + std::string(scenario.name) + "`"));
      refused.emplace_back(scenario.name);
    }
  }
  EXPECT_THAT(refused, testing::ElementsAre("behind-a-balancer", "thousand-phones"));
}

}  // namespace
}  // namespace tern::cli
