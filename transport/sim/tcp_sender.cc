#include "transport/sim/tcp_sender.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tern::sim {

namespace {

constexpr Duration kMillisecond = std::chrono::milliseconds(1);
/// The delay of an acknowledgment that a single segment may have to wait for (RFC 8985 §7.2).
constexpr Duration kWorstAckDelay = std::chrono::milliseconds(200);
constexpr std::uint64_t kDuplicateThreshold = 3;

}  // namespace

TcpSender::TcpSender(const TcpModel& model, std::size_t segment)
    : model_(model), segment_(segment), congestion_(model.algorithm, segment) {}

// ---- the application ----------------------------------------------------------------------------

void TcpSender::push(Bytes bytes) {
  end_ += bytes.size();
  queue_.push(std::move(bytes));
}

std::size_t TcpSender::queued(std::size_t unsent_low_water) noexcept {
  const std::uint64_t room = std::min(nxt_ + unsent_low_water, una_ + model_.send_buffer);
  taken_ = std::max(taken_, std::min(end_, room));
  return static_cast<std::size_t>(end_ - taken_);
}

// ---- acknowledgments ----------------------------------------------------------------------------

void TcpSender::open(Timestamp now, Duration rtt, std::uint64_t window_end, bool lost_twice) {
  window_end_ = window_end;
  last_sent_ = now;
  sample(rtt);
  if (lost_twice) congestion_.start_small();
}

void TcpSender::acknowledged(const Acknowledgment& ack, Timestamp now) {
  if (ack.until > nxt_) return;
  const bool window_was_closed = stalled();
  window_end_ = std::max(window_end_, ack.window_end);
  if (window_was_closed) {
    // The receiver lives: however long it keeps its window shut, that is no timeout.
    timeouts_ = 0;
    waiting_since_ = now;
    if (!stalled()) probe_at_ = kNever;
  }
  if (ack.until < una_) return;

  const bool advanced = ack.until > una_;
  const std::uint64_t una_before = una_;
  Delivered delivered;
  take_acknowledged(ack, now, delivered);
  take_arrived(ack, now, delivered);
  if (ack.duplicate) take_duplicate(*ack.duplicate);
  if (advanced) {
    timeouts_ = 0;
    waiting_since_ = in_flight() ? sent_.front().first_sent_at : kNever;
    if (!delivered.rtt && ack.echo) {
      delivered.rtt = std::max<Duration>(now - *ack.echo, kMillisecond);
    }
  }
  if (delivered.rtt) sample(*delivered.rtt);
  check_probe(ack);
  if (advanced && state_ != State::open && was_spurious(ack)) undo();

  if (state_ != State::open && una_ >= recovery_end_) {
    if (state_ == State::recovery) congestion_.set(congestion_.threshold());
    state_ = State::open;
    may_undo_ = false;
    first_resent_ = kNever;
  }
  const bool lost = detect_losses(now);
  if (lost && state_ == State::open) enter_recovery();

  if (state_ == State::recovery) {
    prr(delivered.bytes);
  } else if (limited_ && una_ > una_before) {
    congestion_.acknowledged(una_ - una_before, srtt_, now);
  }
  if (pipe_ < congestion_.window()) limited_ = false;
  if (advanced) arm_timeout(now);
  arm_probe(now);
}

void TcpSender::leave_pipe(Sent& sent) noexcept {
  if (std::exchange(sent.in_pipe, false)) pipe_ -= sent.size();
}

void TcpSender::deliver(Sent& sent, const Acknowledgment& ack, Timestamp now,
                        Delivered& delivered) {
  delivered.bytes += sent.size();
  leave_pipe(sent);
  if (std::exchange(sent.lost, false)) --lost_count_;
  if (!sent.retransmitted) {
    delivered.rtt = now - sent.sent_at;  // the last one's, which was sent last
    if (sent.end < highest_arrived_) reordering_seen_ = true;
  }
  highest_arrived_ = std::max(highest_arrived_, sent.end);
  rack_update(sent, ack, now);
}

void TcpSender::take_acknowledged(const Acknowledgment& ack, Timestamp now, Delivered& delivered) {
  while (!sent_.empty() && sent_.front().end <= ack.until) {
    Sent& sent = sent_.front();
    if (sent.arrived) {
      arrived_bytes_ -= sent.size();
      --arrived_count_;
    } else {
      deliver(sent, ack, now, delivered);
    }
    sent_.pop_front();
  }
  if (ack.until <= una_) return;
  una_ = ack.until;
  // The FIN has a position, but no byte.
  queue_.pop_until(std::min(una_ - 1, queue_.end()));
}

