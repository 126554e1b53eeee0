#include "transport/sim/link.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "transport/sim/host.h"
#include "transport/sim/nat.h"
#include "transport/sim/packet.h"
#include "transport/sim/radio.h"
#include "transport/sim/world.h"

namespace tern::sim {

namespace {
enum Kind : std::uint32_t { kSerialised, kArrived };

std::uint32_t default_metric(udp::InterfaceKind kind) noexcept {
  switch (kind) {
    case udp::InterfaceKind::wifi: return 600;
    case udp::InterfaceKind::cellular: return 700;
    default: return 100;
  }
}
}  // namespace

Interface::Interface() = default;
Interface::~Interface() = default;

std::uint64_t ChannelStats::dropped_total() const noexcept {
  std::uint64_t total = 0;
  for (const std::uint64_t count : dropped) total += count;
  return total;
}

// ---- Channel ------------------------------------------------------------------------------------

Channel::Channel(World& world, Link& link, std::uint8_t direction, ChannelModel model,
                 std::uint64_t seed)
    : world_(world),
      link_(link),
      direction_(direction),
      model_(std::move(model)),
      random_(seed),
      begun_(world.now()),
      hole_start_(world.now()) {}

void Channel::change(const std::function<void(ChannelModel&)>& setter) {
  const ChannelModel before = model_;
  setter(model_);
  if (model_.hole_period != before.hole_period || model_.hole_length != before.hole_length ||
      model_.hole_count != before.hole_count) {
    hole_start_ = world_.now();
  }
  if (model_.rate_trace != before.rate_trace) opportunity_ = opportunity_bytes_ = 0;
}

void Channel::cut() {
  cut_ = true;
  ++epoch_;
  // The front packet's end of serialisation is already an event: it finds the epoch changed.
  while (queue_.size() > 1) {
    Packet* packet = queue_.back();
    queue_.pop_back();
    queued_bytes_ -= packet->wire_size();
    discard(packet, Verdict::cut);
  }
}

void Channel::inject(const udp::Address& source, const udp::Address& destination, ByteView payload,
                     udp::Ecn ecn) {
  Packet* packet = world_.pool_.take();
  packet->source = source;
  packet->destination = destination;
  packet->ecn = ecn;
  packet->payload.assign(payload.begin(), payload.end());
  transmit(packet);
}

void Channel::transmit(Packet* packet) {
  const std::size_t size = packet->wire_size();
  ++stats_.packets_in;
  stats_.bytes_in += size;
  packet->epoch = epoch_;
  if (cut_) return discard(packet, Verdict::cut);
  if (size > model_.mtu) return discard(packet, Verdict::too_big);
  const bool at_once = model_.bits_per_second <= 0 && model_.rate_trace == nullptr &&
                       near_->radio == nullptr && far_->radio == nullptr;
  if (at_once && queue_.empty()) return leave(packet);

  // The packet being serialised has left the queue as far as its limits go.
  const std::uint64_t waiting = queue_.empty() ? 0 : queued_bytes_ - queue_.front()->wire_size();
  if (!queue_.empty() &&
      (waiting + size > model_.queue_bytes || queue_.size() > model_.queue_packets)) {
    return discard(packet, Verdict::queue_full);
  }
  if (waiting > model_.ecn_threshold) mark(*packet);
  queue_.push_back(packet);
  queued_bytes_ += size;
  stats_.peak_queue_bytes = std::max(stats_.peak_queue_bytes, queued_bytes_);
  if (queue_.size() == 1) serialise_next();
}

void Channel::serialise_next() {
  Timestamp start = world_.now();
  if (near_->radio != nullptr) start = near_->radio->ready(start, true);
  if (far_->radio != nullptr) start = std::max(start, far_->radio->ready(world_.now(), false));
  world_.events_.push(serialised(start), *this, kSerialised, nullptr);
}

Timestamp Channel::serialised(Timestamp start) {
  std::size_t size = queue_.front()->wire_size();
  if (model_.rate_trace == nullptr) {
    if (model_.bits_per_second <= 0) return start;
    const double bits = 8.0 * static_cast<double>(size);
    return start + Duration(std::llround(bits / model_.bits_per_second * 1e9));
  }
  const RateTrace& trace = *model_.rate_trace;
  // An opportunity is there for its moment only.
  if (opportunity_time_ < start) opportunity_bytes_ = 0;
  while (opportunity_bytes_ < size) {
    size -= opportunity_bytes_;
    opportunity_ = std::max(opportunity_, trace.first_from(start - begun_));
    opportunity_time_ = begun_ + trace.at(opportunity_++);
    opportunity_bytes_ = RateTrace::kOpportunityBytes;
  }
  opportunity_bytes_ -= size;
  return opportunity_time_;
}

void Channel::fire(std::uint32_t kind, void* argument) {
  if (kind == kArrived) return arrive(static_cast<Packet*>(argument));
  Packet* packet = queue_.front();
  queue_.pop_front();
  queued_bytes_ -= packet->wire_size();
  for (Interface* end : {near_, far_}) {
    if (end->radio != nullptr) end->radio->used(world_.now(), end == near_, packet->wire_size());
  }
  if (!queue_.empty()) serialise_next();
  leave(packet);
}

void Channel::leave(Packet* packet) {
  if (packet->epoch != epoch_) return discard(packet, Verdict::cut);
  if (lost(packet)) return;
  if (model_.ecn_bleach) packet->ecn = udp::Ecn::not_ect;
  if (model_.ecn_mark > 0 && random_.unit() < model_.ecn_mark) mark(*packet);
  Packet* copy = nullptr;
  if (model_.duplicate > 0 && random_.unit() < model_.duplicate) {
    ++stats_.duplicated;
    copy = world_.pool_.copy(*packet);
  }
  const bool may_be_corrupted =
      model_.corrupt > 0 && (packet->is_tcp || !packet->payload.empty()) &&
      !(model_.spared && !packet->is_tcp && model_.spared(packet->payload));
  if (may_be_corrupted && strikes(model_.corrupt, model_.corrupt_run, corruptions_in_a_row_)) {
    damage(*packet);
  }
  propagate(packet);
  if (copy != nullptr) propagate(copy);
}

bool Channel::lost(Packet* packet) {
  const auto lose = [&](Verdict why) {
    discard(packet, why);
    return true;
  };
  ++left_;
  if (model_.drops.contains(left_)) return lose(Verdict::listed);
  if (in_hole()) return lose(Verdict::blackhole);
  if (model_.udp_blocked && !packet->is_tcp) return lose(Verdict::filtered);
  if (model_.filter && !model_.filter(packet->payload)) return lose(Verdict::filtered);
  if (model_.loss > 0 && strikes(model_.loss, model_.loss_run, losses_in_a_row_)) {
    return lose(Verdict::loss);
  }
  if (model_.burst_enter > 0) {
    const double flip = random_.unit();
    bad_state_ = bad_state_ ? flip >= model_.burst_leave : flip < model_.burst_enter;
    if (bad_state_ && random_.unit() < model_.burst_loss) return lose(Verdict::burst_loss);
  }
  return false;
}

bool Channel::strikes(double probability, std::uint64_t most, std::uint64_t& in_a_row) {
  // The number is drawn in any case: a limit leaves what comes later as it was.
  const bool struck = random_.unit() < probability && in_a_row < most;
  in_a_row = struck ? in_a_row + 1 : 0;
  return struck;
}

bool Channel::in_hole() const noexcept {
  if (model_.hole_length <= Duration{0}) return false;
  const Duration since = world_.now() - hole_start_;
  const auto cycle = static_cast<std::uint64_t>(since / model_.hole_period);
  return cycle < model_.hole_count &&
         since % model_.hole_period >= model_.hole_period - model_.hole_length;
}

void Channel::mark(Packet& packet) noexcept {
  // RFC 3168 §5: only a packet whose sender speaks ECN may be marked.
  if (packet.ecn != udp::Ecn::ect0 && packet.ecn != udp::Ecn::ect1) return;
  packet.ecn = udp::Ecn::ce;
  ++stats_.marked;
}

void Channel::damage(Packet& packet) noexcept {
  ++stats_.corrupted;
  if (packet.is_tcp) {
    packet.damaged = true;
    return;
  }
  const std::uint64_t bits =
      std::clamp<std::uint64_t>(model_.corrupt_within, 1, packet.payload.size()) * 8;
  const std::uint64_t flips = 1 + random_.below(4);
  // A run of bits: flips never undo each other.
  std::uint64_t bit = random_.below(bits);
  for (std::uint64_t i = 0; i < std::min(flips, bits); ++i) {
    packet.payload[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    bit = (bit + 1) % bits;
  }
}

Duration Channel::random_delay() {
  if (model_.jitter <= Duration{0}) return Duration{0};
  const auto scale = static_cast<double>(model_.jitter.count());
  double factor = 0;
  switch (model_.jitter_shape) {
    case Jitter::uniform: factor = random_.unit(); break;
    case Jitter::normal: {
      // Box–Muller; 1 - unit() is never 0.
      const double radius = std::sqrt(-2.0 * std::log(1.0 - random_.unit()));
      factor = std::abs(radius * std::cos(2.0 * std::numbers::pi * random_.unit()));
      break;
    }
    case Jitter::exponential: factor = -std::log(1.0 - random_.unit()); break;
  }
  return Duration(std::llround(scale * factor));
}

void Channel::propagate(Packet* packet) {
  Timestamp arrival = world_.now() + model_.delay + random_delay();
  if (model_.reorder > 0 && random_.unit() < model_.reorder) {
    ++stats_.reordered;
    arrival += model_.reorder_delay;
  } else if (!model_.jitter_reorders) {
    arrival = std::max(arrival, last_arrival_);
    last_arrival_ = arrival;
  }
  ++on_wire_;
  world_.events_.push(arrival, *this, kArrived, packet);
}

void Channel::arrive(Packet* packet) {
  --on_wire_;
  if (packet->epoch != epoch_) return discard(packet, Verdict::cut);
  if (!far_->up) return discard(packet, Verdict::interface_down);
  ++stats_.delivered;
  stats_.bytes_delivered += packet->wire_size();
  record(*packet, Verdict::delivered);
  far_->host->arrive(packet, *far_);
}

void Channel::discard(Packet* packet, Verdict why) {
  ++stats_.dropped[static_cast<std::size_t>(why)];
  record(*packet, why);
  world_.pool_.give(packet);
}

void Channel::record(const Packet& packet, Verdict verdict) {
  TraceEvent event;
  event.now = world_.now();
  event.link = link_.index_;
  event.direction = direction_;
  event.verdict = verdict;
  event.where = label_;
  event.source = packet.source;
  event.destination = packet.destination;
  event.ecn = packet.ecn;
  event.payload = packet.payload;
  if (packet.is_tcp) event.tcp = &packet.tcp;
  world_.record(event);
}

// ---- Link ---------------------------------------------------------------------------------------

Link::Link(World& world, std::uint32_t index, Host& near, Host& far, const LinkOptions& options,
           std::uint64_t seed)
    : world_(world),
      index_(index),
      name_(options.name_),
      kind_(options.kind_),
      metric_(options.metric_.value_or(default_metric(options.kind_))),
      interface_mtu_(options.interface_mtu_),
      has_v4_(options.has_v4_),
      has_v6_(options.has_v6_),
      up_(new Channel(world, *this, 0, options.up_, seed * 2)),
      down_(new Channel(world, *this, 1, options.down_, seed * 2 + 1)) {
  if (name_.empty()) name_ = "link" + std::to_string(index);
  up_->label_ = name_ + " " + near.name() + ">" + far.name();
  down_->label_ = name_ + " " + far.name() + ">" + near.name();
  ends_[0].host = &near;
  ends_[0].out = up_.get();
  ends_[1].host = &far;
  ends_[1].out = down_.get();
  for (Interface& end : ends_) end.link = this;
  up_->near_ = down_->far_ = &ends_[0];
  up_->far_ = down_->near_ = &ends_[1];
}

void Link::change(const std::function<void(ChannelModel&)>& setter) {
  up_->change(setter);
  down_->change(setter);
}

void Link::cut() {
  up_->cut();
  down_->cut();
}

void Link::restore() noexcept {
  up_->restore();
  down_->restore();
}

void Link::take_down(const Host& host) {
  Interface& end = end_of(host);
  end.up = false;
  world_.topology_.changed();
  end.host->interfaces_changed();
}

void Link::bring_up(const Host& host) {
  Interface& end = end_of(host);
  end.up = true;
  world_.topology_.changed();
  end.host->interfaces_changed();
}

void Link::metric(std::uint32_t value) {
  metric_ = value;
  world_.topology_.changed();
  for (Interface& end : ends_) end.host->interfaces_changed();
}

void Link::renumber(const Host& host) {
  Interface& end = end_of(host);
  world_.topology_.number(end);
  end.host->interfaces_changed();
}

udp::Address Link::v4(const Host& host, std::uint16_t port) const {
  udp::Address address = end_of(host).v4;
  TERN_CHECK(address.specified());
  address.set_port(port);
  return address;
}

udp::Address Link::v6(const Host& host, std::uint16_t port) const {
  udp::Address address = end_of(host).v6;
  TERN_CHECK(address.specified());
  address.set_port(port);
  return address;
}

Interface& Link::end_of(const Host& host) {
  Interface& end = &host == ends_[0].host ? ends_[0] : ends_[1];
  TERN_CHECK(end.host == &host);
  return end;
}

const Interface& Link::end_of(const Host& host) const {
  return const_cast<Link*>(this)->end_of(host);
}

}  // namespace tern::sim
