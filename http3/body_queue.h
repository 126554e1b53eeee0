#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "transport/quic/event.h"

namespace tern::http3 {

/// The body of a message that is being sent. Holds each slice until the peer has acknowledged it;
/// three cursors run through them: acknowledged ≤ sent ≤ offered (given to nghttp3 for a DATA
/// frame). Keeps its memory when cleared. What bounds it is the writer's back-pressure
/// (http::Outgoing).
class BodyQueue {
 public:
  /// `bytes` not empty.
  void push(Bytes bytes) {
    unsent_ += bytes.size();
    slices_.push_back(std::move(bytes));
  }

  /// Bytes that are in no packet yet.
  std::size_t unsent() const noexcept { return unsent_; }
  bool all_offered() const noexcept { return offered_ == slices_.size(); }

  /// The next slices for a DATA frame, at most `max`; returns how many.
  std::size_t offer(quic::Vec* vecs, std::size_t max) noexcept {
    std::size_t count = 0;
    for (; count < max && offered_ < slices_.size(); ++count, ++offered_) {
      vecs[count] = {slices_[offered_].data(), slices_[offered_].size()};
    }
    return count;
  }

  /// `count` bytes beginning at `data` have been sent. Returns whether they were the body's:
  /// framing lies elsewhere.
  bool sent(const std::uint8_t* data, std::size_t count) noexcept {
    if (sending_ == offered_) return false;
    const Bytes& slice = slices_[sending_];
    if (data != slice.data() + sent_in_slice_) return false;
    sent_in_slice_ += count;
    unsent_ -= count;
    if (sent_in_slice_ == slice.size()) {
      ++sending_;
      sent_in_slice_ = 0;
    }
    return true;
  }

  /// The first `count` bytes that were not yet acknowledged are now.
  void acked(std::uint64_t count) noexcept {
    acked_in_front_ += static_cast<std::size_t>(count);
    while (front_ < sending_ && acked_in_front_ >= slices_[front_].size()) {
      acked_in_front_ -= slices_[front_].size();
      slices_[front_++] = Bytes();
    }
    TERN_CHECK(acked_in_front_ == 0 || front_ < slices_.size());
    if (front_ == slices_.size()) {
      clear();
    } else if (front_ >= 64 && front_ * 2 > slices_.size()) {
      slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(front_));
      offered_ -= front_;
      sending_ -= front_;
      front_ = 0;
    }
  }

  /// Nothing was sent (0-RTT was rejected). Only while nothing is acknowledged.
  void rewind() noexcept {
    TERN_CHECK(front_ == 0 && acked_in_front_ == 0);
    unsent_ = 0;
    for (const Bytes& slice : slices_) unsent_ += slice.size();
    offered_ = sending_ = sent_in_slice_ = 0;
  }

  void clear() noexcept {
    slices_.clear();
    front_ = offered_ = sending_ = 0;
    acked_in_front_ = sent_in_slice_ = unsent_ = 0;
  }

 private:
  std::vector<Bytes> slices_;
  std::size_t front_ = 0;           // the first slice that is not acknowledged whole
  std::size_t acked_in_front_ = 0;  // bytes of it that are
  std::size_t offered_ = 0;         // the first slice that was not offered
  std::size_t sending_ = 0;         // the first slice that is not sent whole
  std::size_t sent_in_slice_ = 0;   // bytes of it that are
  std::size_t unsent_ = 0;
};

}  // namespace tern::http3