void TcpSender::take_arrived(const Acknowledgment& ack, Timestamp now, Delivered& delivered) {
  for (const Range& range : ack.arrived) {
    auto sent = std::lower_bound(
        sent_.begin(), sent_.end(), range.begin,
        [](const Sent& candidate, std::uint64_t begin) { return candidate.begin < begin; });
    for (; sent != sent_.end() && sent->end <= range.end; ++sent) {
      if (std::exchange(sent->arrived, true)) continue;
      deliver(*sent, ack, now, delivered);
      arrived_bytes_ += sent->size();
      ++arrived_count_;
    }
  }
}

/// A duplicate arrived: a retransmission was not needed, or the network made a copy.
void TcpSender::take_duplicate(const Range& duplicate) {
  if (may_undo_ && to_undo_ > 0 && duplicate.end <= recovery_end_) --to_undo_;
  // RFC 8985 §6.2 step 4: once a round trip, more patience.
  if (una_ >= reordering_round_ && segments_resent_ > 0) {
    reordering_round_ = nxt_;
    reordering_steps_ = std::min(reordering_steps_ + 1, 255U);
    reordering_seen_ = true;
  }
}

void TcpSender::sample(Duration rtt) {
  min_rtt_ = std::min(min_rtt_, rtt);
  if (srtt_ == Duration{0}) {
    srtt_ = rtt;
    rttvar_ = rtt / 2;
  } else {
    const Duration error = rtt > srtt_ ? rtt - srtt_ : srtt_ - rtt;
    rttvar_ = (3 * rttvar_ + error) / 4;
    srtt_ = (7 * srtt_ + rtt) / 8;
  }
  // Linux's floor is under the variance, not under the sum.
  rto_ = std::min(srtt_ + std::max(4 * rttvar_, kMinTimeout), kMaxTimeout);
  const bool new_round = una_ >= round_end_;
  if (new_round) round_end_ = nxt_;
  congestion_.rtt_sample(rtt, min_rtt_, new_round);
}

// ---- RACK ---------------------------------------------------------------------------------------

void TcpSender::rack_update(const Sent& sent, const Acknowledgment& ack, Timestamp now) {
  const Duration rtt = now - sent.sent_at;
  if (sent.retransmitted) {
    // It may be the original that arrived (RFC 8985 §6.2 step 2).
    if (ack.echo && *ack.echo + kMillisecond <= sent.sent_at) return;
    if (rtt < min_rtt_) return;
  }
  rack_rtt_ = rtt;
  if (sent.sent_at > rack_sent_ || (sent.sent_at == rack_sent_ && sent.end > rack_end_)) {
    rack_sent_ = sent.sent_at;
    rack_end_ = sent.end;
  }
}

Duration TcpSender::reordering_window() const noexcept {
  if (!reordering_seen_ && (state_ != State::open || arrived_count_ >= kDuplicateThreshold)) {
    return Duration{0};
  }
  return std::min<Duration>(reordering_steps_ * (min_rtt_ / 4), srtt_);
}

bool TcpSender::detect_losses(Timestamp now) {
  reordering_at_ = kNever;
  if (rack_rtt_ == Duration{0} || (arrived_bytes_ == 0 && state_ == State::open)) return false;
  const Duration patience = rack_rtt_ + reordering_window();
  bool found = false;
  for (Sent& sent : sent_) {
    if (sent.arrived || !sent.in_pipe) continue;
    const bool sent_before =
        sent.sent_at < rack_sent_ || (sent.sent_at == rack_sent_ && sent.end < rack_end_);
    if (!sent_before) continue;
    const Timestamp given_up = sent.sent_at + patience;
    if (given_up <= now) {
      mark_lost(sent);
      found = true;
    } else {
      reordering_at_ = std::min(reordering_at_, given_up);
    }
  }
  return found;
}

void TcpSender::mark_lost(Sent& sent) noexcept {
  leave_pipe(sent);
  if (!std::exchange(sent.lost, true)) ++lost_count_;
}

// ---- recovery -----------------------------------------------------------------------------------

void TcpSender::enter_recovery() {
  state_ = State::recovery;
  recovery_end_ = nxt_;
  may_undo_ = true;
  to_undo_ = 0;
  first_resent_ = kNever;
  prr_window_ = std::max(congestion_.window(), segment_);
  congestion_.congestion();
  prr_delivered_ = prr_out_ = 0;
}

