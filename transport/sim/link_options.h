#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/sim/rate_trace.h"
#include "transport/udp/interfaces.h"

/// What a simulated link does to datagrams and TCP segments. Everything may be changed while the
/// world runs.

namespace tern::sim {

/// How jitter spreads around a channel's delay.
enum class Jitter : std::uint8_t {
  uniform,      ///< evenly in [0, jitter]
  normal,       ///< half-normal with standard deviation jitter: mostly little, sometimes 3×
  exponential,  ///< with mean jitter: a long tail, as radio retransmissions cause it
};

/// One direction of a link. Values; defaults are a perfect wire with an MTU of 1500.
///
/// The way of a datagram: cut? → too big? → queue (drop tail, ECN mark) → radio awake → serialised
/// at `rate` → scripted and random loss → corruption, duplication → delay, jitter, reordering →
/// arrival. So lost datagrams have used the link's capacity, as on a radio.
struct ChannelModel {
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  Duration delay{0};  ///< one way, after the last bit has left
  Duration jitter{0};
  Jitter jitter_shape = Jitter::uniform;
  bool jitter_reorders = false;  ///< else a datagram never overtakes an earlier one by jitter

  double bits_per_second = 0;  ///< 0: infinitely fast, then there is no queue
  /// Set: packets leave at its opportunities instead, from when the link was made.
  std::shared_ptr<const RateTrace> rate_trace;
  std::uint64_t queue_bytes = 128 * 1024;  ///< waiting datagrams, headers included
  std::uint64_t queue_packets = kUnlimited;

  double loss = 0;                      ///< independent, per datagram …
  std::uint64_t loss_run = kUnlimited;  ///< … but never more than these in a row
  /// Gilbert–Elliott: two states, a step per datagram. Off while burst_enter is 0.
  double burst_enter = 0;  ///< P(good → bad)
  double burst_leave = 0;  ///< P(bad → good)
  double burst_loss = 1;   ///< loss in the bad state

  double reorder = 0;         ///< probability that a datagram takes `reorder_delay` longer …
  Duration reorder_delay{0};  ///< … while others overtake it
  double duplicate = 0;       ///< probability of a second copy
  double corrupt = 0;         ///< probability of 1 to 4 flipped bits in the payload …
  std::uint64_t corrupt_run = kUnlimited;     ///< … but never in more than these in a row …
  std::uint64_t corrupt_within = kUnlimited;  ///< … and within its first bytes: 50 hit headers
  /// Datagrams that are never corrupted; must be deterministic. None: all may be.
  std::function<bool(ByteView payload)> spared;

  double ecn_mark = 0;                       ///< probability that an ECT datagram becomes CE
  std::uint64_t ecn_threshold = kUnlimited;  ///< CE when more bytes than this wait in the queue
  bool ecn_bleach = false;  ///< the field is cleared to Not-ECT, as some networks do

  /// Largest IP packet that gets through; a bigger one vanishes without a word: a black hole.
  std::size_t mtu = 1500;

  /// Nothing gets through for `hole_length` after each `hole_period - hole_length` of normal work,
  /// `hole_count` times, counted from when the model was set. Off while hole_length is 0.
  Duration hole_period{0};
  Duration hole_length{0};
  std::uint64_t hole_count = 0;

