#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/sim/tcp_congestion.h"
#include "transport/tcp/network.h"
#include "transport/tcp/send_queue.h"

/// Internal to transport/sim.

namespace tern::sim {

/// One direction's sending end: what to send when, and what was lost. Loss is found by RACK-TLP
/// (RFC 8985) and by timeout (RFC 6298 with Linux's 200 ms), recovered from with SACK (RFC 6675's
/// pipe) at the rate of PRR (RFC 6937), and taken back when it was none (D-SACK, or the time stamp
/// of RFC 3522). Positions are 64-bit: the SYN is at 0, the first byte at 1.
///
/// It neither sends nor has timers: `next` gives the next segment, `deadline` says when `expire`
/// is due.
class TcpSender {
 public:
  static constexpr Duration kMinTimeout = std::chrono::milliseconds(200);
  static constexpr Duration kMaxTimeout = std::chrono::seconds(120);
  static constexpr Duration kFirstTimeout = std::chrono::seconds(1);
  static constexpr unsigned kMaxTimeouts = 15;  // tcp_retries2

  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
  };
  struct Segment {
    std::uint64_t begin;
    std::size_t size;  ///< bytes, FIN aside
    bool fin;
    bool push;
    bool again = false;  ///< was sent before
  };
  struct Acknowledgment {
    std::uint64_t until;             ///< everything before it has arrived
    std::uint64_t window_end;        ///< nothing may be sent beyond
    std::span<const Range> arrived;  ///< SACK blocks
    std::optional<Range> duplicate;  ///< D-SACK
    std::optional<Timestamp> echo;   ///< when what caused it was sent, in whole milliseconds
  };
  enum class Expired : std::uint8_t {
    send,          ///< `next` may have something
    probe_window,  ///< send something that makes the receiver tell its window
    dead,          ///< too many timeouts
  };

  TcpSender(const TcpModel& model, std::size_t segment);

  // ---- what the application does
  void push(Bytes bytes);
  void finish() noexcept { fin_wanted_ = true; }
  /// Bytes that were pushed and that the send buffer has no room for yet.
  std::size_t queued(std::size_t unsent_low_water) noexcept;

  // ---- what arrives
  /// The handshake: the first sample, and the peer's window.
  void open(Timestamp now, Duration rtt, std::uint64_t window_end, bool lost_twice);
  void acknowledged(const Acknowledgment& ack, Timestamp now);

  // ---- what leaves
  /// The next segment that may be sent now, retransmissions first; it counts as sent.
  std::optional<Segment> next(Timestamp now, bool nagle);
  void copy(const Segment& segment, MutableBytes out) const {
    if (segment.size != 0) queue_.copy(segment.begin - 1, out);
  }
  Timestamp deadline() const noexcept;
  Expired expire(Timestamp now);

  std::uint64_t first_unacknowledged() const noexcept { return una_; }
  std::uint64_t next_position() const noexcept { return nxt_; }
  bool in_flight() const noexcept { return una_ != nxt_; }
  bool finish_acknowledged() const noexcept { return fin_sent_ && una_ == nxt_; }
  /// Something waits for the receiver's window to open.
  bool stalled() const noexcept { return !in_flight() && has_new() && nxt_ >= window_end_; }
  /// When the oldest unacknowledged bytes were first sent, or the window was found closed.
  Timestamp waiting_since() const noexcept { return waiting_since_; }
  Duration smoothed_rtt() const noexcept { return srtt_; }
  Duration timeout() const noexcept { return rto_; }
  void fill(tcp::StreamInfo& info) const noexcept;

 private:
  struct Sent {
    std::uint64_t begin;
    std::uint64_t end;  // FIN included
    Timestamp sent_at;
    Timestamp first_sent_at;
    bool fin = false;
    bool retransmitted = false;
    bool arrived = false;  // SACK
    bool lost = false;     // and not yet sent again
    bool in_pipe = true;
    std::uint64_t size() const noexcept { return end - begin; }
  };
  enum class State : std::uint8_t { open, recovery, timed_out };
  struct Delivered {
    std::uint64_t bytes = 0;
    std::optional<Duration> rtt;  // of a segment sent once
  };

