#include "transport/quic/path_monitor.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace tern::quic {
namespace {

using namespace std::chrono_literals;
using Brought = PathMonitor::Brought;
using Step = PathMonitor::Step;

constexpr Timestamp kStart{1s};

/// Lets time pass until the monitor wants nothing more or says that the path is silent.
struct Watching {
  PathMonitor monitor;
  PathMonitor::Facts facts;
  int pings = 0;
  bool silent = false;
  Timestamp now = kStart;

  Watching() {
    facts.pto = 65ms;
    facts.smoothed_rtt = 40ms;
  }
  void run(Timestamp until) {
    for (;;) {
      const PathMonitor::Next next = monitor.check(now, facts);
      if (next.step == Step::ping) {
        ++pings;
        facts.outstanding = true;
        continue;
      }
      if (next.step == Step::silent) {
        silent = true;
        return;
      }
      if (next.again > until) {
        now = std::max(now, until);
        return;
      }
      now = next.again;
    }
  }
};

TEST(PathMonitor, AnIdlePathIsLeftAlone) {
  Watching it;
  it.monitor.received(kStart, Brought::last_data);
  it.run(kStart + 1h);
  EXPECT_EQ(it.pings, 0);
  EXPECT_FALSE(it.silent);
}

TEST(PathMonitor, DataThatStopMeanSilenceAfterAPto) {
  Watching it;
  it.monitor.received(kStart, Brought::data);
  it.facts.expecting = true;
  it.run(kStart + 1s);
  EXPECT_TRUE(it.silent);
  EXPECT_EQ(it.pings, 2 + PathMonitor::kPings) << "two measure the round trip";
  EXPECT_EQ(it.now - kStart, it.facts.pto);
}

TEST(PathMonitor, ThePingsCouldHaveBeenAnswered) {
  Watching it;
  it.monitor.received(kStart, Brought::data);
  it.facts.expecting = true;
  it.run(kStart + it.facts.pto - it.facts.smoothed_rtt - 1ms);
  EXPECT_EQ(it.pings, 2 + PathMonitor::kPings) << "all of them a round trip before the end";
}

TEST(PathMonitor, MeasuresTheRoundTripOnceARoundTripWhileDataFlow) {
  Watching it;
  it.facts.expecting = true;
  constexpr int kRoundTrips = 10;
  for (Timestamp when = kStart; when < kStart + kRoundTrips * it.facts.smoothed_rtt; when += 1ms) {
    it.facts.outstanding = false;  // what was sent was acknowledged with these data
    it.now = when;
    it.monitor.received(when, Brought::data);
    it.run(when + 10us);
  }
  EXPECT_NEAR(it.pings, 2 * (16 + kRoundTrips - 4), 4) << "sixteen within the first four";
  EXPECT_FALSE(it.silent);
}

TEST(PathMonitor, UnacknowledgedPacketsMeanSilenceAfterAPto) {
  Watching it;
  it.monitor.received(kStart - 10s, Brought::last_data);
  it.facts.outstanding = true;
  it.monitor.sent(kStart);
  it.run(kStart + 1s);
  EXPECT_TRUE(it.silent);
  EXPECT_EQ(it.now - kStart, it.facts.pto) << "counted from the packet, not from the last answer";
}

TEST(PathMonitor, AnythingReceivedBeginsAnew) {
  Watching it;
  it.monitor.received(kStart, Brought::data);
  it.facts.expecting = true;
  it.run(kStart + 60ms);
  EXPECT_FALSE(it.silent);
  EXPECT_FALSE(it.monitor.received(it.now, Brought::nothing));
  it.facts.outstanding = false;
  it.run(kStart + 100ms);
  EXPECT_FALSE(it.silent);
}

TEST(PathMonitor, SilenceIsSaidOnceAndItsEndIsTold) {
  Watching it;
  it.monitor.received(kStart, Brought::data);
  it.facts.expecting = true;
  it.run(kStart + 1s);
  ASSERT_TRUE(it.silent);
  EXPECT_EQ(it.monitor.check(it.now + 1s, it.facts).step, Step::nothing);
  EXPECT_EQ(it.monitor.check(it.now + 1s, it.facts).again, kNever);
  EXPECT_TRUE(it.monitor.received(it.now + 2s, Brought::nothing));
  EXPECT_FALSE(it.monitor.received(it.now + 3s, Brought::nothing));
}

TEST(PathMonitor, AHandlerMayThink) {
  Watching it;
  it.monitor.received(kStart, Brought::last_data);
  it.facts.expecting = true;
  Timestamp last = kStart;
  std::vector<Duration> gaps;
  for (int rounds = 0; rounds < 12; ++rounds) {
    it.facts.outstanding = false;
    const int before = it.pings;
    while (it.pings < before + PathMonitor::kPings) it.run(it.now + 1ms);
    gaps.push_back(it.now - last);
    last = it.now;
    it.now += it.facts.smoothed_rtt;
    it.monitor.received(it.now, Brought::nothing);  // acknowledged, and no answer yet
    ASSERT_FALSE(it.silent);
  }
  EXPECT_GE(gaps.front(), it.facts.pto);
  EXPECT_GE(gaps[5], gaps[4] * 3 / 2) << "ever more patient";
  EXPECT_LE(gaps.back(), PathMonitor::kMaxQuiet + 1s);
  EXPECT_GE(gaps.back(), PathMonitor::kMaxQuiet);
}

TEST(PathMonitor, AloneItSaysWhereItIsWhenDataStop) {
  Watching it;
  it.facts.alone = true;
  it.facts.expecting = true;
  it.monitor.received(kStart, Brought::data);
  it.run(kStart + it.facts.pto - 1us);
  EXPECT_EQ(it.pings, 0) << "nothing is measured, there is nothing to compare it with";
  it.run(kStart + it.facts.pto);
  EXPECT_EQ(it.pings, 1);
  it.run(kStart + 1min);
  EXPECT_EQ(it.pings, 1) << "loss recovery repeats it";
  EXPECT_FALSE(it.silent);
  // Answered, but the data do not go on: the next one is in no hurry.
  it.facts.outstanding = false;
  it.monitor.received(it.now, Brought::nothing);
  const Timestamp answered = it.now;
  it.run(answered + PathMonitor::kMaxQuiet - 1us);
  EXPECT_EQ(it.pings, 1);
  it.run(answered + PathMonitor::kMaxQuiet);
  EXPECT_EQ(it.pings, 2);
}

TEST(PathMonitor, AloneAndIdleItSaysNothing) {
  Watching it;
  it.facts.alone = true;
  it.monitor.received(kStart, Brought::data);
  it.run(kStart + 1h);
  EXPECT_EQ(it.pings, 0);
}

TEST(PathMonitor, ALateTimerIsNoSilence) {
  // The machine slept for an hour with packets in flight.
  Watching it;
  it.facts.outstanding = true;
  it.monitor.sent(kStart);
  it.now = kStart + 1h;
  it.run(it.now + 30ms);
  EXPECT_EQ(it.pings, PathMonitor::kPings);
  EXPECT_FALSE(it.silent) << "the PINGs are to have their time";
  it.run(it.now + 1s);
  EXPECT_TRUE(it.silent);
}

}  // namespace
}  // namespace tern::quic
