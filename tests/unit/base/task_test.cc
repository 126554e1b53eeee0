#include "base/task.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ready_queue.h"
#include "base/scope.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A place where coroutines wait until the test lets them go.
class Gate {
 public:
  explicit Gate(ReadyQueue& ready) : ready_(ready) {}
  void open() { waiter_->wake(ready_); }
  bool waiting() const { return waiter_ != nullptr; }

  class Awaiter {
   public:
    explicit Awaiter(Gate& gate) : gate_(gate) {}
    ~Awaiter() { gate_.waiter_ = nullptr; }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      waiter_.suspend(handle);
      gate_.waiter_ = &waiter_;
    }
    void await_resume() const noexcept {}

   private:
    Gate& gate_;
    Waiter waiter_;
  };
  Awaiter operator co_await() { return Awaiter(*this); }

 private:
  ReadyQueue& ready_;
  Waiter* waiter_ = nullptr;
};

class TaskTest : public testing::Test {
 protected:
  void run() {
    while (ready.run(100) > 0) {
    }
  }
  ReadyQueue ready;
  Scope scope{ready};
  std::vector<std::string> events;
};

Task<int> constant(int value) { co_return value; }

Task<long> sum_to(int count) {
  long sum = 0;
  for (int i = 1; i <= count; ++i) {
    Task<int> term = constant(i);
    sum += co_await term;
  }
  co_return sum;
}

template <typename T>
Task<void> store(Task<T> task, T& out) {
  out = co_await task;
}

TEST_F(TaskTest, IsLazy) {
  bool started = false;
  const auto body = [](bool& flag) -> Task<void> {
    flag = true;
    co_return;
  };
  Task<void> task = body(started);
  EXPECT_FALSE(started);
  scope.spawn(std::move(task));
  EXPECT_FALSE(started);  // it runs in the turn, not in the caller
  run();
  EXPECT_TRUE(started);
}