  /// The n-th datagrams to leave the queue that are lost, counted from 1 since the link was made.
  std::set<std::uint64_t> drops;
  /// No UDP gets through, as behind many a captive portal.
  bool udp_blocked = false;
  /// Tests' own loss: false drops the datagram. Sees the UDP payload, or a TCP segment's bytes;
  /// must be deterministic.
  std::function<bool(ByteView payload)> filter;
};

/// The fluent setters, once for everything that has channels: a ChannelOptions or Channel (one
/// direction), a LinkOptions or Link (both).
template <typename Derived>
class ChannelSetters {
 public:
  Derived& delay(Duration one_way) {
    return each([&](ChannelModel& m) { m.delay = one_way; });
  }
  Derived& jitter(Duration amount, Jitter shape = Jitter::uniform, bool reorders = false) {
    return each([&](ChannelModel& m) {
      m.jitter = amount;
      m.jitter_shape = shape;
      m.jitter_reorders = reorders;
    });
  }
  /// 0: infinitely fast.
  Derived& mbps(double rate) {
    return each([&](ChannelModel& m) { m.bits_per_second = rate * 1e6; });
  }
  Derived& kbps(double rate) {
    return each([&](ChannelModel& m) { m.bits_per_second = rate * 1e3; });
  }
  /// Null: a constant rate again.
  Derived& rate_trace(std::shared_ptr<const RateTrace> trace) {
    return each([&](ChannelModel& m) { m.rate_trace = trace; });
  }
  Derived& queue_bytes(std::uint64_t bytes) {
    return each([&](ChannelModel& m) { m.queue_bytes = bytes; });
  }
  Derived& queue_packets(std::uint64_t packets) {
    return each([&](ChannelModel& m) { m.queue_packets = packets; });
  }
  Derived& loss(double probability, std::uint64_t in_a_row = ChannelModel::kUnlimited) {
    return each([&](ChannelModel& m) {
      m.loss = probability;
      m.loss_run = in_a_row;
    });
  }
  /// Gilbert–Elliott: loses on average enter / (enter + leave) × loss_in_burst of all datagrams, in
  /// bursts of 1 / leave on average.
  Derived& burst_loss(double enter, double leave, double loss_in_burst = 1) {
    return each([&](ChannelModel& m) {
      m.burst_enter = enter;
      m.burst_leave = leave;
      m.burst_loss = loss_in_burst;
    });
  }
  Derived& reorder(double probability, Duration extra_delay) {
    return each([&](ChannelModel& m) {
      m.reorder = probability;
      m.reorder_delay = extra_delay;
    });
  }
  Derived& duplicate(double probability) {
    return each([&](ChannelModel& m) { m.duplicate = probability; });
  }
  Derived& corrupt(double probability, std::uint64_t in_a_row = ChannelModel::kUnlimited) {
    return each([&](ChannelModel& m) {
      m.corrupt = probability;
      m.corrupt_run = in_a_row;
    });
  }
  Derived& ecn_mark(double probability) {
    return each([&](ChannelModel& m) { m.ecn_mark = probability; });
  }
  Derived& ecn_threshold(std::uint64_t queued_bytes) {
    return each([&](ChannelModel& m) { m.ecn_threshold = queued_bytes; });
  }
  Derived& ecn_bleach(bool on = true) {
    return each([&](ChannelModel& m) { m.ecn_bleach = on; });
  }
  Derived& mtu(std::size_t ip_packet_bytes) {
    return each([&](ChannelModel& m) { m.mtu = ip_packet_bytes; });
  }
  /// Works for `on`, then swallows everything for `off`; `repeat` times.
  Derived& blackhole(Duration on, Duration off, std::uint64_t repeat = 1) {
    return each([&](ChannelModel& m) {
      m.hole_period = on + off;
      m.hole_length = off;
      m.hole_count = repeat;
    });
  }
  /// Loses exactly these datagrams (1 is the first), beside what it lost already.
  template <typename... Numbers>
  Derived& drop(Numbers... numbers) {
    return each(
        [&](ChannelModel& m) { (m.drops.insert(static_cast<std::uint64_t>(numbers)), ...); });
  }
  Derived& block_udp(bool on = true) {
    return each([&](ChannelModel& m) { m.udp_blocked = on; });
  }
  Derived& filter(std::function<bool(ByteView payload)> passes) {
    return each([&](ChannelModel& m) { m.filter = passes; });
  }

 protected:
  ~ChannelSetters() = default;

 private:
  template <typename Change>
  Derived& each(Change&& change) {
    static_cast<Derived&>(*this).change(std::function<void(ChannelModel&)>(change));
    return static_cast<Derived&>(*this);
  }
};

/// One direction, to be given to `LinkOptions::up` or `down`.
class ChannelOptions final : public ChannelSetters<ChannelOptions> {
 public:
  const ChannelModel& model() const noexcept { return model_; }
  void change(const std::function<void(ChannelModel&)>& setter) { setter(model_); }

 private:
  ChannelModel model_;
};

/// A link between two hosts. The inherited setters apply to both directions; `up` (from the first
/// host named to the second) and `down` replace one: call them first.
///   LinkOptions().delay(10ms).mbps(50)
///   LinkOptions().up(ChannelOptions().mbps(5)).down(ChannelOptions().mbps(50)).delay(30ms)
class LinkOptions final : public ChannelSetters<LinkOptions> {
 public:
  LinkOptions& up(const ChannelOptions& options) { return up_ = options.model(), *this; }
  LinkOptions& down(const ChannelOptions& options) { return down_ = options.model(), *this; }

  /// For logs, captures and SocketOptions::device. Default "link0", "link1", …
  LinkOptions& name(std::string text) { return name_ = std::move(text), *this; }
  /// The MTU that hosts see on their interface: a bigger send fails with EMSGSIZE. Default 1500.
  LinkOptions& interface_mtu(std::size_t bytes) { return interface_mtu_ = bytes, *this; }
  /// What hosts see of their end (udp::NetworkInterface). Default wired.
  LinkOptions& kind(udp::InterfaceKind value) { return kind_ = value, *this; }
  /// Of the default routes over the link: of two ways with equally many links a host takes the one
  /// with the smaller metric. Default by kind, as NetworkManager has them: wired 100, Wi-Fi 600,
  /// cellular 700.
  LinkOptions& metric(std::uint32_t value) { return metric_ = value, *this; }
  /// Only IPv4, or only IPv6, runs on the link. Default: both.
  LinkOptions& v4_only() { return has_v6_ = false, has_v4_ = true, *this; }
  LinkOptions& v6_only() { return has_v4_ = false, has_v6_ = true, *this; }

  void change(const std::function<void(ChannelModel&)>& setter) {
    setter(up_);
    setter(down_);
  }

 private:
  friend class Link;
  friend class World;
  ChannelModel up_, down_;
  std::string name_;
  std::size_t interface_mtu_ = 1500;
  udp::InterfaceKind kind_ = udp::InterfaceKind::wired;
  std::optional<std::uint32_t> metric_;
  bool has_v4_ = true;
  bool has_v6_ = true;
};

}  // namespace tern::sim
