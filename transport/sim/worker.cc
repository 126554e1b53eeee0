#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "base/check.h"
#include "transport/sim/network.h"
#include "transport/sim/world.h"

namespace tern::sim {

Worker::Worker(Host& host, std::size_t index, const Random::Key& key)
    : host_(host), index_(index), log_(*this), network_(host, *this, key), runtime_(network_) {
  runtime_.log_to(log_);
}

void Worker::schedule(Timestamp when) {
  when = std::max(when, host_.world_.now());
  if (when >= scheduled_) return;
  scheduled_ = when;
  host_.world_.turns_.arm(*this, when);
}

void Worker::expire(Timestamp) {
  scheduled_ = kNever;
  if (host_.world_.waiter_ == this) {
    host_.world_.waiter_due_ = true;  // its own loop turns it
  } else {
    turn();
  }
}

void Worker::turn() {
  World& world = host_.world_;
  if (world.now() != last_turn_) {
    last_turn_ = world.now();
    turns_at_instant_ = 0;
  }
  if (++turns_at_instant_ > kMaxTurnsPerInstant) {
    world.fail(fmt::format("livelock: {} turned {} times and always wants to turn again", label(),
                           kMaxTurnsPerInstant));
  }
  runtime_.turn();
  reschedule();
  world.run_checks();
}

void Worker::reschedule() {
  const Timestamp next = std::min(runtime_.next_deadline(), network_.next_deadline());
  network_.deadline_noted();
  if (next != kNever) schedule(next);
}

void Worker::wait(Timestamp deadline) {
  World& world = host_.world_;
  if (world.running_) return;  // the world turns this runtime because it is due
  const World::Running running(world, this);
  const Timestamp next = std::min(deadline, network_.next_deadline());
  network_.deadline_noted();
  if (next != kNever) schedule(next);
  while (!world.waiter_due_) {
    if (!world.step(kNever)) world.fail(label() + " waits, but nothing is left to happen");
  }
}

std::string Worker::label() const {
  return index_ == 0 ? host_.name() : fmt::format("{}/{}", host_.name(), index_);
}

bool Worker::Log::enabled(LogLevel) const noexcept { return worker_.host_.world_.log_ != nullptr; }

void Worker::Log::line(LogLevel level, std::string_view text) noexcept {
  const World& world = worker_.host_.world_;
  if (world.log_ == nullptr) return;
  constexpr std::string_view names[] = {"debug", "info", "warning", "error"};
  *world.log_ << fmt::format("{:12.6f} {} {}: {}\n",
                             std::chrono::duration<double>(world.elapsed()).count(),
                             worker_.label(), names[static_cast<std::size_t>(level)], text);
}

}  // namespace tern::sim
