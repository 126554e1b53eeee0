// The rule by which waits poll before they sleep, without a clock.

#include "transport/engine/busy_poll.h"

#include <chrono>

#include <gtest/gtest.h>

namespace tern::engine {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLongest = 50us;
constexpr Duration kShort = 90us;  // of a sleep

class BusyPollTest : public testing::Test {
 protected:
  /// Short sleeps until it polls; -1: more than `most`.
  int sleeps_until_wanted(int most = 10'000) {
    for (int sleeps = 0; sleeps <= most; ++sleeps) {
      if (rule.wanted()) return sleeps;
      rule.slept(kShort);
    }
    return -1;
  }
  /// Polls in vain until it sleeps again.
  int polls_in_vain() {
    int polls = 0;
    for (; rule.wanted(); ++polls) rule.polled(kLongest, false);
    return polls;
  }

  BusyPoll rule{kLongest};
};

TEST_F(BusyPollTest, BeginsAfterShortSleeps) { EXPECT_EQ(sleeps_until_wanted(), BusyPoll::kFew); }

TEST_F(BusyPollTest, NeverIfToldSo) {
  BusyPoll never{Duration()};
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(never.wanted());
    never.slept(Duration());
  }
}

TEST_F(BusyPollTest, ALongSleepBeginsTheCountAnew) {
  for (int round = 0; round < 100; ++round) {
    for (int i = 1; i < BusyPoll::kFew; ++i) {
      rule.slept(kShort);
      EXPECT_FALSE(rule.wanted());
    }
    rule.slept(2 * kLongest + 1ns);
  }
  EXPECT_EQ(sleeps_until_wanted(), BusyPoll::kFew);
}

TEST_F(BusyPollTest, GoesOnWhileItEndsSoon) {
  sleeps_until_wanted();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(rule.wanted());
    rule.polled(kLongest / 2, true);
    rule.polled(kLongest / 2, true);
    rule.polled(kLongest, false);  // one in three
  }
}

TEST_F(BusyPollTest, WhatComesLateIsNoReasonToGoOn) {
  sleeps_until_wanted();
  for (int polls = 0; rule.wanted(); ++polls) {
    ASSERT_LT(polls, BusyPoll::kTrial);
    rule.polled(kLongest / 2 + 1ns, true);
  }
}

TEST_F(BusyPollTest, AFailedTrialIsCheapAndTheNextOneFarther) {
  int sleeps = sleeps_until_wanted();
  for (int trial = 0; trial < 20; ++trial) {
    EXPECT_EQ(polls_in_vain(), BusyPoll::kTrial);
    const int before = sleeps;
    sleeps = sleeps_until_wanted();
    EXPECT_EQ(sleeps, std::min(2 * before, BusyPoll::kMany));
  }
  EXPECT_EQ(sleeps, BusyPoll::kMany);
}

TEST_F(BusyPollTest, WhoHasEndedSoonForLongMayTryAgainSoon) {
  for (int trial = 0; trial < 5; ++trial) {
    sleeps_until_wanted();
    polls_in_vain();
  }
  sleeps_until_wanted();
  for (int i = 0; i < 100; ++i) rule.polled(1us, true);
  EXPECT_LE(polls_in_vain(), 2 * BusyPoll::kTrial);
  EXPECT_EQ(sleeps_until_wanted(), BusyPoll::kFew);
}

TEST_F(BusyPollTest, LongSleepsAreNoneOfThoseAfterAFailedTrial) {
  sleeps_until_wanted();
  polls_in_vain();
  const BusyPoll before = rule;
  const int wanted = sleeps_until_wanted();
  rule = before;
  for (int i = 0; i < 100; ++i) rule.slept(1s);
  EXPECT_EQ(sleeps_until_wanted(), wanted);
}

}  // namespace
}  // namespace tern::engine
