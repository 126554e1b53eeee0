#include "base/runtime.h"

#include <algorithm>
#include <utility>

namespace tern {

Runtime::Runtime(Driver& driver)
    : driver_(driver), now_(driver.now()), random_(driver.random_key()), scope_(ready_) {}

Runtime::~Runtime() { scope_.cancel(); }

void Runtime::submit(std::function<void()> work) {
  {
    const std::lock_guard lock(submitted_mutex_);
    submitted_.push_back(std::move(work));
    has_submitted_.store(true, std::memory_order_release);
  }
  driver_.wake();
}

void Runtime::remove(TurnHook& hook) noexcept { std::erase(hooks_, &hook); }

Timestamp Runtime::next_deadline() const {
  if (!ready_.empty() || has_submitted_.load(std::memory_order_acquire)) return now_;
  for (const TurnHook* hook : hooks_) {
    if (hook->pending()) return now_;
  }
  return timers_.next_deadline();
}

void Runtime::turn() {
  const Duration idle = driver_.wait(next_deadline());
  const Timestamp flushed = std::exchange(now_, driver_.now());
  bool early = idle > Duration::zero() && idle >= (now_ - flushed) / kIdlePart;
  driver_.reap(now_);
  if (has_submitted_.load(std::memory_order_acquire)) {
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard lock(submitted_mutex_);
      work.swap(submitted_);
      has_submitted_.store(false, std::memory_order_release);
    }
    for (const auto& item : work) item();
  }
  timers_.expire(now_);
  for (bool more = true; more;) {
    const bool stopped = drain(early ? kEarlyResumes : kMaxResumesPerTurn);
    now_ = driver_.now();
    for (std::size_t i = 0; i < hooks_.size(); ++i) hooks_[i]->flush(now_);
    more = (early && stopped) || undrained();
    if (early && stopped) driver_.wait(now_);  // starts what was flushed
    early = false;
  }
}

/// True: `most` coroutines have run, and there is more to do.
bool Runtime::drain(std::size_t most) {
  bool more = true;
  for (std::size_t resumes = 0; more;) {
    // By index: a hook may add or remove hooks.
    for (std::size_t i = 0; i < hooks_.size(); ++i) hooks_[i]->drain(now_);
    resumes += ready_.run(most - resumes);
    more = false;
    for (const TurnHook* hook : hooks_) more = more || hook->gave_way();
    if (resumes == most) return more || !ready_.empty();
  }
  return false;
}

bool Runtime::undrained() const {
  for (const TurnHook* hook : hooks_) {
    if (hook->undrained()) return true;
  }
  return false;
}

void Runtime::run() {
  while (!stopping()) turn();
}

void Runtime::stop() noexcept {
  stopping_.store(true, std::memory_order_relaxed);
  driver_.wake();
}

}  // namespace tern