TEST_F(TaskTest, FinishedTasksDoNotGrowTheStack) {
  long out = 0;
  scope.spawn(store(sum_to(200'000), out));
  run();
  EXPECT_EQ(out, 20'000'100'000);
}

Task<void> wait_at(Gate& gate, std::vector<std::string>& events, std::string name) {
  events.push_back(name + " waits");
  co_await gate;
  events.push_back(name + " goes on");
}
Task<void> outer(Gate& gate, std::vector<std::string>& events) {
  Task<void> inner = wait_at(gate, events, "inner");
  co_await inner;
  events.push_back("outer ends");
}

TEST_F(TaskTest, ASuspendedChildResumesItsParent) {
  Gate gate(ready);
  scope.spawn(outer(gate, events));
  run();
  EXPECT_THAT(events, ElementsAre("inner waits"));
  gate.open();
  EXPECT_THAT(events, ElementsAre("inner waits"));  // nobody is resumed from a callback
  run();
  EXPECT_THAT(events, ElementsAre("inner waits", "inner goes on", "outer ends"));
  EXPECT_EQ(scope.size(), 0U);
}

Task<void> chain(int depth, Gate& gate) {
  if (depth == 0) {
    co_await gate;
    co_return;
  }
  Task<void> next = chain(depth - 1, gate);
  co_await next;
}

TEST_F(TaskTest, DeepChainsUnwind) {
  Gate gate(ready);
  scope.spawn(chain(2000, gate));
  run();
  gate.open();
  run();
  EXPECT_EQ(scope.size(), 0U);
}

struct Guard {
  std::vector<std::string>& events;
  std::string name;
  ~Guard() { events.push_back(name + " destroyed"); }
};

Task<void> guarded(Gate& gate, std::vector<std::string>& events, std::string name) {
  const Guard guard{events, name};
  co_await gate;
  events.push_back(name + " finished");
}
Task<void> guarded_parent(Gate& gate, std::vector<std::string>& events) {
  const Guard guard{events, "parent"};
  Task<void> child = guarded(gate, events, "child");
  co_await child;
}

TEST_F(TaskTest, DestroyingASuspendedTaskDestroysWhatItAwaits) {
  Gate gate(ready);
  scope.spawn(guarded_parent(gate, events));
  run();
  scope.cancel();
  EXPECT_THAT(events, ElementsAre("child destroyed", "parent destroyed"));
  EXPECT_FALSE(gate.waiting());
}

TEST_F(TaskTest, AWokenTaskThatIsCancelledDoesNotRun) {
  Gate gate(ready);
  scope.spawn(guarded(gate, events, "task"));
  run();
  gate.open();
  EXPECT_FALSE(ready.empty());
  scope.cancel();
  EXPECT_TRUE(ready.empty());
  run();
  EXPECT_THAT(events, ElementsAre("task destroyed"));
}

Task<int> throws_after(Gate& gate, bool suspend) {
  if (suspend) co_await gate;
  throw std::runtime_error("broken");
}
Task<void> catches(Gate& gate, bool suspend, std::vector<std::string>& events) {
  try {
    Task<int> task = throws_after(gate, suspend);
    co_await task;
  } catch (const std::runtime_error& error) {
    events.push_back(error.what());
  }
}

TEST_F(TaskTest, ExceptionsReachTheAwaitingCoroutine) {
  Gate gate(ready);
  scope.spawn(catches(gate, false, events));
  run();
  EXPECT_THAT(events, ElementsAre("broken"));
  scope.spawn(catches(gate, true, events));
  run();
  gate.open();
  run();
  EXPECT_THAT(events, ElementsAre("broken", "broken"));
}

Task<std::unique_ptr<int>> boxed(int value) { co_return std::make_unique<int>(value); }
Task<void> unbox(int& out) {
  Task<std::unique_ptr<int>> task = boxed(5);
  const std::unique_ptr<int> box = co_await task;
  out = *box;
}

TEST_F(TaskTest, ResultsMayBeMoveOnly) {
  int out = 0;
  scope.spawn(unbox(out));
  run();
  EXPECT_EQ(out, 5);
}

TEST_F(TaskTest, HandlesMoveAndNeverStartedTasksLeaveNothing) {
  Task<int> a = constant(1);
  Task<int> b = std::move(a);
  EXPECT_FALSE(a);  // NOLINT: the moved-from state is what is tested
  EXPECT_TRUE(b);
  b = constant(2);
  Task<int>& self = b;
  b = std::move(self);
  EXPECT_TRUE(b);
  int out = 0;
  scope.spawn(store(std::move(b), out));
  run();
  EXPECT_EQ(out, 2);
}

TEST_F(TaskTest, WaitersRunInTheOrderOfWaking) {
  Gate first(ready);
  Gate second(ready);
  Gate third(ready);
  scope.spawn(wait_at(first, events, "1"));
  scope.spawn(wait_at(second, events, "2"));
  scope.spawn(wait_at(third, events, "3"));
  run();
  events.clear();
  third.open();
  first.open();
  third.open();  // twice is once
  second.open();
  run();
  EXPECT_THAT(events, ElementsAre("3 goes on", "1 goes on", "2 goes on"));
}

TEST_F(TaskTest, TheReadyQueueKeepsItsBudget) {
  std::vector<int> order;
  const auto body = [](std::vector<int>& out, int number) -> Task<void> {
    out.push_back(number);
    co_return;
  };
  for (int i = 0; i < 5; ++i) scope.spawn(body(order, i));
  EXPECT_EQ(ready.run(2), 2U);
  EXPECT_THAT(order, ElementsAre(0, 1));
  EXPECT_FALSE(ready.empty());
  EXPECT_EQ(ready.run(100), 3U);
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_TRUE(ready.empty());
}

TEST_F(TaskTest, ACompletedTaskNeedsNoCoroutine) {
  const auto nothing_to_do = [] { return Task<void>::completed(); };
  const auto body = [](std::vector<std::string>& out, auto task) -> Task<void> {
    co_await task();
    out.push_back("went on");
  };
  scope.spawn(body(events, nothing_to_do));
  scope.spawn(Task<void>::completed());
  run();
  EXPECT_THAT(events, ElementsAre("went on"));
  EXPECT_EQ(scope.size(), 0U);

  Task<void> task = Task<void>::completed();
  Task<void> moved = std::move(task);
  EXPECT_TRUE(moved);
  EXPECT_FALSE(task);  // NOLINT(bugprone-use-after-move): that is the question
}

Scope::Spawned spawned(Scope&, std::vector<std::string>& out, Gate& gate,
                       std::unique_ptr<std::string> text) {
  out.push_back(*text);
  Gate::Awaiter opened(gate);
  co_await opened;
  out.push_back("opened");
}

TEST_F(TaskTest, AFunctionMaySpawnItself) {
  Gate first(ready);
  Gate second(ready);
  auto text = std::make_unique<std::string>("begun");
  spawned(scope, events, first, std::move(text));
  EXPECT_THAT(events, IsEmpty());
  EXPECT_EQ(scope.size(), 1U);
  run();
  EXPECT_THAT(events, ElementsAre("begun"));
  first.open();
  run();
  EXPECT_THAT(events, ElementsAre("begun", "opened"));
  EXPECT_EQ(scope.size(), 0U);

  // Neither begun nor waiting does one survive its scope.
  spawned(scope, events, first, std::make_unique<std::string>("second"));
  run();
  spawned(scope, events, second, std::make_unique<std::string>("third"));
  scope.cancel();
  EXPECT_TRUE(ready.empty());
  EXPECT_FALSE(first.waiting());
}

}  // namespace
}  // namespace tern