/// RFC 6937: what leaves follows what arrives, so that the window is at the threshold when recovery
/// ends, without a pause and without a burst.
void TcpSender::prr(std::uint64_t delivered) noexcept {
  prr_delivered_ += delivered;
  const std::uint64_t threshold = congestion_.threshold();
  std::uint64_t count = 0;
  if (pipe_ > threshold) {
    const std::uint64_t due = (prr_delivered_ * threshold + prr_window_ - 1) / prr_window_;
    count = due > prr_out_ ? due - prr_out_ : 0;
  } else {
    const std::uint64_t behind = prr_delivered_ > prr_out_ ? prr_delivered_ - prr_out_ : 0;
    count = std::min(threshold - pipe_, std::max(behind, delivered) + segment_);
  }
  if (prr_out_ == 0) count = std::max(count, segment_);  // the fast retransmit itself
  congestion_.set(pipe_ + count);
}

/// An acknowledgment that advances says, by its time stamp, that it was caused by the original
/// (RFC 3522); or every retransmission was told to be a duplicate (RFC 3708).
bool TcpSender::was_spurious(const Acknowledgment& ack) const noexcept {
  if (!may_undo_ || first_resent_ == kNever) return false;
  if (to_undo_ == 0) return true;
  return ack.echo && *ack.echo + kMillisecond <= first_resent_;
}

void TcpSender::undo() noexcept {
  congestion_.undo();
  may_undo_ = false;
  first_resent_ = kNever;
  state_ = State::open;
  for (Sent& sent : sent_) {
    if (!std::exchange(sent.lost, false)) continue;
    --lost_count_;
    if (!std::exchange(sent.in_pipe, true)) pipe_ += sent.size();
  }
}

// ---- sending ------------------------------------------------------------------------------------

std::optional<TcpSender::Segment> TcpSender::next(Timestamp now, bool nagle) {
  if (forced_) return std::exchange(forced_, std::nullopt);
  if (pipe_ == 0 && !in_flight() && has_new() && now - last_sent_ > rto_) {
    const Duration idle = now - last_sent_;
    congestion_.idle(static_cast<std::uint64_t>(idle / rto_), idle);
    last_sent_ = now;
  }
  const std::uint64_t window = congestion_.window();
  if (lost_count_ > 0) {
    const auto lost =
        std::find_if(sent_.begin(), sent_.end(), [](const Sent& sent) { return sent.lost; });
    TERN_CHECK(lost != sent_.end());
    if (pipe_ != 0 && pipe_ + lost->size() > window) {
      limited_ = true;
      return std::nullopt;
    }
    return resend(*lost, now);
  }
  return send_new(now, nagle, false);
}

TcpSender::Segment TcpSender::resend(Sent& sent, Timestamp now) {
  if (std::exchange(sent.lost, false)) --lost_count_;
  if (!std::exchange(sent.in_pipe, true)) pipe_ += sent.size();
  sent.retransmitted = true;
  sent.sent_at = now;
  last_sent_ = now;
  if (first_resent_ == kNever) first_resent_ = now;
  ++to_undo_;
  const std::uint64_t bytes = sent.size() - (sent.fin ? 1 : 0);
  bytes_sent_ += bytes;
  bytes_resent_ += bytes;
  ++segments_resent_;
  prr_out_ += sent.size();
  if (timeout_at_ == kNever) arm_timeout(now);
  return {sent.begin, static_cast<std::size_t>(bytes), sent.fin, true, true};
}

std::optional<TcpSender::Segment> TcpSender::send_new(Timestamp now, bool nagle,
                                                      bool beyond_window) {
  if (!has_new()) return std::nullopt;
  const std::uint64_t unsent = end_ - nxt_;
  std::uint64_t size = std::min(unsent, segment_);
  const std::uint64_t allowed = window_end_ > nxt_ ? window_end_ - nxt_ : 0;
  if (size > allowed) {
    // Less than a segment only if that is all the window there ever was.
    if (in_flight() || allowed == 0) size = 0;
    size = std::min(size, allowed);
  }
  const bool last = size == unsent;
  const bool fin = last && fin_wanted_;
  if (size == 0 && !fin) {
    if (stalled() && probe_at_ == kNever) {
      if (waiting_since_ == kNever) waiting_since_ = now;
      probe_at_ = now + rto_;
    }
    return std::nullopt;
  }
  if (nagle && size < segment_ && !fin && in_flight()) return std::nullopt;
  const std::uint64_t taken = size + (fin ? 1 : 0);
  if (!beyond_window && pipe_ != 0 && pipe_ + size > congestion_.window()) {
    limited_ = true;
    return std::nullopt;
  }
  Sent sent{};
  sent.begin = nxt_;
  sent.end = nxt_ + taken;
  sent.sent_at = sent.first_sent_at = now;
  sent.fin = fin;
  if (!in_flight()) waiting_since_ = now;
  const bool first = sent_.empty();
  sent_.push_back(sent);
  pipe_ += taken;
  nxt_ += taken;
  fin_sent_ = fin_sent_ || fin;
  bytes_sent_ += size;
  prr_out_ += taken;
  last_sent_ = now;
  if (pipe_ + segment_ > congestion_.window()) limited_ = true;
  if (first || timeout_at_ == kNever) arm_timeout(now);
  arm_probe(now);
  return Segment{sent.begin, static_cast<std::size_t>(size), fin, last};
}

