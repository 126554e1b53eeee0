#include "base/scope.h"

#include <memory>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::ElementsAre;

/// Never ends on its own.
struct Forever {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

Task<void> hold(std::shared_ptr<int> resource) {
  const Forever forever;
  co_await forever;
  *resource = 1;
}

Task<void> count(int& counter) {
  ++counter;
  co_return;
}

TEST(Scope, FreesFinishedTasks) {
  ReadyQueue ready;
  Scope scope(ready);
  int counter = 0;
  for (int i = 0; i < 10; ++i) scope.spawn(count(counter));
  EXPECT_EQ(scope.size(), 10U);
  ready.run(100);
  EXPECT_EQ(counter, 10);
  EXPECT_EQ(scope.size(), 0U);
}

TEST(Scope, ItsDestructorCancelsStartedAndUnstartedTasks) {
  ReadyQueue ready;
  const auto resource = std::make_shared<int>(0);
  {
    Scope scope(ready);
    scope.spawn(hold(resource));
    scope.spawn(hold(resource));
    ready.run(1);
    EXPECT_EQ(resource.use_count(), 3);
  }
  EXPECT_EQ(resource.use_count(), 1);
  EXPECT_EQ(*resource, 0);
  EXPECT_TRUE(ready.empty());
}

Task<void> spawns_more(Scope& scope, int depth, std::vector<int>& order) {
  order.push_back(depth);
  if (depth > 0) scope.spawn(spawns_more(scope, depth - 1, order));
  co_return;
}

TEST(Scope, TasksMaySpawnIntoTheirOwnScope) {
  ReadyQueue ready;
  Scope scope(ready);
  std::vector<int> order;
  scope.spawn(spawns_more(scope, 3, order));
  ready.run(100);
  EXPECT_THAT(order, ElementsAre(3, 2, 1, 0));
  EXPECT_EQ(scope.size(), 0U);
}

TEST(Scope, IsUsableAfterCancel) {
  ReadyQueue ready;
  Scope scope(ready);
  int counter = 0;
  scope.spawn(count(counter));
  scope.cancel();
  scope.spawn(count(counter));
  ready.run(100);
  EXPECT_EQ(counter, 1);
}

Task<void> throws() {
  throw std::runtime_error("nobody catches this");
  co_return;
}

TEST(ScopeDeathTest, AnExceptionThatNobodyAwaitsEndsTheProcess) {
  EXPECT_DEATH(
      {
        ReadyQueue ready;
        Scope scope(ready);
        scope.spawn(throws());
        ready.run(1);
      },
      "");
}

}  // namespace
}  // namespace tern
