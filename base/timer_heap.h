#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "base/time.h"

namespace tern {

class TimerHeap;

/// Something with at most one deadline in a `TimerHeap`. Derive and implement `expire`, or use
/// `Timer`. Unarms itself on destruction; must not outlive its heap while armed. Not movable: the
/// heap points at it.
class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;
  bool armed() const noexcept { return heap_ != nullptr; }

 protected:
  ~TimerNode();
  /// The deadline has passed; the node is no longer armed and may arm itself again, or be
  /// destroyed.
  virtual void expire(Timestamp now) = 0;

 private:
  friend class TimerHeap;
  TimerHeap* heap_ = nullptr;
  std::size_t index_ = 0;
};

/// A 4-ary min-heap of deadlines: arm, move and disarm in O(log n), next deadline in O(1).
/// Grows with the number of armed nodes only.
class TimerHeap {
 public:
  TimerHeap() = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap();

  /// Arms `node` or moves its deadline; `kNever` disarms it.
  void arm(TimerNode& node, Timestamp deadline);
  void disarm(TimerNode& node) noexcept;
  Timestamp next_deadline() const noexcept { return heap_.empty() ? kNever : heap_[0].deadline; }
  /// Expires every node whose deadline is <= now. A node armed again for <= now during the call
  /// waits for the next one, so this ends. Returns how many expired.
  std::size_t expire(Timestamp now);
  std::size_t size() const noexcept { return heap_.size(); }

 private:
  struct Entry {
    Timestamp deadline;
    TimerNode* node;
  };
  void place(std::size_t index, Entry entry) noexcept;
  void sift_up(std::size_t index, Entry entry) noexcept;
  void sift_down(std::size_t index, Entry entry) noexcept;
  void remove_at(std::size_t index) noexcept;

  std::vector<Entry> heap_;
  std::vector<TimerNode*> due_;  // being expired in this call
};

/// A timer with a callback. The callback runs in the turn of the loop; it may arm the timer again
/// or destroy it.
class Timer final : public TimerNode {
 public:
  Timer(TimerHeap& heap, std::function<void(Timestamp)> callback)
      : heap_(heap), callback_(std::move(callback)) {}
  void arm(Timestamp deadline) { heap_.arm(*this, deadline); }
  void disarm() noexcept { heap_.disarm(*this); }

 private:
  void expire(Timestamp now) override {
    // A copy, because the callback may destroy this timer.
    const auto callback = callback_;
    callback(now);
  }
  TimerHeap& heap_;
  std::function<void(Timestamp)> callback_;
};

}  // namespace tern
