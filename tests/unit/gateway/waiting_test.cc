// Broadcast and within: how the client's coroutines wait.

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/broadcast.h"
#include "gateway/within.h"
#include "transport/sim/world.h"

namespace tern {
namespace {

using namespace std::chrono_literals;

Task<void> wait_for(Broadcast& changed, const int& value, int wanted, std::vector<int>& order) {
  while (value < wanted) co_await changed.wait();
  order.push_back(wanted);
}

TEST(Broadcast, WakesEveryWaiter) {
  sim::World world(1);
  Runtime& runtime = world.host("host").runtime();
  Broadcast changed(runtime);
  int value = 0;
  std::vector<int> order;
  {
    Scope scope(runtime.ready());
    for (const int wanted : {3, 1, 2, 1}) scope.spawn(wait_for(changed, value, wanted, order));
    for (value = 1; value <= 2; ++value) {
      changed.notify_all();
      world.run_for(1ms);
    }
    value = 2;
  }
  EXPECT_EQ(order, (std::vector<int>{1, 1, 2}));
  changed.notify_all();  // nobody waits any more: the scope has taken them along
  world.run_for(1ms);
  EXPECT_EQ(order.size(), 3u);
}

Task<Result<int>> answer_after(Runtime& runtime, Duration time, bool& cancelled) {
  struct Note {
    bool& flag;
    bool finished = false;
    ~Note() { flag = !finished; }
  };
  Note note{cancelled};
  co_await runtime.sleep(time);
  note.finished = true;
  co_return 42;
}

TEST(Within, GivesWhatTheTaskGives) {
  sim::World world(1);
  Runtime& runtime = world.host("host").runtime();
  bool cancelled = false;
  for (const Duration limit : {Duration(0), Duration(2s)}) {
    const auto result =
        runtime.block_on(within(runtime, limit, "late", answer_after(runtime, 1s, cancelled)));
    ASSERT_TRUE(result);
    EXPECT_EQ(*result, 42);
    EXPECT_FALSE(cancelled);
  }
}

TEST(Within, CancelsATaskThatTakesTooLong) {
  sim::World world(1);
  Runtime& runtime = world.host("host").runtime();
  bool cancelled = false;
  const Timestamp begun = runtime.now();
  const auto result =
      runtime.block_on(within(runtime, 500ms, "too late", answer_after(runtime, 1s, cancelled)));
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(Code::timed_out));
  EXPECT_EQ(result.error().detail, "too late");
  EXPECT_EQ(runtime.now() - begun, 500ms);
  EXPECT_TRUE(cancelled);
}

}  // namespace
}  // namespace tern
