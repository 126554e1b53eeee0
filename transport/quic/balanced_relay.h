#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/counters.h"
#include "base/runtime.h"
#include "transport/quic/load_balancer.h"
#include "transport/udp/network.h"

namespace tern::quic {

/// A layer-4 load balancer at work: takes datagrams at one address and sends each to the machine
/// that `LoadBalancer` names, through a socket of the client's own, so that the answers find their
/// way back. For tests, small installations and the simulator: it runs on any `udp::Network`.
///
/// The choice of the machine has no state. The sockets are a NAT's table, by client address: one
/// that is closed because there are too many, or because the balancer was restarted, is to the
/// machine a client with a new port, which QUIC copes with. Single-threaded; belongs to the
/// runtime's thread.
///
/// Counters: "balancer.by_connection_id", "balancer.hashed", "balancer.returned",
/// "balancer.dropped" (datagrams), "balancer.clients_forgotten".
class BalancedRelay final : private udp::Sink, private TurnHook {
 public:
  /// Clients with a socket of their own; beyond it the one that sent longest ago loses its.
  static constexpr std::size_t kMaxClients = 4096;

  /// Listens at `listen`; `machines` in the balancer's order. Runtime and network outlive it; the
  /// network is the runtime's driver.
  static Result<std::unique_ptr<BalancedRelay>> create(Runtime& runtime, udp::Network& network,
                                                       LoadBalancer balancer,
                                                       const udp::Address& listen,
                                                       std::vector<udp::Address> machines,
                                                       std::size_t max_clients = kMaxClients);
  ~BalancedRelay();
  BalancedRelay(const BalancedRelay&) = delete;
  BalancedRelay& operator=(const BalancedRelay&) = delete;

  /// With the real port.
  const udp::Address& listening() const noexcept { return front_->local(); }
  std::size_t clients() const noexcept { return flows_.size(); }
  /// Closes every client's socket after this turn, as a NAT that was restarted: to the machines all
  /// of them have new ports.
  void forget_clients() noexcept { forget_all_ = true; }

 private:
  struct Flow {
    udp::Path client;  // as seen here: local is our address
    std::unique_ptr<udp::Socket> socket;
  };
  using Flows = std::list<Flow>;  // the one that sent last is first

  BalancedRelay(Runtime& runtime, udp::Network& network, LoadBalancer balancer,
                std::vector<udp::Address> machines, std::size_t max_clients);

  void receive(udp::Socket& socket, const udp::Arrival& arrival) override;
  void send_failed(udp::Socket&, const udp::Path&, int) override { dropped_.add(); }
  void drain(Timestamp) override {}
  void flush(Timestamp) override;
  bool pending() const override { return slab_ != nullptr || forget_all_; }

  void from_client(const udp::Arrival& arrival);
  void from_machine(const Flow& flow, const udp::Arrival& arrival);
  Flow* flow_of(const udp::Path& client);
  void send(udp::Socket& socket, const udp::Path& path, udp::Ecn ecn, ByteView datagrams,
            std::size_t segment_size);

  Runtime& runtime_;
  udp::Network& network_;
  const LoadBalancer balancer_;
  const std::vector<udp::Address> machines_;
  const std::size_t max_clients_;
  std::unique_ptr<udp::Socket> front_;
  Flows flows_;
  // Looked up only.
  std::unordered_map<udp::Address, Flows::iterator> by_client_;
  std::unordered_map<const udp::Socket*, Flows::iterator> by_socket_;
  udp::Slab* slab_ = nullptr;
  std::size_t used_ = 0;
  bool forget_all_ = false;
  Counter &by_connection_id_, &hashed_, &returned_, &dropped_, &forgotten_;
};

}  // namespace tern::quic
