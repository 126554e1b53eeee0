#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace tern {

/// First in, first out. Unlike std::deque it allocates nothing until something is pushed (libstdc++
/// takes 576 bytes at once): for queues that every connection or request has and few ever use.
template <typename T>
class Fifo {
 public:
  bool empty() const noexcept { return head_ == items_.size(); }
  std::size_t size() const noexcept { return items_.size() - head_; }
  void push(T item) {
    if (head_ > kSlack && head_ * 2 > items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    items_.push_back(std::move(item));
  }
  /// The next to be popped, and the one pushed last; not when empty.
  T& front() noexcept { return items_[head_]; }
  T& back() noexcept { return items_.back(); }
  T pop() noexcept {
    T item = std::move(items_[head_++]);
    if (empty()) clear();
    return item;
  }
  void clear() noexcept {
    items_.clear();
    head_ = 0;
  }

 private:
  /// Popped items whose places are kept before they are taken back.
  static constexpr std::size_t kSlack = 16;

  std::vector<T> items_;
  std::size_t head_ = 0;
};

}  // namespace tern
