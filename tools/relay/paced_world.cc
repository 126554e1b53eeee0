#include "tools/relay/paced_world.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace tern::relay {

namespace {

/// Hosts take whatever the real sockets bring: the link's own MTU decides.
constexpr std::size_t kInterfaceMtu = 65'600;
/// As many as the engine can fill in a turn, several times over.
constexpr std::size_t kSlabs = 256;

sim::LinkOptions link_options(const char* name, std::size_t interface_mtu = kInterfaceMtu) {
  return sim::LinkOptions().name(name).mtu(kInterfaceMtu).interface_mtu(interface_mtu);
}

/// Black holes count from when the clock starts.
sim::ChannelModel without_holes(sim::ChannelModel model) {
  model.hole_period = model.hole_length = Duration{0};
  model.hole_count = 0;
  return model;
}

void set_holes(sim::Channel& channel, const sim::ChannelModel& from) {
  channel.change([&](sim::ChannelModel& model) {
    model.hole_period = from.hole_period;
    model.hole_length = from.hole_length;
    model.hole_count = from.hole_count;
  });
}

}  // namespace

std::size_t PacedWorld::server_mtu(const RelayOptions& options) {
  return options.tcp_ ? std::min(options.up_.mtu, options.down_.mtu) : kInterfaceMtu;
}

PacedWorld::PacedWorld(Runtime& runtime, const RelayOptions& options)
    : runtime_(runtime),
      began_(runtime.driver().now()),
      unix_began_(runtime.unix_seconds()),
      up_(options.up_),
      down_(options.down_),
      timelines_(options.timelines_),
      world_(options.seed_),
      near_(world_.host("clients")),
      router_(world_.router("router")),
      far_(world_.host("servers")),
      link_(world_.link(near_, router_, link_options("relay"))),
      uplink_(world_.link(router_, far_, link_options("uplink", server_mtu(options)))),
      nat_host_(options.nat_place_ == NatPlace::home ? near_ : router_),
      nat_(world_.nat(nat_host_, &nat_host_ == &near_ ? link_ : uplink_, options.nat_)),
      wake_(runtime.timers(), [](Timestamp) {}) {
  link_.up().change([&](sim::ChannelModel& model) { model = without_holes(up_); });
  link_.down().change([&](sim::ChannelModel& model) { model = without_holes(down_); });
  near_.slabs(kSlabs);
  far_.slabs(kSlabs);
  runtime_.add(*this);
}

PacedWorld::~PacedWorld() { runtime_.remove(*this); }

void PacedWorld::begin_clock() {
  clock_runs_ = true;
  clock_started_ = world_.elapsed();
  set_holes(link_.up(), up_);
  set_holes(link_.down(), down_);
}

void PacedWorld::perform(const Action& action) {
  const auto each = [&](auto&& apply) {
    if (action.direction != Direction::to_client) apply(link_.up());
    if (action.direction != Direction::to_server) apply(link_.down());
  };
  switch (action.kind) {
    case Action::Kind::change:
      each([&](sim::Channel& channel) { channel.change(action.change); });
      break;
    case Action::Kind::cut: each([](sim::Channel& channel) { channel.cut(); }); break;
    case Action::Kind::restore: each([](sim::Channel& channel) { channel.restore(); }); break;
    case Action::Kind::rebind: nat_.rebind(); break;
    case Action::Kind::rebind_address: nat_.rebind_address(); break;
  }
  if (runtime_.log().enabled(LogLevel::info)) {
    const Duration since = clock_runs_ ? world_.elapsed() - clock_started_ : Duration{0};
    runtime_.log().line(
        LogLevel::info,
        fmt::format("{:.3f} s: {}", std::chrono::duration<double>(since).count(), action.text));
  }
}

std::uint64_t PacedWorld::unix_nanoseconds() const {
  const Duration since_1970 = std::chrono::seconds(unix_began_) + world_.elapsed();
  return static_cast<std::uint64_t>(since_1970.count());
}

Duration PacedWorld::next_action() const noexcept {
  Duration next = Timeline::kNeverAgain;
  if (!clock_runs_) return next;
  for (const Timeline& timeline : timelines_) next = std::min(next, timeline.next());
  // Far beyond any clock, and no overflow when the start is added.
  return next > Timeline::kNeverAgain / 2 ? Timeline::kNeverAgain : clock_started_ + next;
}

void PacedWorld::run_to(Duration elapsed) {
  if (elapsed >= world_.elapsed()) world_.run_for(elapsed - world_.elapsed());
}

void PacedWorld::advance(Timestamp now) {
  const Duration target = now - began_;
  for (Duration next = next_action(); next <= target; next = next_action()) {
    run_to(next);
    for (Timeline& timeline : timelines_) {
      if (timeline.next() == next - clock_started_) {
        perform(timeline.take());
        break;
      }
    }
  }
  run_to(target);
}

void PacedWorld::drain(Timestamp now) {
  advance(now);
  if (clock_wanted_ && !clock_runs_) begin_clock();
  for (Participant* participant : participants_) participant->enter();
}

void PacedWorld::flush(Timestamp now) {
  advance(now);
  for (Participant* participant : participants_) participant->leave();
  arm();
}

void PacedWorld::arm() {
  const Timestamp event = world_.next_event();
  Duration next = next_action();
  if (event != kNever) next = std::min(next, world_.elapsed() + (event - world_.now()));
  if (next == Timeline::kNeverAgain) return wake_.disarm();
  // Not for each of many packets: those due within a moment leave together.
  wake_.arm(began_ + std::max(next, world_.elapsed() + Relay::kCoarseness));
}

}  // namespace tern::relay
