#pragma once

#include <algorithm>
#include <cstdint>

#include "transport/quic/event.h"

namespace tern::quic {

/// How many streams of one kind the peer may open, in all (RFC 9000 §4.6). A MAX_STREAMS frame for
/// each stream that closes would often be a packet of its own, and one more that the peer
/// acknowledges; so what is owed to the peer is given in portions of an eighth of its limit. A peer
/// that comes near its limit gets it at once: it is never held up by what it is owed.
class StreamAllowance {
 public:
  /// `limit` streams at once: what the transport parameters said.
  void begin(std::uint64_t limit) noexcept {
    portion_ = std::max<std::uint64_t>(1, limit / 8);
    granted_ = limit;
  }
  /// The peer opened `stream`, and with it every lower one of its kind.
  void opened(StreamId stream) noexcept {
    opened_ = std::max(opened_, static_cast<std::uint64_t>(stream >> 2) + 1);
  }
  /// One is gone: the peer is owed another.
  void closed() noexcept { ++owed_; }
  /// By how many its limit is to be raised now; they are granted then.
  std::uint64_t take() noexcept {
    if (owed_ < portion_ && granted_ - opened_ > portion_) return 0;
    const std::uint64_t count = owed_;
    owed_ = 0;
    granted_ += count;
    return count;
  }

 private:
  std::uint64_t portion_ = 1;
  std::uint64_t granted_ = 0;
  std::uint64_t opened_ = 0;
  std::uint64_t owed_ = 0;
};

}  // namespace tern::quic
