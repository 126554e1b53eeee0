#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

/// The world's one queue of what is to happen. Internal to transport/sim.

namespace tern::sim {

/// Something that events happen to.
class EventTarget {
 public:
  virtual void fire(std::uint32_t kind, void* argument) = 0;

 protected:
  ~EventTarget() = default;
};

/// Events by time; those of one instant in the order in which they were pushed.
class EventQueue {
 public:
  struct Event {
    Timestamp when;
    std::uint64_t order;
    EventTarget* target;
    void* argument;
    std::uint32_t kind;
  };

  void push(Timestamp when, EventTarget& target, std::uint32_t kind, void* argument);
  Timestamp next() const noexcept { return heap_.empty() ? kNever : heap_.front().when; }
  /// The earliest event. The queue must not be empty.
  Event pop();
  std::size_t size() const noexcept { return heap_.size(); }

 private:
  static bool later(const Event& left, const Event& right) noexcept {
    return left.when != right.when ? left.when > right.when : left.order > right.order;
  }
  std::vector<Event> heap_;
  std::uint64_t pushed_ = 0;
};

}  // namespace tern::sim
