#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace tern::sim {

/// What a phone's radio is doing. It sleeps unless there is something to send or to receive, takes
/// its time to wake, and stays half awake for a while in case that more comes.
enum class RadioState : std::uint8_t { idle, waking, active, tail };
inline constexpr std::size_t kRadioStates = 4;

/// Times and powers of a radio. `lte()` and `wifi()` are the measurements of Huang, Qian, Gerber,
/// Mao, Sen, Spatscheck: "A close examination of performance and power characteristics of 4G LTE
/// networks", MobiSys 2012, tables 3 and 4; an idle radio's power is spread over its paging or
/// beacon cycle. A phone of today needs less of everything; what differs between two carriers on
/// the same radio is what the account is for.
class RadioOptions {
 public:
  /// Waking takes 260 ms at 1.21 W; active at 1.29 W and 438 (up) or 52 (down) nJ a bit; 100 ms
  /// after the last packet DRX with cycles of 40 ms; 11.6 s after it asleep (the tail, 1.06 W);
  /// asleep 20 mW, and looking for pages every 1.28 s.
  static RadioOptions lte();
  /// Waking takes 79 ms at 0.12 W; active at 0.13 W and 283 or 137 nJ a bit; 238 ms after the last
  /// packet asleep (the tail, 0.12 W, from 20 ms on), 1.9 mW, beacons looked at every 308 ms.
  static RadioOptions wifi();

  /// From asleep to sending. Default 0.
  RadioOptions& waking(Duration time) { return waking_ = time, *this; }
  /// Silence after which the tail begins, and after which the radio sleeps. Default: never.
  RadioOptions& active(Duration silence) { return active_ = silence, *this; }
  RadioOptions& awake(Duration silence) { return awake_ = silence, *this; }
  /// In the tail it listens at the end of each such cycle only: what is sent to it waits (DRX).
  /// Sending ends the cycle at once. Default 0: it always listens.
  RadioOptions& listen_every(Duration cycle) { return listen_cycle_ = cycle, *this; }
  /// Asleep it looks that often whether there is something for it, and then wakes. Default 0.
  RadioOptions& page_every(Duration cycle) { return page_cycle_ = cycle, *this; }
  /// Watts in each state. Default 0.
  RadioOptions& watts(double idle, double waking, double active, double tail) {
    return watts_ = {idle, waking, active, tail}, *this;
  }
  /// Energy for each bit on top, in nanojoules (the same number as mW for each Mbit/s). Default 0.
  RadioOptions& nanojoules_per_bit(double up, double down) {
    return up_energy_ = up, down_energy_ = down, *this;
  }

 private:
  friend class Radio;
  Duration waking_{0};
  Duration active_ = Duration::max();
  Duration awake_ = Duration::max();
  Duration listen_cycle_{0};
  Duration page_cycle_{0};
  std::array<double, kRadioStates> watts_{};
  double up_energy_ = 0;
  double down_energy_ = 0;
};

/// What a radio has used so far.
struct RadioAccount {
  std::array<Duration, kRadioStates> time{};  ///< in each state
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  double joules = 0;

  Duration in(RadioState state) const noexcept { return time[static_cast<std::size_t>(state)]; }
  /// Not asleep.
  Duration on() const noexcept {
    return in(RadioState::waking) + in(RadioState::active) + in(RadioState::tail);
  }
};

/// The radio of a host on a link; see World::radio. Owned by the link. Packets of the link wait
/// until it is awake.
class Radio {
 public:
  /// State changes kept for pictures; the account goes on beyond it.
  static constexpr std::size_t kMaxChanges = 4096;
  struct Change {
    Timestamp when;
    RadioState state;
  };

  Radio(const RadioOptions& options, Timestamp now);
  Radio& operator=(const Radio&) = delete;

  RadioState state(Timestamp now);
  /// Up to `now`, which never falls.
  RadioAccount account(Timestamp now);
  /// As if nothing more came, until it sleeps: what was done here is paid for here.
  RadioAccount settled(Timestamp now) const;
  const std::vector<Change>& changes() const noexcept { return changes_; }

  /// How long a packet that is sent now has to wait for the radio.
  Duration delay(Timestamp now, bool up) const;

  // ---- for the link
  /// When a packet that is first in its queue now may begin to be sent. Wakes the radio.
  Timestamp ready(Timestamp now, bool up);
  /// A packet has gone over the air.
  void used(Timestamp now, bool up, std::size_t bytes);

 private:
  Radio(const Radio&) = default;  // for `settled`
  /// Passes through the states up to `now`.
  void advance(Timestamp now);
  void enter(RadioState state, Timestamp when);
  Timestamp after_silence(Duration silence) const noexcept;

  RadioOptions options_;
  const Timestamp begun_;
  RadioState state_ = RadioState::idle;
  Timestamp since_;       // up to here it is in the account
  Timestamp awake_at_{};  // while waking
  Timestamp last_use_{};
  RadioAccount account_;
  std::vector<Change> changes_;
};

}  // namespace tern::sim
