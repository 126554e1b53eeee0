#pragma once

#include <cstddef>
#include <utility>

#include "base/bytes.h"
#include "base/fifo.h"

namespace tern::fallback {

/// The body of a message that is being sent, as slices. What bounds it is the writer's
/// back-pressure (http::Outgoing).
class Http2Body {
 public:
  /// `bytes` not empty.
  void push(Bytes bytes) {
    unsent_ += bytes.size();
    slices_.push(std::move(bytes));
  }
  std::size_t unsent() const noexcept { return unsent_; }

  /// Takes `count` bytes off the front (there are as many) and gives them to `sink`, slice by
  /// slice.
  template <typename Sink>
  void take(std::size_t count, Sink&& sink) {
    unsent_ -= count;
    while (count > 0) {
      Bytes& front = slices_.front();
      if (front.size() <= count) {
        count -= front.size();
        sink(slices_.pop());
      } else {
        sink(front.slice(0, count));
        front.remove_prefix(count);
        return;
      }
    }
  }

  void clear() noexcept {
    slices_.clear();
    unsent_ = 0;
  }

 private:
  Fifo<Bytes> slices_;
  std::size_t unsent_ = 0;
};

}  // namespace tern::fallback
