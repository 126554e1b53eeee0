#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "transport/quic/balanced_relay.h"
#include "transport/quic/cid.h"
#include "transport/sim/world.h"

namespace tern::handoff {

/// A layer-4 balancer with machines behind it: it routes by connection ID, in the QUIC-LB layout
/// and encrypted, and keeps no connections itself. Owned by the stage.
class Balancer {
 public:
  /// `front` is the host that phones reach.
  Balancer(sim::World& world, sim::Host& front, std::size_t machines);

  const std::vector<sim::Host*>& machines() const noexcept { return machines_; }
  /// What a machine's server makes its connection IDs with.
  static quic::CidConfig cids(std::size_t machine);
  /// Begins to relay, from `[::]:443` to the machines' port 443. Throws if it cannot.
  void start();
  /// As when it is replaced by another: its table of clients is gone.
  void forget_clients();
  void stop() noexcept { relay_.reset(); }

 private:
  sim::Host& front_;
  std::vector<sim::Host*> machines_;
  std::unique_ptr<quic::BalancedRelay> relay_;
};

}  // namespace tern::handoff
