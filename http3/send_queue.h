#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "transport/quic/event.h"

namespace tern::http3 {

/// What one stream sends: frames' headers, field sections and slices of a body, in order. Holds
/// each piece until the peer has acknowledged it; two cursors run through them: acknowledged ≤
/// sent. Keeps its memory when cleared. What bounds it is the writer's back-pressure
/// (http::Outgoing).
class SendQueue {
 public:
  /// `bytes` not empty.
  void push(Bytes bytes) {
    unsent_ += bytes.size();
    pieces_.push_back(std::move(bytes));
  }
  /// Before everything else; only while nothing is sent.
  void push_front(Bytes bytes) {
    TERN_CHECK(front_ == 0 && sending_ == 0 && sent_in_piece_ == 0);
    unsent_ += bytes.size();
    pieces_.insert(pieces_.begin(), std::move(bytes));
  }
  /// The piece pushed last goes on for `count` bytes where it ends, unless it has been sent: false
  /// then. `end`: where the new bytes begin. For pieces in memory that the caller owns.
  bool extend(const std::uint8_t* end, std::size_t count) noexcept {
    if (sending_ == pieces_.size()) return false;
    Bytes& last = pieces_.back();
    if (last.end() != end) return false;
    last = Bytes::literal(as_text(ByteView(last.data(), last.size() + count)));
    unsent_ += count;
    return true;
  }

  bool empty() const noexcept { return pieces_.empty(); }
  /// Bytes that are in no packet yet.
  std::size_t unsent() const noexcept { return unsent_; }

  /// The next pieces to send: as many as there are vecs, or enough for a packet. Returns how many.
  std::size_t offer(std::span<quic::Vec> vecs, std::size_t& size) const noexcept {
    std::size_t count = 0;
    std::size_t skip = sent_in_piece_;
    for (std::size_t i = sending_; i < pieces_.size() && count < vecs.size() && size < kEnough;
         ++i) {
      const Bytes& piece = pieces_[i];
      vecs[count++] = {piece.data() + skip, piece.size() - skip};
      size += piece.size() - skip;
      skip = 0;
    }
    return count;
  }

  /// The first `count` bytes that were not sent are in a packet.
  void sent(std::size_t count) noexcept {
    TERN_CHECK(count <= unsent_);
    unsent_ -= count;
    sent_in_piece_ += count;
    while (sending_ < pieces_.size() && sent_in_piece_ >= pieces_[sending_].size()) {
      sent_in_piece_ -= pieces_[sending_++].size();
    }
  }

  /// The first `count` bytes that were not yet acknowledged are now.
  void acked(std::uint64_t count) noexcept {
    acked_in_front_ += static_cast<std::size_t>(count);
    while (front_ < sending_ && acked_in_front_ >= pieces_[front_].size()) {
      acked_in_front_ -= pieces_[front_].size();
      pieces_[front_++] = Bytes();
    }
    TERN_CHECK(acked_in_front_ == 0 || front_ < pieces_.size());
    if (front_ == pieces_.size()) {
      clear();
    } else if (front_ >= 64 && front_ * 2 > pieces_.size()) {
      pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(front_));
      sending_ -= front_;
      front_ = 0;
    }
  }

  /// Nothing was sent (0-RTT was rejected). Only while nothing is acknowledged.
  void rewind() noexcept {
    TERN_CHECK(front_ == 0 && acked_in_front_ == 0);
    unsent_ = 0;
    for (const Bytes& piece : pieces_) unsent_ += piece.size();
    sending_ = sent_in_piece_ = 0;
  }

  void clear() noexcept {
    pieces_.clear();
    front_ = sending_ = 0;
    acked_in_front_ = sent_in_piece_ = unsent_ = 0;
  }

 private:
  /// No packet is larger.
  static constexpr std::size_t kEnough = 64 * 1024;

  std::vector<Bytes> pieces_;
  std::size_t front_ = 0;           // the first piece that is not acknowledged whole
  std::size_t acked_in_front_ = 0;  // bytes of it that are
  std::size_t sending_ = 0;         // the first piece that is not sent whole
  std::size_t sent_in_piece_ = 0;   // bytes of it that are
  std::size_t unsent_ = 0;
};

}  // namespace tern::http3
