#include "base/scope.h"

#include <exception>

#include "base/recycled_memory.h"

namespace tern {

struct Scope::Root {
  struct promise_type : Link, Recycled {
    promise_type(Scope& owner, Task<void>&) noexcept : scope(owner) {
      previous = scope.head_.previous;
      next = &scope.head_;
      previous->next = this;
      next->previous = this;
      ++scope.size_;
    }
    ~promise_type() {
      previous->next = next;
      next->previous = previous;
      --scope.size_;
    }
    Root get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }  // frees the frame
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }

    Scope& scope;
  };
};

namespace {

/// Suspends once, so that a spawned task starts from the ready queue.
struct Yield {
  explicit Yield(ReadyQueue& queue) noexcept : ready(queue) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    waiter.suspend(handle);
    waiter.wake(ready);
  }
  void await_resume() const noexcept {}

  ReadyQueue& ready;
  Waiter waiter;
};

}  // namespace

Scope::Root Scope::run(Scope& scope, Task<void> task) {
  Yield start(scope.ready_);
  co_await start;
  co_await task;
}

void Scope::spawn(Task<void> task) { run(*this, std::move(task)); }

void Scope::cancel() noexcept {
  while (head_.next != &head_) {
    auto& promise = static_cast<Root::promise_type&>(*head_.next);
    std::coroutine_handle<Root::promise_type>::from_promise(promise).destroy();
  }
}

}  // namespace tern
