#include "base/timer_heap.h"

#include <algorithm>

#include "base/check.h"

namespace tern {

namespace {
constexpr std::size_t kArity = 4;
/// `index_` of a node that waits in `due_` rather than in the heap.
constexpr std::size_t kDueBit = ~(SIZE_MAX >> 1);
}  // namespace

TimerNode::~TimerNode() {
  if (heap_ != nullptr) heap_->disarm(*this);
}

TimerHeap::~TimerHeap() {
  for (Entry& entry : heap_) entry.node->heap_ = nullptr;
}

void TimerHeap::place(std::size_t index, Entry entry) noexcept {
  entry.node->index_ = index;
  heap_[index] = entry;
}

void TimerHeap::sift_up(std::size_t index, Entry entry) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / kArity;
    if (heap_[parent].deadline <= entry.deadline) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerHeap::sift_down(std::size_t index, Entry entry) noexcept {
  for (;;) {
    const std::size_t first = index * kArity + 1;
    if (first >= heap_.size()) break;
    const std::size_t last = std::min(first + kArity, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < last; ++child) {
      if (heap_[child].deadline < heap_[least].deadline) least = child;
    }
    if (entry.deadline <= heap_[least].deadline) break;
    place(index, heap_[least]);
    index = least;
  }
  place(index, entry);
}

void TimerHeap::remove_at(std::size_t index) noexcept {
  const Entry moved = heap_.back();
  heap_.pop_back();
  if (index == heap_.size()) return;
  if (index > 0 && moved.deadline < heap_[(index - 1) / kArity].deadline) {
    sift_up(index, moved);
  } else {
    sift_down(index, moved);
  }
}

void TimerHeap::arm(TimerNode& node, Timestamp deadline) {
  if (deadline == kNever) {
    disarm(node);
    return;
  }
  if (node.heap_ != nullptr && (node.index_ & kDueBit) != 0) disarm(node);
  if (node.heap_ == nullptr) {
    heap_.push_back({});
    node.heap_ = this;
    sift_up(heap_.size() - 1, {deadline, &node});
    return;
  }
  TERN_CHECK(node.heap_ == this);
  const Entry old = heap_[node.index_];
  if (deadline < old.deadline) {
    sift_up(node.index_, {deadline, &node});
  } else if (deadline > old.deadline) {
    sift_down(node.index_, {deadline, &node});
  }
}

void TimerHeap::disarm(TimerNode& node) noexcept {
  if (node.heap_ == nullptr) return;
  TERN_CHECK(node.heap_ == this);
  node.heap_ = nullptr;
  if ((node.index_ & kDueBit) != 0) {
    due_[node.index_ & ~kDueBit] = nullptr;
  } else {
    remove_at(node.index_);
  }
}

std::size_t TimerHeap::expire(Timestamp now) {
  if (next_deadline() > now) return 0;
  TERN_CHECK(due_.empty());  // not re-entrant
  while (!heap_.empty() && heap_[0].deadline <= now) {
    TimerNode* node = heap_[0].node;
    remove_at(0);
    node->index_ = kDueBit | due_.size();
    due_.push_back(node);
  }
  std::size_t expired = 0;
  // By index: expire() may disarm (null) others in the list, never adds to it.
  for (std::size_t i = 0; i < due_.size(); ++i) {
    TimerNode* node = due_[i];
    if (node == nullptr) continue;
    node->heap_ = nullptr;
    due_[i] = nullptr;
    ++expired;
    node->expire(now);
  }
  due_.clear();
  return expired;
}

}  // namespace tern
