#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

#include "base/check.h"

namespace tern {

class ReadyQueue;

/// The one way a coroutine waits. An awaitable keeps a `Waiter` (it lives in the awaiting frame),
/// calls `suspend` from await_suspend, and the party that makes progress calls `wake`, which queues
/// the coroutine to run later in the turn: nobody resumes application code from a callback.
/// Destroying the frame, and with it the waiter, takes it out of the queue: that is cancellation.
class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { unlink(); }

  void suspend(std::coroutine_handle<> handle) noexcept { handle_ = handle; }
  /// A coroutine is suspended here (woken or not).
  bool waiting() const noexcept { return static_cast<bool>(handle_); }
  /// Queues the coroutine, once; without one it does nothing.
  void wake(ReadyQueue& queue) noexcept;

 private:
  friend class ReadyQueue;
  void unlink() noexcept;

  std::coroutine_handle<> handle_;
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
};

/// Coroutines that are ready to run, first come first served. Intrusive: holds no memory.
class ReadyQueue {
 public:
  ReadyQueue() noexcept { head_.previous_ = head_.next_ = &head_; }
  ReadyQueue(const ReadyQueue&) = delete;
  ReadyQueue& operator=(const ReadyQueue&) = delete;
  ~ReadyQueue() { TERN_CHECK(empty()); }

  bool empty() const noexcept { return head_.next_ == &head_; }
  /// Resumes at most `budget` coroutines; returns how many.
  std::size_t run(std::size_t budget) {
    std::size_t ran = 0;
    while (ran < budget && !empty()) {
      Waiter* waiter = head_.next_;
      waiter->unlink();
      ++ran;
      // The resumed coroutine usually destroys the waiter.
      std::exchange(waiter->handle_, nullptr).resume();
    }
    return ran;
  }

 private:
  friend class Waiter;
  Waiter head_;  // sentinel of a circular list
};

inline void Waiter::wake(ReadyQueue& queue) noexcept {
  if (!handle_ || next_ != nullptr) return;
  previous_ = queue.head_.previous_;
  next_ = &queue.head_;
  previous_->next_ = this;
  next_->previous_ = this;
}

inline void Waiter::unlink() noexcept {
  if (next_ == nullptr || next_ == this) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = next_ = nullptr;
}

}  // namespace tern
