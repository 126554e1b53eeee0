#pragma once

#include <atomic>

#include "base/error.h"

namespace tern::engine {

/// Ends a thread's sleep from any other thread or from a signal handler: an eventfd behind a flag,
/// so that many calls cost one system call. The eventfd is watched edge-triggered and never read.
class Waker {
 public:
  Waker() = default;
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  ~Waker();

  Result<void> open();
  int fd() const noexcept { return fd_; }

  void wake() noexcept;
  /// True from `wake` to the next `clear`: the owner must not go to sleep.
  bool pending() const noexcept { return pending_.load(std::memory_order_acquire); }
  /// The owner is awake. What was published before a `wake` that this ends is visible after it.
  void clear() noexcept {
    if (pending()) pending_.exchange(false, std::memory_order_acq_rel);
  }

 private:
  int fd_ = -1;
  std::atomic<bool> pending_{false};
};

}  // namespace tern::engine
