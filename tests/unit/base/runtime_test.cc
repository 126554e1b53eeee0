#include "base/runtime.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

/// Virtual time: a wait jumps to its deadline.
class JumpingDriver final : public Driver {
 public:
  Timestamp now() override { return now_; }
  UnixSeconds unix_seconds() override { return 1'700'000'000; }
  Random::Key random_key() override { return Random::Key{1}; }
  Duration wait(Timestamp deadline) override {
    deadlines.push_back(deadline);
    if (deadline != kNever) now_ = std::max(now_, deadline);
    return idle;
  }
  void reap(Timestamp) override {
    if (on_reap) on_reap();
  }
  void wake() noexcept override { ++wakes; }

  std::vector<Timestamp> deadlines;
  Duration idle{};  ///< what a wait is to say
  std::function<void()> on_reap;
  std::atomic<int> wakes{0};

 private:
  Timestamp now_{1s};
};

class RuntimeTest : public testing::Test {
 protected:
  JumpingDriver driver;
  Runtime runtime{driver};
};

Task<void> record_after(Runtime& runtime, Duration delay, std::vector<Duration>& times) {
  const Timestamp start = runtime.now();
  co_await runtime.sleep(delay);
  times.push_back(runtime.now() - start);
}

TEST_F(RuntimeTest, SleepsEndWhenTheyAreDue) {
  std::vector<Duration> times;
  runtime.spawn(record_after(runtime, 30ms, times));
  runtime.spawn(record_after(runtime, 10ms, times));
  runtime.spawn(record_after(runtime, 0ms, times));
  while (times.size() < 3) runtime.turn();
  EXPECT_THAT(times, ElementsAre(0ms, 10ms, 30ms));
}

TEST_F(RuntimeTest, TimeStandsStillWithinATurn) {
  runtime.turn();
  const Timestamp before = runtime.now();
  driver.wait(before + 5s);
  EXPECT_EQ(runtime.now(), before);
}

Task<int> compute(Runtime& runtime) {
  co_await runtime.sleep(1ms);
  co_return 42;
}
Task<void> nothing(Runtime& runtime) { co_await runtime.sleep(1ms); }
Task<int> throws(Runtime& runtime) {
  co_await runtime.sleep(1ms);
  throw std::runtime_error("broken");
}

TEST_F(RuntimeTest, BlockOnReturnsResultsAndExceptions) {
  EXPECT_EQ(runtime.block_on(compute(runtime)), 42);
  runtime.block_on(nothing(runtime));
  EXPECT_THROW(runtime.block_on(throws(runtime)), std::runtime_error);
}

class Hook final : public TurnHook {
 public:
  Hook(std::vector<std::string>& log, bool more) : log_(log), more_(more) {}
  void drain(Timestamp) override { log_.push_back("drain"); }
  void flush(Timestamp) override {
    log_.push_back("flush");
    more_ = false;
  }
  bool pending() const override { return more_; }

 private:
  std::vector<std::string>& log_;
  bool more_;
};

Task<void> log_line(std::vector<std::string>& log, std::string line) {
  log.push_back(std::move(line));
  co_return;
}

TEST_F(RuntimeTest, ATurnHasItsOrder) {
  std::vector<std::string> log;
  Hook hook(log, false);
  runtime.add(hook);
  driver.on_reap = [&] { log.push_back("reap"); };
  Timer timer(runtime.timers(), [&](Timestamp) { log.push_back("timer"); });
  timer.arm(runtime.now());
  runtime.spawn(log_line(log, "coroutine"));
  runtime.submit([&] { log.push_back("submitted"); });
  runtime.turn();
  EXPECT_THAT(log, ElementsAre("reap", "submitted", "timer", "drain", "coroutine", "flush"));
  runtime.remove(hook);
  log.clear();
  driver.on_reap = nullptr;
  runtime.turn();
  EXPECT_TRUE(log.empty());
}

/// Has more to drain than it takes at once, or gives way to what it has woken: each part wakes a
/// coroutine.
class Portions final : public TurnHook {
 public:
  enum class Stops : std::uint8_t { undrained, giving_way };

