#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "base/timer_heap.h"
#include "transport/sim/event_queue.h"
#include "transport/sim/host.h"
#include "transport/sim/link.h"
#include "transport/sim/nat.h"
#include "transport/sim/packet.h"
#include "transport/sim/radio.h"
#include "transport/sim/topology.h"
#include "transport/sim/trace.h"

namespace tern::sim {

/// The seed for scenarios: the environment variable SIM_SEED, else 1.
std::uint64_t seed();

/// Something that must not happen in any world did: a check, a livelock, a wait for nothing. Its
/// text has the seed and the virtual time.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A network of hosts in virtual time. One seed drives everything random in it, so a run can be
/// replayed exactly: same seed, same program, same `trace_hash()`. Real code runs on the hosts'
/// runtimes unchanged; computing takes no virtual time.
///
///   sim::World world(sim::seed());
///   sim::Host& server = world.host("server");
///   sim::Host& phone = world.host("phone");
///   sim::Link& wifi = world.link(phone, server, sim::LinkOptions().delay(10ms).mbps(50));
///   world.at(400ms, [&] { wifi.cut(); });
///   world.run_for(2s);
///
/// Order. At each instant all due network events and `at` actions happen, in the order in which
/// they were caused; then TCP's timers expire; then every worker with something to do turns once;
/// and again until nothing is due at that instant. Code outside the world (a test between two runs,
/// an `at` action) may touch any host's objects: all runtimes stand at `now()` then, and all turn
/// before time goes on. From inside a host's coroutine, another runtime is reached by its `submit`
/// only.
///
/// Single-threaded; worlds share nothing, so many may run on many threads. Hosts, links and NATs
/// live as long as the world; what runs on them (servers, clients, sockets) must be gone before.
class World {
 public:
  /// Virtual time begins at 2026-01-01T00:00:00Z on every host's wall clock.
  static constexpr UnixSeconds kUnixEpoch = 1'767'225'600;

  explicit World(std::uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  /// The host of that name, made on first use.
  Host& host(std::string_view name);
  /// A host that forwards datagrams between its links; made on first use.
  Host& router(std::string_view name);
  /// Another name for a host, for `Network::resolve` and TLS.
  void alias(std::string_view name, Host& host);
  /// Two hosts may have any number of links. Older links are preferred.
  Link& link(Host& near, Host& far, const LinkOptions& options = LinkOptions());
  /// Puts a NAT at `host`'s end of `link`; at most one each.
  Nat& nat(Host& host, Link& link, const NatOptions& options = NatOptions());

  /// Makes `host`'s end of `link` a radio; at most one each. From now on it has to be awake.
  Radio& radio(Host& host, Link& link, const RadioOptions& options);

  std::uint64_t seed() const noexcept { return seed_; }
  /// A stream of random numbers for the scenario itself.
  Random& random() noexcept { return random_; }
  Timestamp now() const noexcept { return now_; }
  /// Virtual time since the world began.
  Duration elapsed() const noexcept;
  /// When something happens next if nobody interferes; kNever: nothing will. For whoever paces a
  /// world by another clock, as tools/relay does.
  Timestamp next_event() const noexcept {
    return std::min({events_.next(), protocol_timers_.next_deadline(), turns_.next_deadline()});
  }

  /// Calls `action` at that time since the beginning, or now if it has passed.
  void at(Duration since_start, std::function<void()> action);
  void after(Duration delay, std::function<void()> action);

  /// Lets virtual time pass.
  void run_for(Duration duration);
  /// Until `done()`, which is asked after every step; false when `limit` passed first or nothing is
  /// left to happen.
  bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::seconds(60));
  /// Until nothing is left to happen; false when `limit` passed first.
  bool run(Duration limit = std::chrono::hours(1));

  /// Called after every event and every turn, and at the end of every run: calls `fail`, or a
  /// test's assertion, when something is not as it must be.
  void check(std::function<void()> checker) { checkers_.push_back(std::move(checker)); }
  /// Throws a Violation. The world does not run any more after that.
  [[noreturn]] void fail(std::string_view what) const;
  /// One line each for what is not given back: packets neither on a link nor in a socket, slabs
  /// acquired and never submitted, open sockets. Empty when all that ran here has been torn down.
  std::vector<std::string> leaks() const;

  std::uint64_t trace_hash() const noexcept { return hash_.value(); }
  std::uint64_t trace_events() const noexcept { return hash_.events(); }
  /// Shows every event to `observer` from now on; it outlives the world or is removed.
  void observe(TraceObserver& observer) { observers_.push_back(&observer); }
  void stop_observing(TraceObserver& observer) noexcept;
  /// Sends the hosts' runtime logs to `out`, with time and host before each line. Null: nowhere.
  void log_to(std::ostream* out) noexcept { log_ = out; }

 private:
  friend class Channel;
  friend class Host;
  friend class Link;
  friend class Nat;
  friend class SimNetwork;
  friend class SimSocket;
  friend class SimTcp;
  friend class TcpStack;
  friend class Worker;

  /// The `at` actions among the events.
  class Actions final : public EventTarget {
   public:
    explicit Actions(World& world) noexcept : world_(world) {}
    void fire(std::uint32_t kind, void* argument) override;

   private:
    World& world_;
  };

  /// While time passes. `waiter` drives the world from Driver::wait; null: the world's own run.
  class Running {
   public:
    Running(World& world, Worker* waiter);
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running();

   private:
    World& world_;
  };

  /// A number that depends on the seed, the purpose and the name only, so that adding a host or a
  /// link leaves the others' randomness as it was.
  std::uint64_t derive(std::string_view purpose, std::string_view name, std::uint64_t index) const;
  Host& find_or_make(std::string_view name, bool forwards);
  /// Everything at the next instant; false when there is none up to `limit`.
  bool step(Timestamp limit);
  void end_run();
  void turn_all();
  void schedule_all();
  void run_checks();
  void record(const TraceEvent& event);

  const std::uint64_t seed_;
  Timestamp now_;
  Random random_;
  TraceHash hash_;
  std::vector<TraceObserver*> observers_;
  std::ostream* log_ = nullptr;
  PacketPool pool_;
  Actions action_target_{*this};
  EventQueue events_;
  TimerHeap protocol_timers_;  // of the hosts' TCP
  TimerHeap turns_;
  Topology topology_;
  std::vector<std::unique_ptr<std::function<void()>>> actions_;
  std::vector<std::function<void()>> checkers_;
  bool running_ = false;
  mutable bool failed_ = false;
  Worker* waiter_ = nullptr;
  bool waiter_due_ = false;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::unordered_map<std::string, Host*> names_;  // looked up only
};

}  // namespace tern::sim
