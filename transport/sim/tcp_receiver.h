#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

/// Internal to transport/sim.

namespace tern::sim {

/// One direction's receiving end: puts the bytes in order, says what to acknowledge, and how much
/// may come. Positions are 64-bit: the SYN is at 0, the first byte at 1.
class TcpReceiver {
 public:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
  };
  /// What a segment brought.
  enum class Outcome : std::uint8_t {
    in_order,   ///< may be acknowledged later, with another
    gap,        ///< out of order, or filled a gap: acknowledge now
    duplicate,  ///< nothing new: acknowledge now, with `duplicate()` as D-SACK
    outside,    ///< beyond the window
  };

  TcpReceiver(std::size_t most, std::uint64_t segment) noexcept;

  Outcome receive(std::uint64_t begin, ByteView bytes, bool fin);
  std::uint64_t next() const noexcept { return next_; }
  bool finished() const noexcept { return fin_taken_; }

  /// In order and not yet taken by the application.
  std::size_t ready() const noexcept { return ready_bytes_; }
  /// Moves at most `most` bytes to `out`'s end.
  void take(std::vector<std::uint8_t>& out, std::size_t most, Timestamp now, Duration rtt);
  void drop_ready() noexcept;

  /// The right edge of the window to announce now; never moves left.
  std::uint64_t window_end() noexcept;
  /// The edge would move by so much that the sender should hear of it.
  bool window_opened() const noexcept;
  /// What the other end knows of.
  void announced(std::uint64_t end) noexcept { announced_ = end; }

  /// What was received beyond `next()`: the range that grew last comes first (RFC 2018 §4).
  std::vector<Range> missing_before(std::size_t most) const;
  /// The duplicate that arrived last (RFC 2883); forgotten when asked.
  std::optional<Range> duplicate() noexcept;
  bool has_gaps() const noexcept { return !ranges_.empty(); }

 private:
  static constexpr std::size_t kFirstBuffer = 64 * 1024;

  void store(std::uint64_t begin, ByteView bytes);
  void append(ByteView bytes);
  void note_range(std::uint64_t begin, std::uint64_t end);
  void join();
  std::size_t room() const noexcept;

  std::size_t most_;
  std::uint64_t segment_;
  std::size_t buffer_;
  std::uint64_t next_ = 1;
  std::uint64_t edge_;       // the window's right end
  std::uint64_t announced_;  // … as last sent
  std::optional<std::uint64_t> fin_at_;
  bool fin_taken_ = false;

  std::deque<std::vector<std::uint8_t>> ready_;
  std::size_t ready_taken_ = 0;  // of the first
  std::size_t ready_bytes_ = 0;
  std::map<std::uint64_t, std::vector<std::uint8_t>> early_;  // pieces that do not overlap
  std::size_t early_bytes_ = 0;
  std::map<std::uint64_t, std::uint64_t> ranges_;  // begin to end, what early_ covers
  std::deque<std::uint64_t> recent_;               // places in ranges_, the newest first
  std::optional<Range> duplicate_;

  // Auto-tuning: what the application took in a round trip.
  std::size_t taken_ = 0;
  std::size_t taken_before_ = 0;
  Timestamp measured_{};
};

}  // namespace tern::sim