  Portions(Runtime& runtime, std::vector<std::string>& log, int count, Stops stops)
      : runtime_(runtime), log_(log), left_(count), stops_(stops) {}
  void drain(Timestamp) override {
    if (left_ == 0) return;
    --left_;
    log_.push_back("drain");
    runtime_.spawn(log_line(log_, "coroutine"));
  }
  bool undrained() const override { return stops_ == Stops::undrained && left_ > 0; }
  bool gave_way() const override { return stops_ == Stops::giving_way && left_ > 0; }
  void flush(Timestamp) override { log_.push_back("flush"); }
  bool pending() const override { return left_ > 0; }

 private:
  Runtime& runtime_;
  std::vector<std::string>& log_;
  int left_;
  Stops stops_;
};

TEST_F(RuntimeTest, WhatIsDrainedInPartsIsAnsweredInParts) {
  std::vector<std::string> log;
  driver.on_reap = [&] { log.push_back("reap"); };
  Portions hook(runtime, log, 2, Portions::Stops::undrained);
  runtime.add(hook);
  runtime.turn();
  EXPECT_THAT(log,
              ElementsAre("reap", "drain", "coroutine", "flush", "drain", "coroutine", "flush"));
  runtime.remove(hook);
  driver.on_reap = nullptr;
}

TEST_F(RuntimeTest, ADrainMayGiveWayToCoroutines) {
  std::vector<std::string> log;
  Portions hook(runtime, log, 2, Portions::Stops::giving_way);
  runtime.add(hook);
  runtime.turn();
  EXPECT_THAT(log, ElementsAre("drain", "coroutine", "drain", "coroutine", "flush"));
  runtime.remove(hook);
}

TEST_F(RuntimeTest, GivingWayKeepsToTheTurnsBudgetOfResumes) {
  std::vector<std::string> log;
  Portions hook(runtime, log, static_cast<int>(Runtime::kMaxResumesPerTurn) + 100,
                Portions::Stops::giving_way);
  runtime.add(hook);
  runtime.turn();
  EXPECT_TRUE(hook.gave_way());  // the network has its share first
  EXPECT_EQ(log.back(), "flush");
  runtime.turn();
  EXPECT_FALSE(hook.gave_way());
  runtime.remove(hook);
}

TEST_F(RuntimeTest, AfterIdlingTheFirstAnswersLeaveBeforeTheOthersAreMade) {
  constexpr int kEarly = Runtime::kEarlyResumes;
  for (const bool idled : {true, false}) {
    std::vector<std::string> log;
    Portions hook(runtime, log, 3 * kEarly, Portions::Stops::giving_way);
    runtime.add(hook);
    driver.idle = idled ? 1ms : 0ms;
    driver.deadlines.clear();
    runtime.turn();
    EXPECT_EQ(std::ranges::count(log, "coroutine"), 3 * kEarly);
    EXPECT_EQ(log.back(), "flush");
    const auto first = std::ranges::find(log, "flush");
    EXPECT_EQ(std::count(log.begin(), first, "coroutine"), idled ? kEarly : 3 * kEarly);
    EXPECT_EQ(std::ranges::count(log, "flush"), idled ? 2 : 1);
    // What was flushed first was started, and nobody has slept meanwhile.
    EXPECT_THAT(driver.deadlines, testing::SizeIs(idled ? 2 : 1));
    EXPECT_LE(driver.deadlines.back(), runtime.now());
    runtime.remove(hook);
  }
}

TEST_F(RuntimeTest, CoroutinesThatAreReadyAtOnceAreAsGoodAsWhatIsDrained) {
  std::vector<std::string> log;
  Hook hook(log, false);
  runtime.add(hook);
  driver.idle = 1ms;
  for (std::size_t i = 0; i < Runtime::kEarlyResumes + 1; ++i) {
    runtime.spawn(log_line(log, "coroutine"));
  }
  runtime.turn();
  EXPECT_EQ(std::ranges::count(log, "flush"), 2);
  EXPECT_EQ(log[log.size() - 2], "coroutine");
  runtime.remove(hook);
}

TEST_F(RuntimeTest, FewCoroutinesAreOneFlushHoweverLongItHasIdled) {
  std::vector<std::string> log;
  Portions hook(runtime, log, Runtime::kEarlyResumes, Portions::Stops::giving_way);
  runtime.add(hook);
  driver.idle = 1h;
  runtime.turn();
  EXPECT_EQ(std::ranges::count(log, "flush"), 1);
  runtime.remove(hook);
}

TEST_F(RuntimeTest, WhoIsBusyMostOfTheTimeSendsTogether) {
  Timer timer(runtime.timers(), [](Timestamp) {});
  for (const Duration idle : {Duration(49ms), Duration(50ms)}) {
    std::vector<std::string> log;
    Portions hook(runtime, log, 3 * Runtime::kEarlyResumes, Portions::Stops::giving_way);
    timer.arm(runtime.now() + 100ms);  // since the last flush
    driver.idle = idle;
    driver.on_reap = [&] { runtime.add(hook); };
    runtime.turn();
    EXPECT_EQ(std::ranges::count(log, "flush"), idle * Runtime::kIdlePart >= 100ms ? 2 : 1);
    runtime.remove(hook);
    driver.on_reap = nullptr;
  }
}

TEST_F(RuntimeTest, DoesNotSleepWhileThereIsWork) {
  EXPECT_EQ(runtime.next_deadline(), kNever);
  Timer timer(runtime.timers(), [](Timestamp) {});
  timer.arm(runtime.now() + 1s);
  EXPECT_EQ(runtime.next_deadline(), runtime.now() + 1s);
  std::vector<std::string> log;
  runtime.spawn(log_line(log, "ready"));
  EXPECT_LE(runtime.next_deadline(), runtime.now());
  runtime.turn();
  EXPECT_EQ(runtime.next_deadline(), runtime.now() + 1s);
  Hook hook(log, true);
  runtime.add(hook);
  EXPECT_LE(runtime.next_deadline(), runtime.now());
  runtime.turn();
  EXPECT_GT(runtime.next_deadline(), runtime.now());
  runtime.submit([] {});
  EXPECT_LE(runtime.next_deadline(), runtime.now());
  runtime.remove(hook);
}

TEST_F(RuntimeTest, SubmittedWorkRunsInOrderAndMaySubmit) {
  std::vector<int> order;
  runtime.submit([&] {
    order.push_back(1);
    runtime.submit([&] { order.push_back(3); });
  });
  runtime.submit([&] { order.push_back(2); });
  runtime.turn();
  EXPECT_THAT(order, ElementsAre(1, 2));
  runtime.turn();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
  EXPECT_EQ(driver.wakes.load(), 3);
}

TEST_F(RuntimeTest, AnyThreadMaySubmitAndStop) {
  int ran = 0;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) runtime.submit([&] { ++ran; });
    runtime.submit([&] { runtime.stop(); });
  });
  runtime.run();
  other.join();
  EXPECT_EQ(ran, 1000);
  EXPECT_TRUE(runtime.stopping());
}

