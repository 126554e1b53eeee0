#include "transport/quic/path_monitor.h"

#include <algorithm>
#include <utility>

namespace tern::quic {

namespace {
/// RFC 9002 §6.1.2: no timer needs to be finer. Of what a PTO has beyond the round trip.
constexpr Duration kLeastSlack = std::chrono::milliseconds(4);
/// The PINGs go at 2/8, 3/8 … of the slack, so that the last one's answer is there in time.
constexpr int kParts = 8;
constexpr int kFirstPart = 2;
/// The first sample is the handshake's, perhaps with a radio's waking in it: the next ones come
/// quickly.
constexpr int kFirstSamples = 16;
constexpr int kFirstRate = 4;
constexpr Duration kInstant = std::chrono::microseconds(1);
}  // namespace

bool PathMonitor::received(Timestamp now, Brought brought) noexcept {
  if (brought != Brought::nothing) {
    quiet_ = brought == Brought::data ? Duration::zero() : Duration(1);
  } else if (pings_ > 0) {
    // Answered, but the answer that matters is not there.
    quiet_ = std::min(kMaxQuiet, 2 * std::max(quiet_, now - last_received_));
  }
  last_received_ = now;
  waiting_since_ = kNever;
  pings_ = 0;
  patient_ = false;
  return std::exchange(told_, false);
}

void PathMonitor::sent(Timestamp now) noexcept {
  if (waiting_since_ == kNever) waiting_since_ = std::max(now, last_received_);
}

void PathMonitor::restart(Timestamp now) noexcept {
  pings_ = 0;
  last_ping_ = {};
  samples_ = 0;
  received(now, Brought::nothing);
}

PathMonitor::Next PathMonitor::keep_known(Timestamp now, const Facts& facts) noexcept {
  if (!facts.expecting) return {};
  const Timestamp due = last_received_ + std::max(quiet_, facts.pto);
  if (now < due) return {Step::nothing, due};
  if (facts.outstanding) return {Step::nothing, now + facts.pto};
  pings_ = 1;
  return {Step::ping, now + facts.pto};
}

PathMonitor::Next PathMonitor::check(Timestamp now, const Facts& facts) noexcept {
  if (facts.alone) return keep_known(now, facts);
  if (told_) return {};
  const Duration slack = std::max(facts.pto - facts.smoothed_rtt, kLeastSlack);
  const Duration part = slack / kParts;
  const bool flowing = facts.expecting && data_flow() && pings_ == 0;
  const Duration interval =
      samples_ < kFirstSamples ? facts.smoothed_rtt / kFirstRate : facts.smoothed_rtt;
  if (flowing && (half_sampled_ || now - last_sample_ >= interval)) {
    // In an instant of its own: those of other packets are theirs (Connection::prepare_ping).
    if (now == last_received_ || now == last_sample_) return {Step::nothing, now + kInstant};
    last_sample_ = now;
    half_sampled_ = !half_sampled_;
    if (!half_sampled_) ++samples_;
    if (waiting_since_ == kNever) waiting_since_ = last_received_;
    return {Step::ping, half_sampled_ ? now + kInstant : last_received_ + kFirstPart * part};
  }
  if (facts.outstanding) {
    if (waiting_since_ == kNever) waiting_since_ = last_received_;
  } else if (pings_ == 0) {
    waiting_since_ = kNever;
    if (!facts.expecting) return {};
    patient_ = quiet_ > Duration::zero();
    const Timestamp due =
        last_received_ + (patient_ ? std::max(quiet_, facts.pto) : kFirstPart * part);
    if (now < due) return {Step::nothing, due};
    waiting_since_ = patient_ ? now - kFirstPart * part : last_received_;
  }
  if (pings_ < kPings) {
    Timestamp due = waiting_since_ + (kFirstPart + pings_) * part;
    // What is outstanding may be the last PINGs, of which the first has been answered.
    if (pings_ == 0) due = std::max(due, last_ping_ + facts.smoothed_rtt + part);
    if (now < due) return {Step::nothing, due};
    if (pings_ == 0) first_ping_ = now;
    last_ping_ = now;
    ++pings_;
    return {Step::ping, std::max(now + part, waiting_since_ + (kFirstPart + pings_) * part)};
  }
  // Had the timer been late (the machine slept), the PINGs still had their time.
  const Duration patience = patient_ ? 2 * facts.pto : facts.pto;
  const Timestamp end =
      std::max(waiting_since_ + patience, first_ping_ + patience - kFirstPart * part);
  if (now < end) return {Step::nothing, end};
  told_ = true;
  return {Step::silent, kNever};
}

}  // namespace tern::quic
