#include "transport/sim/event_queue.h"

#include <algorithm>

#include "base/check.h"

namespace tern::sim {

void EventQueue::push(Timestamp when, EventTarget& target, std::uint32_t kind, void* argument) {
  heap_.push_back({when, pushed_++, &target, argument, kind});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

EventQueue::Event EventQueue::pop() {
  TERN_CHECK(!heap_.empty());
  std::pop_heap(heap_.begin(), heap_.end(), later);
  const Event event = heap_.back();
  heap_.pop_back();
  return event;
}

}  // namespace tern::sim
