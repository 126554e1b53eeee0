#pragma once

#include <algorithm>
#include <coroutine>
#include <vector>

#include "base/ready_queue.h"
#include "base/runtime.h"

namespace tern {

/// Lets any number of coroutines of one runtime wait until somebody says that something has
/// changed:
///   while (!condition) co_await changed.wait();
/// Edge-triggered: what is announced while nobody waits is not kept.
class Broadcast {
 public:
  explicit Broadcast(Runtime& runtime) noexcept : runtime_(runtime) {}
  Broadcast(const Broadcast&) = delete;
  Broadcast& operator=(const Broadcast&) = delete;

  void notify_all() noexcept {
    for (Waiter* waiter : waiters_) waiter->wake(runtime_.ready());
  }

  class [[nodiscard]] Wait {
   public:
    explicit Wait(Broadcast& broadcast) noexcept : broadcast_(broadcast) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() { std::erase(broadcast_.waiters_, &waiter_); }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      waiter_.suspend(handle);
      broadcast_.waiters_.push_back(&waiter_);
    }
    void await_resume() const noexcept {}

   private:
    Broadcast& broadcast_;
    Waiter waiter_;
  };
  Wait wait() noexcept { return Wait(*this); }

 private:
  Runtime& runtime_;
  std::vector<Waiter*> waiters_;
};

}  // namespace tern
