#include "base/timer_heap.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace tern {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

Timestamp at(int ms) { return Timestamp(milliseconds(ms)); }

class TimerHeapTest : public testing::Test {
 protected:
  std::unique_ptr<Timer> timer(int number) {
    return std::make_unique<Timer>(heap, [this, number](Timestamp) { fired.push_back(number); });
  }
  TimerHeap heap;
  std::vector<int> fired;
};

TEST_F(TimerHeapTest, FiresInTheOrderOfDeadlines) {
  const auto a = timer(1);
  const auto b = timer(2);
  const auto c = timer(3);
  a->arm(at(30));
  b->arm(at(10));
  c->arm(at(20));
  EXPECT_EQ(heap.next_deadline(), at(10));
  EXPECT_EQ(heap.expire(at(9)), 0U);
  EXPECT_EQ(heap.expire(at(20)), 2U);
  EXPECT_THAT(fired, ElementsAre(2, 3));
  EXPECT_FALSE(b->armed());
  EXPECT_TRUE(a->armed());
  EXPECT_EQ(heap.expire(at(100)), 1U);
  EXPECT_EQ(heap.next_deadline(), kNever);
}

TEST_F(TimerHeapTest, MovesAndDisarms) {
  const auto a = timer(1);
  const auto b = timer(2);
  a->arm(at(10));
  b->arm(at(20));
  a->arm(at(30));  // later
  b->arm(at(5));   // earlier
  EXPECT_EQ(heap.size(), 2U);
  EXPECT_EQ(heap.next_deadline(), at(5));
  b->disarm();
  b->disarm();
  EXPECT_EQ(heap.next_deadline(), at(30));
  a->arm(kNever);
  EXPECT_FALSE(a->armed());
  EXPECT_EQ(heap.expire(at(1000)), 0U);
  EXPECT_THAT(fired, IsEmpty());
}

TEST_F(TimerHeapTest, DestroyingATimerDisarmsIt) {
  auto a = timer(1);
  const auto b = timer(2);
  a->arm(at(10));
  b->arm(at(20));
  a.reset();
  EXPECT_EQ(heap.expire(at(50)), 1U);
  EXPECT_THAT(fired, ElementsAre(2));
}

TEST_F(TimerHeapTest, ATimerArmedAgainForThePastWaitsForTheNextCall) {
  int count = 0;
  std::optional<Timer> again;
  again.emplace(heap, [&](Timestamp now) {
    ++count;
    again->arm(now);
  });
  again->arm(at(1));
  EXPECT_EQ(heap.expire(at(1)), 1U);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(heap.expire(at(1)), 1U);
  EXPECT_EQ(count, 2);
}

TEST_F(TimerHeapTest, ACallbackMayDestroyItsOwnTimer) {
  std::optional<Timer> self;
  self.emplace(heap, [&](Timestamp) {
    self.reset();
    fired.push_back(1);
  });
  self->arm(at(1));
  EXPECT_EQ(heap.expire(at(1)), 1U);
  EXPECT_FALSE(self.has_value());
  EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerHeapTest, ACallbackMayDisarmDestroyAndDelayOthersThatAreDue) {
  auto destroyed = timer(2);
  const auto disarmed = timer(3);
  const auto delayed = timer(4);
  const auto last = timer(5);
  Timer first(heap, [&](Timestamp) {
    fired.push_back(1);
    destroyed.reset();
    disarmed->disarm();
    delayed->arm(at(50));
  });
  first.arm(at(1));
  destroyed->arm(at(2));
  disarmed->arm(at(3));
  delayed->arm(at(4));
  last->arm(at(5));
  EXPECT_EQ(heap.expire(at(10)), 2U);
  EXPECT_THAT(fired, ElementsAre(1, 5));
  EXPECT_TRUE(delayed->armed());
  EXPECT_FALSE(disarmed->armed());
  EXPECT_EQ(heap.next_deadline(), at(50));
  EXPECT_EQ(heap.expire(at(50)), 1U);
  EXPECT_THAT(fired, ElementsAre(1, 5, 4));
}

TEST_F(TimerHeapTest, ADueTimerIsArmedUntilItsTurn) {
  const auto second = timer(2);
  bool armed = false;
  Timer first(heap, [&](Timestamp) { armed = second->armed(); });
  first.arm(at(1));
  second->arm(at(2));
  heap.expire(at(3));
  EXPECT_TRUE(armed);
  EXPECT_FALSE(second->armed());
}

TEST_F(TimerHeapTest, TimersMayOutliveTheHeapUnarmed) {
  auto dying = std::make_unique<TimerHeap>();
  Timer timer(*dying, [](Timestamp) {});
  timer.arm(at(1));
  dying.reset();
  EXPECT_FALSE(timer.armed());
}

TEST_F(TimerHeapTest, BehavesLikeASortedMap) {
  constexpr int kTimers = 200;
  Random random(99);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < kTimers; ++i) timers.push_back(timer(i));
  std::map<int, Timestamp> model;
  Timestamp now = at(0);
  for (int step = 0; step < 20'000; ++step) {
    const int which = static_cast<int>(random.below(kTimers));
    switch (random.below(8)) {
      case 0:
        timers[static_cast<std::size_t>(which)]->disarm();
        model.erase(which);
        break;
      case 1: {
        now += milliseconds(random.below(40));
        fired.clear();
        std::vector<std::pair<Timestamp, int>> due;
        for (const auto& [number, deadline] : model) {
          if (deadline <= now) due.emplace_back(deadline, number);
        }
        ASSERT_EQ(heap.expire(now), due.size());
        // In order of deadlines; equal ones in any order.
        Timestamp last;
        for (const int number : fired) {
          ASSERT_LE(last, model.at(number));
          last = model.at(number);
        }
        for (const auto& [deadline, number] : due) {
          ASSERT_THAT(fired, testing::Contains(number));
          model.erase(number);
        }
        break;
      }
      default: {
        const Timestamp deadline = now + milliseconds(random.below(100));
        timers[static_cast<std::size_t>(which)]->arm(deadline);
        model[which] = deadline;
      }
    }
    Timestamp least = kNever;
    for (const auto& [number, deadline] : model) least = std::min(least, deadline);
    ASSERT_EQ(heap.next_deadline(), least);
    ASSERT_EQ(heap.size(), model.size());
  }
}

}  // namespace
}  // namespace tern
