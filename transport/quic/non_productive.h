#pragma once

#include <chrono>
#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"

namespace tern::quic {

/// Counts a peer's non-productive packets (RFC 9000 §21.9): those that want an acknowledgement
/// while nothing in them moves the application or the handshake forward. That is any mix of PING,
/// PATH_CHALLENGE, NEW_CONNECTION_ID, flow control and the like, with or without ACK and PADDING.
///
/// Honest peers send few of them on their own (keep-alive, PTO and PMTUD probes, new connection
/// IDs), and the rest in answer to what we send (window updates, PINGs among many ACKs): so the
/// packets we send are credited.
class NonProductivePackets {
 public:
  /// Over which they are counted.
  static constexpr Duration kWindow = std::chrono::seconds(10);

  /// A 0-RTT or 1-RTT packet was opened. One that arrives late is left out, and so is a copy, which
  /// an observer could send as often as it likes.
  void opened(std::uint64_t packet_number, ByteView payload) noexcept {
    if (packet_number < next_ || !non_productive(payload)) return;
    next_ = packet_number + 1;
    ++count_;
  }

  /// Whether there were more than `limit` of them in a window, beyond `packets_sent` (a total) in
  /// this one and the one before.
  bool too_many(Timestamp now, std::uint64_t packets_sent, std::uint64_t limit) noexcept {
    if (count_ == checked_) return false;
    checked_ = count_;
    if (now - begin_ >= kWindow) {
      begin_ = now;
      count_before_ = count_ - 1;
      sent_before_ = sent_at_begin_;
      sent_at_begin_ = packets_sent;
    }
    return count_ - count_before_ > limit + (packets_sent - sent_before_);
  }

  /// Whether a packet with this payload is one of them. False also for what is malformed.
  static bool non_productive(ByteView payload) noexcept;

 private:
  std::uint64_t next_ = 0;  // the lowest packet number that counts
  std::uint64_t count_ = 0;
  std::uint64_t checked_ = 0;
  Timestamp begin_{};
  std::uint64_t count_before_ = 0;   // count_ when this window began
  std::uint64_t sent_at_begin_ = 0;  // packets sent by then
  std::uint64_t sent_before_ = 0;    // and when the window before it began
};

}  // namespace tern::quic