Task<void> ping(Signal& in, Signal& out, int rounds, int& count) {
  for (int i = 0; i < rounds; ++i) {
    Signal::Wait wait = in.wait();
    co_await wait;
    ++count;
    out.notify();
  }
}

TEST_F(RuntimeTest, SignalsWakeTheirWaiterAndKeepEarlyNotifications) {
  Signal left(runtime);
  Signal right(runtime);
  int count = 0;
  left.notify();
  left.notify();  // one is kept, not two
  runtime.spawn(ping(left, right, 100, count));
  runtime.spawn(ping(right, left, 99, count));
  for (int i = 0; i < 300 && count < 199; ++i) runtime.turn();
  EXPECT_EQ(count, 199);
}

TEST(Runtime, DestructionCancelsWhatSleeps) {
  JumpingDriver driver;
  std::vector<Duration> times;
  {
    Runtime runtime(driver);
    runtime.spawn(record_after(runtime, 1h, times));
    runtime.turn();
  }
  EXPECT_TRUE(times.empty());
}

TEST_F(RuntimeTest, RandomNumbersAreTheDrivers) {
  Random expected(Random::Key{1});
  EXPECT_EQ(runtime.random().next(), expected.next());
  EXPECT_EQ(runtime.unix_seconds(), 1'700'000'000);
}

}  // namespace
}  // namespace tern
