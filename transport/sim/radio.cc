#include "transport/sim/radio.h"

#include <algorithm>

#include "base/check.h"

namespace tern::sim {

namespace {

using namespace std::chrono_literals;

/// The end of the cycle that `now` is in, counted from `start`.
Timestamp cycle_end(Timestamp start, Duration cycle, Timestamp now) {
  if (cycle <= Duration::zero() || now <= start) return now;
  const auto passed = (now - start + cycle - Duration(1)) / cycle;
  return start + passed * cycle;
}

}  // namespace

RadioOptions RadioOptions::lte() {
  RadioOptions options;
  options.waking(260'100us).active(100ms).awake(11'576ms).listen_every(40'100us).page_every(1280ms);
  // 594.3 mW for 43.2 ms of each 1280.2 ms when idle.
  return options.watts(0.02, 1.2107, 1.28804, 1.06).nanojoules_per_bit(438.39, 51.97);
}

RadioOptions RadioOptions::wifi() {
  RadioOptions options;
  options.waking(79'100us).active(20ms).awake(238'100us).page_every(308'200us);
  // 77.2 mW for 7.6 ms of each 308.2 ms when idle.
  return options.watts(0.0019, 0.1244, 0.13286, 0.1193).nanojoules_per_bit(283.17, 137.01);
}

Radio::Radio(const RadioOptions& options, Timestamp now)
    : options_(options), begun_(now), since_(now) {
  changes_.push_back({now, state_});
}

Timestamp Radio::after_silence(Duration silence) const noexcept {
  return silence == Duration::max() ? kNever : last_use_ + silence;
}

void Radio::enter(RadioState state, Timestamp when) {
  const Duration time = when - since_;
  const auto index = static_cast<std::size_t>(state_);
  account_.time[index] += time;
  account_.joules += options_.watts_[index] * std::chrono::duration<double>(time).count();
  since_ = when;
  if (state == state_) return;
  state_ = state;
  if (changes_.size() < kMaxChanges) changes_.push_back({when, state});
}

void Radio::advance(Timestamp now) {
  TERN_CHECK(now >= since_);
  if (state_ == RadioState::waking && now >= awake_at_) {
    last_use_ = awake_at_;
    enter(RadioState::active, awake_at_);
  }
  if (state_ == RadioState::active && now >= after_silence(options_.active_)) {
    enter(RadioState::tail, after_silence(options_.active_));
  }
  if (state_ == RadioState::tail && now >= after_silence(options_.awake_)) {
    enter(RadioState::idle, after_silence(options_.awake_));
  }
  enter(state_, now);
}

RadioState Radio::state(Timestamp now) {
  advance(now);
  return state_;
}

RadioAccount Radio::account(Timestamp now) {
  advance(now);
  return account_;
}

Duration Radio::delay(Timestamp now, bool up) const {
  Radio copy(*this);
  return copy.ready(now, up) - now;
}

RadioAccount Radio::settled(Timestamp now) const {
  Radio left_alone(*this);
  left_alone.advance(now);
  if (left_alone.state_ == RadioState::waking) left_alone.advance(awake_at_);
  const Timestamp asleep = left_alone.after_silence(options_.awake_);
  if (left_alone.state_ != RadioState::idle && asleep != kNever) left_alone.advance(asleep);
  return left_alone.account_;
}

Timestamp Radio::ready(Timestamp now, bool up) {
  advance(now);
  switch (state_) {
    case RadioState::active: return now;
    case RadioState::waking: return awake_at_;
    case RadioState::tail:
      return up ? now : cycle_end(after_silence(options_.active_), options_.listen_cycle_, now);
    case RadioState::idle: break;
  }
  // What is to be received waits for the next look; the radio wakes then. It is in the account as
  // waking from now on, which is at most one cycle too much.
  const Timestamp noticed = up ? now : cycle_end(begun_, options_.page_cycle_, now);
  awake_at_ = noticed + options_.waking_;
  enter(RadioState::waking, now);
  return awake_at_;
}

void Radio::used(Timestamp now, bool up, std::size_t bytes) {
  advance(now);
  last_use_ = now;
  enter(RadioState::active, now);
  (up ? account_.bytes_up : account_.bytes_down) += bytes;
  account_.joules +=
      (up ? options_.up_energy_ : options_.down_energy_) * 8e-9 * static_cast<double>(bytes);
}

}  // namespace tern::sim
