#pragma once

#include <cstdint>
#include <vector>

#include "base/runtime.h"
#include "base/timer_heap.h"
#include "tools/relay/relay.h"
#include "tools/relay/timeline.h"
#include "transport/sim/world.h"

namespace tern::relay {

/// Whoever exchanges traffic between real sockets and the hosts of a PacedWorld.
class Participant {
 public:
  /// The world stands at the present: what has come from real sockets may go into it.
  virtual void enter() = 0;
  /// The world has moved on: what came out of it may go to real sockets.
  virtual void leave() = 0;

 protected:
  ~Participant() = default;
};

/// A simulated world whose time follows that of a runtime of the real world: clients ─ the link ─
/// a router ─ servers, with a NAT at the clients' end of the link or on the router. Internal to
/// tools/relay.
///
/// Each turn of the runtime brings it to the present, lets the participants put in what arrived,
/// and takes out what is due. The runtime is woken when the next thing is to happen.
class PacedWorld final : private TurnHook {
 public:
  PacedWorld(Runtime& runtime, const RelayOptions& options);
  PacedWorld(const PacedWorld&) = delete;
  PacedWorld& operator=(const PacedWorld&) = delete;
  ~PacedWorld();

  Runtime& runtime() noexcept { return runtime_; }
  sim::World& world() noexcept { return world_; }
  /// Where clients are.
  sim::Host& near() noexcept { return near_; }
  /// Where servers are.
  sim::Host& far() noexcept { return far_; }
  sim::Link& link() noexcept { return link_; }
  sim::Nat& nat() noexcept { return nat_; }
  /// What is bigger does not leave the server's side. With TCP that is the MTU of the link as it
  /// began: its segments fit, as if path MTU discovery had been there before.
  std::size_t server_mtu() const noexcept { return uplink_.interface_mtu(); }
  /// Datagrams that came to an outside address and port that are no more.
  std::uint64_t nat_dropped() const noexcept { return nat_host_.dropped_for(sim::Verdict::nat); }

  /// Not owned; removes itself before it dies.
  void add(Participant& participant) { participants_.push_back(&participant); }
  void remove(Participant& participant) noexcept { std::erase(participants_, &participant); }

  /// A client has sent something: once the world stands at the present, timelines begin, if they
  /// have not.
  void start_clock() noexcept { clock_wanted_ = true; }
  void perform(const Action& action);
  /// Virtual time as nanoseconds since 1970, by the wall clock when the world was made.
  std::uint64_t unix_nanoseconds() const;

 private:
  void drain(Timestamp now) override;
  void flush(Timestamp now) override;
  bool pending() const override { return false; }

  static std::size_t server_mtu(const RelayOptions& options);
  void begin_clock();
  /// To the real time `now`, with every action that is due on the way.
  void advance(Timestamp now);
  void run_to(Duration elapsed);
  Duration next_action() const noexcept;
  void arm();

  Runtime& runtime_;
  const Timestamp began_;  // real time of the world's beginning
  const UnixSeconds unix_began_;
  const sim::ChannelModel up_, down_;
  std::vector<Timeline> timelines_;
  bool clock_wanted_ = false;
  bool clock_runs_ = false;
  Duration clock_started_{0};

  sim::World world_;
  sim::Host& near_;
  sim::Host& router_;
  sim::Host& far_;
  sim::Link& link_;
  sim::Link& uplink_;  // from the router to the servers: no time, no loss
  sim::Host& nat_host_;
  sim::Nat& nat_;
  std::vector<Participant*> participants_;
  Timer wake_;
};

}  // namespace tern::relay
