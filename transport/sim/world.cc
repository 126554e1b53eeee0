#include "transport/sim/world.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "transport/sim/mix.h"
#include "transport/sim/network.h"

namespace tern::sim {

namespace {

/// Time begins a second after the clock's epoch: "never happened" and "at the start" differ.
constexpr Timestamp kBeginning{std::chrono::seconds(1)};

std::uint64_t hash_text(std::uint64_t state, std::string_view text) {
  for (const char c : text) state = mix(state ^ static_cast<std::uint8_t>(c)) + text.size();
  return state;
}

}  // namespace

std::uint64_t seed() {
  std::uint64_t value = 1;
  if (const char* text = std::getenv("SIM_SEED"); text != nullptr) {
    const std::string_view digits(text);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      throw std::invalid_argument("SIM_SEED is not a number: " + std::string(digits));
    }
  }
  return value;
}

World::World(std::uint64_t seed) : seed_(seed), now_(kBeginning), random_(derive("world", "", 0)) {}

World::~World() = default;

std::uint64_t World::derive(std::string_view purpose, std::string_view name,
                            std::uint64_t index) const {
  return mix(hash_text(hash_text(mix(seed_ + 0x9e3779b97f4a7c15), purpose), name) ^ mix(index));
}

// ---- building -----------------------------------------------------------------------------------

Host& World::find_or_make(std::string_view name, bool forwards) {
  const auto known = names_.find(std::string(name));
  if (known != names_.end()) return *known->second;
  hosts_.push_back(std::unique_ptr<Host>(
      new Host(*this, static_cast<std::uint32_t>(hosts_.size()), std::string(name), forwards)));
  names_.emplace(name, hosts_.back().get());
  return *hosts_.back();
}

Host& World::host(std::string_view name) { return find_or_make(name, false); }

Host& World::router(std::string_view name) {
  Host& router = find_or_make(name, true);
  TERN_CHECK(router.forwards());
  return router;
}

void World::alias(std::string_view name, Host& host) { names_[std::string(name)] = &host; }

Link& World::link(Host& near, Host& far, const LinkOptions& options) {
  TERN_CHECK(&near != &far);
  const auto index = static_cast<std::uint32_t>(links_.size());
  links_.push_back(std::unique_ptr<Link>(
      new Link(*this, index, near, far, options, derive("link", options.name_, index))));
  Link& link = *links_.back();
  for (Interface& end : link.ends_) {
    topology_.number(end);
    end.host->interfaces_.push_back(&end);
  }
  topology_.changed();
  for (Interface& end : link.ends_) end.host->interfaces_changed();
  return link;
}

Nat& World::nat(Host& host, Link& link, const NatOptions& options) {
  Interface& end = link.end_of(host);
  TERN_CHECK(end.nat == nullptr);
  end.nat.reset(new Nat(*this, end, options));
  return *end.nat;
}

Radio& World::radio(Host& host, Link& link, const RadioOptions& options) {
  Interface& end = link.end_of(host);
  TERN_CHECK(end.radio == nullptr);
  end.radio = std::make_unique<Radio>(options, now_);
  return *end.radio;
}

// ---- time ---------------------------------------------------------------------------------------

Duration World::elapsed() const noexcept { return now_ - kBeginning; }

void World::at(Duration since_start, std::function<void()> action) {
  actions_.push_back(std::make_unique<std::function<void()>>(std::move(action)));
  events_.push(std::max(now_, kBeginning + since_start), action_target_, 0, actions_.back().get());
}

void World::after(Duration delay, std::function<void()> action) {
  at(elapsed() + delay, std::move(action));
}

void World::Actions::fire(std::uint32_t, void* argument) {
  // So that every runtime's clock is right when the action touches what lives on it.
  world_.turn_all();
  (*static_cast<std::function<void()>*>(argument))();
  world_.schedule_all();
}

bool World::step(Timestamp limit) {
  const Timestamp next = next_event();
  if (next == kNever || next > limit) return false;
  TERN_CHECK(next >= now_);
  now_ = next;
  while (events_.next() <= now_) {
    const EventQueue::Event event = events_.pop();
    event.target->fire(event.kind, event.argument);
    run_checks();
  }
  if (protocol_timers_.expire(now_) != 0) run_checks();
  turns_.expire(now_);
  return true;
}

World::Running::Running(World& world, Worker* waiter) : world_(world) {
  TERN_CHECK(!world_.running_);
  if (world_.failed_) world_.fail("this world has failed before");
  world_.running_ = true;
  world_.waiter_ = waiter;
  world_.waiter_due_ = false;
  // Whoever calls may have touched any runtime since the last run.
  world_.schedule_all();
}

World::Running::~Running() {
  world_.running_ = false;
  world_.waiter_ = nullptr;
}

void World::end_run() {
  turn_all();
  run_checks();
}

// The waiter's own loop turns it, when it has something to do.

void World::turn_all() {
  for (const auto& host : hosts_) {
    for (const auto& worker : host->workers_) {
      if (worker.get() != waiter_) worker->turn();
    }
  }
}

void World::schedule_all() {
  for (const auto& host : hosts_) {
    for (const auto& worker : host->workers_) {
      if (worker.get() != waiter_) worker->schedule(now_);
    }
  }
}

void World::run_for(Duration duration) {
  const Timestamp end = now_ + duration;
  const Running running(*this, nullptr);
  while (step(end)) {
  }
  now_ = end;
  end_run();
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Timestamp end = now_ + limit;
  const Running running(*this, nullptr);
  bool reached = done();
  while (!reached && step(end)) reached = done();
  if (!reached && next_event() != kNever) now_ = end;
  end_run();
  return reached;
}

bool World::run(Duration limit) {
  const Timestamp end = now_ + limit;
  const Running running(*this, nullptr);
  while (step(end)) {
  }
  const bool quiet = next_event() == kNever;
  if (!quiet) now_ = end;
  end_run();
  return quiet;
}

// ---- watching -----------------------------------------------------------------------------------

void World::run_checks() {
  for (std::size_t i = 0; i < checkers_.size(); ++i) checkers_[i]();
}

void World::fail(std::string_view what) const {
  failed_ = true;
  throw Violation(fmt::format("{} (SIM_SEED={}, at {:.6f} s)", what, seed_,
                              std::chrono::duration<double>(elapsed()).count()));
}

void World::record(const TraceEvent& event) {
  hash_.add(event);
  for (TraceObserver* observer : observers_) observer->observe(event);
}

void World::stop_observing(TraceObserver& observer) noexcept { std::erase(observers_, &observer); }

std::vector<std::string> World::leaks() const {
  std::vector<std::string> found;
  std::size_t accounted = 0;
  for (const auto& link : links_) {
    accounted += link->up_->in_flight() + link->down_->in_flight();
  }
  for (const auto& host : hosts_) {
    accounted += host->looping_;
    if (host->open_sockets_ != 0) {
      found.push_back(fmt::format("{}: {} open sockets", host->name(), host->open_sockets_));
    }
    for (const auto& worker : host->workers_) {
      accounted += worker->network_.waiting();
      if (const std::size_t held = worker->network_.slabs_held(); held != 0) {
        found.push_back(fmt::format("{}: {} slabs acquired, not submitted", worker->label(), held));
      }
    }
  }
  if (pool_.live() != accounted) {
    found.push_back(
        fmt::format("{} datagrams neither on a link nor in a socket", pool_.live() - accounted));
  }
  return found;
}

}  // namespace tern::sim