  bool has_new() const noexcept { return nxt_ < end_ || (fin_wanted_ && !fin_sent_); }
  void deliver(Sent& sent, const Acknowledgment& ack, Timestamp now, Delivered& delivered);
  void take_acknowledged(const Acknowledgment& ack, Timestamp now, Delivered& delivered);
  void take_arrived(const Acknowledgment& ack, Timestamp now, Delivered& delivered);
  void take_duplicate(const Range& duplicate);
  void sample(Duration rtt);
  void rack_update(const Sent& sent, const Acknowledgment& ack, Timestamp now);
  Duration reordering_window() const noexcept;
  /// Marks what RACK takes for lost; true if anything.
  bool detect_losses(Timestamp now);
  void leave_pipe(Sent& sent) noexcept;
  void mark_lost(Sent& sent) noexcept;
  void enter_recovery();
  bool was_spurious(const Acknowledgment& ack) const noexcept;
  void undo() noexcept;
  void prr(std::uint64_t delivered) noexcept;
  void check_probe(const Acknowledgment& ack);
  void arm_timeout(Timestamp now) noexcept;
  void arm_probe(Timestamp now) noexcept;
  Segment resend(Sent& sent, Timestamp now);
  std::optional<Segment> send_new(Timestamp now, bool nagle, bool beyond_window);
  void probe_tail(Timestamp now);

  TcpModel model_;
  std::uint64_t segment_;
  TcpCongestion congestion_;
  tcp::SendQueue queue_;
  std::uint64_t end_ = 1;    // of what was pushed
  std::uint64_t taken_ = 1;  // of what the send buffer has
  std::uint64_t una_ = 1;
  std::uint64_t nxt_ = 1;
  std::uint64_t window_end_ = 1;
  bool fin_wanted_ = false;
  bool fin_sent_ = false;
  std::deque<Sent> sent_;  // una_ to nxt_
  std::uint64_t pipe_ = 0;
  std::uint64_t arrived_bytes_ = 0;  // of SACKed ones in sent_
  std::uint64_t arrived_count_ = 0;
  std::size_t lost_count_ = 0;  // lost and not yet sent again
  bool limited_ = false;        // by the congestion window, since the last acknowledgment
  Timestamp last_sent_{};
  Timestamp waiting_since_ = kNever;

  // Round-trip times, RFC 6298
  Duration srtt_{0}, rttvar_{0}, min_rtt_ = Duration::max();
  Duration rto_ = kFirstTimeout;
  unsigned timeouts_ = 0;  // in a row
  std::uint64_t round_end_ = 1;

  // Recovery
  State state_ = State::open;
  std::uint64_t recovery_end_ = 1;
  Timestamp first_resent_ = kNever;  // of this episode
  std::uint64_t to_undo_ = 0;        // retransmissions not yet known to be duplicates
  bool may_undo_ = false;
  std::uint64_t prr_delivered_ = 0, prr_out_ = 0, prr_window_ = 0;

  // RACK-TLP
  Timestamp rack_sent_{};
  std::uint64_t rack_end_ = 0;
  Duration rack_rtt_{0};
  std::uint64_t highest_arrived_ = 0;
  bool reordering_seen_ = false;
  unsigned reordering_steps_ = 1;
  std::uint64_t reordering_round_ = 0;
  std::optional<std::uint64_t> probe_end_;
  bool probe_resent_ = false;
  std::optional<Segment> forced_;  // a probe, whatever the window says

  Timestamp timeout_at_ = kNever;
  Timestamp probe_at_ = kNever;  // tail loss probe, or window probe
  Timestamp reordering_at_ = kNever;

  std::uint64_t bytes_sent_ = 0, bytes_resent_ = 0, segments_resent_ = 0;
};

}  // namespace tern::sim