// ---- timers -------------------------------------------------------------------------------------

void TcpSender::arm_timeout(Timestamp now) noexcept {
  if (!in_flight()) {
    timeout_at_ = kNever;
    return;
  }
  const unsigned doublings = std::min(timeouts_, 16U);
  timeout_at_ = now + std::min<Duration>(rto_ * (1U << doublings), kMaxTimeout);
}

/// The tail loss probe (RFC 8985 §7.2): no time stamps are left to be compared when the last
/// segments of a flight are lost.
void TcpSender::arm_probe(Timestamp now) noexcept {
  if (stalled()) return;  // then it is the window's
  probe_at_ = kNever;
  if (!in_flight() || state_ != State::open || arrived_count_ != 0 || probe_end_ ||
      timeouts_ != 0) {
    return;
  }
  Duration after = srtt_ == Duration{0} ? kFirstTimeout : 2 * srtt_;
  after += sent_.size() == 1 ? kWorstAckDelay : 2 * kMillisecond;
  probe_at_ = std::min(now + after, timeout_at_);
}

Timestamp TcpSender::deadline() const noexcept {
  return std::min({timeout_at_, probe_at_, reordering_at_});
}

TcpSender::Expired TcpSender::expire(Timestamp now) {
  if (reordering_at_ <= now) {
    if (detect_losses(now)) {
      if (state_ == State::open) {
        enter_recovery();
        prr(0);
      }
      arm_timeout(now);
    }
    return Expired::send;
  }
  if (stalled()) {
    if (probe_at_ > now) return Expired::send;
    if (++timeouts_ > kMaxTimeouts) return Expired::dead;
    probe_at_ = now + std::min<Duration>(rto_ * (1U << std::min(timeouts_, 16U)), kMaxTimeout);
    return Expired::probe_window;
  }
  if (probe_at_ <= now && probe_at_ < timeout_at_) {
    probe_at_ = kNever;
    probe_tail(now);
    arm_timeout(now);
    return Expired::send;
  }
  if (timeout_at_ > now) return Expired::send;
  probe_at_ = kNever;
  if (!in_flight()) {
    timeout_at_ = kNever;
    return Expired::send;
  }
  if (++timeouts_ > kMaxTimeouts) return Expired::dead;
  const bool first = state_ != State::timed_out || una_ >= recovery_end_;
  congestion_.timeout(first && state_ == State::open);
  if (first) {
    may_undo_ = true;
    to_undo_ = 0;
    first_resent_ = kNever;
  }
  state_ = State::timed_out;
  recovery_end_ = nxt_;
  probe_end_.reset();
  reordering_at_ = kNever;
  for (Sent& sent : sent_) {
    if (!sent.arrived) mark_lost(sent);
  }
  arm_timeout(now);
  return Expired::send;
}

void TcpSender::probe_tail(Timestamp now) {
  if (auto fresh = send_new(now, false, true)) {
    probe_resent_ = false;
    forced_ = fresh;
  } else if (!sent_.empty() && !sent_.back().arrived) {
    probe_resent_ = true;
    const std::uint64_t counted = to_undo_;
    forced_ = resend(sent_.back(), now);
    to_undo_ = counted;
    if (state_ == State::open) first_resent_ = kNever;
  } else {
    return;
  }
  probe_at_ = kNever;
  probe_end_ = nxt_;
}

/// Whether a tail loss probe repaired a loss that nobody has seen (RFC 8985 §7.4).
void TcpSender::check_probe(const Acknowledgment& ack) {
  if (!probe_end_ || ack.until < *probe_end_) return;
  const bool original_arrived = ack.duplicate.has_value();
  if (probe_resent_ && !original_arrived && state_ == State::open) {
    congestion_.congestion();
    congestion_.set(congestion_.threshold());
  }
  probe_end_.reset();
}

void TcpSender::fill(tcp::StreamInfo& info) const noexcept {
  info.rtt = srtt_;
  info.rtt_variance = rttvar_;
  if (min_rtt_ != Duration::max()) info.min_rtt = min_rtt_;
  info.congestion_window = congestion_.window();
  info.in_flight = nxt_ - una_;
  info.bytes_sent = bytes_sent_;
  info.bytes_acknowledged = std::min(una_ - 1, queue_.end());
  info.bytes_retransmitted = bytes_resent_;
  info.segments_retransmitted = segments_resent_;
  info.mss = static_cast<std::uint32_t>(segment_);
}

}  // namespace tern::sim
